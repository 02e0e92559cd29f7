/* dequantize(f): variational dequantization (Ho et al. 2019, "Flow++", section 3.1). Features x are whole numbers from
 * 0 to levels - 1, of which a flow models y = logit((x + u) / levels), with noise u in (0, 1) that a conditional flow
 * has made of ε from N(0, I),
 *
 *     u = sigmoid(f(ε | x)),      q(u | x) = N(ε; 0, I) / |du/dε|,
 *
 * so that by Jensen's inequality
 *
 *     log P(x) >= E_q[ log p_y(y) + log|dy/du| - log q(u | x) ]:
 *
 * what stands in the place of log|dy/dx| is one draw of the last two, and log p of such a flow is one draw of a lower
 * bound, which fitting moves up by f too. The other way it is no draw: x is the whole part of levels sigmoid(y).
 *
 * The context of f is x, between -1 and 1, of as many numbers as there are features. It isn't a bijector, and only ends
 * a flow. */
#include "core/internal.h"

#include <weir/features.h>

#include <math.h>

enum { STREAM = 128 }; /* of the noise */

nf_bijector *nf__dequantize(nf_bijector *child, size_t context, const nf_arguments *given, size_t *room,
                            ad_error *error)
{
    if (!child) return NULL;
    nf_arguments own = given ? *given : (nf_arguments){0};
    own.shape = child->shape;
    nf_bijector *self =
        nf__adopt(nf__bijector_within(&nf__type_dequantize, child->dim, context, &own, room, error), child, error);
    if (!self) return NULL;
    if (child->context == self->dim) return self;
    ad_error_set(error, AD_ERROR_ARGUMENT, "dequantize: expected a bijector whose context has %zu numbers, got %zu",
                 self->dim, child->context);
    nf_bijector_free(self);
    return NULL;
}

static ad_var same(void *context, ad_var var)
{
    (void)context;
    return var;
}

/* A scope of the noise's flow, given x. */
static nf_scope *given_values(const nf_scope *at, ad_var x, double levels)
{
    nf_scope *noise = nf__scope_like(&at->child[0], at->tape, same, NULL);
    nf_set_context(noise, ad_add_scalar(ad_mul_scalar(x, 2 / fmax(levels - 1, 1)), -1));
    return noise;
}

static ad_var log_normal(ad_var epsilon)
{
    const double log_root_2pi = 0.91893853320467274178, dim = (double)ad_shape_size(ad_shape_of(epsilon));
    return ad_add_scalar(ad_mul_scalar(ad_sum(ad_square(epsilon)), -0.5), -dim * log_root_2pi);
}

/* log|du/dv| of u = sigmoid(v) */
static ad_var log_slope(ad_var v)
{
    return ad_neg(ad_sum(ad_add(ad_softplus(v), ad_softplus(ad_neg(v)))));
}

/* log|dy/du| of y = logit((x + u) / levels), from t = x + u */
static ad_var log_stretch(ad_var t, ad_var rest, double levels)
{
    const double dim = (double)ad_shape_size(ad_shape_of(t));
    return ad_add_scalar(ad_neg(ad_sum(ad_add(ad_log(t), ad_log(rest)))), dim * log(levels));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    const double levels = nf_argument_value(at->self, "levels");
    ad_var outside, zero = ad_scalar(x.tape, 0), noise_det;
    ad_var inside = nf_into_support(x, -0.5, levels - 0.5, 0, &outside);
    ad_var floor = ad_floor(inside), broken = ad_greater(ad_abs(ad_sub(inside, floor)), zero);
    ad_var whole = ad_maximum(floor, zero); /* the floor of -0.3 is below all levels */
    const nf_scope *noise = given_values(at, whole, levels);
    ad_var epsilon = ad_normal(x.tape, AD_SHAPE(at->self->dim), STREAM), v = nf_forward(noise, epsilon, &noise_det);
    ad_var u = ad_inside(ad_sigmoid(v), 0, 1);
    ad_var t = ad_add(whole, u),
           rest = ad_add(ad_sub(ad_scalar(x.tape, levels - 1), whole), ad_sub(ad_scalar(x.tape, 1), u));
    ad_var density = ad_sub(log_normal(epsilon), ad_add(noise_det, log_slope(v)));
    ad_var of_numbers = nf_log_det_on_support(ad_mul_scalar(x, 0), ad_maximum(outside, broken));
    *log_det = ad_add(ad_sub(log_stretch(t, rest, levels), density), of_numbers);
    return ad_sub(ad_log(t), ad_log(rest));
}

static ad_var forward(const nf_scope *at, ad_var y, ad_var *log_det)
{
    const double levels = nf_argument_value(at->self, "levels");
    ad_var noise_det, high = ad_scalar(y.tape, levels - 1);
    ad_var t = ad_inside(ad_mul_scalar(ad_sigmoid(y), levels), 0, levels), rest = ad_sub(ad_scalar(y.tape, levels), t);
    ad_var x = ad_minimum(ad_floor(t), high), u = ad_inside(ad_sub(t, x), 0, 1);
    ad_var v = ad_sub(ad_log(u), ad_log(ad_sub(ad_scalar(y.tape, 1), u)));
    ad_var epsilon = nf_inverse(given_values(at, x, levels), v, &noise_det);
    ad_var density = ad_add(log_normal(epsilon), ad_sub(noise_det, log_slope(v)));
    *log_det = ad_sub(density, log_stretch(t, rest, levels));
    return x;
}

const nf_bijector_type nf__type_dequantize = {
    .name = "dequantize",
    .help = "x = the whole part of levels sigmoid(z), the rest being noise of f given x",
    .argument = (const nf_argument[]){{"levels", NF_COUNT, 256, 2, 16777216, NULL, "x is one of 0 to levels - 1"}, {0}},
    .forward = forward,
    .inverse = inverse,
};
