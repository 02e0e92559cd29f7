/* The error function, and the normal's distribution function Φ in log space with its derivatives. */
#include "ops/wide.h"
#include "tape/record.h"

/* ---- erf, erfc ------------------------------------------------------------------------------------------------- */

#define AD_SLEEF_OP(name)                                                                                              \
    AD_LOOP(name)                                                                                                      \
    {                                                                                                                  \
        (void)stride, (void)attribute;                                                                                 \
        vector_##name(n, in[0], to);                                                                                   \
    }

/* g 2/√π exp(-x²) */
static ad_var times_bell(ad_var g, ad_var x)
{
    return ad_mul(ad_mul_scalar(g, 1.12837916709551257390), ad_exp(ad_neg(ad_square(x))));
}

AD_SLEEF_OP(erf)

static void erf_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = times_bell(g, call->in[0]);
}

AD_DEFINE_OP(erf) = {
    .name = "erf",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = erf_loop,
    .vjp = erf_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(-2, 2), AD_UNARY_SAMPLES(2, 4)),
};

AD_SLEEF_OP(erfc)

static void erfc_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_neg(times_bell(g, call->in[0]));
}

AD_DEFINE_OP(erfc) = {
    .name = "erfc",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = erfc_loop,
    .vjp = erfc_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(-2, 2), AD_UNARY_SAMPLES(2, 4)),
};

/* ---- log Φ and its derivatives --------------------------------------------------------------------------------- */

#define LOG_SQRT_2PI 0.91893853320467274178
#define SQRT_HALF    0.70710678118654752440
/* Φ's lower tail begins at TAIL, where a continued fraction takes over from a ratio of polynomials, and this at MIDDLE
 * from erfc. */
#define TAIL   (-4.0)
#define MIDDLE (-0.75)

/* e_i = x + h with h = φ/Φ, for x < TAIL, by Laplace's continued fraction of the Mills ratio: with u = -x,
 * h = u + 1/(u + 2/(u + 3/(u + …))). Nothing cancels in it. 30 terms are exact to 1e-14 at TAIL, and to 1e-16 in h. */
static void tail_excess(const double *x, double *e)
{
    enum { TERMS = 30 };
    double u[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) e[i] = u[i] = x[i] < TAIL ? -x[i] : -TAIL;
    for (int k = TERMS; k > 1; k--) AD_SIMD for (size_t i = 0; i < WIDE; i++) e[i] = u[i] + k / e[i];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) e[i] = 1 / e[i];
}

/* h for TAIL <= x <= MIDDLE: √(2/π) over exp(y²) erfc(y), y = -x/√2, which is Cody's ratio (1969, "Rational Chebyshev
 * approximations for the error function"); all of its coefficients are positive. */
static void middle_ratio(const double *x, double *h)
{
    static const double numerator[] = {1.23033935479799725e3, 2.05107837782607147e3,  1.71204761263407058e3,
                                       8.81952221241769090e2, 2.98635138197400131e2,  6.61191906371416295e1,
                                       8.88314979438837594,   5.64188496988670089e-1, 2.15311535474403846e-8};
    static const double denominator[] = {1.23033935480374942e3, 3.43936767414372164e3, 4.36261909014324716e3,
                                         3.29079923573345963e3, 1.62138957456669019e3, 5.37181101862009858e2,
                                         1.17693950891312499e2, 1.57449261107098347e1, 1};
    double y[WIDE], over[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] = -x[i] * SQRT_HALF;
    polynomial(y, numerator, 9, over);
    polynomial(y, denominator, 9, h);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) h[i] = 0.79788456080286535588 * h[i] / over[i];
}

/* c_i = Φ(-|x|) */
static void smaller_side(const double *x, double *c)
{
    AD_SIMD for (size_t i = 0; i < WIDE; i++) c[i] = fabs(x[i]) * SQRT_HALF;
    wide_erfc(c, c);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) c[i] *= 0.5;
}

static void log_cdf(const double *x, double *y)
{
    double e[WIDE], c[WIDE], above[WIDE], below[WIDE];
    tail_excess(x, e);
    smaller_side(x, c);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        above[i] = -c[i];
        below[i] = x[i] < TAIL ? e[i] - x[i] : c[i];
    }
    wide_log1p(above, above);
    wide_log(below, below);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        const double low = x[i] < TAIL ? -0.5 * x[i] * x[i] - LOG_SQRT_2PI - below[i] : below[i];
        y[i] = x[i] > 0 ? above[i] : low;
    }
}

/* The inverse Mills ratio h = φ/Φ, and e = x + h. */
static void inverse_mills(const double *x, double *h, double *e)
{
    double tail[WIDE], middle[WIDE], c[WIDE], density[WIDE];
    tail_excess(x, tail);
    middle_ratio(x, middle);
    smaller_side(x, c);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) density[i] = -0.5 * x[i] * x[i] - LOG_SQRT_2PI;
    wide_exp(density, density);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        const double direct = density[i] / (x[i] > 0 ? 1 - c[i] : c[i]);
        h[i] = x[i] < TAIL ? tail[i] - x[i] : x[i] <= MIDDLE ? middle[i] : direct;
        e[i] = x[i] < TAIL ? tail[i] : x[i] + h[i];
    }
}

/* Taylor coefficients of h about x from h' = -h e and e = x + h: (k + 1) h_(k+1) = -Σ h_j e_(k-j). */
static void mills_derivative(const double *x, int order, double *y)
{
    double bounded[WIDE], h[AD__MOST_LOG_NDTR][WIDE], e[AD__MOST_LOG_NDTR][WIDE], factorial = 1;
    /* Where h is 0, or the same as -x, so is all that follows what it is at infinity. */
    for (size_t i = 0; i < WIDE && order > 1; i++) bounded[i] = x[i] > 1e100 ? 1e100 : x[i] < -1e100 ? -1e100 : x[i];
    inverse_mills(order > 1 ? bounded : x, h[0], e[0]);
    for (int k = 0; k + 1 < order; k++) {
        factorial *= k + 1;
        AD_SIMD for (size_t i = 0; i < WIDE; i++) h[k + 1][i] = 0;
        for (int j = 0; j <= k; j++) AD_SIMD for (size_t i = 0; i < WIDE; i++) h[k + 1][i] -= h[j][i] * e[k - j][i];
        AD_SIMD for (size_t i = 0; i < WIDE; i++)
        {
            h[k + 1][i] /= k + 1;
            e[k + 1][i] = h[k + 1][i] + (k == 0 ? 1 : 0);
        }
    }
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] = factorial * h[order - 1][i];
}

/* attribute: the order of the derivative of log Φ, 0 for itself. */
static void log_ndtr_wide(const double *const in[], double *out, const double *attribute)
{
    if (attribute[0] == 0)
        log_cdf(in[0], out);
    else
        mills_derivative(in[0], (int)attribute[0], out);
}

AD_WIDE_OP(log_ndtr, 1)

static void log_ndtr_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad__log_ndtr(call->in[0], (int)call->attribute[0] + 1));
}

#define AD_ORDERED_SAMPLES(low, high)                                                                                  \
    {.n_in = 1, .in = {{AD_DIMS(5), low, high}}, AD_ATTRIBUTES(0)},                                                    \
        {.n_in = 1, .in = {{AD_DIMS(2, 3), low, high}}, AD_ATTRIBUTES(1)},                                             \
    {                                                                                                                  \
        .n_in = 1, .in = {{AD_DIMS(5), low, high}}, AD_ATTRIBUTES(2)                                                   \
    }

AD_DEFINE_OP(log_ndtr) = {
    .name = "log_ndtr",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = log_ndtr_loop,
    .vjp = log_ndtr_vjp,
    AD_SAMPLES(AD_ORDERED_SAMPLES(-2, 4), AD_ORDERED_SAMPLES(-12, -6)),
};
