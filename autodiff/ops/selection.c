/* Comparison and selection, element by element, and the rectifiers, which are made of them. */
#include "ops/elementwise.h"
#include "tape/record.h"

#include <float.h>

/* ---- Comparison ---------------------------------------------------------------------------------------------- */

AD_BINARY(greater, a > b ? (real)1 : (real)0)

AD_ELEMENT(greater)
{
    (void)attribute;
    return ad__element_choose(list, AD_GREATER, in[0], in[1], ad__element_constant(list, 1),
                              ad__element_constant(list, 0));
}

AD_DEFINE_OP(greater) = {
    .name = "greater",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = greater_loop,
    AD_FUSED_BY_ELEMENT(greater),
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), 0, 1}, {AD_DIMS(4), 2, 3}}},
               {.n_in = 2, .in = {{AD_DIMS(3, 1), 2, 3}, {AD_DIMS(4), 0, 1}}}),
};

AD_BINARY(greater_equal, a >= b ? (real)1 : (real)0)

AD_ELEMENT(greater_equal)
{
    (void)attribute;
    return ad__element_choose(list, AD_GREATER_EQUAL, in[0], in[1], ad__element_constant(list, 1),
                              ad__element_constant(list, 0));
}

AD_DEFINE_OP(greater_equal) = {
    .name = "greater_equal",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = greater_equal_loop,
    AD_FUSED_BY_ELEMENT(greater_equal),
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), 0, 1}, {AD_DIMS(4), 2, 3}}},
               {.n_in = 2, .in = {{AD_DIMS(3, 1), 2, 3}, {AD_DIMS(4), 0, 1}}}),
};

AD_BINARY(equal, a == b ? (real)1 : (real)0)

AD_ELEMENT(equal)
{
    (void)attribute;
    return ad__element_choose(list, AD_EQUAL, in[0], in[1], ad__element_constant(list, 1),
                              ad__element_constant(list, 0));
}

AD_DEFINE_OP(equal) = {
    .name = "equal",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = equal_loop,
    AD_FUSED_BY_ELEMENT(equal),
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), 0, 1}, {AD_DIMS(4), 2, 3}}},
               {.n_in = 2, .in = {{AD_DIMS(3, 1), 2, 3}, {AD_DIMS(4), 0, 1}}}),
};

/* ---- Selection ----------------------------------------------------------------------------------------------- */

/* How much of the gradient of the larger of a and b goes to a. */
static ad_var share_of_larger(ad_var a, ad_var b)
{
    return ad_add(ad_greater(a, b), ad_mul_scalar(ad_equal(a, b), 0.5));
}

AD_BINARY(maximum, a > b || a != a ? a : b)

static void maximum_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, share_of_larger(call->in[0], call->in[1]));
    gradient[1] = ad_mul(g, share_of_larger(call->in[1], call->in[0]));
}

AD_ELEMENT(maximum)
{
    (void)attribute;
    return ad__element_maximum(list, in[0], in[1]);
}

AD_DEFINE_OP(maximum) = {
    .name = "maximum",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = maximum_loop,
    AD_FUSED_BY_ELEMENT(maximum),
    .vjp = maximum_vjp,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), -1, 1}, {AD_DIMS(4), 2, 3}}},
               {.n_in = 2, .in = {{AD_DIMS(3, 1), 2, 3}, {AD_DIMS(4), -1, 1}}}),
};

AD_BINARY(minimum, a < b || a != a ? a : b)

static void minimum_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_mul(g, share_of_larger(call->in[1], call->in[0]));
    gradient[1] = ad_mul(g, share_of_larger(call->in[0], call->in[1]));
}

AD_ELEMENT(minimum)
{
    (void)attribute;
    return ad__element_minimum(list, in[0], in[1]);
}

AD_DEFINE_OP(minimum) = {
    .name = "minimum",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = minimum_loop,
    AD_FUSED_BY_ELEMENT(minimum),
    .vjp = minimum_vjp,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), -1, 1}, {AD_DIMS(4), 2, 3}}},
               {.n_in = 2, .in = {{AD_DIMS(3, 1), 2, 3}, {AD_DIMS(4), -1, 1}}}),
};

AD_LOOP(where)
{
    real *out = to;
    (void)attribute;
    const real *condition = in[0], *a = in[1], *b = in[2];
    const real one_condition = *condition, one_a = *a, one_b = *b;
#define AD_SELECT(condition, a, b) AD_SIMD for (size_t i = 0; i < n; i++) out[i] = (condition) != 0 ? (a) : (b)
    switch (4 * stride[0] + 2 * stride[1] + stride[2]) {
    case 1:
        AD_SELECT(one_condition, one_a, b[i]);
        break;
    case 2:
        AD_SELECT(one_condition, a[i], one_b);
        break;
    case 3:
        AD_SELECT(one_condition, a[i], b[i]);
        break;
    case 4:
        AD_SELECT(condition[i], one_a, one_b);
        break;
    case 5:
        AD_SELECT(condition[i], one_a, b[i]);
        break;
    case 6:
        AD_SELECT(condition[i], a[i], one_b);
        break;
    default:
        AD_SELECT(condition[i], a[i], b[i]);
    }
#undef AD_SELECT
}

static void where_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    ad_var zero = ad_scalar(call->tape, 0);
    gradient[1] = ad_where(call->in[0], g, zero);
    gradient[2] = ad_where(call->in[0], zero, g);
}

AD_ELEMENT(where)
{
    (void)attribute;
    return ad__element_choose(list, AD_UNEQUAL, in[0], ad__element_constant(list, 0), in[1], in[2]);
}

AD_DEFINE_OP(where) = {
    .name = "where",
    .n_in = 3,
    .flags = AD_OP_ELEMENTWISE | AD_OP_SELECTS,
    .loop[AD_DTYPE] = where_loop,
    AD_FUSED_BY_ELEMENT(where),
    .vjp = where_vjp,
    AD_SAMPLES({.n_in = 3, .in = {{AD_DIMS(4), 0.5, 1}, {AD_DIMS(4), -2, 2}, {AD_DIMS(4), -2, 2}}},
               {.n_in = 3, .in = {{AD_NO_DIMS, 0, 0}, {AD_DIMS(3, 1), -2, 2}, {AD_DIMS(4), -2, 2}}},
               {.n_in = 3, .in = {{AD_DIMS(3, 1), 0.5, 1}, {AD_NO_DIMS, -2, 2}, {AD_DIMS(2, 1, 4), -2, 2}}}),
};

static const real smallest = AD_REAL_BITS == 32 ? (real)FLT_MIN : (real)DBL_MIN;

/* The number next to an end, on the side of `to`; not a subnormal one, of which some functions make 0. */
static real next_to(double end, real to)
{
    return end == 0 ? copysign(smallest, to) : nextafter((real)end, to);
}

/* attribute: the ends. */
AD_LOOP(inside)
{
    real *out = to;
    (void)stride;
    const real *x = in[0], low = next_to(attribute[0], (real)INFINITY), high = next_to(attribute[1], (real)-INFINITY);
    AD_SIMD for (size_t i = 0; i < n; i++) out[i] = x[i] < low ? low : x[i] > high ? high : x[i];
}

static void inside_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = g;
}

AD_ELEMENT(inside)
{
    const ad__element low = ad__element_constant(list, (double)next_to(attribute[0], (real)INFINITY));
    const ad__element high = ad__element_constant(list, (double)next_to(attribute[1], (real)-INFINITY));
    const ad__element below = ad__element_choose(list, AD_GREATER, in[0], high, high, in[0]);
    return ad__element_choose(list, AD_LESS, in[0], low, low, below);
}

AD_DEFINE_OP(inside) = {
    .name = "inside",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = inside_loop,
    AD_FUSED_BY_ELEMENT(inside),
    .vjp = inside_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}, AD_ATTRIBUTES(-3, 3)},
               {.n_in = 1, .in = {{AD_DIMS(2, 3), 0.5, 2}}, AD_ATTRIBUTES(0, INFINITY)}),
};

/* ---- Rectifiers ---------------------------------------------------------------------------------------------- */

/* a <= 0, not a > 0: NaN stays NaN. */
AD_UNARY(relu, a <= 0 ? (real)0 : a)

static void relu_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call;
    gradient[0] = ad__gate(g, y, 0);
}

AD_ELEMENT(relu)
{
    (void)attribute;
    const ad__element zero = ad__element_constant(list, 0);
    return ad__element_choose(list, AD_LESS_EQUAL, in[0], zero, zero, in[0]);
}

AD_DEFINE_OP(relu) = {
    .name = "relu",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = relu_loop,
    AD_FUSED_BY_ELEMENT(relu),
    .vjp = relu_vjp,
    AD_SAMPLES(AD_UNARY_SAMPLES(0.5, 2), AD_UNARY_SAMPLES(-2, -0.5)),
};

AD_LOOP(leaky_relu)
{
    real *out = to;
    (void)stride;
    const real *x = in[0], slope = (real)attribute[0];
    AD_SIMD for (size_t i = 0; i < n; i++) out[i] = x[i] > 0 ? x[i] : slope * x[i];
}

static void leaky_relu_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    double slope = call->attribute[0];
    gradient[0] =
        ad__gate(g, slope > 0 ? y : call->in[0], slope); /* y has the sign of x, and x may then be forgotten */
}

AD_ELEMENT(leaky_relu)
{
    const ad__element below = ad__element_mul(list, ad__element_constant(list, attribute[0]), in[0]);
    return ad__element_choose(list, AD_GREATER, in[0], ad__element_constant(list, 0), in[0], below);
}

AD_DEFINE_OP(leaky_relu) = {
    .name = "leaky_relu",
    .n_in = 1,
    .flags = AD_OP_ELEMENTWISE,
    .loop[AD_DTYPE] = leaky_relu_loop,
    AD_FUSED_BY_ELEMENT(leaky_relu),
    .vjp = leaky_relu_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), 0.5, 2}}, AD_ATTRIBUTES(0.1)},
               {.n_in = 1, .in = {{AD_DIMS(2, 3), -2, -0.5}}, AD_ATTRIBUTES(0.1)},
               {.n_in = 1, .in = {{AD_DIMS(3), -2, -0.5}}, AD_ATTRIBUTES(-0.5)}),
};

/* gate(g, y): y > 0 ? g : slope * g, the gradient of both rectifiers. */
static inline real gate_of(real g, real y, real slope)
{
    return y > 0 ? g : slope == 0 ? (real)0 : slope * g;
}

AD_LOOP(gate)
{
    real *out = to;
    const real *g = in[0], *y = in[1], one_g = *g, one_y = *y, slope = (real)attribute[0];
    if (stride[0] == 0)
        AD_SIMD for (size_t i = 0; i < n; i++) out[i] = gate_of(one_g, y[i], slope);
    else if (stride[1] == 0)
        AD_SIMD for (size_t i = 0; i < n; i++) out[i] = gate_of(g[i], one_y, slope);
    else
        AD_SIMD for (size_t i = 0; i < n; i++) out[i] = gate_of(g[i], y[i], slope);
}

static void gate_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad__gate(g, call->in[1], call->attribute[0]);
}

AD_ELEMENT(gate)
{
    const ad__element zero = ad__element_constant(list, 0);
    ad__element below = zero;
    if ((real)attribute[0] != 0) below = ad__element_mul(list, ad__element_constant(list, attribute[0]), in[0]);
    return ad__element_choose(list, AD_GREATER, in[1], zero, in[0], below);
}

AD_DEFINE_OP(gate) = {
    .name = "gate",
    .n_in = 2,
    .flags = AD_OP_ELEMENTWISE | AD_OP_LINEAR_IN_FIRST,
    .loop[AD_DTYPE] = gate_loop,
    AD_FUSED_BY_ELEMENT(gate),
    .vjp = gate_vjp,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(4), -2, 2}, {AD_DIMS(4), 0.5, 1}}, AD_ATTRIBUTES(0.1)},
               {.n_in = 2, .in = {{AD_DIMS(3, 1), -2, 2}, {AD_DIMS(4), -1, -0.5}}, AD_ATTRIBUTES(0.1)},
               {.n_in = 2, .in = {{AD_DIMS(4), -2, 2}, {AD_NO_DIMS, -1, -0.5}}, AD_ATTRIBUTES(0)}),
};
