/* Of the public functions of models, those that other programs' files go by: with NULL for each pointer that they take.
 */
#ifndef WEIR_TESTS_NULL_ONNX_H
#define WEIR_TESTS_NULL_ONNX_H

#include "null_cases.h"
#include "scratch.h"

#include <weir/import.h>
#include <weir/onnx.h>

static inline void call_onnx(const nf_flow *flow)
{
    const file_path path = scratch_path("flow.onnx");
    nf_columns *columns = nf_columns_plain(nf_flow_dim(flow), NULL, NULL);
    CASE(nf_export_onnx)
    status(nf_export_onnx(NEEDED(flow, flow), OPTIONAL(columns, columns), OPTIONAL(context, NULL), NF_ONNX_LOG_PROB,
                          NEEDED(path, path.text), ERROR));
    nf_columns_free(columns);
    CASE(nf_import)
    MADE(nf_flow_free, nf_import(NEEDED(path, golden_path("imported_zuko_maf_64.safetensors").text),
                                 OPTIONAL(options, (&(nf_import_options){.tail = 3})), ERROR));
}

#endif
