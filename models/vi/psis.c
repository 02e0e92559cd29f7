/* Pareto smoothed importance sampling: Vehtari, Simpson, Gelman, Yao & Gabry 2024, "Pareto smoothed importance
 * sampling", JMLR 25(72). The generalised Pareto distribution
 *
 *     p(y) = 1/σ (1 + k y/σ)^(-1/k-1)
 *
 * is fitted by Zhang & Stephens 2009, "A new and efficient estimation method for the generalized Pareto distribution",
 * Technometrics 51(3), with the weakly informative prior on k of Vehtari et al., appendix G. */
#include <weir/environment.h>
#include <weir/memory.h>
#include <weir/psis.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* A log weight and where it stands. */
typedef struct {
    double log_weight;
    size_t at;
} entry;

static int by_weight(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->log_weight != y->log_weight) return x->log_weight < y->log_weight ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static double mean_log1p(double factor, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += log1p(factor * y[i]);
    return sum / (double)n;
}

/* Zhang & Stephens, equations 8 to 10: b = k/σ (θ there is -b) as the mean over a grid of its profile posterior. y
 * ascends, and is not constant. */
static void fit_pareto(const double *y, size_t n, double *grid, size_t m, double *k, double *sigma)
{
    const double prior_scale = 3, prior_k = 0.5, prior_weight = 10;
    double *theta = grid, *log_likelihood = grid + m;
    double quartile = y[(size_t)((double)n / 4 + 0.5) - 1], total = 0, mean = 0;
    for (size_t j = 0; j < m; j++) {
        theta[j] = 1 / y[n - 1] + (1 - sqrt((double)m / ((double)j + 0.5))) / (prior_scale * quartile);
        double shape = mean_log1p(-theta[j], y, n);
        log_likelihood[j] = (double)n * (log(-theta[j] / shape) - shape - 1);
    }
    for (size_t j = 0; j < m; j++) {
        double inverse = 0;
        for (size_t i = 0; i < m; i++) inverse += exp(log_likelihood[i] - log_likelihood[j]);
        double weight = 1 / inverse;
        if (!(weight >= 10 * DBL_EPSILON)) continue;
        total += weight;
        mean += weight * theta[j];
    }
    double best = mean / total, shape = mean_log1p(-best, y, n);
    *sigma = -shape / best;
    *k = ((double)n * shape + prior_weight * prior_k) / ((double)n + prior_weight);
}

/* The quantile of probability p. */
static double pareto_quantile(double p, double k, double sigma)
{
    return fabs(k) < DBL_EPSILON ? -sigma * log1p(-p) : sigma * expm1(-k * log1p(-p)) / k;
}

/* Fit the tail, the last of `sorted`, and put the expected order statistics of the fit in its place. */
static ad_status smooth_tail(double *log_weight, const entry *sorted, size_t n, size_t tail, double *khat,
                             ad_error *error)
{
    const entry *first = sorted + (n - tail);
    double largest = sorted[n - 1].log_weight;
    double log_cutoff = fmax(first[-1].log_weight - largest, log(DBL_MIN)), cutoff = exp(log_cutoff);
    while (tail > 0 && !(first->log_weight - largest > log_cutoff)) {
        first++;
        tail--;
    }
    *khat = INFINITY;
    if (tail <= 4) return AD_OK;
    size_t m = 30 + (size_t)sqrt((double)tail);
    double *y = ad_alloc(tail + 2 * m, sizeof *y), k, sigma;
    if (!y) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a tail of %zu weights", tail);
    for (size_t i = 0; i < tail; i++) y[i] = exp(first[i].log_weight - largest) - cutoff;
    fit_pareto(y, tail, y + tail, m, &k, &sigma);
    ad_free(y);
    if (!isfinite(k)) return AD_OK;
    *khat = k;
    for (size_t i = 0; i < tail; i++) {
        double quantile = pareto_quantile(((double)i + 0.5) / (double)tail, k, sigma);
        log_weight[first[i].at] = largest + fmin(log(cutoff + quantile), 0);
    }
    return AD_OK;
}

ad_status nf_psis(double *log_weight, size_t n, double *khat, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (n && !log_weight) return ad_error_set(error, AD_ERROR_ARGUMENT, "psis: log_weight is NULL");
    double unwanted;
    if (!khat) khat = &unwanted;
    *khat = INFINITY;
    entry *sorted = ad_alloc(n, sizeof *sorted);
    if (!sorted) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to smooth %zu weights", n);
    ad_status status = AD_OK;
    for (size_t i = 0; i < n && status == AD_OK; i++) {
        if (isnan(log_weight[i]) || log_weight[i] == INFINITY)
            status = ad_error_set(error, AD_ERROR_NUMERIC, "importance weight %zu of %zu is not finite: log %g", i + 1,
                                  n, log_weight[i]);
        sorted[i] = (entry){log_weight[i], i};
    }
    if (status == AD_OK && n > 0) {
        qsort(sorted, n, sizeof *sorted, by_weight);
        size_t tail = (size_t)ceil(fmin(0.2 * (double)n, 3 * sqrt((double)n)));
        double least = sorted[0].log_weight, most = sorted[n - 1].log_weight;
        if (least == most && isfinite(most))
            *khat = 0; /* equal weights have no tail */
        else if (tail < n && isfinite(most))
            status = smooth_tail(log_weight, sorted, n, tail, khat, error);
    }
    ad_free(sorted);
    return status;
}
