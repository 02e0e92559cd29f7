/* z(t1) of dz/dt = f(t, z), row by row: ops that run a step's inner program until every row has arrived.
 *
 * `ode` is the solution. The others are its gradients: they go back through its steps, all rows from their last one,
 * summing over rows where what they differentiate by is shared. */
#include "ops/ode_solver.h"

static void *ode_open(const ad_object *object, ad_dtype dtype, size_t rows, ad_error *error)
{
    return open_both(ad_object_data(object), NULL, dtype, rows, error);
}

static void *pull_open(const ad_object *object, ad_dtype dtype, size_t rows, ad_error *error)
{
    const ad__ode_pull *pull = ad_object_data(object);
    return open_both(pull->forward, pull, dtype, rows, error);
}

static void ode_evaluate(const ad_tile *tile)
{
    work w = begin(tile, tile->in);
    solve(&w, tile->in);
    give_rows(&w, w.z, w.dim, 0);
}

/* ---- Back through the steps ------------------------------------------------------------------------------------- */

typedef struct {
    real *g;       /* [rows][dim]: the gradient of z where a row is */
    real **sum;    /* of each captured value: [rows][size], or [size] of shared ones */
    real **result; /* of the plan: the gradient where the step begins, and these; of active rows */
} pull_back;

static size_t size_of(const ad__ode_pull *pull, int i)
{
    return pull->at[i + 1] - pull->at[i];
}

static pull_back begin_back(work *w)
{
    const ad__ode_pull *pull = w->state->pull;
    const size_t count = (size_t)pull->n_captured, copies = pull->of_rows ? w->rows : 1;
    pull_back b = {.g = take_rows(w, &w->tile->in[0])};
    b.sum = take(w, count + 1, sizeof *b.sum);
    b.result = take(w, count + 1, sizeof *b.result);
    b.result[0] = w->result[0];
    for (size_t i = 0; i < count; i++) {
        const size_t numbers = size_of(pull, (int)i) * copies;
        b.sum[i] = take(w, numbers, sizeof(real));
        b.result[i + 1] = take(w, numbers, sizeof(real));
        memset(b.sum[i], 0, numbers * sizeof(real));
    }
    for (size_t i = 0; i <= count; i++) ad_plan_set_output(w->state->back, (int)i, b.result[i]);
    ad_plan_set_input(w->state->back, pull->input[0], w->s);
    ad_plan_set_input(w->state->back, pull->input[1], w->z);
    ad_plan_set_input(w->state->back, pull->h, w->h);
    ad_plan_set_input(w->state->back, pull->g, b.g);
    return b;
}

/* Put rows that took more than `back` steps where the last but `back` began; false if there is none. */
static bool step_back(work *w, size_t back)
{
    w->n_active = 0;
    for (size_t r = 0; r < w->rows; r++) {
        if (w->failed[r] || w->taken[r] <= back) continue;
        const real *begun = (const real *)w->trail->begun[w->taken[r] - 1 - back] + r * (w->dim + 2);
        w->s[r] = begun[0];
        w->h[r] = begun[1];
        memcpy(w->z + r * w->dim, begun + 2, w->dim * sizeof(real));
        w->active[w->n_active++] = (uint32_t)r;
    }
    return w->n_active > 0;
}

static void add(size_t n, const real *from, real *to)
{
    AD_SIMD
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static void go_back(work *w, const pull_back *b)
{
    const ad__ode_pull *pull = w->state->pull;
    for (size_t back = 0; step_back(w, back); back++) {
        run(w, w->state->back, &w->ran_back);
        for (int i = 0; i < pull->n_captured; i++) {
            const size_t size = size_of(pull, i);
            if (!pull->of_rows) add(size, b->result[i + 1], b->sum[i]);
            for (size_t k = 0; k < w->n_active && pull->of_rows; k++)
                add(size, b->result[i + 1] + k * size, b->sum[i] + w->active[k] * size);
        }
        for (size_t k = 0; k < w->n_active; k++)
            memcpy(b->g + w->active[k] * w->dim, b->result[0] + k * w->dim, w->dim * sizeof(real));
    }
}

static void fill_nan(size_t n, real *to)
{
    for (size_t i = 0; i < n; i++) to[i] = (real)NAN;
}

/* in: the gradient of the solution, then what `ode` has. */
static void ode_rows_evaluate(const ad_tile *tile)
{
    work w = begin(tile, tile->in + 1);
    const ad__ode_pull *pull = w.state->pull;
    solve(&w, tile->in + 1);
    pull_back b = begin_back(&w);
    go_back(&w, &b);
    for (size_t r = 0; r < w.rows; r++) {
        if (!w.failed[r]) continue;
        fill_nan(w.dim, b.g + r * w.dim);
        for (int i = 0; i < pull->n_captured; i++) fill_nan(size_of(pull, i), b.sum[i] + r * size_of(pull, i));
    }
    give_rows(&w, b.g, w.dim, 0);
    for (int i = 0; i < pull->n_captured; i++) give_rows(&w, b.sum[i], size_of(pull, i), pull->at[i]);
}

static void ode_shared_evaluate(const ad_tile *tile)
{
    work w = begin(tile, tile->in + 1);
    const ad__ode_pull *pull = w.state->pull;
    solve(&w, tile->in + 1);
    pull_back b = begin_back(&w);
    go_back(&w, &b);
    real *out = tile->out.data;
    if (!tile->accumulate) memset(out, 0, tile->out.size * sizeof *out);
    for (int i = 0; i < pull->n_captured; i++) add(size_of(pull, i), b.sum[i], out + pull->at[i]);
    for (size_t r = 0; r < w.rows; r++)
        if (w.failed[r]) fill_nan(tile->out.size, out);
}

/* ---- The ops ---------------------------------------------------------------------------------------------------- */

static bool refuse(const ad_call *call)
{
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "ode: there is no function: use ad_ode()");
    return false;
}

static bool ode_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    return call->object || refuse(call);
}

static bool pull_shape(const ad_call *call, ad_shape *result)
{
    const ad__ode_pull *pull = ad_object_data(call->object);
    if (!pull) return refuse(call);
    *result = AD_SHAPE(pull->at[pull->n_captured]);
    return true;
}

/* in: z0, t0, t1, …, of n_in. */
static size_t scratch_of(const ad_var *in, int n_in, size_t rows, size_t size)
{
    const size_t dim = ad_shape_size(ad_shape_of(in[0]));
    size_t bytes = (3 + AD__ODE_RESULTS) * rounded(rows * dim * size) + 3 * rounded(rows * size) +
                   3 * rounded(rows * sizeof(uint32_t)) + rounded(rows * sizeof(bool));
    for (int i = 1; i < n_in; i++)
        if (ad_is_per_row(in[i])) bytes += rounded(rows * ad_shape_size(ad_shape_of(in[i])) * size);
    return bytes;
}

static size_t ode_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    return scratch_of(call->in, call->n_in, rows, ad_dtype_size(dtype));
}

static size_t pull_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    const ad__ode_pull *pull = ad_object_data(call->object);
    const size_t size = ad_dtype_size(dtype), copies = pull->of_rows ? rows : 1;
    const size_t dim = ad_shape_size(ad_shape_of(call->in[0]));
    size_t bytes = scratch_of(call->in + 1, call->n_in - 1, rows, size) + rounded(rows * dim * size) +
                   2 * rounded(((size_t)pull->n_captured + 1) * sizeof(real *));
    for (int i = 0; i < pull->n_captured; i++) bytes += 2 * rounded(size_of(pull, i) * copies * size);
    return bytes;
}

AD_DEFINE_OP(ode) = {
    .name = "ode",
    .n_in = -1,
    .shape = ode_shape,
    .evaluate[AD_DTYPE] = ode_evaluate,
    .vjp = ad__ode_vjp,
    .scratch = ode_scratch,
    .open = ode_open,
    .close = ode_close,
};

AD_DEFINE_OP(ode_rows) = {
    .name = "ode_rows",
    .n_in = -1,
    .shape = pull_shape,
    .evaluate[AD_DTYPE] = ode_rows_evaluate,
    .vjp = ad__ode_pull_vjp,
    .scratch = pull_scratch,
    .open = pull_open,
    .close = ode_close,
};

AD_DEFINE_OP(ode_shared) = {
    .name = "ode_shared",
    .n_in = -1,
    .flags = AD_OP_SUMS_ROWS,
    .shape = pull_shape,
    .evaluate[AD_DTYPE] = ode_shared_evaluate,
    .vjp = ad__ode_pull_vjp,
    .scratch = pull_scratch,
    .open = pull_open,
    .close = ode_close,
};
