/* For tests: random programs of any mixture of ops, each recorded with the numbers that it gives by plain loops. */
#ifndef WEIR_TESTS_PROGRAMS_H
#define WEIR_TESTS_PROGRAMS_H

#include "autodiff/reference.h"
#include "base/broadcast.h"
#include "tape/builtin.h"

typedef enum { ANY, SLOPE, AXIS, CUMSUM, RESHAPE, BROADCAST, SLICE, PAD, CONCAT, GATHER, SCATTER, MATRIX, MATMUL } form;

/* An op, and what its arguments and attributes are like. */
typedef struct {
    ad__op_id op;
    form form;
} op_kind;

/* clang-format off */
static const op_kind whole_steps[] = { /* what keeps whole numbers whole */
    {AD_OP_neg, ANY}, {AD_OP_relu, ANY}, {AD_OP_square, ANY}, {AD_OP_abs, ANY}, {AD_OP_sign, ANY}, {AD_OP_add, ANY},
    {AD_OP_sub, ANY}, {AD_OP_mul, ANY}, {AD_OP_maximum, ANY}, {AD_OP_minimum, ANY}, {AD_OP_greater, ANY},
    {AD_OP_equal, ANY}, {AD_OP_where, ANY}, {AD_OP_leaky_relu, SLOPE}, {AD_OP_gate, SLOPE}, {AD_OP_stop_gradient, ANY},
    {AD_OP_sum, AXIS}, {AD_OP_max, AXIS}, {AD_OP_cumsum, CUMSUM}, {AD_OP_sum_rows, ANY}, {AD_OP_to_rows, ANY},
    {AD_OP_reshape, RESHAPE}, {AD_OP_reshape, RESHAPE}, {AD_OP_slice, SLICE}, {AD_OP_slice, SLICE},
    {AD_OP_concat, CONCAT}, {AD_OP_concat, CONCAT}, {AD_OP_pad, PAD}, {AD_OP_broadcast, BROADCAST},
    {AD_OP_gather, GATHER}, {AD_OP_scatter, SCATTER}, {AD_OP_transpose, MATRIX}, {AD_OP_matmul, MATMUL},
    {AD_OP_matmul_rows, MATMUL}};

static const op_kind smooth_steps[] = {
    {AD_OP_sin, ANY}, {AD_OP_softplus, ANY}, {AD_OP_sigmoid, ANY}, {AD_OP_add, ANY}, {AD_OP_sub, ANY}, {AD_OP_mul, ANY},
    {AD_OP_sum, AXIS}, {AD_OP_logsumexp, AXIS}, {AD_OP_cumsum, CUMSUM}, {AD_OP_sum_rows, ANY}, {AD_OP_to_rows, ANY},
    {AD_OP_reshape, RESHAPE}, {AD_OP_slice, SLICE}, {AD_OP_concat, CONCAT}, {AD_OP_pad, PAD},
    {AD_OP_broadcast, BROADCAST}, {AD_OP_gather, GATHER}, {AD_OP_scatter, SCATTER}, {AD_OP_transpose, MATRIX},
    {AD_OP_matmul, MATMUL}, {AD_OP_matmul_rows, MATMUL}};

static const op_kind fused_steps[] = { /* what plans fuse, and a few ops that they don't */
    {AD_OP_neg, ANY}, {AD_OP_relu, ANY}, {AD_OP_square, ANY}, {AD_OP_abs, ANY}, {AD_OP_sign, ANY}, {AD_OP_add, ANY},
    {AD_OP_sub, ANY}, {AD_OP_mul, ANY}, {AD_OP_mul_add, ANY}, {AD_OP_maximum, ANY}, {AD_OP_minimum, ANY},
    {AD_OP_greater, ANY}, {AD_OP_greater_equal, ANY}, {AD_OP_equal, ANY}, {AD_OP_where, ANY}, {AD_OP_floor, ANY},
    {AD_OP_leaky_relu, SLOPE}, {AD_OP_gate, SLOPE}, {AD_OP_sin, ANY}, {AD_OP_cos, ANY}, {AD_OP_exp, ANY},
    {AD_OP_expm1, ANY}, {AD_OP_tanh, ANY}, {AD_OP_tanh_slope, ANY}, {AD_OP_softplus, ANY}, {AD_OP_sigmoid, ANY},
    {AD_OP_sum, AXIS}, {AD_OP_sum, AXIS}, {AD_OP_max, AXIS}, {AD_OP_logsumexp, AXIS}, {AD_OP_cumsum, CUMSUM},
    {AD_OP_sum_rows, ANY}, {AD_OP_to_rows, ANY}, {AD_OP_reshape, RESHAPE}, {AD_OP_reshape, RESHAPE},
    {AD_OP_reshape, RESHAPE}, {AD_OP_slice, SLICE}, {AD_OP_slice, SLICE}, {AD_OP_concat, CONCAT},
    {AD_OP_concat, CONCAT}, {AD_OP_pad, PAD}, {AD_OP_broadcast, BROADCAST}, {AD_OP_gather, GATHER},
    {AD_OP_scatter, SCATTER}, {AD_OP_transpose, MATRIX}, {AD_OP_matmul, MATMUL}, {AD_OP_matmul_rows, MATMUL}};
/* clang-format on */

typedef enum { WHOLE_NUMBERS, SMOOTH, FUSED } program_kind;

enum { MOST_ITEMS = 64, MOST_ATTRIBUTES = 32 };

/* Values recorded so far, with their numbers by plain loops. */
typedef struct {
    problem p;
    int count;
    ad_var var[MOST_ITEMS];
    const double *value[MOST_ITEMS];
} program;

typedef struct {
    int item[MAX_PARTS], n_in;
    double attribute[MOST_ATTRIBUTES];
    size_t n_attribute;
} step;

static inline void add_item(program *g, ad_var v, const double *value)
{
    ck_assert_int_lt(g->count, MOST_ITEMS);
    g->var[g->count] = v;
    g->value[g->count++] = value;
}

/* Rather a late one. */
static inline int pick(program *g)
{
    double u = draw(&g->p, 0, 1);
    return g->count - 1 - (int)(u * u * g->count);
}

static inline ad_shape shape_of_item(const program *g, const step *s, int i)
{
    return ad_shape_of(g->var[s->item[i]]);
}

static inline void push_attribute(step *s, size_t attribute)
{
    s->attribute[s->n_attribute++] = (double)attribute;
}

static inline void push_extents(step *s, ad_shape shape)
{
    for (int i = 0; i < shape.rank; i++) push_attribute(s, shape.dim[i]);
}

static inline void choose_reshape(program *g, step *s)
{
    size_t n = ad_shape_size(shape_of_item(g, s, 0)), divisor = 1 + draw_below(&g->p, 4);
    const ad_shape shapes[] = {AD_SHAPE(n), AD_SHAPE(n, 1), AD_SHAPE(1, n), AD_SHAPE(divisor, n / divisor),
                               AD_SHAPE(n / divisor, 1, divisor)};
    push_extents(s, shapes[draw_below(&g->p, n % divisor == 0 ? 5 : 3)]);
}

static inline void choose_broadcast(program *g, step *s)
{
    ad_shape from = shape_of_item(g, s, 0), to = from;
    if (from.rank < AD_MAX_RANK && draw(&g->p, 0, 1) < 0.5) {
        to.rank++;
        memmove(to.dim + 1, from.dim, (size_t)from.rank * sizeof *to.dim);
        to.dim[0] = 1 + draw_below(&g->p, 3);
    }
    for (int i = 0; i < to.rank; i++)
        if (to.dim[i] == 1) to.dim[i] = 1 + draw_below(&g->p, 3);
    push_extents(s, to);
}

/* Parts that differ in the axis only, or the first again. */
static inline void choose_concat(program *g, step *s, int axis)
{
    s->n_in = 2 + (int)draw_below(&g->p, 2);
    for (int i = 1; i < s->n_in; i++) {
        for (int attempt = 0; attempt < 10; attempt++) {
            s->item[i] = pick(g);
            ad_shape part = shape_of_item(g, s, i), wanted = shape_of_item(g, s, 0);
            if (part.rank == wanted.rank) wanted.dim[axis] = part.dim[axis];
            if (ad_shape_equal(part, wanted)) break;
            s->item[i] = s->item[0];
        }
    }
    push_attribute(s, (size_t)axis);
}

/* Two matrices that fit, perhaps transposed, perhaps with blocks in the first (not transposed then) or the product. */
static inline bool choose_matmul(program *g, step *s, bool rows)
{
    problem *p = &g->p;
    size_t ta = draw_below(p, 2), tb = draw_below(p, 2);
    ad_shape a = shape_of_item(g, s, 0), b = a;
    bool fits = false;
    for (int attempt = 0; attempt < 20 && !fits; attempt++) {
        s->item[1] = pick(g);
        b = shape_of_item(g, s, 1);
        fits = a.rank == 2 && b.rank == 2 && a.dim[!ta] == b.dim[tb];
    }
    for (int i = 0; i < 2 && rows; i++) fits &= ad_is_per_row(g->var[s->item[i]]);
    if (!fits) return false;
    size_t blocked = draw_below(p, 3), m = a.dim[ta], columns = blocked == 1 ? a.dim[!ta] : b.dim[!tb];
    if (blocked == 1 && (ta || rows)) blocked = 0;
    push_attribute(s, ta);
    push_attribute(s, tb);
    push_attribute(s, blocked);
    if (!blocked) return true;
    size_t begin[2] = {draw_below(p, columns + 1), draw_below(p, columns + 1)};
    push_attribute(s, 2);
    push_attribute(s, draw_below(p, m + 1));
    push_attribute(s, m);
    for (int i = 0; i < 2; i++) push_attribute(s, begin[i]);
    for (int i = 0; i < 2; i++) push_attribute(s, begin[i] + draw_below(p, columns - begin[i] + 1));
    return true;
}

static inline bool choose(program *g, const ad_op *op, form what, step *s)
{
    problem *p = &g->p;
    *s = (step){.n_in = op->n_in};
    for (int i = 0; i < MAX_PARTS; i++) s->item[i] = pick(g);
    ad_shape shape = shape_of_item(g, s, 0);
    if (what >= AXIS && what != RESHAPE && what != BROADCAST && shape.rank == 0) return false;
    const int axis = shape.rank ? (int)draw_below(p, (size_t)shape.rank) : 0;
    const size_t extent = shape.rank ? shape.dim[axis] : 1, start = draw_below(p, extent);
    switch (what) {
    case SLOPE:
        push_attribute(s, 2);
        /* fall through */
    case ANY:
        for (int i = 1; i < s->n_in; i++)
            if (!ad__shape_broadcast(shape, shape_of_item(g, s, i), &shape)) return false;
        return !(op->flags & AD_OP_SUMS_ROWS) || ad_is_per_row(g->var[s->item[0]]);
    case CUMSUM:
        push_attribute(s, (size_t)axis);
        push_attribute(s, draw_below(p, 2));
        return true;
    case AXIS:
        push_attribute(s, (size_t)axis);
        return true;
    case RESHAPE:
        choose_reshape(g, s);
        return true;
    case BROADCAST:
        choose_broadcast(g, s);
        return true;
    case SLICE:
        push_attribute(s, (size_t)axis);
        push_attribute(s, start);
        push_attribute(s, start + 1 + draw_below(p, extent - start));
        return true;
    case PAD:
        push_attribute(s, (size_t)axis);
        push_attribute(s, start);
        push_attribute(s, start + extent + draw_below(p, 2));
        return true;
    case CONCAT:
        choose_concat(g, s, axis);
        return true;
    case GATHER:
        for (size_t i = 1 + draw_below(p, 5); i > 0; i--) push_attribute(s, draw_below(p, shape.dim[0]));
        return true;
    case SCATTER:
        push_attribute(s, 1 + draw_below(p, 6));
        for (size_t i = 0; i < shape.dim[0] && i < MOST_ATTRIBUTES - 1; i++)
            push_attribute(s, draw_below(p, (size_t)s->attribute[0]));
        return shape.dim[0] < MOST_ATTRIBUTES - 1;
    case MATRIX:
        return shape.rank == 2;
    case MATMUL:
        return choose_matmul(g, s, (op->flags & AD_OP_SUMS_ROWS) != 0);
    }
    return false;
}

static inline double largest(const program *g, int item)
{
    double most = 0;
    for (size_t i = 0; i < extent_of(&g->p, g->var[item]); i++) most = fmax(most, fabs(g->value[item][i]));
    return most;
}

/* Record an op of items, and compute it. */
static inline void take_step(program *g, const ad_op *op, const step *s)
{
    ad_var in[MAX_PARTS];
    const double *value[MAX_PARTS];
    for (int i = 0; i < s->n_in; i++) {
        in[i] = g->var[s->item[i]];
        value[i] = g->value[s->item[i]];
    }
    ad_var y = ad_apply(op, in, s->n_in, s->attribute, s->n_attribute, g->p.tape);
    ck_assert_msg(ad_is_valid(y), "%s", ad_tape_error(g->p.tape)->message);
    if (size_of(y) > 60) return;
    add_item(g, y, reference_of(&g->p, op, in, value, s->n_in, s->attribute, s->n_attribute, y));
}

/* A new input, parameter or number. */
static inline void add_leaf(program *g, bool whole)
{
    problem *p = &g->p;
    if (p->n_leaf == MAX_LEAVES || draw(p, 0, 1) < 0.3) {
        ad_shape shape = {.rank = (int)draw_below(p, 3), .dim = {1, 1}};
        double *value = problem_array(p, 1);
        *value = (double)draw_below(p, 3);
        add_item(g, ad_constant(p->tape, shape, value), value);
        return;
    }
    ad_shape shape = {.rank = (int)draw_below(p, 4)};
    for (int axis = 0; axis < shape.rank; axis++) shape.dim[axis] = 1 + draw_below(p, 4);
    ad_var v = bind_random(p, draw(p, 0, 1) < 0.5, shape, -3, 3);
    double *value = (double *)(uintptr_t)p->value[p->n_leaf - 1];
    for (size_t k = 0; k < extent_of(p, v); k++) value[k] = whole ? round(value[k]) : value[k] / 3;
    add_item(g, v, value);
}

/* So many items, in a run of so many rows. */
static inline program program_new(uint64_t seed, program_kind what, size_t rows, int items)
{
    program g = {.p = problem_new(rows, seed)};
    problem *p = &g.p;
    const bool whole = what == WHOLE_NUMBERS;
    const op_kind *kinds = whole ? whole_steps : what == SMOOTH ? smooth_steps : fused_steps;
    const size_t n_kinds = whole ? COUNT(whole_steps) : what == SMOOTH ? COUNT(smooth_steps) : COUNT(fused_steps);
    for (int attempt = 0; attempt < 20 * items && g.count < items; attempt++) {
        if (g.count < 4 || draw(p, 0, 1) < 0.05) {
            add_leaf(&g, whole);
            continue;
        }
        const op_kind *kind = &kinds[draw_below(p, n_kinds)];
        const ad_op *op = ad__builtin(kind->op);
        step s;
        if (!choose(&g, op, kind->form, &s)) continue;
        if (what == FUSED && largest(&g, s.item[0]) > 30) continue; /* whose exp() might be infinite */
        take_step(&g, op, &s);
        /* Keep sums exact in float32, and finite differences accurate. */
        if (largest(&g, g.count - 1) > (whole ? 100 : 1.5))
            take_step(&g, ad__builtin(whole ? AD_OP_sign : AD_OP_tanh), &(step){.item = {g.count - 1}, .n_in = 1});
    }
    return g;
}

#endif
