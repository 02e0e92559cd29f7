/* For tests of roots: one map of each kind. */
#ifndef WEIR_TESTS_MAPS_H
#define WEIR_TESTS_MAPS_H

#include "autodiff/engine.h"

typedef ad_var recorder(void *context, ad_tape *inner, ad_var z, const ad_var *captured);

static inline ad_var identity_map(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t, (void)captured;
    return z;
}

/* z + tanh(a) sin z, of each element; a is captured. */
static inline ad_var ripple_record(void *context, ad_tape *inner, ad_var z, const ad_var *captured)
{
    (void)context, (void)inner;
    return ad_add(z, ad_mul(ad_tanh(captured[0]), ad_sin(z)));
}

/* f_i = ±z_i e^(tanh of earlier ones) + z_i³/9 + a function of the earlier ones and of a, in the order of context. */
typedef struct {
    size_t dim, order[8];
} staircase;

static inline ad_var triangular_record(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    const staircase *s = context;
    const size_t n = s->dim;
    double earlier[64] = {0}, sign[8], place[8];
    for (size_t k = 0; k < n; k++) place[s->order[k]] = (double)k;
    for (size_t i = 0; i < n; i++) {
        sign[i] = i % 3 == 1 ? -1 : 1;
        for (size_t j = 0; j < n; j++) earlier[i * n + j] = place[j] < place[i] ? 0.7 : 0;
    }
    ad_var mask = ad_constant(t, AD_SHAPE(n, n), earlier), weight = ad_mul(captured[0], mask);
    ad_var h = ad_matmul(weight, ad_tanh(ad_add(z, captured[1])));
    ad_var own = ad_add(ad_mul(z, ad_exp(ad_tanh(h))), ad_mul_scalar(ad_mul(z, ad_square(z)), 1 / 9.));
    return ad_add(ad_mul(own, ad_constant(t, AD_SHAPE(n), sign)), ad_sin(h));
}

/* Smooth and one to one, for z + 3 Bᵀ tanh(B z) / |B|² has a positive definite Jacobian; with no zeros in its own. */
static inline ad_var general_record(void *context, ad_tape *t, ad_var z, const ad_var *captured)
{
    (void)context, (void)t;
    ad_var b = captured[0], size = ad_sum(ad_square(b)), inner = ad_tanh(ad_matmul(b, z));
    ad_var push = ad_div(ad_matmul(ad_transpose(b), inner), size);
    ad_var y = ad_add(ad_add(z, ad_mul_scalar(push, 3)), captured[1]);
    y = ad_add(y, ad_mul_scalar(ad_mul(y, ad_square(y)), 0.02));
    return ad_sub(ad_mul_scalar(y, 1.2), ad_mul_scalar(ad_cumsum(y, 0, true), 0.2));
}

/* The three kinds, one after the other. */
static inline ad_var three_roots(problem *p, staircase *s)
{
    ad_var x = bind_random(p, true, AD_SHAPE(5), -3, 3);
    ad_var captured[] = {bind_random(p, false, AD_SHAPE(5, 5), -1, 1), bind_random(p, true, AD_SHAPE(5), -1, 1)};
    ad_var z = ad_root(x, captured, 2, AD_ROOT_TRIANGULAR, s->order, triangular_record, s);
    z = ad_root(z, captured, 2, AD_ROOT_GENERAL, NULL, general_record, NULL);
    return ad_root(z, captured + 1, 1, AD_ROOT_ELEMENTWISE, NULL, ripple_record, NULL);
}

#endif
