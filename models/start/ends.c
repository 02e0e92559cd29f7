/* The normal that stands for a path. */
#include "start/ends.h"

#include <weir/features.h>

#include <math.h>
#include <string.h>

ad_status nf__end_new(nf__end *end, size_t dim, ad_error *error)
{
    *end = (nf__end){.dim = dim, .elbo = -INFINITY, .at = ad_alloc(dim, 3 * sizeof *end->at)};
    if (!nf__curvature_new(&end->curvature, dim) || !end->at)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a path of %zu features", dim);
    end->mean = end->at + dim;
    end->draw = end->mean + dim;
    return AD_OK;
}

void nf__end_free(nf__end *end)
{
    nf__curvature_free(&end->curvature);
    ad_free(end->at);
}

static const double half_log_two_pi = 0.918938533204672741780329736406;

/* Of a draw that no density is at: much less than any other, and yet a normal that crosses a cliff can be judged. */
static const double nothing = -1000;

/* Mean of log p - log q over draws that have been put into the density's room, q a normal whose draw r is location +
 * factor noise_r. -INFINITY where no log p is finite. And, unless NULL, the log of the mean of p/q. */
static double elbo_of(const nf__density *d, size_t rows, const double *noise, double log_det, double *log_mass)
{
    double sum = 0, most = -INFINITY, weights = 0, *log_p = d->log_density;
    for (size_t r = 0; r < rows; r++) {
        double squares = 0;
        for (size_t j = 0; j < d->dim; j++) squares += noise[r * d->dim + j] * noise[r * d->dim + j];
        double log_w = log_p[r] + 0.5 * squares + log_det + half_log_two_pi * (double)d->dim;
        if (!isfinite(log_w)) log_w = -INFINITY;
        log_p[r] = log_w;
        sum += isfinite(log_w) ? log_w : nothing;
        most = fmax(most, log_w);
    }
    for (size_t r = 0; r < rows; r++) weights += exp(log_p[r] - most);
    if (log_mass) *log_mass = isfinite(most) ? most + log(weights / (double)rows) : -INFINITY;
    return isfinite(most) ? sum / (double)rows : -INFINITY;
}

ad_status nf__end_consider(nf__end *end, nf__density *density, const double *at, const double *gradient,
                           const nf__curvature *curvature, const double *noise, ad_error *error)
{
    const size_t n = end->dim;
    double *mean = end->draw;
    memcpy(mean, gradient, n * sizeof *mean);
    nf__curvature_apply(curvature, mean);
    for (size_t j = 0; j < n; j++) mean[j] = at[j] - mean[j];
    for (size_t r = 0; r < NF__PATH_DRAWS; r++) {
        double *z = density->z + r * n;
        memcpy(z, noise + r * n, n * sizeof *z);
        nf__curvature_spread(curvature, z);
        for (size_t j = 0; j < n; j++) z[j] += mean[j];
    }
    ad_status status = nf__density_run(density, NF__PATH_DRAWS, error);
    if (status) return status;
    double elbo = elbo_of(density, NF__PATH_DRAWS, noise, nf__curvature_log_det(curvature), NULL);
    if (!(elbo > end->elbo)) return AD_OK;
    end->elbo = elbo;
    memcpy(end->at, at, n * sizeof *at);
    memcpy(end->mean, mean, n * sizeof *mean);
    nf__curvature_copy(&end->curvature, curvature);
    return AD_OK;
}

/* ---- At the end of the path ------------------------------------------------------------------------------------- */

/* Of the normal's ELBO, its mass, and the density at its location. */
static ad_status judge(nf_start_normal *normal, nf__density *d, nf__normal_kind kind, const double *noise,
                       ad_error *error)
{
    memcpy(d->z, normal->location, kind.dim * sizeof *d->z);
    ad_status status = nf__density_run(d, 1, error);
    normal->log_density = d->log_density[0];
    for (size_t r = 0; r < NF__END_DRAWS; r++)
        nf__normal_place(normal, kind, noise + r * kind.dim, d->z + r * kind.dim);
    if (!status) status = nf__density_run(d, NF__END_DRAWS, error);
    if (!status) normal->elbo = elbo_of(d, NF__END_DRAWS, noise, nf__normal_log_det(normal, kind), &normal->log_mass);
    return status;
}

/* J Jᵀ of the path, into a (n,n). */
static void covariance_of(const nf__curvature *curvature, double *a)
{
    const size_t n = curvature->dim;
    for (size_t i = 0; i < n; i++) {
        double *row = a + i * n;
        memset(row, 0, n * sizeof *row);
        row[i] = 1;
        nf__curvature_apply(curvature, row);
    }
}

/* Minus the Hessian of log p at a point, by central differences of the gradient whose steps are small beside the
 * standard deviations that the path tells of, into a (n,n); and the gradient there. */
static ad_status hessian_at(nf__density *d, const double *at, const double *covariance, double *a, double *gradient,
                            ad_error *error)
{
    const size_t n = d->dim, pairs = d->room / 2;
    ad_status status = AD_OK;
    for (size_t first = 0; first < n && !status; first += pairs) {
        const size_t count = n - first < pairs ? n - first : pairs;
        for (size_t k = 0; k < 2 * count; k++) {
            const size_t j = first + k / 2;
            double h = 1e-4 * sqrt(covariance[j * n + j]);
            memcpy(d->z + k * n, at, n * sizeof *at);
            d->z[k * n + j] += k % 2 ? -h : h;
        }
        status = nf__density_run(d, 2 * count, error);
        for (size_t k = 0; k < count && !status; k++) {
            const size_t j = first + k;
            const double *up = d->gradient + 2 * k * n, *down = up + n;
            const double width = d->z[2 * k * n + j] - d->z[(2 * k + 1) * n + j];
            for (size_t i = 0; i < n; i++) a[j * n + i] = (down[i] - up[i]) / width;
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i] = (a[i * n + j] + a[j * n + i]) / 2;
    memcpy(d->z, at, n * sizeof *at);
    if (!status) status = nf__density_run(d, 1, error);
    memcpy(gradient, d->gradient, n * sizeof *gradient);
    return status;
}

/* The inverse of a (n,n), given its Cholesky factor l, into inverse. */
static void invert(const double *l, size_t n, double *inverse)
{
    for (size_t c = 0; c < n; c++) {
        double *x = inverse + c * n;
        for (size_t i = 0; i < n; i++) {
            double rest = i == c;
            for (size_t j = 0; j < i; j++) rest -= l[i * n + j] * x[j];
            x[i] = rest / l[i * n + i];
        }
        for (size_t i = n; i-- > 0;) {
            double rest = x[i];
            for (size_t j = i + 1; j < n; j++) rest -= l[j * n + i] * x[j];
            x[i] = rest / l[i * n + i];
        }
    }
}

static void lower_part(const double *a, size_t n, double *l)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) l[i * n + j] = j <= i ? a[i * n + j] : 0;
}

/* *other has the Hessian's normal, at the mode of the quadratic; false where there is none. */
static ad_status newton_normal(const nf__end *end, nf__density *d, const double *covariance, nf_start_normal *other,
                               double *a, bool *good, ad_error *error)
{
    const size_t n = end->dim;
    double *gradient = end->draw;
    ad_status status = hessian_at(d, end->at, covariance, other->factor, gradient, error);
    *good = !status && nf_cholesky(other->factor, n);
    if (!*good) return status;
    invert(other->factor, n, a);
    for (size_t i = 0; i < n; i++) {
        other->location[i] = end->at[i];
        for (size_t j = 0; j < n; j++) other->location[i] += a[i * n + j] * gradient[j];
    }
    *good = nf_cholesky(a, n);
    lower_part(a, n, other->factor);
    return AD_OK;
}

static void take(nf_start_normal *to, const nf_start_normal *from, nf__normal_kind kind)
{
    to->elbo = from->elbo;
    to->log_mass = from->log_mass;
    to->log_density = from->log_density;
    memcpy(to->location, from->location, kind.dim * sizeof *to->location);
    memcpy(to->factor, from->factor, nf__normal_factor_size(kind) * sizeof *to->factor);
}

static ad_status dense_normal(const nf__end *end, nf__density *density, const double *noise, nf_start_normal *normal,
                              ad_error *error)
{
    const nf__normal_kind kind = {end->dim, true};
    nf_start_normal other;
    double *covariance = ad_alloc(end->dim, 2 * end->dim * sizeof *covariance), *a = covariance;
    bool good = nf__normal_new(&other, kind) && covariance;
    ad_status status = good ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a normal");
    if (!status) {
        a = covariance + end->dim * end->dim;
        covariance_of(&end->curvature, covariance);
        memcpy(a, covariance, end->dim * end->dim * sizeof *a);
        memcpy(normal->location, end->mean, end->dim * sizeof *normal->location);
        good = nf_cholesky(a, end->dim);
        lower_part(a, end->dim, normal->factor);
        if (good) status = judge(normal, density, kind, noise, error);
    }
    if (!status) status = newton_normal(end, density, covariance, &other, a, &good, error);
    if (!status && good) status = judge(&other, density, kind, noise, error);
    if (!status && good && other.elbo > normal->elbo) take(normal, &other, kind);
    nf__normal_free(&other);
    ad_free(covariance);
    return status;
}

ad_status nf__end_normal(const nf__end *end, nf__density *density, const double *noise, bool dense,
                         nf_start_normal *normal, ad_error *error)
{
    if (!isfinite(end->elbo)) return AD_OK;
    if (dense) return dense_normal(end, density, noise, normal, error);
    memcpy(normal->location, end->mean, end->dim * sizeof *normal->location);
    for (size_t i = 0; i < end->dim; i++) normal->factor[i] = sqrt(end->curvature.diagonal[i]);
    return judge(normal, density, (nf__normal_kind){end->dim, false}, noise, error);
}
