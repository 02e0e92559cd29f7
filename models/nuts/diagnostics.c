/* Convergence diagnostics of Markov chains: rank-normalised split R̂, effective sample sizes and Monte-Carlo errors.
 * Formulas are numbered as in Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021 (arXiv:1903.08008). */
#include <weir/diagnostics.h>
#include <weir/environment.h>
#include <weir/memory.h>
#include <weir/shape.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* ---- Split chains: x (m, n) ---------------------------------------------------------------------------------- */

typedef struct {
    double mean;   /* of all */
    double within; /* W: mean of the chains' variances (2) */
    double plus;   /* (n-1)/n W + B/n: an estimate of the variance from above (3) */
} variances;

static double mean_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* Also leaves in x the differences from the mean of their chain. */
static variances centre(double *x, size_t m, size_t n)
{
    variances v = {.mean = mean_of(x, m * n)};
    double between = 0, squares = 0;
    for (size_t c = 0; c < m; c++) {
        double *chain = x + c * n, mean = mean_of(chain, n);
        between += (mean - v.mean) * (mean - v.mean) / (double)(m - 1);
        for (size_t i = 0; i < n; i++) {
            chain[i] -= mean;
            squares += chain[i] * chain[i];
        }
    }
    v.within = squares / (double)(m * (n - 1));
    v.plus = squares / (double)(m * n) + between;
    return v;
}

/* Draws that differ by no more than rounding tell nothing. */
static bool is_constant(variances v)
{
    double rounding = 4 * DBL_EPSILON * v.mean;
    return !(v.plus > rounding * rounding);
}

/* (4) */
static double split_rhat(variances v)
{
    return is_constant(v) ? NAN : sqrt(v.plus / v.within);
}

/* Autocorrelation at a lag, over all chains (10), from centred draws. */
static double autocorrelation(const double *x, size_t m, size_t n, size_t lag, variances v)
{
    double sum = 0;
    for (size_t c = 0; c < m; c++) {
        const double *chain = x + c * n;
        double part[4] = {0};
        size_t i = 0;
        for (; i + 4 + lag <= n; i += 4)
            for (size_t k = 0; k < 4; k++) part[k] += chain[i + k] * chain[i + k + lag];
        for (; i + lag < n; i++) part[0] += chain[i] * chain[i + lag];
        sum += (part[0] + part[1]) + (part[2] + part[3]);
    }
    return 1 - (v.within - sum / (double)(m * n)) / v.plus;
}

/* N / τ (11), where τ sums the autocorrelations by Geyer's initial monotone sequence: pairs of even and odd lag as long
 * as they are positive, none larger than the one before. */
static double ess(const double *x, size_t m, size_t n, variances v)
{
    if (is_constant(v)) return NAN;
    double tau = -1, least = INFINITY, total = (double)(m * n);
    for (size_t lag = 0;; lag += 2) {
        double even = lag ? autocorrelation(x, m, n, lag, v) : 1, odd = autocorrelation(x, m, n, lag + 1, v);
        if (even + odd <= 0 || lag + 4 >= n) {
            tau += fmax(even, 0);
            break;
        }
        least = fmin(least, even + odd);
        tau += 2 * least;
    }
    /* antithetic chains: no better than that is believed */
    return total / fmax(tau, 1 / log10(total));
}

/* ---- Ranks --------------------------------------------------------------------------------------------------- */

/* Φ⁻¹: Abramowitz & Stegun 26.2.23, refined by Halley's steps. */
static double normal_quantile(double p)
{
    double tail = fmin(p, 1 - p), t = sqrt(-2 * log(tail));
    double z = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
    for (int i = 0; i < 2; i++) {
        double error = (0.5 * erfc(z / sqrt(2)) - tail) * sqrt(2 * M_PI) * exp(z * z / 2);
        z += error / (1 + z * error / 2);
    }
    return p < 0.5 ? -z : z;
}

typedef struct {
    double value;
    size_t place;
} ranked;

static int compare(const void *a, const void *b)
{
    double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

static void sort(const double *x, size_t count, ranked *order)
{
    for (size_t i = 0; i < count; i++) order[i] = (ranked){x[i], i};
    qsort(order, count, sizeof *order, compare);
}

/* The normal score of rank r/2 among `count` (14): score[r], r = 2 … 2 count. */
static void fill_scores(double *score, size_t count)
{
    for (size_t r = 2; r <= 2 * count; r++)
        score[r] = normal_quantile(((double)r / 2 - 0.375) / ((double)count + 0.25));
}

/* Replace each by the normal score of its rank, ties by that of their mean rank. */
static void rank_normalize(double *x, size_t count, ranked *order, const double *score)
{
    sort(x, count, order);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && order[end].value == order[i].value;) end++;
        for (size_t k = i; k < end; k++) x[order[k].place] = score[i + 1 + end];
    }
}

static double quantile(const ranked *order, size_t count, double p)
{
    double at = p * (double)(count - 1);
    size_t i = (size_t)at, next = i + 1 < count ? i + 1 : i;
    return order[i].value + (at - (double)i) * (order[next].value - order[i].value);
}

/* ---- Summaries ----------------------------------------------------------------------------------------------- */

/* What one parameter's draws are made into: halves of each chain, without the middle one of an odd number. */
typedef enum { AS_THEY_ARE, SQUARED, FOLDED, AT_MOST } transformation;

static void split(const double *x, size_t chains, size_t n, transformation what, double about, double *halves)
{
    for (size_t c = 0; c < chains; c++)
        for (size_t half = 0; half < 2; half++)
            for (size_t i = 0, begin = half ? n - n / 2 : 0; i < n / 2; i++) {
                double value = x[c * n + begin + i], difference = value - about;
                *halves++ = what == SQUARED   ? difference * difference
                            : what == FOLDED  ? fabs(difference)
                            : what == AT_MOST ? value <= about
                                              : value;
            }
}

typedef struct {
    double *x, *halves; /* chains * n each */
    ranked *order;
    const double *score;
} workspace;

static double split_ess(workspace w, size_t chains, size_t n, transformation what, double about)
{
    split(w.x, chains, n, what, about, w.halves);
    return ess(w.halves, 2 * chains, n / 2, centre(w.halves, 2 * chains, n / 2));
}

static nf_summary summarize(workspace w, size_t chains, size_t n)
{
    size_t count = chains * n, m = 2 * chains, half = n / 2;
    nf_summary s = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    for (size_t i = 0; i < count; i++)
        if (!isfinite(w.x[i])) return s;

    sort(w.x, count, w.order);
    s.q5 = quantile(w.order, count, 0.05);
    s.median = quantile(w.order, count, 0.5);
    s.q95 = quantile(w.order, count, 0.95);
    s.mean = mean_of(w.x, count);
    double squares = 0, fourths = 0;
    for (size_t i = 0; i < count; i++) {
        double square = (w.x[i] - s.mean) * (w.x[i] - s.mean);
        squares += square;
        fourths += square * square;
    }
    s.sd = sqrt(squares / (double)(count - 1));
    if (n < 4) return s;

    double variance = squares / (double)count;
    s.mcse_mean = s.sd / sqrt(split_ess(w, chains, n, AS_THEY_ARE, 0));
    s.mcse_sd =
        sqrt((fourths / (double)count - variance * variance) / split_ess(w, chains, n, SQUARED, s.mean) / variance / 4);
    double low = split_ess(w, chains, n, AT_MOST, s.q5), high = split_ess(w, chains, n, AT_MOST, s.q95);
    s.ess_tail = isnan(low) || isnan(high) ? NAN : fmin(low, high);

    split(w.x, chains, n, FOLDED, s.median, w.halves);
    rank_normalize(w.halves, m * half, w.order, w.score);
    double folded = split_rhat(centre(w.halves, m, half));
    split(w.x, chains, n, AS_THEY_ARE, 0, w.halves);
    rank_normalize(w.halves, m * half, w.order, w.score);
    variances bulk = centre(w.halves, m, half);
    s.ess_bulk = ess(w.halves, m, half, bulk);
    s.rhat = isnan(folded) ? NAN : fmax(split_rhat(bulk), folded);
    return s;
}

typedef struct {
    const double *draws;
    size_t chains, n, dim;
    workspace *workspaces; /* of each worker */
    nf_summary *summary;
} job;

static void summarize_one(void *context, size_t parameter, int worker)
{
    const job *j = context;
    workspace w = j->workspaces[worker];
    for (size_t i = 0; i < j->chains * j->n; i++) w.x[i] = j->draws[i * j->dim + parameter];
    j->summary[parameter] = summarize(w, j->chains, j->n);
}

ad_status nf_summarize(const double *draws, size_t chains, size_t n, size_t dim, nf_summary *summary, ad_pool *pool,
                       ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = chains * n * dim > 0 && !draws ? "draws" : !summary ? "summary" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "summary: %s is NULL", missing);
    if (chains == 0 || n < 2)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "a summary needs at least one chain of 2 draws; got %zu chains of %zu", chains, n);
    size_t threads = (size_t)ad_pool_threads(pool), count = ad_shape_size(AD_SHAPE(chains, n)), even = n / 2 * 2;
    job j = {draws, chains, n, dim, ad_alloc(threads, sizeof *j.workspaces), summary};
    double *score = ad_alloc(ad_shape_size(AD_SHAPE(chains, even, 2)) + 1, sizeof *score);
    bool complete = j.workspaces && score;
    for (size_t i = 0; complete && i < threads; i++) {
        j.workspaces[i] = (workspace){ad_alloc(count, sizeof(double)), ad_alloc(count, sizeof(double)),
                                      ad_alloc(count, sizeof(ranked)), score};
        complete = j.workspaces[i].x && j.workspaces[i].halves && j.workspaces[i].order;
    }
    if (complete) {
        fill_scores(score, chains * even);
        ad_pool_run(pool, dim, summarize_one, &j);
    }
    for (size_t i = 0; j.workspaces && i < threads; i++) {
        ad_free(j.workspaces[i].x);
        ad_free(j.workspaces[i].halves);
        ad_free(j.workspaces[i].order);
    }
    ad_free(j.workspaces);
    ad_free(score);
    return complete ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory to summarise %zu draws", count);
}
