/* A quantile function that is smooth, from sorted values x_(1) … x_(n): with F piecewise linear, j/n half way between
 * different values of which j are at or below the lower one (so that values that repeat, such as whole numbers, fill
 * the room up to their neighbours, and F has no jumps), Q = F⁻¹ is smoothed as a function of z = Φ⁻¹(p),
 *
 *     u(z) = ∫ Q(Φ(z + h t)) φ(t) dt,      u'(z) = ∫ Q(Φ(z + h t)) t φ(t) dt / h,      h = c n^(-1/5),
 *
 * which increases as Q does, and leaves a normal's, which is a line, as it is. (Smoothing quantiles: Parzen 1979,
 * "Nonparametric statistical data modeling".)
 *
 * Beyond the last √n values on each side, a generalized Pareto tail (Pickands 1975) of shape ξ and scale σ, fitted to
 * the excesses y by the likelihood that marginal.c gives them,
 *
 *     -Σ [(1 + ξ) e + log σ + log √(reach² + 2 e)],      e = log(1 + ξ y/σ) / ξ,
 *
 * and by a prior that a normal's tail, and many a Student's, is well inside: ξ near 0.2, and σ near what the spline
 * has, for which few excesses say little. */
#include "marginal_fit.h"

#include <weir/memory.h>

#include <math.h>
#include <stdlib.h>

static const double smoothing = 0.5; /* c */

/* Φ⁻¹(p) of 0 < p < 1/2, by Newton's method from above on log Φ, which is concave: each step gets nearer. */
static double normal_quantile(double p)
{
    const double log_sqrt_two_pi = 0.91893853320467274178;
    double z = 0;
    for (int i = 0; i < 60; i++) {
        double below = 0.5 * erfc(-z * M_SQRT1_2), density = exp(-0.5 * z * z - log_sqrt_two_pi);
        double step = (log(below) - log(p)) * below / density;
        z -= step;
        if (fabs(step) < 1e-12) break;
    }
    return z;
}

double nf__marginal_reach(size_t rows)
{
    const double n = (double)rows, least = 1, most = 4;
    if (rows < 10) return least;
    return fmin(fmax(-normal_quantile(sqrt(n) / n), least), most);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* F's corners: edge[0 … count], F = share[0 … count]. */
typedef struct {
    double *edge, *share;
    size_t count;
} steps;

/* Of sorted values, two or more of which differ. */
static void find_steps(const double *value, size_t rows, steps *s)
{
    s->count = 0;
    for (size_t r = 0; r + 1 < rows; r++) {
        if (value[r] == value[r + 1]) continue;
        s->count++;
        s->edge[s->count] = value[r] + (value[r + 1] - value[r]) / 2;
        s->share[s->count] = (double)(r + 1) / (double)rows;
    }
    /* the first and the last value have as much room outside as inside */
    s->edge[0] = 2 * value[0] - s->edge[1];
    s->share[0] = 0;
    s->edge[s->count + 1] = 2 * value[rows - 1] - s->edge[s->count];
    s->share[s->count + 1] = 1;
    s->count++;
}

static double quantile(const steps *s, double p)
{
    size_t low = 0, high = s->count;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (s->share[middle] <= p)
            low = middle;
        else
            high = middle;
    }
    const double part = (p - s->share[low]) / (s->share[high] - s->share[low]);
    return s->edge[low] + fmin(fmax(part, 0), 1) * (s->edge[high] - s->edge[low]);
}

/* u and u' at z, by the trapezoidal rule. */
static double smooth_quantile(const steps *s, double z, double h, double *slope)
{
    enum { POINTS = 241 };
    const double farthest = 5;
    double weight = 0, sum = 0, moment = 0;
    for (int i = 0; i < POINTS; i++) {
        const double t = farthest * (2.0 * i / (POINTS - 1) - 1), w = exp(-0.5 * t * t);
        const double q = quantile(s, 0.5 * erfc(-(z + h * t) * M_SQRT1_2));
        weight += w;
        sum += w * q;
        moment += w * t * q;
    }
    *slope = moment / (weight * h);
    return sum / weight;
}

/* ---- Tails ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const double *excess;
    size_t count;
    double reach, spline; /* σ of the spline's end */
} tail;

static double log_posterior(const tail *t, double xi, double sigma)
{
    const double usual = 0.2, usual_width = 0.15, scale_width = 0.5;
    double sum = 0;
    for (size_t i = 0; i < t->count; i++) {
        const double e = log1p(xi * t->excess[i] / sigma) / xi;
        sum -= (1 + xi) * e + log(sigma) + 0.5 * log(t->reach * t->reach + 2 * e);
    }
    const double of_shape = (xi - usual) / usual_width, of_scale = log(sigma / t->spline) / scale_width;
    return sum - 0.5 * (of_shape * of_shape + of_scale * of_scale);
}

/* The best σ within a factor of e² of the spline's, by golden sections; its value into *best. */
static double best_scale(const tail *t, double xi, double *best)
{
    const double golden = 0.6180339887498949;
    double low = -2, high = 2;
    for (int i = 0; i < 30; i++) {
        const double a = high - golden * (high - low), b = low + golden * (high - low);
        if (log_posterior(t, xi, t->spline * exp(a)) > log_posterior(t, xi, t->spline * exp(b)))
            high = b;
        else
            low = a;
    }
    const double sigma = t->spline * exp((low + high) / 2);
    *best = log_posterior(t, xi, sigma);
    return sigma;
}

static double fit_tail(const tail *t, double *sigma)
{
    static const double shapes[] = {0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.3};
    double best = -INFINITY, xi = shapes[0], value;
    *sigma = t->spline;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const double scale = best_scale(t, shapes[i], &value);
        if (!(value > best)) continue;
        best = value;
        xi = shapes[i];
        *sigma = scale;
    }
    return xi;
}

/* Below (side 0) or above: what of `value` is beyond the spline's end into `excess`, in units of the column. */
static void fit_side(const double *value, size_t rows, size_t bins, double reach, nf__marginal *to, int side,
                     double *excess)
{
    const size_t end = side ? bins : 0;
    tail t = {.excess = excess, .reach = reach, .spline = to->slope[end] / reach};
    for (size_t r = 0; r < rows; r++) {
        const double u = (value[r] - to->centre) / to->scale, beyond = side ? u - to->knot[end] : to->knot[end] - u;
        if (beyond > 0) excess[t.count++] = beyond;
    }
    double sigma;
    to->tail[side] = fit_tail(&t, &sigma);
    to->slope[end] = sigma * reach;
}

/* ---- A column --------------------------------------------------------------------------------------------------- */

static void fit_spline(const steps *s, size_t rows, size_t bins, double reach, nf__marginal *to)
{
    const double h = smoothing * pow((double)rows, -0.2), step = 2 * reach / (double)bins, least = 1e-3;
    const double one_below = quantile(s, 0.15865525393145705), one_above = quantile(s, 0.84134474606854295);
    to->centre = quantile(s, 0.5);
    to->scale = (one_above - one_below) / 2;
    for (size_t k = 0; k <= bins; k++) {
        double slope, u = (smooth_quantile(s, step * (double)k - reach, h, &slope) - to->centre) / to->scale;
        to->knot[k] = k == 0 ? u : fmax(u, to->knot[k - 1] + least * step);
        to->slope[k] = fmax(slope / to->scale, least);
    }
}

ad_status nf__fit_marginal(double *value, size_t rows, size_t bins, double reach, nf__marginal *to, ad_error *error)
{
    *to = (nf__marginal){
        .centre = rows ? value[0] : 0, .scale = 1, .knot = to->knot, .slope = to->slope, .tail = {0.1, 0.1}};
    qsort(value, rows, sizeof *value, compare);
    if (rows == 0 || value[0] == value[rows - 1]) { /* a constant */
        for (size_t k = 0; k <= bins; k++) {
            to->knot[k] = 2 * reach * (double)k / (double)bins - reach;
            to->slope[k] = 1;
        }
        return AD_OK;
    }
    double *memory = ad_alloc(2 * (rows + 1), sizeof *memory);
    if (!memory) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the quantiles of %zu rows", rows);
    steps s = {.edge = memory, .share = memory + rows + 1};
    find_steps(value, rows, &s);
    fit_spline(&s, rows, bins, reach, to);
    for (int side = 0; side < 2; side++) fit_side(value, rows, bins, reach, to, side, memory);
    ad_free(memory);
    return AD_OK;
}
