/* The inverse Hessian that L-BFGS sees along its path. */
#include "start/curvature.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

bool nf__curvature_new(nf__curvature *c, size_t dim)
{
    *c = (nf__curvature){.dim = dim};
    c->diagonal = ad_alloc(dim, (1 + 3 * NF__MEMORY) * sizeof *c->diagonal);
    if (!c->diagonal) return false;
    c->s = c->diagonal + dim;
    c->y = c->s + NF__MEMORY * dim;
    c->w = c->y + NF__MEMORY * dim;
    for (size_t i = 0; i < dim; i++) c->diagonal[i] = 1;
    return true;
}

void nf__curvature_free(nf__curvature *c)
{
    ad_free(c->diagonal);
}

void nf__curvature_copy(nf__curvature *to, const nf__curvature *from)
{
    to->count = from->count;
    memcpy(to->rho, from->rho, sizeof to->rho);
    memcpy(to->shrink, from->shrink, sizeof to->shrink);
    memcpy(to->diagonal, from->diagonal, (1 + 3 * NF__MEMORY) * from->dim * sizeof *from->diagonal);
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add(double *v, double factor, const double *a, size_t n)
{
    for (size_t i = 0; i < n; i++) v[i] += factor * a[i];
}

/* v := J v, with the first `count` pairs; and its transpose, and the inverses of both. M_k⁻¹ = I + ρ s wᵀ / (1 - ρ
 * wᵀs), and 1 - ρ wᵀs = -shrink. */
static void factor(const nf__curvature *c, size_t count, double *v)
{
    const size_t n = c->dim;
    for (size_t i = 0; i < n; i++) v[i] *= sqrt(c->diagonal[i]);
    for (size_t k = 0; k < count; k++) add(v, -c->rho[k] * dot(c->w + k * n, v, n), c->s + k * n, n);
}

static void factor_transposed(const nf__curvature *c, size_t count, double *v)
{
    const size_t n = c->dim;
    for (size_t k = count; k-- > 0;) add(v, -c->rho[k] * dot(c->s + k * n, v, n), c->w + k * n, n);
    for (size_t i = 0; i < n; i++) v[i] *= sqrt(c->diagonal[i]);
}

/* v := (J Jᵀ)⁻¹ v */
static void solve(const nf__curvature *c, size_t count, double *v)
{
    const size_t n = c->dim;
    for (size_t k = count; k-- > 0;) add(v, -c->rho[k] / c->shrink[k] * dot(c->w + k * n, v, n), c->s + k * n, n);
    for (size_t i = 0; i < n; i++) v[i] /= c->diagonal[i];
    for (size_t k = 0; k < count; k++) add(v, -c->rho[k] / c->shrink[k] * dot(c->s + k * n, v, n), c->w + k * n, n);
}

/* Pathfinder's update of the diagonal, with α = D, a = yᵀ D y, b = yᵀ s, d = sᵀ D⁻¹ s. */
static void learn_diagonal(nf__curvature *c, const double *s, const double *y)
{
    double a = 0, b = dot(s, y, c->dim), d = 0;
    for (size_t i = 0; i < c->dim; i++) {
        a += y[i] * y[i] * c->diagonal[i];
        d += s[i] * s[i] / c->diagonal[i];
    }
    for (size_t i = 0; i < c->dim; i++) {
        const double alpha = c->diagonal[i];
        double inverse = a / (b * alpha) + y[i] * y[i] / b - a * s[i] * s[i] / (b * d * alpha * alpha);
        if (inverse > 1e-300 && inverse < 1e300) c->diagonal[i] = 1 / inverse;
    }
}

void nf__curvature_add(nf__curvature *c, const double *s, const double *y)
{
    const size_t n = c->dim;
    const double b = dot(s, y, n), size = sqrt(dot(s, s, n) * dot(y, y, n));
    if (!(b > 1e-10 * size) || !isfinite(size)) return;
    learn_diagonal(c, s, y);
    if (c->count == NF__MEMORY) {
        c->count--;
        memmove(c->s, c->s + n, c->count * n * sizeof *c->s);
        memmove(c->y, c->y + n, c->count * n * sizeof *c->y);
    }
    memcpy(c->s + c->count * n, s, n * sizeof *s);
    memcpy(c->y + c->count * n, y, n * sizeof *y);
    c->count++;
    /* Under another D, and without the oldest pair, all factors are others. */
    for (size_t k = 0; k < c->count; k++) {
        const double *step = c->s + k * n, *change = c->y + k * n;
        double *w = c->w + k * n, ys = dot(step, change, n);
        memcpy(w, step, n * sizeof *w);
        solve(c, k, w);
        double sbs = dot(step, w, n), root = sqrt(ys / sbs);
        for (size_t i = 0; i < n; i++) w[i] = change[i] + root * w[i];
        c->rho[k] = 1 / ys;
        c->shrink[k] = sqrt(sbs / ys);
    }
}

void nf__curvature_spread(const nf__curvature *c, double *v)
{
    factor(c, c->count, v);
}

void nf__curvature_apply(const nf__curvature *c, double *v)
{
    factor_transposed(c, c->count, v);
    factor(c, c->count, v);
}

double nf__curvature_log_det(const nf__curvature *c)
{
    double sum = 0;
    for (size_t i = 0; i < c->dim; i++) sum += 0.5 * log(c->diagonal[i]);
    for (size_t k = 0; k < c->count; k++) sum += log(c->shrink[k]);
    return sum;
}
