/* Transformers: increasing maps of single features, whose parameters a network computes. Coupling and autoregressive
 * flows differ in what the network sees; each kind of transformer goes with either. */
#ifndef WEIR_FLOWS_NETWORKS_TRANSFORMER_H
#define WEIR_FLOWS_NETWORKS_TRANSFORMER_H

#include <weir/bijector.h>

typedef struct {
    /* Parameters that a feature needs. */
    size_t (*parameters)(const nf_bijector *self);
    /* Features v (n) through the map, or back, and the log-derivative of that direction at each, (n). parameters
     * (p, n): those of feature i in column i; where they are 0 the map is the identity. */
    ad_var (*map)(const nf_scope *at, ad_var v, ad_var parameters, bool inverse, ad_var *log_derivative);
} nf_transformer;

/* x = μ + exp(α) z, with a bounded log-scale α; needs the argument NF_BOUND_ARGUMENT. */
extern const nf_transformer nf__affine_transformer;
#define NF_BOUND_ARGUMENT                                                                                              \
    {                                                                                                                  \
        "bound", NF_NUMBER, 3, 1e-3, 50, NULL, "of the log-scale: |α| < bound"                                        \
    }

/* A rational-quadratic spline; needs the arguments NF_SPLINE_ARGUMENTS. */
extern const nf_transformer nf__spline_transformer;
#define NF_SPLINE_ARGUMENTS                                                                                            \
    {"bins", NF_COUNT, 8, 2, 256, NULL, "of the spline"},                                                              \
    {                                                                                                                  \
        "tail", NF_NUMBER, 5, 1e-3, 1e6, NULL, "outside [-tail, tail] the spline is the identity"                      \
    }

#endif
