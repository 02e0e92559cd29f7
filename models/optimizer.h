/* Optimisers and schedules of the learning rate: those that there are, writing others, and using them. */
#ifndef WEIR_OPTIMIZER_H
#define WEIR_OPTIMIZER_H

#include <weir/autodiff.h>
#include <weir/registry.h>

WEIR_BEGIN_DECLARATIONS

/* ---- Using an optimiser ----------------------------------------------------------------------------------------- */

/* What happens to each parameter w in a step, given its gradient g (after clipping, plus weight_decay * w), the
 * learning rate lr and the number t of the step, from 1. Formulas and defaults are PyMC3's (those of Lasagne); what is
 * remembered is zero at first. Arguments are written as a formula's are: "adam(beta2=0.98)".
 *   sgd             w -= lr g; lr 1e-3
 *   momentum        v = μ v - lr g, w += v; lr 1e-3; momentum: μ 0.9
 *   nesterov        v = μ v - lr g, w += μ v - lr g; as momentum (Sutskever et al. 2013)
 *   adagrad         s += g², w -= lr g / √(s + ε); lr 1; epsilon: ε 1e-6 (Duchi et al. 2011)
 *   adagrad_window  the same, s the sum of the last `window` g²; lr 1e-3; window: 10, epsilon: ε 0.1
 *   rmsprop         the same, s = ρ s + (1-ρ) g²; lr 1; rho: ρ 0.9, epsilon: ε 1e-6 (Tieleman & Hinton 2012)
 *   adadelta        s as rmsprop's, d = g √(u + ε) / √(s + ε), u = ρ u + (1-ρ) d², w -= lr d; lr 1; rho: ρ 0.95,
 *                   epsilon: ε 1e-6 (Zeiler 2012)
 *   adam            m = β1 m + (1-β1) g, v = β2 v + (1-β2) g², w -= lr √(1-β2ᵗ) / (1-β1ᵗ) m / (√v + ε); lr 1e-3;
 *                   beta1: β1 0.9, beta2: β2 0.999, epsilon: ε 1e-8 (Kingma & Ba 2015, the form at the end of section
 *                   2)
 *   adamw           w -= lr weight_decay w, then as adam, with ε √(1-β2ᵗ) for ε and without the decay in g;
 *                   weight_decay 0.01 (Loshchilov & Hutter 2019)
 *   adamax          m as adam's, u = max(β2 u, |g|), w -= lr / (1-β1ᵗ) m / (u + ε); lr 2e-3, the rest as adam's
 *
 * Zero means the default, and later versions add members at the end. */
typedef struct {
    const char *name;     /* with its arguments; NULL: adam */
    double learning_rate; /* 0: the optimiser's own */
    double weight_decay;  /* 0: the optimiser's own, which is 0 of all but adamw */
    double clip; /* where the gradient's norm, over all parameters, is larger, it is scaled down to this; 0 or negative:
                  * never */
} nf_optimizer_options;

/* An optimiser at work on an array of parameters: it remembers numbers of each, and outlives a training that uses it.
 * Different ones may be used from different threads at once; one only from one thread at a time. */
typedef struct nf_optimizer nf_optimizer;

/* For `count` parameters of this dtype. options may be NULL: the defaults. NULL on failure; error may be NULL. */
nf_optimizer *nf_optimizer_new(const nf_optimizer_options *options, size_t count, ad_dtype dtype, ad_error *error);
void nf_optimizer_free(nf_optimizer *optimizer); /* of NULL: nothing */
/* Its options, with the defaults filled in; clip is infinity where there is none. They live as long as the optimiser.
 */
const nf_optimizer_options *nf_optimizer_settings(const nf_optimizer *optimizer);
/* The value of an argument; NaN where the optimiser has none of this name. */
double nf_optimizer_argument(const nf_optimizer *optimizer, const char *name);
/* One step, in place, on count parameters and their gradient, of the optimiser's dtype. *norm (or NULL): the gradient's
 * norm before clipping. AD_ERROR_NUMERIC, and nothing changed, when that is not finite. The same bits whatever the pool
 * (NULL: this thread). error may be NULL. */
ad_status nf_optimizer_step(nf_optimizer *optimizer, void *parameters, const void *gradient, double learning_rate,
                            ad_pool *pool, double *norm, ad_error *error);
uint64_t nf_optimizer_steps(const nf_optimizer *optimizer); /* done */
/* All that its steps depend on, to go back to it or to go on elsewhere: so many bytes, of what it remembers, in its
 * dtype, and behind that the number of steps as a uint64_t. Restored, by the same machine, into an optimiser of equal
 * settings, count and dtype, it gives the same steps. */
size_t nf_optimizer_state_size(const nf_optimizer *optimizer);
void nf_optimizer_save(const nf_optimizer *optimizer, void *state);
void nf_optimizer_restore(nf_optimizer *optimizer, const void *state);

/* ---- Writing an optimiser --------------------------------------------------------------------------------------- */

typedef struct nf_optimizer_type nf_optimizer_type;

/* A step of all parameters. Arrays are of the dtype that the update is for. */
typedef struct {
    const nf_optimizer_type *type;
    const double *argument; /* the values of type->argument, in its order */
    size_t count;           /* of parameters */
    uint64_t step;          /* its number, from 1 */
    double learning_rate, weight_decay;
    double scale, decay; /* the g of a formula is scale * gradient[i] + decay * parameter[i]: clipped, and with the
                          * weight decay, unless the optimiser sees to that itself */
    const void *gradient;
    void *parameter;
    void *state; /* what is remembered, [states][count], zero at first */
} nf_optimizer_update;

struct nf_optimizer_type {
    const char *name;            /* in options */
    const char *help;            /* one line, with the formula */
    const nf_argument *argument; /* ended by {0}; NULL for none; numbers and choices */
    double learning_rate;        /* the defaults of options that it has its own of */
    double weight_decay;
    size_t states; /* numbers remembered of each parameter */
    /* How many numbers, where that depends on the arguments. NULL: `states`. */
    size_t (*states_of)(const nf_optimizer_type *self, const double *argument);
    bool decays; /* it sees to the weight decay itself */
    /* Update parameters begin … end-1 and what is remembered of them: [AD_F32] and [AD_F64]. Called from several
     * threads at once, each with parameters of its own; a parameter's new value must not depend on which others come
     * with it. Numbers too small to be normal are zero within. */
    void (*update[2])(const nf_optimizer_update *at, size_t begin, size_t end);
    const void *data; /* of its author's */
};

/* Make an optimiser known, at the start of the program, before other threads. The type must outlive all use.
 * AD_ERROR_ARGUMENT: its name is taken or isn't a name, an update is missing, its learning rate isn't positive, or it
 * has too many arguments. error may be NULL. */
ad_status nf_register_optimizer(const nf_optimizer_type *type, ad_error *error);
/* All that are known, ended by NULL. From any thread. */
const nf_optimizer_type *const *nf_optimizer_types(void);

/* ---- Schedules -------------------------------------------------------------------------------------------------- */

/* What the learning rate is multiplied by over the planned steps, t going from 0 to 1:
 *   cosine       (1 + cos πt) / 2 (Loshchilov & Hutter 2017, without restarts)
 *   constant     1
 *   linear       1 - t
 *   exponential  endᵗ; end 0.01
 *   steps        1, factor, factor², …, for 1/count of the steps each; count 3, factor 0.1
 *   plateau      1, times factor after each `patience` epochs without a better validation loss, until that is below
 * end, where training stops; patience 10, factor 0.5, end 0.01. Of nf_fit() only */
typedef struct nf_schedule_type nf_schedule_type;
struct nf_schedule_type {
    const char *name;            /* in options */
    const char *help;            /* one line, with the formula */
    const nf_argument *argument; /* ended by {0}; NULL for none; numbers and choices */
    /* 0 <= t <= 1, and 1 only behind the last step; may be called from several threads at once. `argument` has the
     * values. */
    double (*factor)(const nf_schedule_type *self, const double *argument, double t);
    const void *data; /* of its author's */
    /* For schedules that go by the validation loss (the training loss where there is none): what the factor is
     * multiplied by from now on, which has been `scale` and was 1 at first, after an epoch that is number `stale` since
     * the loss was last better, or the scale last another. 0 stops the training. NULL: always 1. */
    double (*adapt)(const nf_schedule_type *self, const double *argument, size_t stale, double scale);
};

/* As nf_register_optimizer() and nf_optimizer_types(). */
ad_status nf_register_schedule(const nf_schedule_type *type, ad_error *error);
const nf_schedule_type *const *nf_schedule_types(void);

/* A schedule with its arguments; a copy is as good. */
typedef struct {
    const nf_schedule_type *type;
    double argument[NF_MOST_ARGUMENTS];
} nf_schedule;

/* Read "exponential(end=0.1)"; error may be NULL. From any thread. */
ad_status nf_schedule_parse(const char *text, nf_schedule *schedule, ad_error *error);
/* The rate of step 0 … steps-1. In the first `warmup` steps it grows evenly, to learning_rate; t is of those that
 * follow. From any thread. */
double nf_scheduled_rate(const nf_schedule *schedule, double learning_rate, size_t warmup, size_t step, size_t steps);

WEIR_END_DECLARATIONS

#endif
