/* Arithmetic, element by element. */
#include "ops/elementwise.h"

AD_BINARY(add, a + b)

static void add_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = g;
    gradient[1] = g;
}

AD_ELEMENT(add)
{
    (void)attribute;
    return ad__element_add(list, in[0], in[1]);
}

AD_DEFINE_OP(add) = {
    .name = "add",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE | AD_OP_LINEAR,
    .loop[AD_DTYPE] = add_loop,
    AD_FUSED_BY_ELEMENT(add),
    .vjp = add_vjp,
    AD_BINARY_SAMPLES(-2, 2, -2, 2),
};

AD_BINARY(sub, a - b)

static void sub_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = g;
    gradient[1] = ad_neg(g);
}

AD_ELEMENT(sub)
{
    (void)attribute;
    return ad__element_sub(list, in[0], in[1]);
}

AD_DEFINE_OP(sub) = {
    .name = "sub",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE | AD_OP_LINEAR,
    .loop[AD_DTYPE] = sub_loop,
    AD_FUSED_BY_ELEMENT(sub),
    .vjp = sub_vjp,
    AD_BINARY_SAMPLES(-2, 2, -2, 2),
};

AD_BINARY(mul, a *b)

static void mul_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, call->in[1]);
    gradient[1] = ad_mul(g, call->in[0]);
}

AD_ELEMENT(mul)
{
    (void)attribute;
    return ad__element_mul(list, in[0], in[1]);
}

AD_DEFINE_OP(mul) = {
    .name = "mul",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE | AD_OP_BILINEAR,
    .loop[AD_DTYPE] = mul_loop,
    AD_FUSED_BY_ELEMENT(mul),
    .vjp = mul_vjp,
    AD_BINARY_SAMPLES(-2, 2, -2, 2),
};

AD_BINARY(div, a / b)

static void div_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    gradient[0] = ad_div(g, call->in[1]);
    gradient[1] = ad_neg(ad_mul(gradient[0], y));
}

AD_ELEMENT(div)
{
    (void)attribute;
    return ad__element_div(list, in[0], in[1]);
}

AD_DEFINE_OP(div) = {
    .name = "div",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE | AD_OP_LINEAR_IN_FIRST,
    .loop[AD_DTYPE] = div_loop,
    AD_FUSED_BY_ELEMENT(div),
    .vjp = div_vjp,
    AD_BINARY_SAMPLES(-2, 2, 0.5, 2),
};

AD_UNARY(neg, -a)

static void neg_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = ad_neg(g);
}

AD_ELEMENT(neg)
{
    (void)attribute;
    return ad__element_neg(list, in[0]);
}

AD_DEFINE_OP(neg) = {
    .name = "neg",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE | AD_OP_LINEAR,
    .loop[AD_DTYPE] = neg_loop,
    AD_FUSED_BY_ELEMENT(neg),
    .vjp = neg_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(-2, 2)),
};

AD_UNARY(square, a *a)

static void square_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul_scalar(ad_mul(g, call->in[0]), 2);
}

AD_ELEMENT(square)
{
    (void)attribute;
    return ad__element_mul(list, in[0], in[0]);
}

AD_DEFINE_OP(square) = {
    .name = "square",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = square_loop,
    AD_FUSED_BY_ELEMENT(square),
    .vjp = square_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(-2, 2)),
};

AD_UNARY(sqrt, sqrt(a))

static void sqrt_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad_mul_scalar(ad_div(g, y), 0.5);
}

AD_ELEMENT(sqrt)
{
    (void)attribute;
    return ad__element_sqrt(list, in[0]);
}

AD_DEFINE_OP(sqrt) = {
    .name = "sqrt",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = sqrt_loop,
    AD_FUSED_BY_ELEMENT(sqrt),
    .vjp = sqrt_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(0.5, 2)),
};

AD_UNARY(abs, fabs(a))

static void abs_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, ad_sign(call->in[0]));
}

AD_ELEMENT(abs)
{
    (void)attribute;
    return ad__element_abs(list, in[0]);
}

AD_DEFINE_OP(abs) = {
    .name = "abs",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = abs_loop,
    AD_FUSED_BY_ELEMENT(abs),
    .vjp = abs_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(0.5, 2), AD_UNARY_SAMPLES(-2, -0.5)),
};

AD_UNARY(sign, a > 0 ? (real)1 : a < 0 ? (real)-1 : a)

AD_ELEMENT(sign)
{
    (void)attribute;
    const ad__element zero = ad__element_constant(list, 0), one = ad__element_constant(list, 1);
    const ad__element rest = ad__element_choose(list, AD_LESS, in[0], zero, ad__element_constant(list, -1), in[0]);
    return ad__element_choose(list, AD_GREATER, in[0], zero, one, rest);
}

AD_DEFINE_OP(sign) = {
    .name = "sign",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = sign_loop,
    AD_FUSED_BY_ELEMENT(sign),
    AD_SAMPLES(AD_UNARY_SAMPLES(0.5, 2), AD_UNARY_SAMPLES(-2, -0.5)),
};

AD_UNARY(floor, floor(a))

AD_ELEMENT(floor)
{
    (void)attribute;
    return ad__element_floor(list, in[0]);
}

AD_DEFINE_OP(floor) = {
    .name = "floor",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = floor_loop,
    AD_FUSED_BY_ELEMENT(floor),
    AD_SAMPLES(AD_UNARY_SAMPLES(1.1, 1.9), AD_UNARY_SAMPLES(-1.9, -1.1)),
};

/* ---- Multiplication and addition ----------------------------------------------------------------------------- */

/* Rounded twice, as by mul and add: what else a plan has doesn't change the bits. */
static inline real mul_add_of(real a, real b, real c)
{
    const real product = a * b;
    return product + c;
}

AD_LOOP(mul_add)
{
    real *out = to;
    (void)attribute;
    const real *a = in[0], *b = in[1], *c = in[2];
    const real one_a = *a, one_b = *b, one_c = *c;
#define AD_MULTIPLY_ADD(a, b, c) AD_SIMD for (size_t i = 0; i < n; i++) out[i] = mul_add_of(a, b, c)
    switch (4 * stride[0] + 2 * stride[1] + stride[2]) {
    case 1:
        AD_MULTIPLY_ADD(one_a, one_b, c[i]);
        break;
    case 2:
        AD_MULTIPLY_ADD(one_a, b[i], one_c);
        break;
    case 3:
        AD_MULTIPLY_ADD(one_a, b[i], c[i]);
        break;
    case 4:
        AD_MULTIPLY_ADD(a[i], one_b, one_c);
        break;
    case 5:
        AD_MULTIPLY_ADD(a[i], one_b, c[i]);
        break;
    case 6:
        AD_MULTIPLY_ADD(a[i], b[i], one_c);
        break;
    default:
        AD_MULTIPLY_ADD(a[i], b[i], c[i]);
    }
#undef AD_MULTIPLY_ADD
}

static void mul_add_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, call->in[1]);
    gradient[1] = ad_mul(g, call->in[0]);
    gradient[2] = g;
}

/* a b + c */
AD_ELEMENT(mul_add)
{
    (void)attribute;
    return ad__element_add(list, ad__element_mul(list, in[0], in[1]), in[2]);
}

AD_DEFINE_OP(mul_add) = {
    .name = "mul_add",
    .n_in = 3,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = mul_add_loop,
    AD_FUSED_BY_ELEMENT(mul_add),
    .vjp = mul_add_vjp,
    AD_SAMPLES({.n_in = 3, .in = {{AD_DIMS(4), -2, 2}, {AD_DIMS(4), -2, 2}, {AD_DIMS(4), -2, 2}}},
               {.n_in = 3, .in = {{AD_NO_DIMS, -2, 2}, {AD_DIMS(3, 1), -2, 2}, {AD_DIMS(4), -2, 2}}},
               {.n_in = 3, .in = {{AD_DIMS(3, 1), -2, 2}, {AD_NO_DIMS, -2, 2}, {AD_DIMS(2, 1, 4), -2, 2}}},
               {.n_in = 3, .in = {{AD_DIMS(2, 3), -2, 2}, {AD_DIMS(1, 3), -2, 2}, {AD_NO_DIMS, -2, 2}}}),
};
