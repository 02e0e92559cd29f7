/* Expectation maximisation for a mixture of normals (Dempster, Laird & Rubin 1977), with a prior that keeps every
 * covariance proper where rows are few (Fraley & Raftery 2007, "Bayesian regularization for normal mixture estimation
 * and model-based clustering"). Responsibilities r_k ∝ w_k N(x; μ_k, Σ_k) of each row, n_k = Σ r_k, ȳ_k = Σ r_k x /
 * n_k:
 *
 *     w_k = (n_k + α) / (n + K α)
 *     μ_k = (n_k ȳ_k + κ m) / (n_k + κ)
 *     Σ_k = [Σ r_k (x - ȳ_k)(x - ȳ_k)ᵀ + κ n_k / (κ + n_k) (ȳ_k - m)(ȳ_k - m)ᵀ + ν Λ] / (n_k + ν)
 *
 * which climbs log p(x) - ½ Σ_k [ν log|Σ_k| + tr(ν Λ Σ_k⁻¹) + κ (μ_k - m)ᵀ Σ_k⁻¹ (μ_k - m)] + α Σ_k log w_k. m and S
 * are the mean and the shrunk covariance of the data, Λ = S / K^(2/D), as theirs: normals of which K share the data's
 * volume. ν = D prior, and κ = 0.01 prior (theirs is 0.01). prior = 1 is in the middle of what tables of 15 to 500 rows
 * and 4 to 30 columns are best served with: those of few rows want more, large ones a tenth.
 *
 * All of it is computed for the rows whitened by m and S, so that neither units nor correlations matter: there m = 0
 * and Λ is a multiple of 1. It starts where k-means++ does (Arthur & Vassilvitskii 2007), several times, and the best
 * goes on until it no longer climbs. */
#include "expectation_maximization.h"

#include <weir/features.h>
#include <weir/memory.h>
#include <weir/random.h>

#include <math.h>
#include <string.h>

enum {
    STARTS = 10,
    FIRST_STEPS = 20,  /* of each start */
    MOST_STEPS = 300,  /* of the best */
    FEW_ROWS = 4096,   /* that starts look at */
    MOST_ROWS = 32768, /* that the best does */
};
static const double weight_rows = 0.5; /* α */

/* In whitened coordinates. */
typedef struct {
    size_t rows, dim, components;
    const double *v;   /* (rows, dim) */
    double prior;      /* ν */
    double mean_prior; /* κ */
    double volume;     /* Λ = volume * 1 */
    double *work;      /* (2 dim + components) */
    double *count;     /* (K): n_k */
    double *shift;     /* (K, dim): Σ r_k (v - μ_k), of the step's first μ_k */
    double *scatter;   /* (K, dim, dim), lower triangles: Σ r_k (v - μ_k)(v - μ_k)ᵀ */
    double *precise;   /* (K, dim, dim): L_k⁻¹ */
    double *constant;  /* (K): log w_k - Σ log L_ii - D log(2π)/2 */
} problem;

typedef struct {
    double *log_weight, *loc, *factor; /* (K), (K, dim), (K, dim, dim) */
} mixture;

/* Lower triangular a into its inverse. */
static void invert_triangular(const double *a, size_t n, double *inverse)
{
    memset(inverse, 0, n * n * sizeof *inverse);
    for (size_t j = 0; j < n; j++)
        for (size_t i = j; i < n; i++) {
            double sum = i == j;
            for (size_t k = j; k < i; k++) sum -= a[i * n + k] * inverse[k * n + j];
            inverse[i * n + j] = sum / a[i * n + i];
        }
}

/* What a pass over the rows needs of the mixture. Returns the logarithm of its prior density, up to a constant. */
static double prepare(const problem *p, const mixture *m)
{
    const size_t n = p->dim;
    const double log_two_pi = 1.8378770664093454836;
    double log_prior = 0;
    for (size_t k = 0; k < p->components; k++) {
        const double *factor = m->factor + k * n * n, *loc = m->loc + k * n;
        double *inverse = p->precise + k * n * n, log_det = 0, trace = 0, distance = 0;
        invert_triangular(factor, n, inverse);
        for (size_t i = 0; i < n; i++) {
            double u = 0;
            log_det += log(factor[i * (n + 1)]);
            for (size_t j = 0; j <= i; j++) {
                trace += inverse[i * n + j] * inverse[i * n + j];
                u += inverse[i * n + j] * loc[j];
            }
            distance += u * u;
        }
        p->constant[k] = m->log_weight[k] - log_det - 0.5 * (double)n * log_two_pi;
        log_prior += weight_rows * m->log_weight[k] - p->prior * log_det -
                     0.5 * (p->prior * p->volume * trace + p->mean_prior * distance);
    }
    return log_prior;
}

/* One row's part in component k: what the M step needs of it. */
static void add_row(const problem *p, size_t k, double share, const double *centred)
{
    const size_t n = p->dim;
    double *scatter = p->scatter + k * n * n, *shift = p->shift + k * n;
    p->count[k] += share;
    for (size_t i = 0; i < n; i++) {
        const double part = share * centred[i];
        shift[i] += part;
        for (size_t j = 0; j <= i; j++) scatter[i * n + j] += part * centred[j];
    }
}

/* Responsibilities of `rows` rows, summed up; returns their log-likelihood. */
static double expect(const problem *p, const mixture *m, size_t rows)
{
    const size_t n = p->dim;
    const double least = 1e-12; /* a share below this changes nothing */
    double *centred = p->work, *log_share = p->work + n, total = 0;
    memset(p->count, 0, p->components * sizeof *p->count);
    memset(p->shift, 0, p->components * n * sizeof *p->shift);
    memset(p->scatter, 0, p->components * n * n * sizeof *p->scatter);
    for (size_t r = 0; r < rows; r++) {
        const double *v = p->v + r * n;
        double most = -INFINITY, sum = 0;
        for (size_t k = 0; k < p->components; k++) {
            const double *inverse = p->precise + k * n * n, *loc = m->loc + k * n;
            double square = 0;
            for (size_t i = 0; i < n; i++) centred[i] = v[i] - loc[i];
            for (size_t i = 0; i < n; i++) {
                double u = 0;
                for (size_t j = 0; j <= i; j++) u += inverse[i * n + j] * centred[j];
                square += u * u;
            }
            log_share[k] = p->constant[k] - 0.5 * square;
            most = fmax(most, log_share[k]);
        }
        for (size_t k = 0; k < p->components; k++) sum += exp(log_share[k] - most);
        total += most + log(sum);
        for (size_t k = 0; k < p->components; k++) {
            const double share = exp(log_share[k] - most) / sum;
            if (share < least) continue;
            for (size_t i = 0; i < n; i++) centred[i] = v[i] - m->loc[k * n + i];
            add_row(p, k, share, centred);
        }
    }
    return total;
}

/* The mixture that the sums of `rows` rows call for. False where a covariance is no longer positive definite. */
static bool maximize(const problem *p, mixture *m, size_t rows)
{
    const size_t n = p->dim;
    for (size_t k = 0; k < p->components; k++) {
        const double count = p->count[k], pull = p->mean_prior * count / (p->mean_prior + count);
        double *loc = m->loc + k * n, *factor = m->factor + k * n * n, *mean = p->work;
        const double *shift = p->shift + k * n, *scatter = p->scatter + k * n * n;
        m->log_weight[k] = log((count + weight_rows) / ((double)rows + weight_rows * (double)p->components));
        for (size_t i = 0; i < n; i++) mean[i] = count > 0 ? loc[i] + shift[i] / count : 0;
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++) {
                double of_rows = count > 0 ? scatter[i * n + j] - shift[i] * shift[j] / count : 0;
                double of_prior = pull * mean[i] * mean[j] + (i == j ? p->prior * p->volume : 0);
                factor[i * n + j] = (of_rows + of_prior) / (count + p->prior);
            }
        for (size_t i = 0; i < n; i++) loc[i] = mean[i] * count / (count + p->mean_prior);
        if (!nf_cholesky(factor, n)) return false;
    }
    return true;
}

/* Equal normals of the prior's size around rows that k-means++ chooses: each with a probability in proportion to its
 * squared distance from those that were chosen before. `distance`: room for `rows` numbers. */
static void begin(const problem *p, mixture *m, size_t rows, double *distance, uint64_t seed, size_t start)
{
    const size_t n = p->dim;
    for (size_t r = 0; r < rows; r++) distance[r] = 1;
    for (size_t k = 0; k < p->components; k++) {
        double sum = 0, below = 0;
        for (size_t r = 0; r < rows; r++) sum += distance[r];
        const double u = ad_random_uniform(seed, start + 1, k);
        size_t chosen = (size_t)(u * (double)rows); /* where all rows are chosen already */
        for (size_t r = 0; r < rows && sum > 0; r++) {
            below += distance[r];
            if (below < u * sum) continue;
            chosen = r;
            break;
        }
        const double *centre = p->v + chosen * n;
        memcpy(m->loc + k * n, centre, n * sizeof *centre);
        for (size_t r = 0; r < rows; r++) {
            double square = 0;
            for (size_t i = 0; i < n; i++) square += (p->v[r * n + i] - centre[i]) * (p->v[r * n + i] - centre[i]);
            distance[r] = k == 0 ? square : fmin(distance[r], square);
        }
        m->log_weight[k] = -log((double)p->components);
        for (size_t i = 0; i < n * n; i++) m->factor[k * n * n + i] = i % (n + 1) == 0 ? sqrt(p->volume) : 0;
    }
}

/* Up to `steps` steps, on the first `rows` rows; returns what was climbed to, before the last of them. */
static double climb(const problem *p, mixture *m, size_t rows, size_t steps)
{
    const double enough = 1e-7; /* nats a row */
    double before = -INFINITY, now = -INFINITY;
    for (size_t step = 0; step < steps; step++) {
        now = prepare(p, m);
        now += expect(p, m, rows);
        if (!(now - before > enough * (double)rows) || !maximize(p, m, rows)) break;
        before = now;
    }
    return now;
}

static size_t size_of(const problem *p)
{
    return p->components * (1 + p->dim + p->dim * p->dim);
}

static mixture mixture_at(const problem *p, double *memory)
{
    return (mixture){memory, memory + p->components, memory + p->components * (1 + p->dim)};
}

/* Into *best, of size_of() numbers; `other` is room for as many. */
static void search(const problem *p, double *best, double *other, double *distance, uint64_t seed)
{
    const size_t few = p->rows < FEW_ROWS ? p->rows : FEW_ROWS;
    double best_value = -INFINITY;
    for (size_t start = 0; start < (p->components > 1 ? STARTS : 1); start++) {
        mixture m = mixture_at(p, other);
        begin(p, &m, few, distance, seed, start);
        double value = climb(p, &m, few, FIRST_STEPS);
        if (start > 0 && !(value > best_value)) continue;
        memcpy(best, other, size_of(p) * sizeof *best);
        best_value = value;
    }
    mixture m = mixture_at(p, best);
    climb(p, &m, p->rows, MOST_STEPS);
}

/* Rows (at most MOST_ROWS of them, drawn at random) in whitened coordinates: v = L⁻¹ (x - mean). */
static void whiten(const double *x, size_t rows, size_t n, const double *mean, const double *whole, uint64_t seed,
                   size_t count, double *v)
{
    for (size_t r = 0; r < count; r++) {
        const double *from = x + ad_random_permutation(seed, 0, rows, r) * n;
        double *to = v + r * n;
        for (size_t i = 0; i < n; i++) {
            double sum = from[i] - mean[i];
            for (size_t j = 0; j < i; j++) sum -= whole[i * n + j] * to[j];
            to[i] = sum / whole[i * n + i];
        }
    }
}

/* Back in the data's coordinates: μ = mean + L μ_v and L L_v. */
static void unwhiten(const problem *p, const mixture *m, const double *mean, const double *whole, double *loc,
                     double *factor)
{
    const size_t n = p->dim;
    for (size_t k = 0; k < p->components; k++)
        for (size_t i = 0; i < n; i++) {
            double sum = mean[i];
            for (size_t j = 0; j <= i; j++) sum += whole[i * n + j] * m->loc[k * n + j];
            loc[k * n + i] = sum;
            for (size_t j = 0; j < n; j++) {
                double product = 0;
                for (size_t l = j; l <= i; l++) product += whole[i * n + l] * m->factor[k * n * n + l * n + j];
                factor[k * n * n + i * n + j] = product;
            }
        }
}

ad_status nf__fit_gaussian_mixture(const double *x, size_t rows, size_t dim, size_t components, double prior,
                                   uint64_t seed, double *log_weight, double *loc, double *factor, ad_error *error)
{
    const size_t n = dim, most = rows < MOST_ROWS ? rows : MOST_ROWS;
    problem p = {.rows = most, .dim = n, .components = components};
    const size_t size = size_of(&p);
    /* in this order: v, distance, mean, whole, best, other, work, the sums */
    double *memory = ad_alloc(most * (n + 1) + n + n * n + 4 * size + 2 * n + 2 * components, sizeof *memory);
    if (!memory)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu normals of %zu columns", components, n);
    double *v = memory, *distance = v + most * n, *mean = distance + most, *whole = mean + n, *best = whole + n * n,
           *other = best + size;
    p.v = v;
    p.work = other + size;
    p.count = p.work + 2 * n + components;
    p.shift = p.count + components;
    p.scatter = p.shift + components * n;
    p.precise = p.scatter + components * n * n;
    p.constant = p.precise + components * n * n;
    p.prior = prior * (double)n;
    p.mean_prior = 0.01 * prior;
    p.volume = pow((double)components, -2 / (double)n);
    ad_status status = nf_shrunk_covariance(x, rows, n, mean, whole, error);
    if (status == AD_OK && !nf_cholesky(whole, n))
        status = ad_error_set(error, AD_ERROR_NUMERIC, "the covariance is beyond the range of numbers");
    if (status == AD_OK) {
        whiten(x, rows, n, mean, whole, seed, most, v);
        search(&p, best, other, distance, seed);
        const mixture m = mixture_at(&p, best);
        memcpy(log_weight, m.log_weight, components * sizeof *log_weight);
        unwhiten(&p, &m, mean, whole, loc, factor);
    }
    ad_free(memory);
    return status;
}
