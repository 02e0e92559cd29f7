/* What a table says of how its columns move together. */
#include <weir/features.h>
#include <weir/memory.h>
#include <weir/random.h>

#include <math.h>
#include <string.h>

/* Shrinking correlations R to (1 - λ) R + λ 1, by the likelihood of rows that are left out (Hoffbeck & Landgrebe 1996,
 * "Covariance matrix estimation and classification with limited training data"; Theiler 2012, "The incredible shrinking
 * covariance estimator", whose formulas are for a mean that is known). Without row u, of n rows in units of their
 * standard deviations around their mean, the mean is -u / (n-1), and the correlations are
 *
 *     R' = [n R - n/(n-1) u uᵀ] / (n-1),
 *     (1 - λ) R' + λ 1 = G - c u uᵀ,   G = (1 - λ) n/(n-1) R + λ 1,   c = (1 - λ) n/(n-1)²,
 *
 * of which determinant and inverse follow from G's and from r = uᵀ G⁻¹ u:
 *
 *     -2 log p(u) = log|G| + log(1 - c r) + n²/(n-1)² r / (1 - c r) + const.
 *
 * That is what a fit is for; Ledoit & Wolf's λ, of least squared error, wipes out what makes columns that go together
 * narrow: a nat or more on tables of 10 to 30 columns. λ = 10^(-6 + i/4), i = 0 … 24: single precision can still solve
 * with the least, which columns that repeat others take. */

enum { GRID = 25, STRIDE = 4, MOST_LEFT_OUT = 2048 };

typedef struct {
    size_t rows, columns, left_out;
    const double *correlation; /* lower triangle */
    const double *u;           /* (left_out, columns) */
    double *g;                 /* (columns, columns) */
    double *solved;            /* (columns) */
} shrinking;

static double lambda_of(size_t i)
{
    return pow(10, -6 + (double)i / 4);
}

/* Mean of -2 log p of rows that are left out; infinite where G is singular to rounding. */
static double loss_of(const shrinking *s, double lambda)
{
    const size_t d = s->columns;
    const double n = (double)s->rows, more = n / (n - 1), c = (1 - lambda) * more / (n - 1);
    double log_det = 0, sum = 0;
    for (size_t i = 0; i < d; i++)
        for (size_t j = 0; j <= i; j++)
            s->g[i * d + j] = (1 - lambda) * more * s->correlation[i * d + j] + (i == j ? lambda : 0);
    if (!nf_cholesky(s->g, d)) return INFINITY;
    for (size_t i = 0; i < d; i++) log_det += 2 * log(s->g[i * (d + 1)]);
    for (size_t k = 0; k < s->left_out; k++) {
        double r = 0;
        for (size_t i = 0; i < d; i++) {
            double rest = s->u[k * d + i];
            for (size_t j = 0; j < i; j++) rest -= s->g[i * d + j] * s->solved[j];
            s->solved[i] = rest / s->g[i * (d + 1)];
            r += s->solved[i] * s->solved[i];
        }
        const double kept = fmax(1 - c * r, 1e-300);
        sum += log(kept) + more * more * r / kept;
    }
    return log_det + sum / (double)s->left_out;
}

/* The best on the grid: of every fourth, then of its neighbours. */
static double best_lambda(const shrinking *s)
{
    size_t best = GRID - 1;
    double loss[GRID];
    for (size_t i = 0; i < GRID; i++) loss[i] = INFINITY;
    for (size_t i = 0; i < GRID; i += STRIDE)
        if ((loss[i] = loss_of(s, lambda_of(i))) < loss[best] || i == 0) best = i;
    const size_t first = best < STRIDE ? 0 : best - STRIDE + 1, last = best + STRIDE < GRID ? best + STRIDE : GRID;
    for (size_t i = first; i < last; i++)
        if (i % STRIDE && (loss[i] = loss_of(s, lambda_of(i))) < loss[best]) best = i;
    return lambda_of(best);
}

/* A row in units of each column's standard deviation, 0 where that is 0. */
static void standardize(const double *x, size_t columns, const double *mean, const double *sd, double *u)
{
    for (size_t j = 0; j < columns; j++) u[j] = sd[j] > 0 ? (x[j] - mean[j]) / sd[j] : 0;
}

/* Correlations (lower triangle) of all rows into r, 1 on the diagonal. */
static void correlate(const double *x, size_t rows, size_t columns, const double *mean, const double *sd, double *r,
                      double *u)
{
    memset(r, 0, columns * columns * sizeof *r);
    for (size_t k = 0; k < rows; k++) {
        standardize(x + k * columns, columns, mean, sd, u);
        for (size_t i = 0; i < columns; i++)
            for (size_t j = 0; j < i; j++) r[i * columns + j] += u[i] * u[j];
    }
    for (size_t i = 0; i < columns; i++) {
        for (size_t j = 0; j < i; j++) r[i * columns + j] /= (double)rows;
        r[i * (columns + 1)] = 1;
    }
}

ad_status nf_shrunk_covariance(const double *x, size_t rows, size_t columns, double *mean, double *covariance,
                               ad_error *error)
{
    const char *missing = !x ? "x" : !mean ? "mean" : !covariance ? "covariance" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "covariance: %s is NULL", missing);
    const size_t d = columns, left_out = rows < MOST_LEFT_OUT ? rows : MOST_LEFT_OUT;
    double *sd = ad_alloc(2 + left_out + d, d * sizeof *sd), *u = sd + (sd ? 2 * d : 0),
           *g = u + (sd ? left_out * d : 0);
    if (!sd) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a covariance of %zu columns", d);
    ad_status status = AD_OK;
    for (size_t j = 0; j < d && status == AD_OK; j++)
        if (!nf_column_moments(x, rows, d, j, &mean[j], &sd[j]))
            status = ad_error_set(error, AD_ERROR_NUMERIC, "column %zu has no finite mean and variance", j + 1);
    if (status == AD_OK) {
        correlate(x, rows, d, mean, sd, covariance, u);
        for (size_t k = 0; k < left_out; k++)
            standardize(x + ad_random_permutation(0, 0, rows, k) * d, d, mean, sd, u + k * d);
        const double kept = 1 - (rows > 1 ? best_lambda(&(shrinking){rows, d, left_out, covariance, u, g, sd + d}) : 1);
        for (size_t i = 0; i < d; i++) {
            covariance[i * (d + 1)] = sd[i] > 0 ? sd[i] * sd[i] : 1;
            for (size_t j = 0; j < i; j++) covariance[j * d + i] = covariance[i * d + j] *= kept * sd[i] * sd[j];
        }
    }
    ad_free(sd);
    return status;
}

bool nf_cholesky(double *a, size_t n)
{
    if (!a) return n == 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0 && isfinite(sum))) return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
        for (size_t j = i + 1; j < n; j++) a[i * n + j] = 0;
    }
    return true;
}
