/* z with f(z) = x, row by row: an op that runs an inner program until every row has converged.
 *
 * Of maps that are solved one feature at a time each is a monotone function of one variable: its root is bracketed, in
 * steps that grow, and the bracket narrowed by inverse quadratic interpolation where that is safe and bisection where
 * it isn't (Chandrupatla 1997, "A new hybrid quadratic/bisection algorithm for finding the zero of a nonlinear
 * function"), until numbers between its ends are used up. In general Newton's method goes down |f(z) - x|, with steps
 * that are halved until they do. */
#include "ops/kernels.h"
#include "plan/run.h"
#include "plan/worker.h"
#include "tape/root_program.h"

#include <weir/memory.h>

#include <float.h>

#if AD_REAL_BITS == 32
static const real epsilon = FLT_EPSILON, smallest = FLT_MIN, largest = FLT_MAX;
#else
static const real epsilon = DBL_EPSILON, smallest = DBL_MIN, largest = DBL_MAX;
#endif

/* ---- What a thread keeps ---------------------------------------------------------------------------------------- */

typedef struct {
    const ad__root_program *program;
    ad_plan *plan;
} root_state;

static void root_close(void *data)
{
    root_state *state = data;
    ad_plan_free(state->plan);
    ad_free(state);
}

static void *root_open(const ad_object *object, ad_dtype dtype, size_t rows, ad_error *error)
{
    root_state *state = ad_alloc(1, sizeof *state);
    if (!state) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for an inner program");
        return NULL;
    }
    state->program = ad_object_data(object);
    state->plan =
        ad_plan_new(state->program->result, state->program->n_result, &(ad_plan_options){.dtype = dtype}, error);
    if (state->plan && ad__plan_reserve(state->plan, rows, 1, NULL, error) == AD_OK) return state;
    root_close(state);
    return NULL;
}

/* ---- Rows at work ---------------------------------------------------------------------------------------------- */

/* Rows as the inner plan reads them, [rows][size]. It runs those in `active`, and gives their results one after the
 * other. */
typedef struct {
    const root_state *state;
    size_t rows, dim;
    real *x, *z;
    real *result[2]; /* [active][dim] */
    uint32_t *active;
    size_t n_active;
    bool ran;   /* the plan, on this tile */
    char *rest; /* of the scratch */
} work;

static size_t rounded(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static void *take(work *w, size_t count, size_t size)
{
    void *memory = w->rest;
    w->rest += rounded(count * size);
    return memory;
}

/* [rows][size] of a tile's value. */
static real *take_rows(work *w, const ad_tensor *value, size_t tile_rows)
{
    const real *from = value->data;
    real *to = take(w, w->rows * value->size, sizeof *to);
    for (size_t r = 0; r < w->rows; r++)
        for (size_t i = 0; i < value->size; i++)
            to[r * value->size + i] = value->per_row ? from[i * tile_rows + r] : from[i];
    return to;
}

/* z = x, and all rows active. */
static work begin(const ad_tile *tile)
{
    const root_state *state = tile->state;
    const ad__root_program *program = state->program;
    work w = {.state = state, .rows = tile->valid, .dim = tile->out.size, .rest = tile->scratch};
    w.x = take_rows(&w, &tile->in[0], tile->rows);
    w.z = take_rows(&w, &tile->in[0], tile->rows);
    for (int i = 0; i < program->n_result; i++) w.result[i] = take(&w, w.rows * w.dim, sizeof(real));
    w.active = take(&w, w.rows, sizeof *w.active);
    w.n_active = w.rows;
    for (size_t r = 0; r < w.rows; r++) w.active[r] = (uint32_t)r;

    ad_plan_set_input(state->plan, program->x, w.x);
    ad_plan_set_input(state->plan, program->z, w.z);
    for (int i = 0; i < program->n_captured; i++) {
        const ad_tensor *value = &tile->in[1 + i];
        ad_plan_set_input(state->plan, program->captured[i],
                          value->per_row ? take_rows(&w, value, tile->rows) : value->data);
    }
    for (int i = 0; i < program->n_result; i++) ad_plan_set_output(state->plan, i, w.result[i]);
    return w;
}

static void run(work *w)
{
    ad_status status =
        ad__plan_run_within(w->state->plan, &(ad_run){.rows = w->n_active, .index = w->active}, w->ran, NULL);
    w->ran = true;
    assert(status == AD_OK);
    (void)status;
}

static void fail_row(work *w, size_t row)
{
    for (size_t i = 0; i < w->dim; i++) w->z[row * w->dim + i] = (real)NAN;
}

/* Padding rows are given the last one's result. */
static void end(const work *w, const ad_tile *tile)
{
    real *out = tile->out.data;
    for (size_t i = 0; i < w->dim; i++)
        for (size_t r = 0; r < rows_of(&tile->out, tile); r++)
            out[i * tile->rows + r] = w->z[(r < w->rows ? r : w->rows - 1) * w->dim + i];
}

/* ---- One unknown ----------------------------------------------------------------------------------------------- */

typedef struct {
    real at, value; /* of f(z) - x */
} point;

/* Widening: from `start`, to both sides in turn. Narrowing: the root is between a, the newest point, and b; c is the
 * one before. */
typedef struct {
    enum { START, WIDEN, NARROW, DONE, FAILED } stage;
    unsigned steps;
    point start, last[2];
    real edge[2]; /* where f is not defined any more, on either side */
    real width, growth;
    int side;
    point a, b, c;
} search;

static real fail(search *s)
{
    s->stage = FAILED;
    return (real)NAN;
}

static real finish(search *s, real z)
{
    s->stage = DONE;
    return z;
}

/* Halfway on a scale that is linear near 0 and logarithmic far from it, so that no bracket is too wide. */
static real middle(real a, real b)
{
    const real x = fabs(a), y = fabs(b);
    if ((x <= 1 && y <= 1) || ((a > 0) == (b > 0) && x < 4 * y && y < 4 * x)) return a / 2 + b / 2;
    return sinh(asinh(a) / 2 + asinh(b) / 2);
}

static real narrow(search *s)
{
    const point a = s->a, b = s->b, c = s->c, best = fabs(a.value) < fabs(b.value) ? a : b;
    const real gap = fabs(b.at - a.at), least = epsilon * fabs(best.at) + smallest;
    if (gap <= 2 * least) return fabs(best.value) <= largest ? finish(s, best.at) : fail(s);
    const real xi = (a.at - b.at) / (c.at - b.at), phi = (a.value - b.value) / (c.value - b.value);
    const bool safe = phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi;
    if (gap > largest || (c.at != b.at && !safe)) return middle(a.at, b.at);
    real t = a.value / (a.value - b.value);
    if (c.at != b.at)
        t = a.value / (b.value - a.value) * c.value / (b.value - c.value) +
            (c.at - a.at) / (b.at - a.at) * a.value / (c.value - a.value) * b.value / (c.value - b.value);
    const real margin = least / gap;
    t = t > margin ? t : margin; /* NaN too */
    t = t < 1 - margin ? t : 1 - margin;
    return a.at + t * (b.at - a.at);
}

/* The next point to the side whose turn it is; the last one again where there is no room beyond. */
static real widen(search *s)
{
    const int side = s->side;
    const bool up = (s->start.value < 0) == (side == 0); /* first to where f grows to x, if it grows */
    real to = s->start.at + (up ? s->width : -s->width);
    if (up ? to >= s->edge[side] : to <= s->edge[side]) to = middle(s->last[side].at, s->edge[side]);
    return to < -largest ? -largest : to > largest ? largest : to;
}

static real start(search *s, real z, real value)
{
    const real far = (real)INFINITY, scale = fabs(z) > 1 ? fabs(z) : 1;
    const bool up = value < 0;
    if (value != value) return s->steps == 1 ? (real)0.5 : fail(s); /* inside of (0, 1) and of (0, ∞) */
    s->stage = WIDEN;
    s->start = s->last[0] = s->last[1] = (point){z, value};
    s->edge[0] = up ? far : -far;
    s->edge[1] = up ? -far : far;
    s->width = 2 * (fabs(value) <= largest ? fabs(value) : scale);
    if (s->width < 4 * epsilon * fabs(z)) s->width = 4 * epsilon * fabs(z);
    s->growth = 4;
    return widen(s);
}

/* f(z) - x is `value`: where to look next, or the root. */
static real next(search *s, real z, real value)
{
    enum { MOST = 600 };
    if (value == 0) return finish(s, z);
    if (++s->steps > MOST) return fail(s);
    if (s->stage == START) return start(s, z, value);
    if (s->stage == NARROW) {
        if (value != value) return fail(s);
        const bool same = (value < 0) == (s->a.value < 0);
        s->c = same ? s->a : s->b;
        if (!same) s->b = s->a;
        s->a = (point){z, value};
        return narrow(s);
    }
    const int side = s->side;
    if (value == value && (value < 0) != (s->start.value < 0)) {
        s->stage = NARROW;
        s->a = (point){z, value};
        s->b = s->last[side];
        s->c = s->last[1 - side];
        return narrow(s);
    }
    if (value != value)
        s->edge[side] = z;
    else
        s->last[side] = (point){z, value};
    s->side = 1 - side;
    if (side == 1) {
        if (fabs(s->last[0].at - s->last[1].at) > largest) return fail(s); /* from end to end */
        s->width *= s->growth;
        s->growth *= 4;
    }
    return widen(s);
}

/* Solve for `count` features of each row, side by side. */
static void solve_features(work *w, const size_t *feature, size_t count, search *of)
{
    memset(of, 0, w->rows * count * sizeof *of);
    while (w->n_active > 0) {
        run(w);
        size_t kept = 0;
        for (size_t k = 0; k < w->n_active; k++) {
            const size_t row = w->active[k];
            bool busy = false, failed = false;
            for (size_t j = 0; j < count; j++) {
                search *s = &of[row * count + j];
                const size_t i = feature[j], at = row * w->dim + i;
                if (s->stage < DONE) w->z[at] = next(s, w->z[at], w->result[0][k * w->dim + i]);
                busy |= s->stage < DONE;
                failed |= s->stage == FAILED;
            }
            if (failed)
                fail_row(w, row);
            else if (busy)
                w->active[kept++] = (uint32_t)row;
        }
        w->n_active = kept;
    }
}

static void root_elementwise_evaluate(const ad_tile *tile)
{
    work w = begin(tile);
    size_t *feature = take(&w, w.dim, sizeof *feature);
    for (size_t i = 0; i < w.dim; i++) feature[i] = i;
    solve_features(&w, feature, w.dim, take(&w, w.rows * w.dim, sizeof(search)));
    end(&w, tile);
}

/* attribute: the order. */
static void root_triangular_evaluate(const ad_tile *tile)
{
    work w = begin(tile);
    search *of = take(&w, w.rows, sizeof *of);
    for (size_t k = 0; k < w.dim; k++) {
        const size_t feature = (size_t)tile->attribute[k];
        w.n_active = 0;
        for (size_t r = 0; r < w.rows; r++) {
            const real *before = &w.z[r * w.dim + (size_t)tile->attribute[k > 0 ? k - 1 : 0]];
            if (k == 0 || *before == *before) w.active[w.n_active++] = (uint32_t)r;
        }
        solve_features(&w, &feature, 1, of);
    }
    end(&w, tile);
}

/* ---- All at once ----------------------------------------------------------------------------------------------- */

/* A row's best point so far, and Newton's step from there, of which it tries the fraction `fraction`. */
typedef struct {
    real distance; /* |f(z) - x|, the largest element */
    real fraction;
    unsigned steps;
} descent;

static real largest_of(size_t n, const real *x)
{
    real max = 0;
    for (size_t i = 0; i < n; i++) max = fabs(x[i]) <= max || max != max ? max : fabs(x[i]); /* NaN stays */
    return max;
}

static bool is_last_step(size_t n, const real *step, const real *z)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs(step[i]) <= epsilon * fabs(z[i]))) return false;
    return true;
}

/* Where Newton's own step brings nothing: is it so short that what is left is rounding? Of a longer one a small part
 * may still be of use, where f bends. */
static bool is_rounded_off(size_t n, const real *z, const real *step)
{
    return largest_of(n, step) <= sqrt(epsilon) * (1 + largest_of(n, z));
}

/* Where not even the smallest part of it brings anything: is what is left the rounding of f? */
static bool is_near(const descent *d, size_t n, const real *x)
{
    return d->distance <= 1024 * epsilon * largest_of(n, x);
}

/* After a look at `trial`, true if there is another one to look at; else the root is in z, or NaN. */
static bool descend(descent *d, size_t n, const real *x, real *trial, const real *residual, const real *newton, real *z,
                    real *step)
{
    enum { MOST = 600 };
    const real distance = largest_of(n, residual);
    const bool first = d->steps++ == 0, better = distance < d->distance * (1 - d->fraction / 4096);
    if (first ? distance <= largest : better) {
        d->distance = distance;
        d->fraction = 1;
        memcpy(z, trial, n * sizeof *z);
        memcpy(step, newton, n * sizeof *step);
        if (distance == 0 || is_last_step(n, step, z)) return false;
    } else {
        if (d->fraction == 1 && is_rounded_off(n, z, step)) return false;
        d->fraction /= 2;
    }
    if (d->fraction < epsilon || d->steps > MOST) { /* 0 where f was not even finite */
        if (d->fraction > 0 && is_near(d, n, x)) return false;
        for (size_t i = 0; i < n; i++) z[i] = (real)NAN;
        return false;
    }
    for (size_t i = 0; i < n; i++) trial[i] = z[i] - d->fraction * step[i];
    return true;
}

static void root_general_evaluate(const ad_tile *tile)
{
    work w = begin(tile);
    const size_t n = w.dim;
    real *best = take(&w, w.rows * n, sizeof *best), *step = take(&w, w.rows * n, sizeof *step);
    descent *of = take(&w, w.rows, sizeof *of);
    memset(of, 0, w.rows * sizeof *of);
    while (w.n_active > 0) {
        run(&w);
        size_t kept = 0;
        for (size_t k = 0; k < w.n_active; k++) {
            const size_t row = w.active[k], at = row * n;
            if (descend(&of[row], n, w.x + at, w.z + at, w.result[0] + k * n, w.result[1] + k * n, best + at,
                        step + at))
                w.active[kept++] = (uint32_t)row;
        }
        w.n_active = kept;
    }
    w.z = best;
    end(&w, tile);
}

/* ---- The ops --------------------------------------------------------------------------------------------------- */

static bool root_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    if (call->object) return true;
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "root: there is no function: use ad_root()");
    return false;
}

static size_t root_scratch(const ad_call *call, size_t rows, ad_dtype dtype)
{
    const size_t size = ad_dtype_size(dtype), dim = ad_shape_size(ad_shape_of(call->in[0]));
    const size_t searches = sizeof(search) > sizeof(descent) ? sizeof(search) : sizeof(descent);
    size_t bytes = 6 * rounded(rows * dim * size) + rounded(rows * sizeof(uint32_t)) + rounded(dim * sizeof(size_t)) +
                   rounded(rows * dim * searches);
    for (int i = 1; i < call->n_in; i++)
        if (ad_is_per_row(call->in[i])) bytes += rounded(rows * ad_shape_size(ad_shape_of(call->in[i])) * size);
    return bytes;
}

AD_DEFINE_OP(root_elementwise) = {
    .name = "root_elementwise",
    .n_in = -1,
    .shape = root_shape,
    .evaluate[AD_DTYPE] = root_elementwise_evaluate,
    .vjp = ad__root_vjp,
    .scratch = root_scratch,
    .open = root_open,
    .close = root_close,
};

AD_DEFINE_OP(root_triangular) = {
    .name = "root_triangular",
    .n_in = -1,
    .shape = root_shape,
    .evaluate[AD_DTYPE] = root_triangular_evaluate,
    .vjp = ad__root_vjp,
    .scratch = root_scratch,
    .open = root_open,
    .close = root_close,
};

AD_DEFINE_OP(root_general) = {
    .name = "root_general",
    .n_in = -1,
    .shape = root_shape,
    .evaluate[AD_DTYPE] = root_general_evaluate,
    .vjp = ad__root_vjp,
    .scratch = root_scratch,
    .open = root_open,
    .close = root_close,
};
