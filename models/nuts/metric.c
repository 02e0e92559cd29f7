/* The mass matrix of Hamiltonian Monte Carlo, diagonal or dense. */
#include "nuts/metric.h"

#include <weir/memory.h>
#include <weir/shape.h>

#include <math.h>
#include <string.h>

bool nf__metric_new(nf__metric *metric, size_t dim, bool dense)
{
    size_t size = dense ? ad_shape_size(AD_SHAPE(dim, dim)) : dim;
    *metric = (nf__metric){.dim = dim, .dense = dense};
    metric->inverse = ad_alloc_aligned(size, sizeof(double));
    metric->factor = ad_alloc_aligned(size, sizeof(double));
    metric->squares = ad_alloc_aligned(size, sizeof(double));
    metric->mean = ad_alloc_aligned(dim, sizeof(double));
    metric->difference = ad_alloc_aligned(dim, sizeof(double));
    if (!metric->inverse || !metric->factor || !metric->squares || !metric->mean || !metric->difference) return false;
    for (size_t i = 0; i < dim; i++) {
        size_t diagonal = dense ? i * dim + i : i;
        metric->inverse[diagonal] = metric->factor[diagonal] = 1;
    }
    return true;
}

void nf__metric_free(nf__metric *metric)
{
    ad_free_aligned(metric->inverse);
    ad_free_aligned(metric->factor);
    ad_free_aligned(metric->squares);
    ad_free_aligned(metric->mean);
    ad_free_aligned(metric->difference);
}

void nf__metric_set(nf__metric *metric, const double *factor, bool triangular)
{
    const size_t dim = metric->dim;
    for (size_t i = 0; i < dim; i++) {
        for (size_t j = metric->dense ? 0 : i; j <= i; j++) {
            double sum = 0;
            for (size_t k = 0; triangular && k <= j; k++) sum += factor[i * dim + k] * factor[j * dim + k];
            if (!triangular && i == j) sum = factor[i] * factor[i];
            if (metric->dense) {
                metric->inverse[i * dim + j] = metric->inverse[j * dim + i] = sum;
                metric->factor[i * dim + j] = triangular ? factor[i * dim + j] : i == j ? factor[i] : 0;
            } else {
                metric->inverse[i] = sum;
                metric->factor[i] = 1 / sqrt(sum);
            }
        }
    }
}

/* With M⁻¹ = L Lᵀ, p = L⁻ᵀ n has the covariance M. */
void nf__metric_momentum(const nf__metric *metric, double *p)
{
    size_t dim = metric->dim;
    if (!metric->dense) {
        for (size_t i = 0; i < dim; i++) p[i] *= metric->factor[i];
        return;
    }
    for (size_t i = dim; i-- > 0;) {
        const double *row = metric->factor + i * dim;
        p[i] /= row[i];
        for (size_t j = 0; j < i; j++) p[j] -= row[j] * p[i];
    }
}

void nf__metric_velocity(const nf__metric *metric, const double *restrict p, double *restrict v)
{
    size_t dim = metric->dim;
    if (!metric->dense) {
        for (size_t i = 0; i < dim; i++) v[i] = metric->inverse[i] * p[i];
        return;
    }
    memset(v, 0, dim * sizeof *v);
    size_t i = 0;
    for (; i + 4 <= dim; i += 4) { /* rows, which are columns too: four of them, so that v is read less often */
        const double *a = metric->inverse + i * dim, *b = a + dim, *c = b + dim, *d = c + dim;
        double pa = p[i], pb = p[i + 1], pc = p[i + 2], pd = p[i + 3];
        for (size_t j = 0; j < dim; j++) v[j] += (a[j] * pa + b[j] * pb) + (c[j] * pc + d[j] * pd);
    }
    for (; i < dim; i++)
        for (size_t j = 0; j < dim; j++) v[j] += metric->inverse[i * dim + j] * p[i];
}

void nf__metric_add(nf__metric *metric, const double *q)
{
    size_t dim = metric->dim;
    double weight = 1 / (double)++metric->count;
    for (size_t i = 0; i < dim; i++) {
        metric->difference[i] = q[i] - metric->mean[i];
        metric->mean[i] += metric->difference[i] * weight;
    }
    for (size_t i = 0; i < dim; i++) {
        double now = q[i] - metric->mean[i];
        if (!metric->dense)
            metric->squares[i] += now * metric->difference[i];
        else
            for (size_t j = 0; j <= i; j++) metric->squares[i * dim + j] += now * metric->difference[j];
    }
}

/* Of the lower triangle of a (dim, dim), into l. */
static bool cholesky(const double *a, size_t dim, double *l)
{
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * dim + j];
            for (size_t k = 0; k < j; k++) sum -= l[i * dim + k] * l[j * dim + k];
            if (j < i)
                l[i * dim + j] = sum / l[j * dim + j];
            else if (sum > 0 && isfinite(sum))
                l[i * dim + i] = sqrt(sum);
            else
                return false;
        }
    return true;
}

bool nf__metric_update(nf__metric *metric)
{
    size_t dim = metric->dim;
    double n = (double)metric->count, scale = n / ((n + 5) * fmax(n - 1, 1)), floor = 1e-3 * 5 / (n + 5);
    bool positive = true;
    if (metric->dense) {
        for (size_t i = 0; i < dim; i++)
            for (size_t j = 0; j <= i; j++)
                metric->inverse[i * dim + j] = metric->inverse[j * dim + i] =
                    scale * metric->squares[i * dim + j] + (i == j ? floor : 0);
        positive = cholesky(metric->inverse, dim, metric->factor);
    } else {
        for (size_t i = 0; i < dim; i++) {
            metric->inverse[i] = scale * metric->squares[i] + floor;
            metric->factor[i] = 1 / sqrt(metric->inverse[i]);
            positive &= isfinite(metric->inverse[i]);
        }
    }
    metric->count = 0;
    memset(metric->mean, 0, dim * sizeof(double));
    memset(metric->squares, 0, (metric->dense ? dim * dim : dim) * sizeof(double));
    return positive;
}
