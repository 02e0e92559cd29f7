/* For tests: what each op makes of one row, by plain loops in long double. */
#ifndef WEIR_TESTS_REFERENCE_H
#define WEIR_TESTS_REFERENCE_H

#include "autodiff/engine.h"
#include "autodiff/matrix_reference.h"
#include "autodiff/special_reference.h"

static inline const ad_op *op_number(int i)
{
    return ad_all_ops()[i];
}

static inline int count_ops(void)
{
    int count = 0;
    while (ad_all_ops()[count]) count++;
    return count;
}

#define UNARY(name, expression)                                                                                        \
    static inline long double name##_of(long double x)                                                                 \
    {                                                                                                                  \
        return expression;                                                                                             \
    }
UNARY(neg, -x)
UNARY(relu, x > 0 ? x : 0)
UNARY(square, x *x)
UNARY(sign, (x > 0) - (x < 0))
UNARY(same, x)
UNARY(sigmoid, 1 / (1 + expl(-x)))
UNARY(softplus, x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x)))

#define BINARY(name, expression)                                                                                       \
    static inline long double name##_of(long double a, long double b)                                                  \
    {                                                                                                                  \
        return expression;                                                                                             \
    }
BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a *b)
BINARY(tanh_slope, a *(1 - b * b))
BINARY(div, a / b)
BINARY(greater, a > b)
BINARY(greater_equal, a >= b)
BINARY(equal, a == b)

static inline void where_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++) {
        int taken = c->in[0][broadcast_source(i, c->out_shape, c->shape[0])] != 0 ? 1 : 2;
        c->out[i] = c->in[taken][broadcast_source(i, c->out_shape, c->shape[taken])];
    }
}

static inline void mul_add_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++) {
        long double v[3];
        for (int j = 0; j < 3; j++) v[j] = c->in[j][broadcast_source(i, c->out_shape, c->shape[j])];
        c->out[i] = v[0] * v[1] + v[2];
    }
}

static inline void leaky_relu_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++)
        c->out[i] = c->in[0][i] > 0 ? c->in[0][i] : (long double)c->attribute[0] * c->in[0][i];
}

static inline void gate_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++) {
        long double g = c->in[0][broadcast_source(i, c->out_shape, c->shape[0])];
        bool open = c->in[1][broadcast_source(i, c->out_shape, c->shape[1])] > 0;
        c->out[i] = open ? g : (long double)c->attribute[0] * g;
    }
}

/* A tensor as (outer, n, inner) about the axis. */
typedef struct {
    size_t outer, n, inner;
} axis_loop;

static inline axis_loop loop_over(ad_shape shape, int axis)
{
    axis_loop loop = {1, shape.dim[axis], 1};
    for (int i = 0; i < shape.rank; i++) *(i < axis ? &loop.outer : &loop.inner) *= i == axis ? 1 : shape.dim[i];
    return loop;
}

static inline void reduce_row(const row_call *c, char what)
{
    axis_loop l = loop_over(c->shape[0], (int)c->attribute[0]);
    for (size_t o = 0; o < l.outer; o++)
        for (size_t i = 0; i < l.inner; i++) {
            long double sum = 0, max = -INFINITY, exps = 0;
            for (size_t j = 0; j < l.n; j++) {
                double x = c->in[0][(o * l.n + j) * l.inner + i];
                sum += x;
                exps += expl(x);
                max = fmaxl(max, x);
            }
            c->out[o * l.inner + i] = what == 's' ? sum : what == 'm' ? max : logl(exps);
        }
}

static inline void sum_row(const row_call *c)
{
    reduce_row(c, 's');
}
/* The product's shape is the result's with the axis back, whose extent is the larger of the factors'. */
static inline void mul_sum_row(const row_call *c)
{
    const int axis = (int)c->attribute[0];
    ad_shape whole = {.rank = c->out_shape.rank + 1};
    size_t n = 1;
    for (int k = 0; k < 2; k++) {
        int own = axis - (whole.rank - c->shape[k].rank);
        if (own >= 0 && c->shape[k].dim[own] > n) n = c->shape[k].dim[own];
    }
    for (int d = 0; d < whole.rank; d++) whole.dim[d] = d == axis ? n : c->out_shape.dim[d < axis ? d : d - 1];
    axis_loop l = loop_over(whole, axis);
    for (size_t i = 0; i < l.outer * l.inner; i++) c->out[i] = 0;
    for (size_t e = 0; e < ad_shape_size(whole); e++)
        c->out[e / (l.n * l.inner) * l.inner + e % l.inner] +=
            (long double)c->in[0][broadcast_source(e, whole, c->shape[0])] *
            c->in[1][broadcast_source(e, whole, c->shape[1])];
}
static inline void max_row(const row_call *c)
{
    reduce_row(c, 'm');
}
static inline void logsumexp_row(const row_call *c)
{
    reduce_row(c, 'l');
}

static inline void cumsum_row(const row_call *c)
{
    axis_loop l = loop_over(c->shape[0], (int)c->attribute[0]);
    for (size_t o = 0; o < l.outer; o++)
        for (size_t i = 0; i < l.inner; i++)
            for (size_t j = 0; j < l.n; j++) {
                size_t begin = c->attribute[1] != 0 ? j : 0, end = c->attribute[1] != 0 ? l.n : j + 1;
                long double sum = 0;
                for (size_t k = begin; k < end; k++) sum += c->in[0][(o * l.n + k) * l.inner + i];
                c->out[(o * l.n + j) * l.inner + i] = sum;
            }
}

static inline void transpose_row(const row_call *c)
{
    size_t m = c->shape[0].dim[0], n = c->shape[0].dim[1];
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) c->out[j * m + i] = c->in[0][i * n + j];
}

static inline void broadcast_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++)
        c->out[i] = c->in[0][broadcast_source(i, c->out_shape, c->shape[0])];
}

static inline void reshape_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++) c->out[i] = c->in[0][i];
}

static inline void slice_row(const row_call *c)
{
    axis_loop whole = loop_over(c->shape[0], (int)c->attribute[0]), l = loop_over(c->out_shape, (int)c->attribute[0]);
    for (size_t o = 0; o < l.outer; o++)
        for (size_t j = 0; j < l.n; j++)
            for (size_t i = 0; i < l.inner; i++)
                c->out[(o * l.n + j) * l.inner + i] =
                    c->in[0][(o * whole.n + j + (size_t)c->attribute[1]) * l.inner + i];
}

static inline void pad_row(const row_call *c)
{
    axis_loop part = loop_over(c->shape[0], (int)c->attribute[0]), l = loop_over(c->out_shape, (int)c->attribute[0]);
    size_t start = (size_t)c->attribute[1];
    for (size_t o = 0; o < l.outer; o++)
        for (size_t j = 0; j < l.n; j++)
            for (size_t i = 0; i < l.inner; i++)
                c->out[(o * l.n + j) * l.inner + i] =
                    j < start || j >= start + part.n ? 0 : c->in[0][(o * part.n + j - start) * l.inner + i];
}

static inline void concat_row(const row_call *c)
{
    axis_loop l = loop_over(c->out_shape, (int)c->attribute[0]);
    size_t before = 0;
    for (int p = 0; p < c->n_in; p++) {
        size_t n = c->shape[p].dim[(int)c->attribute[0]];
        for (size_t o = 0; o < l.outer; o++)
            for (size_t j = 0; j < n; j++)
                for (size_t i = 0; i < l.inner; i++)
                    c->out[(o * l.n + before + j) * l.inner + i] = c->in[p][(o * n + j) * l.inner + i];
        before += n;
    }
}

static inline void gather_row(const row_call *c)
{
    axis_loop l = loop_over(c->out_shape, 0);
    for (size_t j = 0; j < l.n; j++)
        for (size_t i = 0; i < l.inner; i++) c->out[j * l.inner + i] = c->in[0][(size_t)c->attribute[j] * l.inner + i];
}

static inline void scatter_row(const row_call *c)
{
    axis_loop l = loop_over(c->shape[0], 0);
    for (size_t j = 0; j < l.n; j++)
        for (size_t i = 0; i < l.inner; i++)
            c->out[(size_t)c->attribute[1 + j] * l.inner + i] += c->in[0][j * l.inner + i];
}

static inline void log_ndtr_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++)
        c->out[i] = log_ndtr_derivative(c->in[0][i], (int)c->attribute[0]);
}

static inline void polygamma_row(const row_call *c)
{
    for (size_t i = 0; i < ad_shape_size(c->out_shape); i++)
        c->out[i] = polygamma_of(c->in[0][i], (int)c->attribute[0]);
}

static const struct {
    const char *op;
    long double (*unary)(long double);
    long double (*binary)(long double, long double);
    void (*row)(const row_call *);
} references[] = {
    {"neg", neg_of},
    {"exp", expl},
    {"log", logl},
    {"log1p", log1pl},
    {"expm1", expm1l},
    {"tanh", tanhl},
    {"sigmoid", sigmoid_of},
    {"softplus", softplus_of},
    {"relu", relu_of},
    {"inside", same_of},
    {"sqrt", sqrtl},
    {"square", square_of},
    {"abs", fabsl},
    {"sign", sign_of},
    {"sin", sinl},
    {"cos", cosl},
    {"floor", floorl},
    {"erf", erfl},
    {"erfc", erfcl},
    {"erfinv", erfinv_of},
    {"ndtri", ndtri_of},
    {"ndtri_exp", ndtri_exp_of},
    {"lgamma", lgammal},
    {"stop_gradient", same_of},
    {"to_rows", same_of},
    {"sum_rows", same_of}, /* and summed by the test */
    {"add", .binary = add_of},
    {"sub", .binary = sub_of},
    {"mul", .binary = mul_of},
    {"tanh_slope", .binary = tanh_slope_of},
    {"div", .binary = div_of},
    {"pow", .binary = powl},
    {"atan2", .binary = atan2l},
    {"lbeta", .binary = lbeta_of},
    {"lbeta_slope", .binary = lbeta_slope_of},
    {"maximum", .binary = fmaxl},
    {"minimum", .binary = fminl},
    {"greater", .binary = greater_of},
    {"greater_equal", .binary = greater_equal_of},
    {"equal", .binary = equal_of},
    {"where", .row = where_row},
    {"mul_add", .row = mul_add_row},
    {"leaky_relu", .row = leaky_relu_row},
    {"gate", .row = gate_row},
    {"sum", .row = sum_row},
    {"mul_sum", .row = mul_sum_row},
    {"max", .row = max_row},
    {"logsumexp", .row = logsumexp_row},
    {"cumsum", .row = cumsum_row},
    {"reshape", .row = reshape_row},
    {"transpose", .row = transpose_row},
    {"broadcast", .row = broadcast_row},
    {"slice", .row = slice_row},
    {"pad", .row = pad_row},
    {"concat", .row = concat_row},
    {"gather", .row = gather_row},
    {"scatter", .row = scatter_row},
    {"matmul", .row = matmul_row},
    {"matmul_rows", .row = matmul_row}, /* and summed by the test */
    {"conv2d", .row = conv2d_row},
    {"conv2d_weight", .row = conv2d_weight_row},
    {"conv2d_weight_rows", .row = conv2d_weight_row},
    {"solve_triangular", .row = solve_triangular_row},
    {"solve", .row = solve_row},
    {"log_abs_det", .row = log_abs_det_row},
    {"cholesky", .row = cholesky_row},
    {"log_ndtr", .row = log_ndtr_row},
    {"polygamma", .row = polygamma_row},
};

static inline void reference_row(const ad_op *op, const row_call *call)
{
    for (size_t k = 0; k < COUNT(references); k++) {
        if (strcmp(references[k].op, op->name) != 0) continue;
        if (references[k].row) references[k].row(call);
        for (size_t i = 0; i < ad_shape_size(call->out_shape) && !references[k].row; i++) {
            long double a = call->in[0][broadcast_source(i, call->out_shape, call->shape[0])];
            if (references[k].unary)
                call->out[i] = references[k].unary(a);
            else
                call->out[i] =
                    references[k].binary(a, call->in[1][broadcast_source(i, call->out_shape, call->shape[1])]);
        }
        return;
    }
    ck_abort_msg("op '%s' has no reference", op->name);
}

/* The values that y = op(in) should have, given those of in. */
static inline double *reference_of(problem *p, const ad_op *op, const ad_var *in, const double *const *values, int n_in,
                                   const double *attribute, size_t n_attribute, ad_var y)
{
    const bool sums = op->flags & AD_OP_SUMS_ROWS;
    size_t size = size_of(y), rows = sums || ad_is_per_row(y) ? p->run.rows : 1;
    double *expected = problem_array(p, extent_of(p, y));
    long double *sum = calloc(size, sizeof *sum), *out = calloc(size, sizeof *out);
    for (size_t r = 0; r < rows; r++) {
        row_call call = {
            .out_shape = ad_shape_of(y), .n_in = n_in, .attribute = attribute, .n_attribute = n_attribute, .out = out};
        memset(out, 0, size * sizeof *out);
        for (int i = 0; i < n_in; i++) {
            call.in[i] = row_of(values[i], in[i], r);
            call.shape[i] = ad_shape_of(in[i]);
        }
        reference_row(op, &call);
        for (size_t i = 0; i < size; i++) {
            sum[i] += out[i];
            expected[(sums ? 0 : r * size) + i] = (double)(sums ? sum[i] : out[i]);
        }
    }
    free(out);
    free(sum);
    return expected;
}

#endif
