/* Inverses of the error function and of the normal's distribution function: Wichura 1988, "Algorithm AS 241: the
 * percentage points of the normal distribution", PPND16, with relative errors of about 1e-16. */
#include "ops/wide.h"
#include "tape/record.h"

#define SQRT_2PI     2.50662827463100050242
#define LOG_SQRT_2PI 0.91893853320467274178

/* Three ratios of polynomials, of degree 7. */
typedef struct {
    double numerator[8], denominator[8];
} ratio;

static const ratio centre = {
    {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
     4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3},
    {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3, 2.1213794301586595867e+4,
     3.9307895800092710610e+4, 2.8729085735721942674e+4, 5.2264952788528545610e+3}};
static const ratio tail = {
    {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
    {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
     1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9}};
static const ratio far_tail = {
    {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
    {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
     1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15}};

static void divide_polynomials(const double *x, const ratio *of, double *y)
{
    double denominator[WIDE];
    polynomial(x, of->numerator, 8, y);
    polynomial(x, of->denominator, 8, denominator);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) y[i] /= denominator[i];
}

/* Φ^-1 from q = p - 1/2 and from log min(p, 1 - p), so that each caller can give both without cancellation. */
static void quantile(const double *q, const double *log_side, double *y)
{
    double square[WIDE], near[WIDE], r[WIDE], far[WIDE], inner[WIDE], outer[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        r[i] = sqrt(-log_side[i]);
        square[i] = 0.180625 - q[i] * q[i];
        near[i] = r[i] - 1.6;
        far[i] = (r[i] > 30 ? 30 : r[i]) - 5; /* the callers go on from there, where they can get there */
    }
    divide_polynomials(square, &centre, inner);
    divide_polynomials(near, &tail, outer);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) near[i] = outer[i];
    divide_polynomials(far, &far_tail, outer);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        const double side = log_side[i] == -INFINITY ? INFINITY : r[i] <= 5 ? near[i] : outer[i];
        y[i] = fabs(q[i]) <= 0.425 ? q[i] * inner[i] : q[i] < 0 ? -side : side;
    }
}

/* ---- ndtri ----------------------------------------------------------------------------------------------------- */

static void ndtri_wide(const double *const in[], double *out, const double *attribute)
{
    (void)attribute;
    double q[WIDE], side[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        q[i] = in[0][i] - 0.5;
        side[i] = in[0][i] < 0.5 ? in[0][i] : 1 - in[0][i];
    }
    wide_log(side, side); /* NaN where p isn't within [0, 1] */
    quantile(q, side, out);
}

AD_WIDE_OP(ndtri, 1)

/* 1 / φ(y) */
static void ndtri_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad_mul(ad_mul_scalar(g, SQRT_2PI), ad_exp(ad_mul_scalar(ad_square(y), 0.5)));
}

AD_DEFINE_OP(ndtri) = {
    .name = "ndtri",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = ndtri_loop,
    .vjp = ndtri_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(0.1, 0.9), AD_UNARY_SAMPLES(0.03, 0.07)),
};

/* ---- ndtri_exp ------------------------------------------------------------------------------------------------- */

/* Newton's steps in u = -x for log Φ(-u) = log_p, where u is 20 or more: log Φ = -u²/2 - log √2π - log h, with the
 * continued fraction h = u + 1/(u + 2/(u + 3/(u + …))), which is also its slope. */
static void refine(const double *log_p, double *u)
{
    double h[WIDE], log_h[WIDE];
    for (int step = 0; step < 3; step++) {
        AD_SIMD for (size_t i = 0; i < WIDE; i++) h[i] = u[i] + 6 / u[i];
        for (int k = 5; k > 0; k--) AD_SIMD for (size_t i = 0; i < WIDE; i++) h[i] = u[i] + k / h[i];
        wide_log(h, log_h);
        AD_SIMD for (size_t i = 0; i < WIDE; i++) u[i] -=
            (0.5 * u[i] * u[i] + LOG_SQRT_2PI + log_h[i] + log_p[i]) / h[i];
    }
}

static void ndtri_exp_wide(const double *const in[], double *out, const double *attribute)
{
    const double log2_high = 0.693147180369123816490, log2_low = 1.90821492927058770002e-10, refined = -300;
    const double *log_p = in[0];
    double q[WIDE], log_above[WIDE], side[WIDE], u[WIDE], bounded[WIDE];
    (void)attribute;
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        q[i] = log_p[i] + log2_high + log2_low;
        log_above[i] = log_p[i];
        bounded[i] = log_p[i] < refined ? log_p[i] : refined;
        u[i] = -2 * bounded[i];
    }
    wide_expm1(q, q); /* 2 p - 1 */
    wide_expm1(log_above, log_above);
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        q[i] *= 0.5;
        log_above[i] = -log_above[i];
    }
    wide_log(log_above, log_above); /* log(1 - p); NaN where log p > 0 */
    AD_SIMD for (size_t i = 0; i < WIDE; i++) side[i] = q[i] < 0 ? log_p[i] : log_above[i];
    quantile(q, side, out);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) u[i] = sqrt(u[i]);
    refine(bounded, u);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) out[i] = log_p[i] < refined && log_p[i] > -INFINITY ? -u[i] : out[i];
}

AD_WIDE_OP(ndtri_exp, 1)

/* Φ(y) / φ(y) */
static void ndtri_exp_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad_div(g, ad__log_ndtr(y, 1));
}

AD_DEFINE_OP(ndtri_exp) = {
    .name = "ndtri_exp",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = ndtri_exp_loop,
    .vjp = ndtri_exp_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(-2, -0.1), AD_UNARY_SAMPLES(-20, -3), AD_UNARY_SAMPLES(-900, -310)),
};

/* ---- erfinv ---------------------------------------------------------------------------------------------------- */

/* Φ^-1((1 + x) / 2) / √2 */
static void erfinv_wide(const double *const in[], double *out, const double *attribute)
{
    (void)attribute;
    double q[WIDE], side[WIDE];
    AD_SIMD for (size_t i = 0; i < WIDE; i++)
    {
        q[i] = 0.5 * in[0][i];
        side[i] = 0.5 * (1 - fabs(in[0][i]));
    }
    wide_log(side, side);
    quantile(q, side, out);
    AD_SIMD for (size_t i = 0; i < WIDE; i++) out[i] *= 0.70710678118654752440;
}

AD_WIDE_OP(erfinv, 1)

/* √π/2 exp(y²) */
static void erfinv_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad_mul(ad_mul_scalar(g, 0.88622692545275801365), ad_exp(ad_square(y)));
}

AD_DEFINE_OP(erfinv) = {
    .name = "erfinv",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = erfinv_loop,
    .vjp = erfinv_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(-0.8, 0.8), AD_UNARY_SAMPLES(0.87, 0.94)),
};
