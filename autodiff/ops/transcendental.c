/* exp, log, tanh and what is made of them, element by element. */
#include "ops/elementwise.h"
#include "ops/vector_elements.h"
#include "tape/record.h"

/* Define the loop of an op that is one vector function. */
#define AD_TRANSCENDENTAL(name)                                                                                        \
    AD_LOOP(name)                                                                                                      \
    {                                                                                                                  \
        (void)stride, (void)attribute;                                                                                 \
        vector_##name(n, in[0], to);                                                                                   \
    }

#define AD_TWO_SAMPLES(low, high)                                                                                      \
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), low, high}}}, {.n_in = 1, .in = {{AD_DIMS(2, 3), low, high}}})

enum { CHUNK = 256 };

AD_TRANSCENDENTAL(exp)

static void exp_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad_mul(g, y);
}

AD_ELEMENT(exp)
{
    (void)attribute;
    return ad__element_call(list, (ad__function *)AD_SLEEF(exp, u10), in[0]);
}

AD_DEFINE_OP(exp) = {
    .name = "exp",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = exp_loop,
    AD_FUSED_BY_FUNCTION(exp),
    .vjp = exp_vjp,
    AD_TWO_SAMPLES(-2, 2),
};

AD_TRANSCENDENTAL(log)

static void log_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_div(g, call->in[0]);
}

AD_ELEMENT(log)
{
    (void)attribute;
    return element_of_log(list, in[0]);
}

AD_DEFINE_OP(log) = {
    .name = "log",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = log_loop,
    AD_FUSED_BY_FUNCTION(log),
    .vjp = log_vjp,
    AD_TWO_SAMPLES(0.5, 2),
};

/* vector_log1p() is infinite where 1 + x is near the end of the dtype; log x, which is log(1 + x) there, isn't. */
AD_LOOP(log1p)
{
    real *out = to;
    (void)stride, (void)attribute;
    const real large = AD_REAL_BITS == 32 ? (real)1e37 : (real)1e306;
    const real *from = in[0];
    real x[CHUNK];
    for (size_t begin = 0; begin < n; begin += CHUNK) {
        const size_t count = n - begin < CHUNK ? n - begin : CHUNK;
        memcpy(x, from + begin, count * sizeof *x);
        vector_log1p(count, x, out + begin);
        for (size_t i = 0; i < count; i++)
            if (x[i] > large) vector_log(1, x + i, out + begin + i);
    }
}

static void log1p_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_div(g, ad_add_scalar(call->in[0], 1));
}

AD_ELEMENT(log1p)
{
    (void)attribute;
    const ad__element large = ad__element_constant(list, (double)(AD_REAL_BITS == 32 ? (real)1e37 : (real)1e306));
    const ad__element one_more = ad__element_call(list, (ad__function *)AD_SLEEF(log1p, u10), in[0]);
    const ad__element alone = element_of_log(list, in[0]);
    return ad__element_choose(list, AD_GREATER, in[0], large, alone, one_more);
}

AD_DEFINE_OP(log1p) = {
    .name = "log1p",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = log1p_loop,
    AD_FUSED_BY_FUNCTION(log1p),
    .vjp = log1p_vjp,
    AD_TWO_SAMPLES(-0.5, 2),
};

AD_TRANSCENDENTAL(expm1)

static void expm1_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad_mul(g, ad_add_scalar(y, 1));
}

AD_ELEMENT(expm1)
{
    (void)attribute;
    return ad__element_call(list, (ad__function *)AD_SLEEF(expm1, u10), in[0]);
}

AD_DEFINE_OP(expm1) = {
    .name = "expm1",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = expm1_loop,
    AD_FUSED_BY_FUNCTION(expm1),
    .vjp = expm1_vjp,
    AD_TWO_SAMPLES(-2, 2),
};

AD_TRANSCENDENTAL(tanh)

static void tanh_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad__tanh_slope(g, y);
}

AD_ELEMENT(tanh)
{
    (void)attribute;
    return element_of_tanh(list, in[0]);
}

AD_DEFINE_OP(tanh) = {
    .name = "tanh",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = tanh_loop,
    AD_FUSED_BY_FUNCTION(tanh),
    .vjp = tanh_vjp,
    AD_TWO_SAMPLES(-2, 2),
};

/* tanh_slope(g, y): g (1 - y²), the gradient of y = tanh(x), in one pass. */
AD_BINARY(tanh_slope, a *(1 - b * b))

static void tanh_slope_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad__tanh_slope(g, call->in[1]);
    gradient[1] = ad_mul(ad_mul_scalar(g, -2), ad_mul(call->in[0], call->in[1]));
}

AD_ELEMENT(tanh_slope)
{
    (void)attribute;
    const ad__element slope = ad__element_sub(list, ad__element_constant(list, 1), ad__element_mul(list, in[1], in[1]));
    return ad__element_mul(list, in[0], slope);
}

AD_DEFINE_OP(tanh_slope) = {
    .name = "tanh_slope",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE | AD_OP_LINEAR_IN_FIRST,
    .loop[AD_DTYPE] = tanh_slope_loop,
    AD_FUSED_BY_ELEMENT(tanh_slope),
    .vjp = tanh_slope_vjp,
    AD_BINARY_SAMPLES(-2, 2, -1, 1),
};

AD_TRANSCENDENTAL(sin)

static void sin_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_cos(call->in[0]));
}

AD_ELEMENT(sin)
{
    (void)attribute;
    return ad__element_call(list, (ad__function *)AD_SLEEF_EACH(sin, u10), in[0]);
}

AD_DEFINE_OP(sin) = {
    .name = "sin",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = sin_loop,
    AD_FUSED_BY_FUNCTION(sin),
    .vjp = sin_vjp,
    AD_TWO_SAMPLES(-4, 4),
};

AD_TRANSCENDENTAL(cos)

static void cos_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_neg(ad_mul(g, ad_sin(call->in[0])));
}

AD_ELEMENT(cos)
{
    (void)attribute;
    return ad__element_call(list, (ad__function *)AD_SLEEF_EACH(cos, u10), in[0]);
}

AD_DEFINE_OP(cos) = {
    .name = "cos",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = cos_loop,
    AD_FUSED_BY_FUNCTION(cos),
    .vjp = cos_vjp,
    AD_TWO_SAMPLES(-4, 4),
};

/* ---- Composed ones ------------------------------------------------------------------------------------------- */

/* e_i = exp(-|x_i|), which cannot overflow. */
static inline void exp_minus_abs(size_t n, const real *x, real *e)
{
    AD_SIMD for (size_t i = 0; i < n; i++) e[i] = -fabs(x[i]);
    vector_exp(n, e, e);
}

static ad__element exp_minus_abs_element(ad__elements *list, ad__element x)
{
    return ad__element_call(list, (ad__function *)AD_SLEEF(exp, u10), ad__element_neg(list, ad__element_abs(list, x)));
}

AD_LOOP(sigmoid)
{
    (void)stride, (void)attribute;
    real e[CHUNK];
    for (size_t begin = 0; begin < n; begin += CHUNK) {
        size_t count = n - begin < CHUNK ? n - begin : CHUNK;
        const real *x = (const real *)in[0] + begin;
        real *y = (real *)to + begin;
        exp_minus_abs(count, x, e);
        AD_SIMD for (size_t i = 0; i < count; i++) y[i] = (x[i] < 0 ? e[i] : (real)1) / (1 + e[i]);
    }
}

static void sigmoid_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    gradient[0] = ad_mul(ad_mul(g, y), ad_sub(ad_scalar(call->tape, 1), y));
}

AD_ELEMENT(sigmoid)
{
    (void)attribute;
    const ad__element e = exp_minus_abs_element(list, in[0]), one = ad__element_constant(list, 1);
    const ad__element above = ad__element_choose(list, AD_LESS, in[0], ad__element_constant(list, 0), e, one);
    return ad__element_div(list, above, ad__element_add(list, one, e));
}

AD_DEFINE_OP(sigmoid) = {
    .name = "sigmoid",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = sigmoid_loop,
    AD_FUSED_BY_FUNCTION(sigmoid),
    .vjp = sigmoid_vjp,
    AD_TWO_SAMPLES(-4, 4),
};

/* max(x, 0) + log1p(exp(-|x|)) */
AD_LOOP(softplus)
{
    (void)stride, (void)attribute;
    real e[CHUNK];
    for (size_t begin = 0; begin < n; begin += CHUNK) {
        size_t count = n - begin < CHUNK ? n - begin : CHUNK;
        const real *x = (const real *)in[0] + begin;
        real *y = (real *)to + begin;
        exp_minus_abs(count, x, e);
        vector_log1p(count, e, e);
        AD_SIMD for (size_t i = 0; i < count; i++) y[i] = (x[i] > 0 ? x[i] : (real)0) + e[i];
    }
}

static void softplus_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_sigmoid(call->in[0]));
}

AD_ELEMENT(softplus)
{
    (void)attribute;
    const ad__element e = exp_minus_abs_element(list, in[0]), zero = ad__element_constant(list, 0);
    const ad__element rest = ad__element_call(list, (ad__function *)AD_SLEEF(log1p, u10), e);
    return ad__element_add(list, ad__element_choose(list, AD_GREATER, in[0], zero, in[0], zero), rest);
}

AD_DEFINE_OP(softplus) = {
    .name = "softplus",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = softplus_loop,
    AD_FUSED_BY_FUNCTION(softplus),
    .vjp = softplus_vjp,
    AD_TWO_SAMPLES(-4, 4),
};
