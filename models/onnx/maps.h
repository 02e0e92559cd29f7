/* Columns' maps in ONNX, in float64 whatever the flow's dtype. */
#ifndef WEIR_MODELS_ONNX_MAPS_H
#define WEIR_MODELS_ONNX_MAPS_H

#include "onnx/graph.h"

#include <weir/columns.h>

typedef struct {
    nf__value x, features; /* (batch, dim): in float64, and in the flow's dtype */
    nf__value log_slope;   /* (batch): of the features, the log of their derivatives; -inf for what isn't admitted */
} nf__mapped_values;

/* AD_ERROR_ARGUMENT for columns of other maps than those of one value to one feature. */
ad_status nf__maps_check(const nf_columns *columns, ad_error *error);
/* Are features other numbers than the values? Not for NULL. */
bool nf__maps_needed(const nf_columns *columns);
/* The features of values->x, or the values of values->features, and the slopes. */
nf__value nf__maps_to(nf__onnx *g, const nf_columns *columns, nf__mapped_values *values);
nf__value nf__maps_from(nf__onnx *g, const nf_columns *columns, nf__mapped_values *values);
/* log p of the values, in float64, from that of the features. */
nf__value nf__maps_log_prob(nf__onnx *g, const nf__mapped_values *values, nf__value log_prob);

#endif
