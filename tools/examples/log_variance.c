/* log_variance.c: a plug-in that brings an objective of inference, the log-variance divergence (Richter, Boustati,
 * Nüsken, Ruiz & Akyildiz 2020, "VarGrad: a low-variance gradient estimator for variational inference"): of the draws'
 * log w = log p - log q,
 *
 *     half the variance of log w,
 *
 * which is 0 where q is p up to a constant. At the draws, which come from elsewhere, its gradient is that of -log q,
 * each draw weighed by its log w less the mean; so the target's gradient isn't needed.
 *
 *     cc -shared -fPIC log_variance.c $(pkg-config --cflags weir) -o log_variance.so
 *     weir --plugin ./log_variance.so vi pot1 --flow 'planar*4' --objective log_variance --iters 500 */
#include <weir/models.h>

static ad_var term(const nf_objective_draw *draw)
{
    return ad_neg(nf_flow_record_log_prob(draw->flow, ad_stop_gradient(draw->x)));
}

static double weigh(const nf_objective_type *self, const double *argument, const double *log_weight, size_t draws,
                    double *weight)
{
    (void)self, (void)argument;
    const double others = draws > 1 ? (double)(draws - 1) : 1;
    double mean = 0, squares = 0;
    for (size_t i = 0; i < draws; i++) mean += log_weight[i] / (double)draws;
    for (size_t i = 0; i < draws; i++) weight[i] = (log_weight[i] - mean) / others;
    for (size_t i = 0; i < draws; i++) squares += weight[i] * (log_weight[i] - mean);
    return squares / 2;
}

static const nf_objective_type log_variance = {.name = "log_variance",
                                               .help = "half the variance of log p - log q over the draws",
                                               .term = term,
                                               .weigh = weigh,
                                               .best = NF_BEST_ZERO};

static ad_status start(ad_error *error)
{
    return nf_register_objective(&log_variance, error);
}

WEIR_PLUGIN("log_variance", "1.0", start)
