/* Ops and their counterparts in ONNX: one line of the table each. */
#include "onnx/graph.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Write a node, and return its value. type: the counterpart, where it is a single one. */
typedef nf__value write_node(nf__onnx *g, const ad_node *node, const char *type);

static nf__value number(nf__onnx *g, double value)
{
    return nf__onnx_number(g, nf__onnx_type_of(g), value);
}

static nf__value argument(nf__onnx *g, const ad_node *node, int i)
{
    return nf__onnx_aligned(g, node->in[i], node->shape.rank);
}

/* ---- Elementwise ------------------------------------------------------------------------------------------------ */

static nf__value write_unary(nf__onnx *g, const ad_node *node, const char *type)
{
    return NF__NODE(g, type, NULL, argument(g, node, 0));
}

static nf__value write_binary(nf__onnx *g, const ad_node *node, const char *type)
{
    return NF__NODE(g, type, NULL, argument(g, node, 0), argument(g, node, 1));
}

static nf__value write_comparison(nf__onnx *g, const ad_node *node, const char *type)
{
    return nf__onnx_cast(g, write_binary(g, node, type), nf__onnx_type_of(g));
}

static nf__value write_where(nf__onnx *g, const ad_node *node, const char *type)
{
    const nf__value condition = nf__onnx_cast(g, argument(g, node, 0), NF__ONNX_BOOL);
    return NF__NODE(g, type, NULL, condition, argument(g, node, 1), argument(g, node, 2));
}

static nf__value write_square(nf__onnx *g, const ad_node *node, const char *type)
{
    const nf__value x = argument(g, node, 0);
    return NF__NODE(g, type, NULL, x, x);
}

/* With u = 1 + x as it is rounded, log(1 + x) = log(u) x / (u - 1) to a few roundings (Goldberg 1991, theorem 4); x
 * where u is 1, and log(u) where nothing was rounded, as of infinity. */
static nf__value log1p_of(nf__onnx *g, nf__onnx_type type, nf__value x)
{
    const nf__value one = nf__onnx_number(g, type, 1), zero = nf__onnx_number(g, type, 0);
    const nf__value u = NF__NODE(g, "Add", NULL, x, one), d = NF__NODE(g, "Sub", NULL, u, one);
    const nf__value log = NF__NODE(g, "Log", NULL, u);
    const nf__value mended = NF__NODE(g, "Mul", NULL, log, NF__NODE(g, "Div", NULL, x, d));
    const nf__value small = NF__NODE(g, "Where", NULL, NF__NODE(g, "Equal", NULL, d, zero), x, mended);
    return NF__NODE(g, "Where", NULL, NF__NODE(g, "Equal", NULL, d, x), log, small);
}

/* The same way round: with u = e^x, e^x - 1 = (u - 1) x / log(u) for small x. */
nf__value nf__onnx_expm1(nf__onnx *g, nf__onnx_type type, nf__value x)
{
    const nf__value one = nf__onnx_number(g, type, 1), u = NF__NODE(g, "Exp", NULL, x);
    const nf__value d = NF__NODE(g, "Sub", NULL, u, one);
    const nf__value ratio = NF__NODE(g, "Div", NULL, x, NF__NODE(g, "Log", NULL, u));
    const nf__value mended = NF__NODE(g, "Mul", NULL, d, ratio);
    const nf__value small = NF__NODE(g, "Where", NULL, NF__NODE(g, "Equal", NULL, u, one), x, mended);
    const nf__value size = NF__NODE(g, "Abs", NULL, x);
    return NF__NODE(g, "Where", NULL, NF__NODE(g, "Greater", NULL, size, nf__onnx_number(g, type, 0.5)), d, small);
}

/* max(x, 0) + log(1 + e^-|x|): runtimes' own Softplus is 0 where e^x is below a rounding of 1. */
nf__value nf__onnx_softplus(nf__onnx *g, nf__onnx_type type, nf__value x)
{
    const nf__value below = NF__NODE(g, "Neg", NULL, NF__NODE(g, "Abs", NULL, x));
    return NF__NODE(g, "Add", NULL, NF__NODE(g, "Relu", NULL, x), log1p_of(g, type, NF__NODE(g, "Exp", NULL, below)));
}

static nf__value write_log1p(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return log1p_of(g, nf__onnx_type_of(g), argument(g, node, 0));
}

static nf__value write_expm1(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_expm1(g, nf__onnx_type_of(g), argument(g, node, 0));
}

static nf__value write_softplus(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_softplus(g, nf__onnx_type_of(g), argument(g, node, 0));
}

/* y > 0 ? x : slope x. ONNX's LeakyRelu has a slope of float32. */
static nf__value rectified(nf__onnx *g, nf__value x, nf__value y, double slope)
{
    const nf__value zero = number(g, 0), below = slope == 0 ? zero : NF__NODE(g, "Mul", NULL, x, number(g, slope));
    return NF__NODE(g, "Where", NULL, NF__NODE(g, "Greater", NULL, y, zero), x, below);
}

static nf__value write_leaky_relu(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    const nf__value x = argument(g, node, 0);
    return rectified(g, x, x, node->attribute[0]);
}

static nf__value write_gate(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return rectified(g, argument(g, node, 0), argument(g, node, 1), node->attribute[0]);
}

static nf__value write_tanh_slope(nf__onnx *g, const ad_node *node, const char *type)
{
    const nf__value y = argument(g, node, 1), squared = NF__NODE(g, "Mul", NULL, y, y);
    return NF__NODE(g, type, NULL, argument(g, node, 0), NF__NODE(g, "Sub", NULL, number(g, 1), squared));
}

/* The number of a dtype next to an end, on the side of `to`, as ad_inside() has it. */
static double next_to(ad_dtype dtype, double end, double to)
{
    if (end == 0) return copysign(dtype == AD_F32 ? (double)FLT_MIN : DBL_MIN, to);
    return dtype == AD_F32 ? (double)nextafterf((float)end, (float)to) : nextafter(end, to);
}

static nf__value write_inside(nf__onnx *g, const ad_node *node, const char *type)
{
    const nf__value low = number(g, next_to(g->dtype, node->attribute[0], INFINITY));
    const nf__value high = number(g, next_to(g->dtype, node->attribute[1], -INFINITY));
    nf__value x = argument(g, node, 0);
    x = NF__NODE(g, type, NULL, NF__NODE(g, "Less", NULL, x, low), low, x);
    return NF__NODE(g, type, NULL, NF__NODE(g, "Greater", NULL, x, high), high, x);
}

/* The angle of y / x, and where x is below 0 half a turn more; of (0, 0) that is 0. */
static nf__value write_atan2(nf__onnx *g, const ad_node *node, const char *type)
{
    const nf__value y = argument(g, node, 0), x = argument(g, node, 1), zero = number(g, 0);
    const nf__value at_zero = NF__NODE(g, "Equal", NULL, y, zero);
    const nf__value ratio = NF__NODE(g, "Where", NULL, at_zero, zero, NF__NODE(g, "Div", NULL, y, x));
    const nf__value pi = number(g, acos(-1)), back = number(g, -acos(-1));
    const nf__value turn = NF__NODE(g, "Where", NULL, NF__NODE(g, "Less", NULL, y, zero), back, pi);
    const nf__value more = NF__NODE(g, "Where", NULL, NF__NODE(g, "Less", NULL, x, zero), turn, zero);
    return NF__NODE(g, "Add", NULL, NF__NODE(g, type, NULL, ratio), more);
}

/* ---- Along an axis ---------------------------------------------------------------------------------------------- */

static int64_t axis_of(const ad_node *node)
{
    return (int64_t)node->attribute[0] + 1;
}

static nf__value write_reduction(nf__onnx *g, const ad_node *node, const char *type)
{
    const int64_t axis = axis_of(node);
    return NF__NODE(g, type, NF__ATTRIBUTES({"keepdims", 0}), nf__onnx_operand(g, node->in[0]),
                    nf__onnx_integers(g, &axis, 1));
}

static nf__value write_cumsum(nf__onnx *g, const ad_node *node, const char *type)
{
    const int64_t axis = axis_of(node);
    return NF__NODE(g, type, NF__ATTRIBUTES({"reverse", node->attribute[1] != 0}), nf__onnx_operand(g, node->in[0]),
                    nf__onnx_integers(g, &axis, 0));
}

static nf__value write_slice(nf__onnx *g, const ad_node *node, const char *type)
{
    const int64_t axis = axis_of(node), start = (int64_t)node->attribute[1], stop = (int64_t)node->attribute[2];
    return NF__NODE(g, type, NULL, nf__onnx_operand(g, node->in[0]), nf__onnx_integers(g, &start, 1),
                    nf__onnx_integers(g, &stop, 1), nf__onnx_integers(g, &axis, 1));
}

static nf__value write_pad(nf__onnx *g, const ad_node *node, const char *type)
{
    int64_t pads[2 * (AD_MAX_RANK + 1)] = {0}; /* before each axis, then behind each */
    const size_t axes = (size_t)node->shape.rank + 1, axis = (size_t)axis_of(node);
    const size_t extent = ad_shape_of(nf__onnx_var(g, node->in[0])).dim[axis - 1];
    pads[axis] = (int64_t)node->attribute[1];
    pads[axes + axis] = (int64_t)(node->attribute[2] - node->attribute[1]) - (int64_t)extent;
    return NF__NODE(g, type, NULL, nf__onnx_operand(g, node->in[0]), nf__onnx_integers(g, pads, 2 * axes));
}

static nf__value write_concat(nf__onnx *g, const ad_node *node, const char *type)
{
    nf__value *part = ad_alloc((size_t)node->n_in, sizeof *part);
    g->nodes.failed |= !part;
    for (int i = 0; i < node->n_in && part; i++)
        part[i] = nf__onnx_expanded(g, node->in[i], ad_shape_of(nf__onnx_var(g, node->in[i])));
    nf__value result = -1;
    if (part) result = nf__onnx_node(g, type, part, node->n_in, NF__ATTRIBUTES({"axis", axis_of(node)}));
    ad_free(part);
    return result;
}

static nf__value gather(nf__onnx *g, nf__value from, const int64_t *index, size_t count)
{
    return NF__NODE(g, "Gather", NF__ATTRIBUTES({"axis", 1}), from, nf__onnx_integers(g, index, count));
}

static nf__value write_gather(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    int64_t *index = ad_alloc(node->n_attribute, sizeof *index);
    g->nodes.failed |= !index;
    for (size_t i = 0; i < node->n_attribute && index; i++) index[i] = (int64_t)node->attribute[i];
    const nf__value result = index ? gather(g, nf__onnx_operand(g, node->in[0]), index, node->n_attribute) : -1;
    ad_free(index);
    return result;
}

/* Behind the elements stands a zero. Each round gathers, of every element of the result, the next that is added to it,
 * or the zero; there are as many rounds as the most frequent index. */
static nf__value write_scatter(nf__onnx *g, const ad_node *node, const char *type)
{
    const size_t count = node->n_attribute - 1, size = (size_t)node->attribute[0];
    const double *to = node->attribute + 1;
    int64_t pads[2 * (AD_MAX_RANK + 1)] = {0}, *index = ad_alloc(size, sizeof *index);
    bool *done = ad_alloc(count, sizeof *done);
    const size_t axes = (size_t)node->shape.rank + 1;
    pads[axes + 1] = 1;
    const nf__value from =
        NF__NODE(g, "Pad", NULL, nf__onnx_operand(g, node->in[0]), nf__onnx_integers(g, pads, 2 * axes));
    nf__value result = -1;
    g->nodes.failed |= !index || !done;
    for (bool more = index && done, first = true; more; first = false) {
        more = false;
        for (size_t i = 0; i < size; i++) index[i] = (int64_t)count;
        for (size_t i = 0; i < count; i++) {
            if (done[i]) continue;
            const size_t at = (size_t)to[i];
            if (index[at] < (int64_t)count) {
                more = true;
                continue;
            }
            index[at] = (int64_t)i;
            done[i] = true;
        }
        const nf__value round = gather(g, from, index, size);
        result = first ? round : NF__NODE(g, type, NULL, result, round);
    }
    ad_free(done);
    ad_free(index);
    return result;
}

/* ---- Layout, products, noise ------------------------------------------------------------------------------------ */

static nf__value write_same(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_operand(g, node->in[0]);
}

static nf__value write_to_rows(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_expanded(g, node->in[0], node->shape);
}

static nf__value write_reshape(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_reshape(g, nf__onnx_operand(g, node->in[0]), node->shape);
}

static nf__value write_transpose(nf__onnx *g, const ad_node *node, const char *type)
{
    static const int64_t order[] = {0, 2, 1};
    return NF__NODE(g, type, NF__ATTRIBUTES({"perm", .many = order, .count = 3}), nf__onnx_operand(g, node->in[0]));
}

static nf__value write_broadcast(nf__onnx *g, const ad_node *node, const char *type)
{
    int64_t extent[AD_MAX_RANK + 1] = {1};
    for (int i = 0; i < node->shape.rank; i++) extent[i + 1] = (int64_t)node->shape.dim[i];
    return NF__NODE(g, type, NULL, argument(g, node, 0), nf__onnx_integers(g, extent, (size_t)node->shape.rank + 1));
}

static nf__value write_matmul(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_matmul(g, node);
}

static nf__value write_solve(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_solve(g, node);
}

static nf__value write_conv2d(nf__onnx *g, const ad_node *node, const char *type)
{
    (void)type;
    return nf__onnx_conv2d(g, node);
}

/* A source of noise is an input, named by its distribution and, but for the first, a number. type: what it is. */
static nf__value write_noise(nf__onnx *g, const ad_node *node, const char *type)
{
    char name[32];
    const unsigned n = ++g->sources;
    snprintf(name, sizeof name, n == 1 ? "%s" : "%s_%u", node->op->name, n);
    return nf__onnx_input(g, name, nf__onnx_type_of(g), node->shape, type);
}

static nf__value write_not(nf__onnx *g, const ad_node *node, const char *type)
{
    return nf__onnx_refuse(g, node, type);
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    write_node *write;
    const char *type;
} table[] = {
    {"abs", write_unary, "Abs"},
    {"add", write_binary, "Add"},
    {"atan2", write_atan2, "Atan"},
    {"broadcast", write_broadcast, "Expand"},
    {"concat", write_concat, "Concat"},
    {"conv2d", write_conv2d, "Conv"},
    {"cos", write_unary, "Cos"},
    {"cumsum", write_cumsum, "CumSum"},
    {"div", write_binary, "Div"},
    {"equal", write_comparison, "Equal"},
    {"erf", write_unary, "Erf"},
    {"exp", write_unary, "Exp"},
    {"expm1", write_expm1, "Exp"},
    {"floor", write_unary, "Floor"},
    {"gate", write_gate, "Where"},
    {"gather", write_gather, "Gather"},
    {"greater", write_comparison, "Greater"},
    {"greater_equal", write_comparison, "GreaterOrEqual"},
    {"inside", write_inside, "Where"},
    {"leaky_relu", write_leaky_relu, "Where"},
    {"log", write_unary, "Log"},
    {"log1p", write_log1p, "Log"},
    {"logsumexp", write_reduction, "ReduceLogSumExp"},
    {"matmul", write_matmul, "MatMul"},
    {"max", write_reduction, "ReduceMax"},
    {"maximum", write_binary, "Max"},
    {"minimum", write_binary, "Min"},
    {"mul", write_binary, "Mul"},
    {"neg", write_unary, "Neg"},
    {"normal", write_noise, "independent draws from N(0, 1)"},
    {"ode", write_not, "it is solved in steps that each row chooses"},
    {"ode_rows", write_not, "it is solved in steps that each row chooses"},
    {"pad", write_pad, "Pad"},
    {"pow", write_binary, "Pow"},
    {"relu", write_unary, "Relu"},
    {"reshape", write_reshape, "Reshape"},
    {"root_elementwise", write_not, "this map's inverse is searched for"},
    {"root_general", write_not, "this map's inverse is searched for"},
    {"root_triangular", write_not, "this map's inverse is searched for"},
    {"scatter", write_scatter, "Add"},
    {"sigmoid", write_unary, "Sigmoid"},
    {"sign", write_unary, "Sign"},
    {"sin", write_unary, "Sin"},
    {"slice", write_slice, "Slice"},
    {"softplus", write_softplus, "Relu"},
    {"solve", write_solve, "MatMul"},
    {"solve_triangular", write_solve, "MatMul"},
    {"sqrt", write_unary, "Sqrt"},
    {"square", write_square, "Mul"},
    {"stop_gradient", write_same, NULL},
    {"sub", write_binary, "Sub"},
    {"sum", write_reduction, "ReduceSum"},
    {"tanh", write_unary, "Tanh"},
    {"tanh_slope", write_tanh_slope, "Mul"},
    {"to_rows", write_to_rows, NULL},
    {"transpose", write_transpose, "Transpose"},
    {"uniform", write_noise, "independent draws from the uniform distribution on (0, 1)"},
    {"where", write_where, "Where"},
};

/* One from outside may have any name. */
static bool is_own(const ad_op *op)
{
    const ad_op *const *own = ad_all_ops();
    while (*own && *own != op) own++;
    return *own != NULL;
}

void nf__onnx_write(nf__onnx *g, size_t id, const ad_node *node)
{
    g->scope = node->scope;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].op, node->op->name) != 0 || !is_own(node->op)) continue;
        g->value[id] = table[i].write(g, node, table[i].type);
        return;
    }
    g->value[id] = nf__onnx_refuse(g, node, NULL);
}

nf__value nf__onnx_refuse(nf__onnx *g, const ad_node *node, const char *why)
{
    if (g->error->status != AD_OK) return -1;
    ad_error_set(g->error, AD_ERROR_ARGUMENT, "%s%s%s: ONNX has no counterpart of the op %s%s%s%s",
                 *node->scope ? "in " : "", node->scope, *node->scope ? "" : "this flow", node->op->name,
                 why ? " (" : "", why ? why : "", why ? ")" : "");
    return -1;
}
