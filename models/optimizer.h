/* Optimisers, and schedules of the learning rate. */
#ifndef WEIR_OPTIMIZER_H
#define WEIR_OPTIMIZER_H

#include <weir/autodiff.h>

WEIR_BEGIN_DECLARATIONS

/* What happens to each parameter w in a step, given its gradient g (after clipping, plus weight_decay * w), the
 * learning rate lr and the number t of the step, from 1. Formulas and defaults are PyMC3's (those of Lasagne); what is
 * remembered is zero at first.
 *   sgd             w -= lr g; lr 1e-3
 *   momentum        v = μ v - lr g, w += v; lr 1e-3, momentum μ 0.9
 *   nesterov        v = μ v - lr g, w += μ v - lr g; as momentum (Sutskever et al. 2013)
 *   adagrad         s += g², w -= lr g / √(s + ε); lr 1, ε 1e-6 (Duchi et al. 2011)
 *   adagrad_window  the same, s the sum of the last `window` g²; lr 1e-3, window 10, ε 0.1
 *   rmsprop         the same, s = ρ s + (1-ρ) g²; lr 1, ρ 0.9, ε 1e-6 (Tieleman & Hinton 2012)
 *   adadelta        s as rmsprop's, d = g √(u + ε) / √(s + ε), u = ρ u + (1-ρ) d², w -= lr d; lr 1, ρ 0.95, ε 1e-6
 *                   (Zeiler 2012)
 *   adam            m = β1 m + (1-β1) g, v = β2 v + (1-β2) g², w -= lr √(1-β2ᵗ) / (1-β1ᵗ) m / (√v + ε); lr 1e-3,
 *                   β1 0.9, β2 0.999, ε 1e-8 (Kingma & Ba 2015, the form at the end of section 2)
 *   adamw           w -= lr weight_decay w, then as adam, with ε √(1-β2ᵗ) for ε and without the decay in g;
 *                   weight_decay 0.01 (Loshchilov & Hutter 2019)
 *   adamax          m as adam's, u = max(β2 u, |g|), w -= lr / (1-β1ᵗ) m / (u + ε); lr 2e-3, the rest as adam's */
typedef enum {
    NF_ADAM,
    NF_ADAMW,
    NF_ADAMAX,
    NF_SGD,
    NF_MOMENTUM,
    NF_NESTEROV,
    NF_ADAGRAD,
    NF_ADAGRAD_WINDOW,
    NF_RMSPROP,
    NF_ADADELTA,
    NF_OPTIMIZERS /* how many there are */
} nf_optimizer_kind;

/* Zero means the default: that of the kind, above; 0 for the weight decay of all but adamw; no clipping. */
typedef struct {
    nf_optimizer_kind kind;
    double learning_rate, momentum, beta1, beta2, rho, epsilon;
    size_t window;
    double weight_decay;
    double clip; /* where the gradient's norm, over all parameters, is larger, it is scaled down to this; or negative */
} nf_optimizer_options;

const char *nf_optimizer_name(nf_optimizer_kind kind); /* "adam" */

/* An optimiser at work on an array of parameters: it has the moments of each, and outlives a training that uses it. */
typedef struct nf_optimizer nf_optimizer;

/* For `count` parameters of this dtype. NULL on failure. */
nf_optimizer *nf_optimizer_new(const nf_optimizer_options *options, size_t count, ad_dtype dtype, ad_error *error);
void nf_optimizer_free(nf_optimizer *optimizer);
/* Its options, with the defaults filled in. */
const nf_optimizer_options *nf_optimizer_settings(const nf_optimizer *optimizer);
/* One step, in place. *norm (or NULL): the gradient's norm before clipping. AD_ERROR_NUMERIC, and nothing changed, when
 * that is not finite. The same bits whatever the pool. */
ad_status nf_optimizer_step(nf_optimizer *optimizer, void *parameters, const void *gradient, double learning_rate,
                            ad_pool *pool, double *norm, ad_error *error);

/* Of the learning rate over the planned steps, t going from 0 to 1; what it is multiplied by:
 *   cosine       (1 + cos πt) / 2 (Loshchilov & Hutter 2017, without restarts)
 *   constant     1
 *   linear       1 - t
 *   exponential  0.01ᵗ
 *   steps        1, 0.1 and 0.01, for a third of the steps each */
typedef enum {
    NF_DEFAULT_SCHEDULE, /* cosine in nf_fit(), whose end is planned; constant, as PyMC3's, in nf_vi() */
    NF_COSINE,
    NF_CONSTANT,
    NF_LINEAR,
    NF_EXPONENTIAL,
    NF_STEPS,
    NF_SCHEDULES /* behind the last */
} nf_schedule;

const char *nf_schedule_name(nf_schedule schedule); /* "cosine" */
/* At step 0 … steps-1. In the first `warmup` steps the rate grows evenly, to learning_rate; t is of those that follow.
 */
double nf_scheduled_rate(nf_schedule schedule, double learning_rate, size_t warmup, size_t step, size_t steps);

WEIR_END_DECLARATIONS

#endif
