/* For tests of training and inference: flows, their parameters, and how they are trained where nothing else is said. */
#ifndef WEIR_TESTS_TRAINING_TOOLS_H
#define WEIR_TESTS_TRAINING_TOOLS_H

#include "flows/flow_tools.h"
#include "scratch.h"

#include <weir/models.h>

#include <math.h>

/* The learning rate stays as it is; plain gradient descent; on all rows at once. */
#define STEADY   .schedule = "constant"
#define DESCENT  .optimizer.name = "sgd", .optimizer.clip = -1
#define ALL_ROWS .val_fraction = -1, .batch = SIZE_MAX

enum { ROWS = 40 };

static inline nf_flow *new_flow(const char *formula, size_t dim, ad_dtype dtype)
{
    nf_flow *flow = nf_flow_parse(formula, dim, 0, dtype, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

static inline double parameter_at(const nf_flow *flow, size_t i)
{
    return ad_element(nf_flow_dtype(flow), nf_flow_parameters(flow), i);
}

static inline size_t parameter_bytes(const nf_flow *flow)
{
    return nf_flow_trained_elements(flow) * ad_dtype_size(nf_flow_dtype(flow));
}

/* scale-loc in one feature, N(mean, sd²), float64. */
static inline nf_flow *normal_flow(double mean, double sd)
{
    nf_flow *flow = new_flow("scale-loc", 1, AD_F64);
    double *w = nf_flow_parameters(flow);
    w[0] = log(expm1(sd));
    w[1] = mean;
    nf_flow_pull(flow);
    return flow;
}

/* Loss and gradient, with respect to sd and mean, of one step from N(mean, sd²) to the target N(0, 1). */
typedef struct {
    nf_callback callback;
    double gradient[2], loss;
} normal_step;

static inline bool watch_normal_step(nf_callback *self, const nf_iteration *at)
{
    normal_step *step = (normal_step *)self;
    memcpy(step->gradient, at->gradient, sizeof step->gradient);
    step->loss = at->loss;
    return true;
}

static inline normal_step first_normal_step(const char *objective, double mean, double sd, size_t mc, size_t importance,
                                            double beta)
{
    nf_target *target = target_of("gaussian(dim=1)");
    nf_flow *flow = normal_flow(mean, sd);
    normal_step step = {.callback.call = watch_normal_step};
    nf_vi_options o = {.objective = objective,
                       .iters = 1,
                       .mc = mc,
                       .importance = importance,
                       .beta = beta,
                       .draws = 100,
                       .callbacks = (nf_callback *[]){&step.callback, NULL}};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    step.gradient[0] /= -expm1(-sd); /* d softplus(ρ)/dρ = 1 - exp(-sd) */
    nf_flow_free(flow);
    nf_target_free(target);
    return step;
}

#endif
