/* Solving an initial value problem for the rows of a tile, for the ops of ode.c: those that are still on their way take
 * a step together, each from its own time and of its own length. */
#ifndef WEIR_AUTODIFF_OPS_ODE_SOLVER_H
#define WEIR_AUTODIFF_OPS_ODE_SOLVER_H

#include "ops/kernels.h"
#include "ops/ode_trail.h"
#include "plan/run.h"
#include "plan/worker.h"

#include <weir/memory.h>

/* ---- What a thread keeps ---------------------------------------------------------------------------------------- */

typedef struct {
    ad__ode_program *program;
    const ad__ode_pull *pull; /* or NULL */
    ad_plan *rate, *step, *back;
    size_t rows; /* of the largest tile */
} ode_state;

static inline void ode_close(void *data)
{
    ode_state *state = data;
    ad_plan_free(state->back);
    ad_plan_free(state->step);
    ad_plan_free(state->rate);
    ad_free(state);
}

static inline ad_plan *open_plan(const ad_var *result, int count, ad_dtype dtype, size_t rows, ad_error *error)
{
    ad_plan *plan = ad_plan_new(result, count, &(ad_plan_options){.dtype = dtype}, error);
    if (plan && ad__plan_reserve(plan, rows, 1, NULL, error) == AD_OK) return plan;
    ad_plan_free(plan);
    return NULL;
}

static inline void *open_both(ad__ode_program *program, const ad__ode_pull *pull, ad_dtype dtype, size_t rows,
                              ad_error *error)
{
    ode_state *state = ad_alloc(1, sizeof *state);
    if (!state) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for an inner program");
        return NULL;
    }
    const ad__ode_steps *step = &program->step[dtype];
    *state = (ode_state){.program = program, .pull = pull, .rows = rows};
    if (pull) atomic_store(&program->keeps, true);
    state->rate = open_plan(&program->rate, 1, dtype, rows, error);
    if (state->rate) state->step = open_plan(step->result, AD__ODE_ERROR + step->method->n_error, dtype, rows, error);
    if (state->step && pull) state->back = open_plan(pull->result[dtype], pull->n_captured + 1, dtype, rows, error);
    if (pull ? state->back : state->step) return state;
    ode_close(state);
    return NULL;
}

/* ---- Rows at work ---------------------------------------------------------------------------------------------- */

/* Rows as the inner plans read them, [rows][size]. These run those in `active`, and give their results one after the
 * other. */
typedef struct {
    ode_state *state;
    const ad_tile *tile;
    const ad__ode_steps *steps;
    size_t rows, dim;
    real *z, *rate, *trial, *s, *h, *before; /* before: the error of the step before */
    uint32_t *tried, *taken;                 /* steps of each row */
    bool *failed;
    ad__ode_trail *trail;          /* where steps are kept, or NULL */
    real *result[AD__ODE_RESULTS]; /* [active][dim] */
    uint32_t *active;
    size_t n_active;
    bool ran_rate, ran_step, ran_back; /* the plans, on this tile */
    char *rest;                        /* of the scratch */
} work;

static inline size_t rounded(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static inline void *take(work *w, size_t count, size_t size)
{
    void *memory = w->rest;
    w->rest += rounded(count * size);
    return memory;
}

/* [rows][size] of a tile's value. */
static inline real *take_rows(work *w, const ad_tensor *value)
{
    const real *from = value->data;
    real *to = take(w, w->rows * value->size, sizeof *to);
    for (size_t r = 0; r < w->rows; r++)
        for (size_t i = 0; i < value->size; i++)
            to[r * value->size + i] = value->per_row ? from[i * w->tile->rows + r] : from[i];
    return to;
}

/* captured: the tile's t0, t1 and what f captures, as inputs of the plans. */
static inline void bind_captured(work *w, const ad_tensor *captured)
{
    const ode_state *state = w->state;
    for (int i = 2; i < state->program->n_input; i++) {
        const ad_tensor *value = &captured[i - 2];
        const void *data = value->per_row ? take_rows(w, value) : value->data;
        ad_plan_set_input(state->rate, state->program->input[i], data);
        ad_plan_set_input(state->step, state->program->input[i], data);
        if (state->back) ad_plan_set_input(state->back, state->pull->input[i], data);
    }
}

/* z = z0, and all rows active; in: z0, t0, t1, …, of the tile. */
static inline work begin(const ad_tile *tile, const ad_tensor *in)
{
    ode_state *state = tile->state;
    const ad__ode_program *program = state->program;
    work w = {.state = state,
              .tile = tile,
              .steps = &program->step[AD_DTYPE],
              .rows = tile->valid,
              .dim = in[0].size,
              .rest = tile->scratch};
    const size_t numbers = w.rows * w.dim;
    w.z = take_rows(&w, &in[0]);
    w.rate = take(&w, numbers, sizeof(real));
    w.trial = take(&w, numbers, sizeof(real));
    w.s = take(&w, w.rows, sizeof(real));
    w.h = take(&w, w.rows, sizeof(real));
    w.before = take(&w, w.rows, sizeof(real));
    w.tried = take(&w, w.rows, sizeof *w.tried);
    w.taken = take(&w, w.rows, sizeof *w.taken);
    w.failed = take(&w, w.rows, sizeof *w.failed);
    for (int i = 0; i < AD__ODE_RESULTS; i++) w.result[i] = take(&w, numbers, sizeof(real));
    w.active = take(&w, w.rows, sizeof *w.active);
    bind_captured(&w, in + 1);
    ad_plan_set_output(state->rate, 0, w.result[0]);
    for (int i = 0; i < AD__ODE_ERROR + w.steps->method->n_error; i++) ad_plan_set_output(state->step, i, w.result[i]);
    ad_plan_set_input(state->step, program->input[0], w.s);
    ad_plan_set_input(state->step, program->input[1], w.z);
    ad_plan_set_input(state->step, program->h, w.h);
    ad_plan_set_input(state->step, program->first_rate, w.rate);
    return w;
}

static inline void run(const work *w, ad_plan *plan, bool *ran)
{
    ad_status status = ad__plan_run_within(plan, &(ad_run){.rows = w->n_active, .index = w->active}, *ran, NULL);
    *ran = true;
    assert(status == AD_OK);
    (void)status;
}

static inline void fail_row(work *w, size_t row)
{
    w->failed[row] = true;
    for (size_t i = 0; i < w->dim; i++) w->z[row * w->dim + i] = (real)NAN;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static inline real larger(real a, real b)
{
    return a > b ? a : b;
}

/* The root of the mean square of v - minus (NULL: 0), each relative to what is allowed where z goes to `next`. */
static inline double relative(const work *w, const real *v, const real *minus, const real *z, const real *next)
{
    double sum = 0;
    for (size_t i = 0; i < w->dim; i++) {
        const double allowed = w->steps->atol + w->steps->rtol * (double)larger(fabs(z[i]), fabs(next[i]));
        const double part = (double)(minus ? v[i] - minus[i] : v[i]) / allowed;
        sum += part * part;
    }
    return sqrt(sum / (double)w->dim);
}

/* The rates at each active row's s and `z`. */
static inline void find_rates(work *w, const real *s, const real *z)
{
    const ad__ode_program *program = w->state->program;
    ad_plan_set_input(w->state->rate, program->input[0], s);
    ad_plan_set_input(w->state->rate, program->input[1], z);
    run(w, w->state->rate, &w->ran_rate);
}

/* How far a row goes at first (Hairer, Nørsett & Wanner 1993, section II.4): so far that an explicit Euler step would
 * change z by a hundredth of its size, then by how much the rate changed there. */
static inline void guess_first(work *w, size_t row)
{
    const real *z = w->z + row * w->dim, *rate = w->rate + row * w->dim;
    const double size = relative(w, z, NULL, z, z), speed = relative(w, rate, NULL, z, z);
    double h = size < 1e-5 || speed < 1e-5 ? 1e-6 : 0.01 * size / speed;
    if (!(h < 1)) h = 1;
    w->h[row] = (real)h;
    for (size_t i = 0; i < w->dim; i++) w->trial[row * w->dim + i] = z[i] + w->h[row] * rate[i];
}

static inline void correct_first(work *w, size_t row, const real *rate_there)
{
    const real *z = w->z + row * w->dim, *rate = w->rate + row * w->dim;
    const double h = (double)w->h[row], speed = relative(w, rate, NULL, z, z);
    const double bend = relative(w, rate_there, rate, z, z) / h, most = speed > bend ? speed : bend;
    double next = most == 0       ? 1
                  : most <= 1e-15 ? larger((real)1e-6, (real)(h * 1e-3))
                                  : pow(0.01 / most, 1 / w->steps->method->order);
    if (!(next < 100 * h) && most > 0) next = 100 * h; /* NaN too */
    w->h[row] = (real)(next < 1 ? next : 1);
}

static inline void begin_rows(work *w)
{
    w->n_active = w->rows;
    for (size_t r = 0; r < w->rows; r++) {
        w->active[r] = (uint32_t)r;
        w->s[r] = 0;
        w->before[r] = (real)1e-4;
        w->tried[r] = w->taken[r] = 0;
        w->failed[r] = false;
    }
    find_rates(w, w->s, w->z);
    memcpy(w->rate, w->result[0], w->rows * w->dim * sizeof *w->rate);
    for (size_t r = 0; r < w->rows; r++) guess_first(w, r);
    find_rates(w, w->h, w->trial);
    for (size_t r = 0; r < w->rows; r++) correct_first(w, r, w->result[0] + r * w->dim);
}

/* The error of a step that led to `next`, of which the plan gave number k. */
static inline double error_of(const work *w, size_t row, size_t k)
{
    const real *z = w->z + row * w->dim, *next = w->result[AD__ODE_NEXT] + k * w->dim;
    const double fifth = relative(w, w->result[AD__ODE_ERROR] + k * w->dim, NULL, z, next);
    if (w->steps->method->n_error == 1) return fifth;
    const double third = relative(w, w->result[AD__ODE_ERROR + 1] + k * w->dim, NULL, z, next);
    const double both = sqrt(fifth * fifth + 0.01 * third * third);
    return both == 0 ? 0 : fifth * (fifth / both);
}

/* Where memory is out, a gradient has no way back; a solution needs none. */
static inline bool keep_step(work *w, size_t row)
{
    real *begun = w->trail ? begun_at(w->trail, w->taken[row], w->dim) : NULL;
    if (!begun) {
        w->trail = NULL;
        return !w->state->pull;
    }
    begun += row * (w->dim + 2);
    begun[0] = w->s[row];
    begun[1] = w->h[row];
    memcpy(begun + 2, w->z + row * w->dim, w->dim * sizeof *begun);
    return true;
}

/* The step is good: go there. */
static inline void go(work *w, size_t row, size_t k)
{
    if (!keep_step(w, row)) {
        fail_row(w, row);
        return;
    }
    const bool last = w->h[row] == 1 - w->s[row];
    w->taken[row]++;
    w->s[row] = last ? 1 : w->s[row] + w->h[row];
    memcpy(w->z + row * w->dim, w->result[AD__ODE_NEXT] + k * w->dim, w->dim * sizeof(real));
    memcpy(w->rate + row * w->dim, w->result[AD__ODE_NEXT_RATE] + k * w->dim, w->dim * sizeof(real));
}

/* After a step of which the plan gave number k, true if the row is still on its way. */
static inline bool advance(work *w, size_t row, size_t k)
{
    const ad__runge_kutta *method = w->steps->method;
    const double error = error_of(w, row, k), safety = 0.9;
    const bool good = error <= 1; /* NaN isn't */
    double factor = error == 0 ? method->most : safety * pow(error, -method->now);
    if (good) {
        factor *= pow((double)w->before[row], method->earlier);
        go(w, row, k);
        w->before[row] = larger((real)error, (real)1e-4);
    }
    factor = factor > method->most ? method->most : factor > method->least ? factor : method->least;
    if (!good && factor > safety) factor = safety;
    const real left = 1 - w->s[row], next = w->h[row] * (real)factor;
    if (w->failed[row] || left == 0) return false;
    w->h[row] = next * (real)1.01 < left ? next : left;
    if (++w->tried[row] < w->state->program->max_steps && w->s[row] + w->h[row] > w->s[row]) return true;
    fail_row(w, row);
    return false;
}

static inline void walk(work *w)
{
    begin_rows(w);
    for (size_t r = 0; r < w->rows; r++) w->h[r] = w->h[r] < 1 ? w->h[r] : 1;
    while (w->n_active > 0) {
        run(w, w->state->step, &w->ran_step);
        size_t kept = 0;
        for (size_t k = 0; k < w->n_active; k++) {
            const size_t row = w->active[k];
            if (advance(w, row, k)) w->active[kept++] = (uint32_t)row;
        }
        w->n_active = kept;
    }
}

/* in: the op's arguments, z0 first. A gradient that finds its solution's trail need not walk again. */
static inline void solve(work *w, const ad_tensor *in)
{
    const int n_in = w->state->program->n_input - 1;
    ad__ode_trail *trail = atomic_load(&w->state->program->keeps) ? trail_of(w->state->program, w->state->rows) : NULL;
    if (w->state->pull && trail && is_solved(trail, in, n_in, w->tile->rows, w->rows)) {
        memcpy(w->taken, trail->taken, w->rows * sizeof *w->taken);
        memcpy(w->failed, trail->failed, w->rows * sizeof *w->failed);
        w->trail = trail;
        return;
    }
    if (trail) trail->solved = 0;
    w->trail = trail;
    walk(w);
    if (!w->trail) return;
    memcpy(trail->taken, w->taken, w->rows * sizeof *w->taken);
    memcpy(trail->failed, w->failed, w->rows * sizeof *w->failed);
    note_solved(trail, in, n_in, w->tile->rows, w->rows);
}

/* [rows][size] to features first … of the result; padding rows are given the last one's. */
static inline void give_rows(const work *w, const real *from, size_t size, size_t first)
{
    const size_t rows = w->tile->rows;
    real *out = (real *)w->tile->out.data + first * rows;
    for (size_t i = 0; i < size; i++)
        for (size_t r = 0; r < rows; r++) out[i * rows + r] = from[(r < w->rows ? r : w->rows - 1) * size + i];
}

#endif
