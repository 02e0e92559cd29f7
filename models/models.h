/* Weir models: what turns a flow into a fitted model. Objectives, optimisers, the training loop, saving and loading.
 *
 *     nf_flow *flow = nf_flow_parse("(maf(128,128)-flip)*3-standardize", 2, 0, AD_F32, 1, &error);
 *     nf_fit(flow, x, rows, &(nf_fit_options){.epochs = 100}, NULL, &error);
 *     nf_save(flow, NULL, "moons.safetensors", &error);
 */
#ifndef WEIR_MODELS_H
#define WEIR_MODELS_H

#include <weir/ais.h>
#include <weir/automatic.h>
#include <weir/callbacks.h>
#include <weir/checkpoint.h>
#include <weir/columns.h>
#include <weir/communicator_type.h>
#include <weir/data.h>
#include <weir/densities.h>
#include <weir/diagnostics.h>
#include <weir/file.h>
#include <weir/flows.h>
#include <weir/import.h>
#include <weir/infer.h>
#include <weir/nuts.h>
#include <weir/objective.h>
#include <weir/onnx.h>
#include <weir/optimizer.h>
#include <weir/plugin.h>
#include <weir/prior.h>
#include <weir/psis.h>
#include <weir/record.h>
#include <weir/rows.h>
#include <weir/save.h>
#include <weir/start.h>
#include <weir/stream.h>
#include <weir/target.h>
#include <weir/training.h>
#include <weir/verify.h>
#include <weir/vi.h>

#endif
