/* marginal: each feature by itself, x = centre + scale u(z), so that z is a standard normal: the marginal step of
 * Gaussianization (Chen & Gopinath 2000; Meng et al. 2020, "Gaussianization flows"). Set from the data's quantiles
 * (marginal_fit.c), and then fixed, or with learned=yes a start.
 *
 * From -r to r ("reach") u is a monotone rational-quadratic spline (Gregory & Delbourgo 1982; Durkan et al. 2019) with
 * K equal bins in z of width w, knots u_k and derivatives δ_k there: with ζ = (z - z_k)/w, s = (u_(k+1) - u_k)/w,
 *
 *     u = u_k + w s [s ζ² + δ_k ζ(1-ζ)] / [s + (δ_k + δ_(k+1) - 2s) ζ(1-ζ)].
 *
 * Beyond, it has the tail of a generalized Pareto density, which falls with a power of x and not as a normal's: of
 * shape ξ and, smooth at the end, of scale σ = δ/r, above and below each its own,
 *
 *     |u - u_end| = σ (e^(ξe) - 1) / ξ,      e = (z² - r²) / 2:
 *
 * log p(x) = -(1 + ξ) e - log |z| + const, so that a row that is a thousand scales away costs tens of nats, and not
 * half a million (compare Laszkiewicz et al. 2022, "Marginal tail-adaptive normalizing flows"; Hickling & Prangle 2025,
 * "Flexible tails for normalizing flows"). Past ξe = 50, where numbers would end soon, u goes on in a line.
 *
 * Parameters: start = u_0, log_width = log(u_(k+1) - u_k), log_slope = log δ_k, tail = ξ below and above. */
#include "marginal_fit.h"

#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static const double ease = 50; /* ξe from where on the tail is a line */

static size_t bins_of(const nf_bijector *self)
{
    return (size_t)nf_argument_value(self, "bins");
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    const size_t n = self->dim, bins = bins_of(self);
    const bool fixed = nf_argument_value(self, "learned") == 0;
    const double reach = 3;
    const nf_parameter_spec spec[] = {
        {.name = "centre", .shape = AD_SHAPE(n), .fixed = true},
        {.name = "scale", .shape = AD_SHAPE(n), .value = 1, .fixed = true},
        {.name = "reach", .shape = AD_SHAPE(1), .value = reach, .fixed = true},
        {.name = "start", .shape = AD_SHAPE(n), .value = -reach, .fixed = fixed},
        {.name = "log_width", .shape = AD_SHAPE(bins, n), .value = log(2 * reach / (double)bins), .fixed = fixed},
        {.name = "log_slope", .shape = AD_SHAPE(bins + 1, n), .fixed = fixed},
        {.name = "tail",
         .shape = AD_SHAPE(2, n),
         .value = 0.1,
         .constraint = NF_INTERVAL,
         .low = 0.01,
         .high = 2,
         .fixed = fixed},
    };
    ad_status status = AD_OK;
    for (size_t i = 0; i < sizeof spec / sizeof *spec && status == AD_OK; i++)
        status = nf_declare(self, &spec[i], error);
    return status;
}

/* ---- The spline ------------------------------------------------------------------------------------------------- */

typedef struct {
    size_t bins, n;
    ad_var reach; /* (1) */
    ad_var step;  /* (1): of z from knot to knot */
    ad_var z, u;  /* (K+1, 1) and (K+1, n): the knots */
    ad_var width; /* (K, n): u_(k+1) - u_k */
    ad_var slope; /* (K+1, n) */
} spline;

static spline spline_of(const nf_scope *at)
{
    const size_t bins = bins_of(at->self), n = at->self->dim;
    spline s = {.bins = bins,
                .n = n,
                .reach = nf_param(at, "reach"),
                .width = ad_exp(nf_param(at, "log_width")),
                .slope = ad_exp(nf_param(at, "log_slope"))};
    double *place = ad_alloc(bins + 1, sizeof *place);
    if (!place) ad_tape_fail(at->tape, AD_ERROR_MEMORY, "out of memory for a spline of %zu bins", bins);
    for (size_t k = 0; place && k <= bins; k++) place[k] = 2 * (double)k / (double)bins - 1;
    s.z = place ? ad_mul(ad_constant(at->tape, AD_SHAPE(bins + 1, 1), place), s.reach) : (ad_var){at->tape, -1};
    ad_free(place);
    s.step = ad_mul_scalar(s.reach, 2 / (double)bins);
    const ad_var start = ad_reshape(nf_param(at, "start"), AD_SHAPE(1, n));
    s.u = ad_concat((const ad_var[]){start, ad_add(ad_cumsum(s.width, 0, false), start)}, 2, 0);
    return s;
}

/* The first, or the last, of knots or slopes, (n) or (1). */
static ad_var end_of(const spline *s, ad_var of_knots, bool last)
{
    return nf_row(of_knots, last ? s->bins : 0);
}

/* Σ_k weight_k q_k, of one weight that is 1 and others that are 0. */
static ad_var pick(ad_var weight, ad_var q)
{
    return ad_sum_axis(ad_mul(weight, q), 0);
}

/* 1 … 1 0 … 0, (K, n): whether v (n) is at or beyond the left end of each bin, but for the first, which it is in then.
 */
static ad_var reached_bins(const spline *s, ad_var knots, ad_var v)
{
    const ad_var one = ad_add_scalar(ad_mul_scalar(ad_reshape(v, AD_SHAPE(1, s->n)), 0), 1);
    if (s->bins == 1) return one;
    return ad_concat((const ad_var[]){one, ad_greater_equal(v, ad_slice(knots, 0, 1, s->bins))}, 2, 0);
}

/* The spline at v (n), which is between its ends. */
static ad_var inside(const spline *s, ad_var v, bool inverse, ad_var *log_slope)
{
    const size_t k = s->bins;
    const ad_var reached = reached_bins(s, inverse ? s->u : s->z, v);
    const ad_var zero = ad_mul_scalar(ad_slice(reached, 0, 0, 1), 0);
    const ad_var passed = k > 1 ? ad_concat((const ad_var[]){ad_slice(reached, 0, 1, k), zero}, 2, 0) : zero;
    const ad_var is_in = ad_sub(reached, passed); /* (K, n) */
    const ad_var z = pick(is_in, ad_slice(s->z, 0, 0, k)), u = pick(is_in, ad_slice(s->u, 0, 0, k));
    const ad_var width = pick(is_in, s->width);
    const nf_spline_bin bin = {.left = pick(is_in, ad_slice(s->slope, 0, 0, k)),
                               .right = pick(is_in, ad_slice(s->slope, 0, 1, k + 1)),
                               .slope = ad_div(width, s->step)};
    const ad_var at = inverse ? nf_spline_bin_root(&bin, ad_div(ad_sub(v, u), width)) : ad_div(ad_sub(v, z), s->step);
    const ad_var eta = nf_spline_bin_value(&bin, at, log_slope);
    return inverse ? ad_add(z, ad_mul(at, s->step)) : ad_add(u, ad_mul(eta, width));
}

/* ---- The tails -------------------------------------------------------------------------------------------------- */

/* |z| of what u is beyond the end, there or back: of either side, whose ξ and σ are given; log_slope of du/dz. */
static ad_var beyond(const spline *s, ad_var excess, ad_var xi, ad_var sigma, bool inverse, ad_var *log_slope)
{
    ad_tape *tape = excess.tape;
    const ad_var most = ad_scalar(tape, ease), zero = ad_scalar(tape, 0);
    ad_var t, out, z; /* t: ξe, e^ease of which is where the line begins */
    if (inverse) {
        const ad_var w = ad_add_scalar(ad_div(ad_mul(xi, excess), sigma), 1), end = ad_scalar(tape, exp(ease));
        const ad_var line = ad_mul_scalar(ad_maximum(ad_sub(w, end), zero), exp(-ease));
        t = ad_add(ad_log(ad_minimum(w, end)), line);
        z = ad_sqrt(ad_add(ad_square(s->reach), ad_mul_scalar(ad_div(t, xi), 2)));
        out = ad_sub(z, s->reach);
    } else {
        z = ad_add(excess, s->reach);
        t = ad_mul(xi, ad_mul_scalar(ad_mul(excess, ad_add(z, s->reach)), 0.5));
        const ad_var line = ad_mul_scalar(ad_maximum(ad_sub(t, most), zero), exp(ease));
        out = ad_mul(ad_div(sigma, xi), ad_add(ad_expm1(ad_minimum(t, most)), line));
    }
    *log_slope = ad_add(ad_add(ad_log(z), ad_log(sigma)), ad_minimum(t, most));
    return out;
}

/* ---- The map ---------------------------------------------------------------------------------------------------- */

/* u of z, or z of u, with log du/dz. Outside the spline's ends the spline is at its end, and inside them the tail is.
 */
static ad_var map(const nf_scope *at, ad_var v, bool inverse, ad_var *log_slope)
{
    const spline s = spline_of(at);
    const ad_var knots = inverse ? s.u : s.z, low = end_of(&s, knots, false), high = end_of(&s, knots, true);
    const ad_var within = ad_minimum(ad_maximum(v, low), high), above = ad_greater(v, high);
    const ad_var is_tail = ad_maximum(above, ad_greater(low, v)), tail = nf_param(at, "tail");
    const ad_var excess = ad_where(above, ad_sub(v, high), ad_maximum(ad_sub(low, v), ad_scalar(v.tape, 0)));
    const ad_var xi = ad_where(above, nf_row(tail, 1), nf_row(tail, 0));
    const ad_var end = ad_where(above, end_of(&s, s.slope, true), end_of(&s, s.slope, false));
    ad_var log_inside, log_beyond;
    const ad_var in = inside(&s, within, inverse, &log_inside);
    const ad_var out = beyond(&s, excess, xi, ad_div(end, s.reach), inverse, &log_beyond);
    *log_slope = ad_where(is_tail, log_beyond, log_inside);
    const ad_var ends = inverse ? s.z : s.u;
    const ad_var far = ad_where(above, ad_add(end_of(&s, ends, true), out), ad_sub(end_of(&s, ends, false), out));
    return ad_where(is_tail, far, in);
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    ad_var log_slope, u = map(at, z, false, &log_slope);
    *log_det = ad_sum(ad_add(log_slope, ad_log(nf_param(at, "scale"))));
    return ad_add(ad_mul(u, nf_param(at, "scale")), nf_param(at, "centre"));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    ad_var log_slope, u = ad_div(ad_sub(x, nf_param(at, "centre")), nf_param(at, "scale"));
    ad_var z = map(at, u, true, &log_slope);
    *log_det = ad_neg(ad_sum(ad_add(log_slope, ad_log(nf_param(at, "scale")))));
    return z;
}

/* ---- From data -------------------------------------------------------------------------------------------------- */

static ad_status fit_column(nf_bijector *self, size_t j, const double *x, size_t rows, double reach, double *value,
                            nf__marginal *fitted, double *tail, ad_error *error)
{
    const size_t n = self->dim, bins = bins_of(self);
    double *log_width = nf_parameter_value(self, "log_width"), *log_slope = nf_parameter_value(self, "log_slope");
    for (size_t r = 0; r < rows; r++) {
        value[r] = x[r * n + j];
        if (!isfinite(value[r]))
            return ad_error_set(error, AD_ERROR_NUMERIC, "marginal: column %zu has a value that isn't finite", j + 1);
    }
    ad_status status = nf__fit_marginal(value, rows, bins, reach, fitted, error);
    if (status != AD_OK) return status;
    nf_parameter_value(self, "centre")[j] = fitted->centre;
    nf_parameter_value(self, "scale")[j] = fitted->scale;
    nf_parameter_value(self, "start")[j] = fitted->knot[0];
    for (size_t k = 0; k < bins; k++) log_width[k * n + j] = log(fitted->knot[k + 1] - fitted->knot[k]);
    for (size_t k = 0; k <= bins; k++) log_slope[k * n + j] = log(fitted->slope[k]);
    for (size_t side = 0; side < 2; side++) tail[side * n + j] = fitted->tail[side];
    return AD_OK;
}

static ad_status fit(nf_bijector *self, const double *x, size_t rows, ad_error *error)
{
    const size_t n = self->dim, bins = bins_of(self);
    const double reach = nf__marginal_reach(rows);
    double *memory = ad_alloc(rows + 2 * (bins + 1) + 2 * n, sizeof *memory);
    if (!memory) return ad_error_set(error, AD_ERROR_MEMORY, "marginal: out of memory for %zu rows", rows);
    double *tail = memory, *value = tail + 2 * n;
    nf__marginal fitted = {.knot = value + rows, .slope = value + rows + bins + 1};
    ad_status status = AD_OK;
    for (size_t j = 0; j < n && status == AD_OK; j++)
        status = fit_column(self, j, x, rows, reach, value, &fitted, tail, error);
    if (status == AD_OK) {
        nf_parameter_value(self, "reach")[0] = reach;
        nf_parameter_set(self, "tail", tail);
    }
    ad_free(memory);
    return status;
}

static const nf_argument arguments[] = {
    {"bins", NF_COUNT, 24, 1, 1024, NULL, "of the spline"},
    {"learned", NF_CHOICE, 0, 0, 0, "no|yes", "whether training goes on from the fit"},
    {0},
};

const nf_bijector_type nf__type_marginal = {
    .name = "marginal",
    .help = "each feature's distribution, by the data's quantiles and heavy tails",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
    .fit = fit,
};
