/* What a table says of how its columns move together. */
#include <weir/features.h>
#include <weir/memory.h>

#include <math.h>
#include <string.h>

/* Row r in units of each column's standard deviation, 0 where that is 0. */
static void standardized(const double *x, size_t columns, const double *mean, const double *sd, double *u)
{
    for (size_t j = 0; j < columns; j++) u[j] = sd[j] > 0 ? (x[j] - mean[j]) / sd[j] : 0;
}

/* How much of the correlations r (its lower triangle) is to go, by Ledoit & Wolf (2004, "A well-conditioned estimator
 * for large-dimensional covariance matrices", section 3.2) for columns of variance 1, `varying` of which aren't
 * constant: b²/d² with d² = |R - 1|² and b² = Σ |u uᵀ - R|² / n², in which Σ |u uᵀ|² is `fourth`.
 *
 * Two rows are correlated perfectly, and b is 0; so are two columns of which one repeats the other. One part in n, as
 * if one row more had been seen in which nothing is correlated, and 1e-6, which single precision can solve with, are
 * the least. */
static double shrinkage(const double *r, size_t columns, size_t varying, size_t rows, double fourth)
{
    const double n = (double)rows, least = fmax(1 / n, 1e-6);
    double squares = (double)varying;
    for (size_t i = 0; i < columns; i++)
        for (size_t j = 0; j < i; j++) squares += 2 * r[i * columns + j] * r[i * columns + j];
    double distance = squares - (double)varying, scatter = fmax(fourth / n - squares, 0) / n;
    return distance > 0 ? fmin(fmax(scatter / distance, least), 1) : least;
}

ad_status nf_shrunk_covariance(const double *x, size_t rows, size_t columns, double *mean, double *covariance,
                               ad_error *error)
{
    double *sd = ad_alloc(columns, 2 * sizeof *sd), *u = sd + (sd ? columns : 0), fourth = 0;
    if (!sd) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a covariance of %zu columns", columns);
    size_t varying = 0;
    for (size_t j = 0; j < columns; j++) {
        if (!nf_column_moments(x, rows, columns, j, &mean[j], &sd[j])) {
            ad_free(sd);
            return ad_error_set(error, AD_ERROR_NUMERIC, "column %zu has no finite mean and variance", j + 1);
        }
        varying += sd[j] > 0;
    }
    memset(covariance, 0, columns * columns * sizeof *covariance);
    for (size_t r = 0; r < rows; r++) {
        double square = 0;
        standardized(x + r * columns, columns, mean, sd, u);
        for (size_t i = 0; i < columns; i++) {
            square += u[i] * u[i];
            for (size_t j = 0; j < i; j++) covariance[i * columns + j] += u[i] * u[j];
        }
        fourth += square * square;
    }
    for (size_t i = 0; i < columns * columns; i++) covariance[i] /= (double)rows;
    const double kept = 1 - shrinkage(covariance, columns, varying, rows, fourth);
    for (size_t i = 0; i < columns; i++) {
        covariance[i * columns + i] = sd[i] > 0 ? sd[i] * sd[i] : 1;
        for (size_t j = 0; j < i; j++)
            covariance[j * columns + i] = covariance[i * columns + j] *= kept * sd[i] * sd[j];
    }
    ad_free(sd);
    return AD_OK;
}

bool nf_cholesky(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0 && isfinite(sum))) return false;
            a[i * n + j] = j > i ? 0 : j == i ? sqrt(sum) : sum / a[j * n + j];
        }
    return true;
}
