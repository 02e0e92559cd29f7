/* Functions of two arguments by SLEEF: powers and angles. */
#include "ops/elementwise.h"
#include "ops/vector_math.h"

/* Define an op's loop from SLEEF's function of two vectors. An argument of one number is spread out; the last
 * numbers go through padded copies. */
#define AD_SLEEF_BINARY(name)                                                                                          \
    AD_LOOP(name)                                                                                                      \
    {                                                                                                                  \
        real *out = to;                                                                                                \
        (void)attribute;                                                                                               \
        for (size_t i = 0; i < n; i += AD_LANES) {                                                                     \
            const size_t count = n - i < AD_LANES ? n - i : AD_LANES;                                                  \
            real argument[2][AD_LANES];                                                                                \
            sleef_vector v[2];                                                                                         \
            for (int k = 0; k < 2; k++) {                                                                              \
                for (size_t j = 0; j < AD_LANES; j++)                                                                  \
                    argument[k][j] = ((const real *)in[k])[stride[k] && j < count ? i + j : 0];                        \
                memcpy(&v[k], argument[k], sizeof v[k]);                                                               \
            }                                                                                                          \
            v[0] = AD_SLEEF(name, u10)(v[0], v[1]);                                                                    \
            memcpy(out + i, &v[0], count * sizeof(real));                                                              \
        }                                                                                                              \
    }

static ad_var zero_replaced(ad_var x, ad_var by)
{
    return ad_where(ad_equal(x, ad_scalar(x.tape, 0)), by, x);
}

/* ---- pow ------------------------------------------------------------------------------------------------------- */

AD_SLEEF_BINARY(pow)

/* b a^(b-1) and a^b log a: at b = 0 the first is 0, and at a = 0 the second, whatever the other factor. */
static void pow_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    const ad_var a = call->in[0], b = call->in[1], one = ad_scalar(call->tape, 1);
    ad_var exponent = ad_where(ad_equal(b, ad_scalar(call->tape, 0)), one, ad_add_scalar(b, -1));
    gradient[0] = ad_mul(g, ad_mul(b, ad_pow(a, exponent)));
    gradient[1] = ad_mul(g, ad_mul(y, ad_log(zero_replaced(a, one))));
}

AD_DEFINE_OP(pow) = {
    .name = "pow",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = pow_loop,
    .vjp = pow_vjp,
    AD_BINARY_SAMPLES(0.5, 2, -2, 2),
};

/* ---- atan2 ----------------------------------------------------------------------------------------------------- */

AD_SLEEF_BINARY(atan2)

/* (x, -y) / (x² + y²), of numbers that were divided by the larger, whose squares neither overflow nor vanish. */
static void atan2_vjp(const ad_call *call, ad_var angle, ad_var g, ad_var *gradient)
{
    (void)angle;
    ad_var larger = ad_stop_gradient(ad_maximum(ad_abs(call->in[0]), ad_abs(call->in[1])));
    ad_var y = ad_div(call->in[0], larger), x = ad_div(call->in[1], larger);
    ad_var scaled = ad_div(g, ad_mul(larger, ad_add(ad_square(x), ad_square(y))));
    gradient[0] = ad_mul(scaled, x);
    gradient[1] = ad_neg(ad_mul(scaled, y));
}

AD_DEFINE_OP(atan2) = {
    .name = "atan2",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = atan2_loop,
    .vjp = atan2_vjp,
    AD_BINARY_SAMPLES(0.5, 2, -2, 2),
};
