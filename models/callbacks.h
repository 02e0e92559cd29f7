/* Callbacks: what training loops call between their steps. */
#ifndef WEIR_CALLBACKS_H
#define WEIR_CALLBACKS_H

#include <weir/flow.h>

WEIR_BEGIN_DECLARATIONS

/* A loop calls on the thread that it was started from, and of several ranks on each. A callback is of one loop at a time; functions here may be
 * called from several threads at once, on different callbacks. */

/* Where a training loop stands after a step. */
typedef struct {
    size_t iteration;       /* steps done: 1 after the first */
    double loss;            /* of the step, with the parameters before it */
    const void *parameters; /* after it */
    const void *gradient;   /* of the loss, not clipped */
    size_t count;           /* of parameters */
    ad_dtype dtype;
} nf_iteration;

/* Something that a loop calls every so many iterations. Embed it as the first member of what it needs to know:
 *
 *     nf_convergence converged = {.callback.call = nf_stop_when_converged, .tolerance = 1e-4};
 *     nf_tracker means = {.callback = {nf_track, .every = 10}, .first = 8, .width = 2};
 *     nf_fit(flow, x, rows, &(nf_fit_options){.callbacks = (nf_callback *[]){&converged.callback, &means.callback,
 *                                                                            NULL}}, NULL, &error);
 *     means.values[2 * i], means.values[2 * i + 1]     // at means.iteration[i], i < means.records
 *     nf_convergence_free(&converged);
 *     nf_tracker_free(&means); */
typedef struct nf_callback {
    bool (*call)(struct nf_callback *self, const nf_iteration *at); /* false: stop the training */
    size_t every;                                                   /* iterations; 0: the callback's default, or 1 */
} nf_callback;

/* For loops: call those whose turn it is, of a list ended by NULL (or no list). False when one wants to stop. */
bool nf_call_back(nf_callback *const *callbacks, const nf_iteration *at);

/* PyMC3's CheckParametersConvergence: every 100 iterations, stop where the parameters p have moved less than a
 * tolerance since the last time, q: ‖d‖ < tolerance, with d = (|p-q| + 1e-6) / (|q| + 1e-6), or |p-q|. */
typedef struct {
    nf_callback callback;
    double tolerance;  /* 1e-3 */
    bool absolute;     /* d = |p-q| */
    double norm;       /* of d: (Σ dᵏ)^(1/k) for this k; infinity, the default: the largest; -infinity: the least */
    bool converged;    /* the result */
    double difference; /* ‖d‖, the last time */
    ad_status status;  /* AD_ERROR_MEMORY stops the training too */
    double *previous;  /* q */
} nf_convergence;

bool nf_stop_when_converged(nf_callback *self, const nf_iteration *at);
void nf_convergence_free(nf_convergence *convergence); /* of NULL: nothing */

/* Records `width` numbers each time. */
typedef struct nf_tracker {
    nf_callback callback;
    size_t first, width; /* elements of what is recorded; width 0: all behind first, 1 of a user's function */
    /* What to record: nf_record_parameters (NULL as well), nf_record_gradient, nf_record_loss, or a user's function,
     * which writes `width` numbers. */
    void (*record)(const struct nf_tracker *self, const nf_iteration *at, double *numbers);
    void *context;     /* of a user's function */
    size_t records;    /* the result: how many times */
    size_t *iteration; /* [records] */
    double *values;    /* [records][width] */
    size_t room;       /* for so many records */
    ad_status status;  /* AD_ERROR_MEMORY stops the training too */
} nf_tracker;

bool nf_track(nf_callback *self, const nf_iteration *at);
void nf_record_parameters(const nf_tracker *self, const nf_iteration *at, double *numbers);
void nf_record_gradient(const nf_tracker *self, const nf_iteration *at, double *numbers);
void nf_record_loss(const nf_tracker *self, const nf_iteration *at, double *numbers); /* one number */
void nf_tracker_free(nf_tracker *tracker);                                            /* of NULL: nothing */
/* Where a trained parameter of this full name ("0.maf.weight0") is among all parameters, for first and width (either
 * may be NULL, and error). AD_ERROR_ARGUMENT when there is none. */
ad_status nf_find_parameter(const nf_flow *flow, const char *name, size_t *first, size_t *width, ad_error *error);

WEIR_END_DECLARATIONS

#endif
