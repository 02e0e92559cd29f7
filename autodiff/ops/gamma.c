/* The logarithm of the gamma function, and its derivatives of any order. */
#include "ops/polygamma.h"

/* ---- lgamma ---------------------------------------------------------------------------------------------------- */

AD_LOOP(lgamma)
{
    (void)stride, (void)attribute;
    vector_lgamma(n, in[0], to);
}

static void lgamma_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_digamma(call->in[0]));
}

AD_DEFINE_OP(lgamma) = {
    .name = "lgamma",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = lgamma_loop,
    .vjp = lgamma_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(0.2, 5), AD_UNARY_SAMPLES(-1.9, -1.1)),
};

/* ---- polygamma ------------------------------------------------------------------------------------------------- */

/* attribute: the order, 0 for digamma. */
static void polygamma_wide(const double *const in[], double *out, const double *attribute)
{
    polygamma_of(in[0], (int)attribute[0], out);
}

AD_WIDE_OP(polygamma, 1)

static void polygamma_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_polygamma(call->in[0], (int)call->attribute[0] + 1));
}

#define AD_ORDER(order, low, high)                                                                                     \
    {                                                                                                                  \
        .n_in = 1, .in = {{AD_DIMS(2, 3), low, high}}, AD_ATTRIBUTES(order)                                            \
    }

AD_DEFINE_OP(polygamma) = {
    .name = "polygamma",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = polygamma_loop,
    .vjp = polygamma_vjp,
    AD_SAMPLES(AD_ORDER(0, 0.5, 4), AD_ORDER(0, 8, 30), AD_ORDER(0, -2.8, -2.2), AD_ORDER(1, 0.7, 14),
               AD_ORDER(1, -1.7, -1.3), AD_ORDER(2, 0.8, 14), AD_ORDER(2, -0.6, -0.4), AD_ORDER(5, 1.5, 4)),
};
