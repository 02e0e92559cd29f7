/* The logarithm of the beta function, and its derivative. */
#include "ops/polygamma.h"

#define HALF_LOG_2PI 0.91893853320467274178

/* Arguments small, mixed and large. */
#define AD_BETA_SAMPLES                                                                                                \
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), 0.5, 4}, {AD_DIMS(4), 0.5, 4}}},                                        \
               {.n_in = 2, .in = {{AD_DIMS(3, 1), 0.5, 4}, {AD_DIMS(4), 12, 30}}},                                     \
               {.n_in = 2, .in = {{AD_NO_DIMS, 12, 30}, {AD_DIMS(2, 3), 0.5, 4}}},                                     \
               {.n_in = 2, .in = {{AD_DIMS(2, 3), 12, 30}, {AD_DIMS(1, 3), 12, 90}}})

/* ---- lbeta ----------------------------------------------------------------------------------------------------- */

/* lgamma(x) - ((x - 1/2) log x - x + log √2π), for x >= 10: Stirling's series, to 1e-17. */
static void stirling_error(const double *x, double *y)
{
    static const double c[] = {1.0 / 12,   -1.0 / 360,      1.0 / 1260, -1.0 / 1680,
                               1.0 / 1188, -691.0 / 360360, 1.0 / 156,  -3617.0 / 122400};
    double inverse_square[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) inverse_square[i] = 1 / (x[i] * x[i]);
    polynomial(inverse_square, c, 8, y);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] /= x[i];
}

/* lgamma(q) - lgamma(p + q) without p (1 - log(p + q)), for q >= 10, where the leading terms of both would cancel. */
static void lgamma_difference(const double *p, const double *q, double *y)
{
    double sum[WIDE], error_q[WIDE], error_sum[WIDE], shrink[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        sum[i] = p[i] + q[i];
        shrink[i] = -p[i] / sum[i];
    }
    stirling_error(q, error_q);
    stirling_error(sum, error_sum);
    wide_log1p(shrink, shrink);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] = (q[i] - 0.5) * shrink[i] + (error_q[i] - error_sum[i]);
}

/* In the smaller p and the larger q, by cases as in Didonato and Morris 1992, "Algorithm 708". */
static void lbeta_wide(const double *const in[], double *out, const double *attribute)
{
    (void)attribute;
    double p[WIDE], q[WIDE], big_p[WIDE], big_q[WIDE], log_sum[WIDE], log_share[WIDE], difference[WIDE];
    double lgamma_p[WIDE], lgamma_q[WIDE], lgamma_sum[WIDE], error_p[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        const double a = in[0][i], b = in[1][i];
        p[i] = a < b || a != a ? a : b;
        q[i] = a < b || a != a ? b : a;
        big_p[i] = p[i] > 10 ? p[i] : 10;
        big_q[i] = q[i] > 10 ? q[i] : 10;
        lgamma_sum[i] = p[i] + q[i];
        log_sum[i] = p[i] + big_q[i];
        log_share[i] = big_p[i] / (big_p[i] + big_q[i]);
    }
    wide_log(log_sum, log_sum);
    wide_log(log_share, log_share);
    wide_lgamma(p, lgamma_p);
    wide_lgamma(q, lgamma_q);
    wide_lgamma(lgamma_sum, lgamma_sum);
    stirling_error(big_p, error_p);
    lgamma_difference(p, big_q, difference);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        const double both = HALF_LOG_2PI - 0.5 * log_sum[i] + error_p[i] + (p[i] - 0.5) * log_share[i] + difference[i];
        const double one = lgamma_p[i] + (p[i] * (1 - log_sum[i]) + difference[i]);
        const double none = lgamma_p[i] + (lgamma_q[i] - lgamma_sum[i]);
        const double inside = p[i] >= 10 ? both : q[i] >= 10 ? one : none;
        const double edge = p[i] == 0 && q[i] < INFINITY ? INFINITY : p[i] > 0 && q[i] == INFINITY ? -INFINITY : NAN;
        out[i] = p[i] > 0 && q[i] < INFINITY ? inside : edge;
    }
}

AD_WIDE_OP(lbeta, 2)

static void lbeta_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    const ad_var a = call->in[0], b = call->in[1];
    gradient[0] = ad_mul(g, ad__lbeta_slope(a, b));
    gradient[1] = ad_mul(g, ad__lbeta_slope(b, a));
}

AD_DEFINE_OP(lbeta) = {
    .name = "lbeta",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = lbeta_loop,
    .vjp = lbeta_vjp,
    AD_BETA_SAMPLES,
};

/* ---- lbeta_slope: ψ(a) - ψ(a + b) ------------------------------------------------------------------------------ */

/* For a >= 10 by the series of both, whose logarithms are taken together. */
static void lbeta_slope_wide(const double *const in[], double *out, const double *attribute)
{
    (void)attribute;
    double big[WIDE], sum[WIDE], growth[WIDE], series[WIDE], series_sum[WIDE], at_a[WIDE], at_sum[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) sum[i] = in[0][i] + in[1][i];
    polygamma_of(in[0], 0, at_a);
    polygamma_of(sum, 0, at_sum);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        big[i] = in[0][i] > 10 ? in[0][i] : 10;
        sum[i] = big[i] + in[1][i];
        growth[i] = in[1][i] / big[i];
    }
    asymptotic_series(big, 0, series);
    asymptotic_series(sum, 0, series_sum);
    wide_log1p(growth, growth);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        const double both = -growth[i] - 0.5 * in[1][i] / (big[i] * sum[i]) - (series[i] - series_sum[i]);
        out[i] = in[0][i] >= 10 && in[1][i] >= 0 ? both : at_a[i] - at_sum[i];
    }
}

AD_WIDE_OP(lbeta_slope, 2)

static void lbeta_slope_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    const ad_var a = call->in[0], of_sum = ad_polygamma(ad_add(a, call->in[1]), 1);
    gradient[0] = ad_mul(g, ad_sub(ad_polygamma(a, 1), of_sum));
    gradient[1] = ad_neg(ad_mul(g, of_sum));
}

AD_DEFINE_OP(lbeta_slope) = {
    .name = "lbeta_slope",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = lbeta_slope_loop,
    .vjp = lbeta_slope_vjp,
    AD_BETA_SAMPLES,
};
