/* For tests of the engine: a tape whose leaves have values, and one call that plans and runs it. */
#ifndef WEIR_TESTS_ENGINE_H
#define WEIR_TESTS_ENGINE_H

#include <weir/autodiff.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { MAX_LEAVES = 16, MAX_OUTPUTS = 64 };

typedef struct allocation {
    struct allocation *next;
    double value[];
} allocation;

typedef struct {
    ad_tape *tape;
    ad_run run;
    size_t tile_rows;
    int n_leaf;
    ad_var leaf[MAX_LEAVES];
    const double *value[MAX_LEAVES]; /* (rows, size) or (size) */
    uint64_t seed, draws;
    allocation *owned;
} problem;

static inline problem problem_new(size_t rows, uint64_t seed)
{
    return (problem){.tape = ad_tape_new(), .run = {.rows = rows}, .tile_rows = 16, .seed = seed};
}

static inline void problem_free(problem *p)
{
    while (p->owned) {
        allocation *next = p->owned->next;
        free(p->owned);
        p->owned = next;
    }
    ad_tape_free(p->tape);
}

/* n zeros, freed with the problem. */
static inline double *problem_array(problem *p, size_t n)
{
    allocation *a = calloc(1, sizeof *a + n * sizeof *a->value);
    ck_assert_ptr_nonnull(a);
    a->next = p->owned;
    p->owned = a;
    return a->value;
}

/* Uniform on (low, high). */
static inline double draw(problem *p, double low, double high)
{
    return low + (high - low) * ad_random_uniform(p->seed, 77, p->draws++);
}

/* One of 0 … n-1. */
static inline size_t draw_below(problem *p, size_t n)
{
    return (size_t)draw(p, 0, (double)n);
}

static inline size_t size_of(ad_var v)
{
    return ad_shape_size(ad_shape_of(v));
}

/* Numbers of v over all rows. */
static inline size_t extent_of(const problem *p, ad_var v)
{
    return size_of(v) * (ad_is_per_row(v) ? p->run.rows : 1);
}

/* A new input or parameter with given values, which must last. */
static inline ad_var bind(problem *p, bool per_row, ad_shape shape, const double *values)
{
    ck_assert_int_lt(p->n_leaf, MAX_LEAVES);
    char name[16];
    snprintf(name, sizeof name, "leaf%d", p->n_leaf);
    ad_var v = per_row ? ad_input(p->tape, name, shape) : ad_param(p->tape, name, shape);
    p->value[p->n_leaf] = values;
    return p->leaf[p->n_leaf++] = v;
}

/* With random values, which float32 has too. */
static inline ad_var bind_random(problem *p, bool per_row, ad_shape shape, double low, double high)
{
    size_t n = ad_shape_size(shape) * (per_row ? p->run.rows : 1);
    double *values = problem_array(p, n);
    for (size_t i = 0; i < n; i++) values[i] = (double)(float)draw(p, low, high);
    return bind(p, per_row, shape, values);
}

/* Random values as an op's sample wants them for its argument i. */
static inline ad_var bind_sample(problem *p, bool per_row, const ad_sample *sample, int i)
{
    const ad_shape shape = sample->in[i].shape;
    ad_var v = bind_random(p, per_row, shape, sample->in[i].low, sample->in[i].high);
    double *value = (double *)(uintptr_t)p->value[p->n_leaf - 1];
    for (size_t k = 0; k < ad_shape_size(shape) * (per_row ? p->run.rows : 1) && sample->in[i].diagonal != 0; k++)
        if (k % ad_shape_size(shape) % (shape.dim[1] + 1) == 0) value[k] += sample->in[i].diagonal;
    return v;
}

/* Rows of its inputs that a run reads. */
static inline size_t rows_read(const ad_run *run)
{
    size_t rows = run->index ? 0 : run->rows;
    for (size_t r = 0; r < run->rows && run->index; r++)
        if (run->index[r] >= rows) rows = run->index[r] + 1;
    return rows;
}

/* The values of y[0 … count-1] into value[]: (rows, size) or (size). */
static inline void evaluate(problem *p, const ad_var *y, int count, ad_dtype dtype, double **value)
{
    ad_error error = {AD_OK, ""};
    ad_plan *plan = ad_plan_new(y, count, &(ad_plan_options){.dtype = dtype, .tile_rows = p->tile_rows}, &error);
    ck_assert_msg(plan != NULL, "%s", error.message);
    for (int i = 0; i < p->n_leaf; i++) {
        const void *data = p->value[i];
        if (dtype == AD_F32) {
            size_t n = size_of(p->leaf[i]) * (ad_is_per_row(p->leaf[i]) ? rows_read(&p->run) : 1);
            float *rounded = (float *)problem_array(p, n);
            for (size_t j = 0; j < n; j++) rounded[j] = (float)p->value[i][j];
            data = rounded;
        }
        ad_plan_set_input(plan, p->leaf[i], data);
    }
    float *narrow[MAX_OUTPUTS];
    ck_assert_int_le(count, MAX_OUTPUTS);
    for (int i = 0; i < count; i++) {
        value[i] = problem_array(p, extent_of(p, y[i]));
        narrow[i] = (float *)problem_array(p, extent_of(p, y[i]));
        ad_plan_set_output(plan, i, dtype == AD_F32 ? (void *)narrow[i] : value[i]);
    }
    ck_assert_msg(ad_plan_run(plan, &p->run, &error) == AD_OK, "%s", error.message);
    for (int i = 0; i < count && dtype == AD_F32; i++)
        for (size_t j = 0; j < extent_of(p, y[i]); j++) value[i][j] = (double)narrow[i][j];
    ad_plan_free(plan);
}

static inline double *value_of(problem *p, ad_var y, ad_dtype dtype)
{
    double *value;
    evaluate(p, &y, 1, dtype, &value);
    return value;
}

/* Row r of the values of v. */
static inline const double *row_of(const double *values, ad_var v, size_t r)
{
    return values + (ad_is_per_row(v) ? r * size_of(v) : 0);
}

/* Where element i of a tensor comes from in one that was broadcast to it. */
static inline size_t broadcast_source(size_t i, ad_shape to, ad_shape from)
{
    size_t source = 0, step = 1;
    for (int axis = 1; axis <= to.rank; axis++) {
        size_t at = i % to.dim[to.rank - axis];
        i /= to.dim[to.rank - axis];
        if (axis > from.rank) continue;
        size_t extent = from.dim[from.rank - axis];
        if (extent > 1) source += at * step;
        step *= extent;
    }
    return source;
}

/* c·v with random c, summed over everything: a shared scalar that depends on all of v. */
static inline ad_var project(problem *p, ad_var v)
{
    double *c = problem_array(p, size_of(v));
    for (size_t i = 0; i < size_of(v); i++) c[i] = draw(p, 0.5, 1.5);
    ad_var sum = ad_sum(ad_mul(v, ad_constant(p->tape, ad_shape_of(v), c)));
    return ad_is_per_row(v) ? ad_sum_rows(sum) : sum;
}

/* ad_gradcheck() of y with respect to all leaves. */
static inline ad_status check_gradient(problem *p, ad_var y, ad_error *error)
{
    return ad_gradcheck(y, p->leaf, p->n_leaf, p->leaf, p->value, p->n_leaf,
                        &(ad_gradcheck_options){.rows = p->run.rows, .seed = p->seed}, NULL, error);
}

/* The largest difference, relative to the largest number expected (or to 1). */
static inline double distance(const double *got, const double *expected, size_t n)
{
    double scale = 1, worst = 0;
    for (size_t i = 0; i < n; i++) scale = fmax(scale, fabs(expected[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - expected[i]) <= worst)) worst = fabs(got[i] - expected[i]);
    return worst / scale;
}

static inline void assert_message(const ad_error *error, ad_status status, const char *part)
{
    ck_assert_int_eq(error->status, status);
    ck_assert_msg(strstr(error->message, part) != NULL, "'%s' is not in: %s", part, error->message);
}

/* One of the ops that Weir has. */
static inline const ad_op *op_named(const char *name)
{
    const ad_op *const *op = ad_all_ops();
    while (strcmp((*op)->name, name) != 0) op++;
    return *op;
}

/* All of the gradient of Σ c y² with respect to all arguments. */
static inline ad_var gradient_of_squares(problem *p, ad_var y)
{
    ad_var gradient[MAX_LEAVES], total = ad_scalar(p->tape, 0);
    ad_grad(project(p, ad_square(y)), p->leaf, p->n_leaf, gradient);
    for (int i = 0; i < p->n_leaf; i++) total = ad_add(total, project(p, gradient[i]));
    return total;
}

/* An op that tells of how many rows its tile is, in float32 alone. */
static inline void height_evaluate(const ad_tile *tile)
{
    for (size_t i = 0; i < tile->rows; i++) ((float *)tile->out.data)[i] = (float)tile->rows;
}

static const ad_op height_op = {.name = "height", .n_in = 1, .flags = AD_OP_ELEMENTWISE, .evaluate = {height_evaluate}};

#endif
