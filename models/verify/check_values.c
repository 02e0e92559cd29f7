/* The verifier: values of a bijector, both ways. */
#include "verify/checker.h"

#include <weir/flow.h>
#include <weir/verify.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 12 };

/* |a - b| of each element, relative where it is above 1. */
static void compare(nf_check_result *result, const char *name, const double *event, size_t dim, const double *a,
                    const double *b, size_t size, size_t rows)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < size; j++)
            if (nf__check_worse(result, fabs(a[r * size + j] - b[r * size + j]) / fmax(1, fabs(a[r * size + j]))))
                nf__check_at(result, name, event + r * dim, dim);
}

typedef struct {
    double *in, *out, *back, *there, *again; /* there, again: the log-dets */
} trip;

static bool trip_new(trip *t, size_t rows, size_t dim)
{
    double *memory = ad_alloc(3 * dim + 2, rows * sizeof *memory);
    size_t n = rows * dim;
    if (!memory) return false;
    *t = (trip){memory, memory + n, memory + 2 * n, memory + 3 * n, memory + 3 * n + rows};
    return true;
}

static ad_status go(nf__checker *c, const trip *t, bool inverse, size_t rows)
{
    ad_status status = nf__check_transform(c, AD_F64, inverse, t->in, rows, t->out, t->there);
    if (status == AD_OK) status = nf__check_transform(c, AD_F64, !inverse, t->out, rows, t->back, t->again);
    for (size_t r = 0; r < rows; r++) t->again[r] = -t->again[r];
    return status;
}

/* Points out of the range of the map have a log-det of -infinity and no way back: they leave. */
static size_t keep_supported(trip *t, size_t rows, size_t dim)
{
    size_t kept = 0;
    for (size_t r = 0; r < rows; r++) {
        if (t->there[r] == -INFINITY) continue;
        memmove(t->in + kept * dim, t->in + r * dim, dim * sizeof *t->in);
        memmove(t->back + kept * dim, t->back + r * dim, dim * sizeof *t->back);
        kept++;
    }
    return kept;
}

ad_status nf__check_round_trips(nf__checker *c)
{
    size_t n = ROWS * c->dim;
    trip t = {0};
    if (!trip_new(&t, ROWS, c->dim)) return nf__check_out_of_memory(c);
    for (size_t i = 0; i < n; i++) t.in[i] = 1.5 * ad_random_normal(c->seed, 1, i);
    ad_status status = go(c, &t, false, ROWS);
    if (status == AD_OK) {
        compare(nf__check_result_add(c, "round trip z -> x -> z", 1e-10), "z", t.in, c->dim, t.in, t.back, c->dim,
                ROWS);
        compare(nf__check_result_add(c, "log-dets of both directions cancel", 1e-10), "z", t.in, c->dim, t.there,
                t.again, 1, ROWS);
        for (size_t i = 0; i < n; i++) t.in[i] = 1.5 * ad_random_normal(c->seed, 2, i);
        status = go(c, &t, true, ROWS);
    }
    if (status == AD_OK) {
        size_t rows = keep_supported(&t, ROWS, c->dim);
        compare(nf__check_result_add(c, "round trip x -> z -> x", 1e-10), "x", t.in, c->dim, t.in, t.back, c->dim,
                rows);
    }
    ad_free(t.in);
    return status;
}

/* Where squashing maps have lost digits: |z| from 3 to 8. */
ad_status nf__check_edges(nf__checker *c)
{
    trip t = {0};
    if (!trip_new(&t, ROWS, c->dim)) return nf__check_out_of_memory(c);
    for (size_t i = 0; i < ROWS * c->dim; i++)
        t.in[i] = copysign(3 + 5 * ad_random_uniform(c->seed, 4, i), ad_random_uniform(c->seed, 5, i) - 0.5);
    ad_status status = go(c, &t, false, ROWS);
    if (status == AD_OK)
        compare(nf__check_result_add(c, "round trip z -> x -> z near the edges", 1e-6), "z", t.in, c->dim, t.in, t.back,
                c->dim, ROWS);
    ad_free(t.in);
    return status;
}

/* Images of events up to a million away: from each back to what maps to it, and there again, whatever digits of z the
 * image has kept. Features are compared with the largest of their event, and with what rounding of z makes of them: a
 * network may see digits that it blows up. What overflows leaves. */
ad_status nf__check_far(nf__checker *c)
{
    static const double far[] = {10, 20, 30, 100, 1e3, 1e6};
    enum { FAR = sizeof far / sizeof *far * 4 };
    const size_t dim = c->dim;
    trip t = {0};
    if (!trip_new(&t, FAR, dim)) return nf__check_out_of_memory(c);
    for (size_t i = 0; i < FAR * dim; i++) {
        bool all = i / dim % 2, alone = i % dim == i / dim / 4 % dim;
        double sign = i / dim % 4 < 2 ? 1 : -1;
        t.in[i] = all || alone ? sign * far[i / dim / 4] * (0.6 + 0.4 * ad_random_uniform(c->seed, 15, i))
                               : ad_random_normal(c->seed, 16, i);
    }
    ad_status status = nf__check_transform(c, AD_F64, false, t.in, FAR, t.out, NULL);
    if (status == AD_OK) {
        memcpy(t.in, t.out, FAR * dim * sizeof *t.in);
        status = go(c, &t, true, FAR);
    }
    double *rounded = ad_alloc(FAR, dim * sizeof *rounded);
    if (status == AD_OK && !rounded) status = nf__check_out_of_memory(c);
    for (size_t i = 0; i < FAR * dim && status == AD_OK; i++)
        t.out[i] *= 1 + 4 * DBL_EPSILON * (2 * ad_random_uniform(c->seed, 18, i) - 1);
    if (status == AD_OK) status = nf__check_transform(c, AD_F64, false, t.out, FAR, rounded, NULL);
    nf_check_result *result = nf__check_result_add(c, "round trip x -> z -> x far out", 1e-6);
    for (size_t r = 0; r < FAR && status == AD_OK; r++) {
        double largest = 1, blown = 0;
        for (size_t i = r * dim; i < (r + 1) * dim; i++) {
            largest = fmax(largest, fabs(t.in[i]));
            blown = fmax(blown, fabs(rounded[i] - t.back[i]));
        }
        for (size_t i = r * dim; i < (r + 1) * dim && isfinite(largest); i++)
            if (nf__check_worse(result, fabs(t.in[i] - t.back[i]) / (largest + 1e9 * blown)))
                nf__check_at(result, "x", t.in + r * dim, dim);
    }
    ad_free(rounded);
    ad_free(t.in);
    return status;
}

/* ---- By itself -------------------------------------------------------------------------------------------------- */

/* A map has no noise and sees one event: the same bits with another seed, under another number, and without the other
 * rows. */
static ad_status alone_one_way(nf__checker *c, bool inverse, nf_check_result *result)
{
    const uint32_t one = ROWS / 2;
    const ad_run run[] = {
        {.rows = ROWS}, {.rows = ROWS, .seed = 1, .step = 1, .first_row = 100}, {.rows = 1, .index = &one}};
    const size_t dim = c->dim, size = dim + 1;
    double *in = ad_alloc(ROWS, dim * sizeof *in), *out[3] = {0};
    nf__check_direction d = {0};
    ad_plan *plan = NULL;
    ad_status status = AD_OK;
    for (int k = 0; k < 3; k++) out[k] = ad_alloc(ROWS, size * sizeof *in);
    if (!in || !out[0] || !out[1] || !out[2]) status = nf__check_out_of_memory(c);
    if (status == AD_OK) status = nf__check_events(c, inverse, ROWS, in);
    if (status == AD_OK && !nf__check_open(c, inverse, ROWS, in, &d)) status = c->error->status;
    if (status == AD_OK) {
        const ad_var all = ad_concat((ad_var[]){d.out, ad_reshape(d.log_det, AD_SHAPE(1))}, 2, 0);
        plan = nf__check_plan(&d, &all, out, 1, c->error);
        if (!plan) status = c->error->status;
    }
    for (int k = 0; k < 3 && status == AD_OK; k++) {
        ad_plan_set_output(plan, 0, out[k]);
        status = ad_plan_run(plan, &run[k], c->error);
    }
    for (size_t r = 0; r < ROWS && status == AD_OK; r++) {
        bool same = memcmp(out[0] + r * size, out[1] + r * size, size * sizeof *in) == 0;
        bool alone = r != one || memcmp(out[0] + r * size, out[2], size * sizeof *in) == 0;
        if ((same && alone) || result->worst++ > 0) continue;
        snprintf(result->at, sizeof result->at, "%s of %s_%zu",
                 same ? "other rows change the map" : "there is noise in the map", nf__check_side(inverse), r + 1);
    }
    ad_plan_free(plan);
    nf__check_close(&d);
    for (int k = 0; k < 3; k++) ad_free(out[k]);
    ad_free(in);
    return status;
}

ad_status nf__check_alone(nf__checker *c)
{
    nf_check_result *result = nf__check_result_add(c, "an event is mapped by itself, without noise (count)", 0);
    ad_status status = alone_one_way(c, false, result);
    return status == AD_OK ? alone_one_way(c, true, result) : status;
}

/* ---- float32 ---------------------------------------------------------------------------------------------------- */

ad_status nf__check_float32(nf__checker *c)
{
    trip t = {0};
    if (!trip_new(&t, ROWS, c->dim)) return nf__check_out_of_memory(c);
    for (size_t i = 0; i < ROWS * c->dim; i++) t.in[i] = (float)ad_random_normal(c->seed, 6, i);
    nf_check_result *result = nf__check_result_add(c, "float32 against float64", 1e-3);
    ad_status status = nf__check_transform(c, AD_F64, false, t.in, ROWS, t.out, t.there);
    if (status == AD_OK) status = nf__check_transform(c, AD_F32, false, t.in, ROWS, t.back, t.again);
    if (status == AD_OK) {
        compare(result, "z", t.in, c->dim, t.out, t.back, c->dim, ROWS);
        compare(result, "z", t.in, c->dim, t.there, t.again, 1, ROWS);
        for (size_t i = 0; i < ROWS * c->dim; i++) t.in[i] = (float)t.out[i];
        status = nf__check_transform(c, AD_F64, true, t.in, ROWS, t.out, t.there);
    }
    if (status == AD_OK) status = nf__check_transform(c, AD_F32, true, t.in, ROWS, t.back, t.again);
    if (status == AD_OK) {
        compare(result, "x", t.in, c->dim, t.out, t.back, c->dim, ROWS);
        compare(result, "x", t.in, c->dim, t.there, t.again, 1, ROWS);
    }
    ad_free(t.in);
    return status;
}

/* ---- Finite everywhere ---------------------------------------------------------------------------------------- */

static const double magnitudes[] = {0, 1e-30, 1e-10, 1e-3, 0.1, 1, 3, 10, 1e3, 1e6};
enum { MAGNITUDES = sizeof magnitudes / sizeof *magnitudes, EXTREMES = 4 * MAGNITUDES };

/* Every magnitude with either sign, in all features or in one. */
static void extreme_events(const nf__checker *c, double *in)
{
    for (size_t m = 0; m < MAGNITUDES; m++)
        for (size_t k = 0; k < 4; k++)
            for (size_t j = 0; j < c->dim; j++) {
                bool large = k < 2 || j == m % c->dim;
                in[((4 * m + k) * c->dim) + j] =
                    large ? (k % 2 ? -magnitudes[m] : magnitudes[m]) : ad_random_normal(c->seed, 7, j);
            }
}

/* Is there no solution for this row? Then that shows in all of it. */
static bool is_unsolved(const double *out, const double *gradient, double log_det, size_t dim)
{
    bool all = isnan(log_det);
    for (size_t j = 0; j < dim; j++) all = all && isnan(out[j]) && isnan(gradient[j]);
    return all;
}

/* A direction at extreme events. */
typedef struct {
    nf__check_direction d;
    ad_plan *plan;
    double *in, *out, *gradient, *log_det; /* the gradient, by the event, is that of Σ out + log_det */
} extremes;

static ad_status open_extremes(nf__checker *c, bool inverse, extremes *e)
{
    const size_t dim = c->dim;
    *e = (extremes){.in = ad_alloc(EXTREMES, (3 * dim + 1) * sizeof *e->in)};
    if (!e->in) return nf__check_out_of_memory(c);
    e->out = e->in + EXTREMES * dim;
    e->gradient = e->out + EXTREMES * dim;
    e->log_det = e->gradient + EXTREMES * dim;
    extreme_events(c, e->in);
    if (!nf__check_open(c, inverse, EXTREMES, e->in, &e->d)) return c->error->status;
    const ad_var sum = ad_add(ad_sum(e->d.out), e->d.log_det);
    const ad_var out[] = {e->d.out, e->d.log_det, ad_grad1(sum, e->d.in)};
    e->plan = nf__check_plan(&e->d, out, (double *[]){e->out, e->log_det, e->gradient}, 3, c->error);
    return e->plan ? AD_OK : c->error->status;
}

static void close_extremes(extremes *e)
{
    ad_plan_free(e->plan);
    nf__check_close(&e->d);
    ad_free(e->in);
}

/* Which of them it was, behind where it was. */
static void tell_bad(nf_check_result *result, const double *out, double log_det, size_t dim)
{
    size_t used = strlen(result->at);
    bool value = false;
    for (size_t j = 0; j < dim; j++) value |= isnan(out[j]);
    if (value || isnan(log_det))
        snprintf(result->at + used, sizeof result->at - used, ": the %s is NaN", value ? "value" : "log-det");
    else
        snprintf(result->at + used, sizeof result->at - used, ": a gradient isn't finite, of a log-det of %.4g", log_det);
}

/* A value may overflow honestly, and a point be out of support; nothing may be NaN, and what is finite has finite
 * gradients. Equations that are stiff may be left unsolved. */
static ad_status look_for_nan(nf__checker *c, const extremes *e, bool inverse, bool may_be_stiff,
                              nf_check_result *result)
{
    const size_t dim = c->dim;
    const ad_status status = ad_plan_run(e->plan, &(ad_run){.rows = EXTREMES}, c->error);
    for (size_t r = 0; r < EXTREMES && status == AD_OK; r++) {
        const double *out = e->out + r * dim, *gradient = e->gradient + r * dim, log_det = e->log_det[r];
        bool bad = isnan(log_det), overflow = isinf(log_det);
        for (size_t j = 0; j < dim; j++) overflow |= isinf(out[j]);
        for (size_t j = 0; j < dim; j++)
            bad |= isnan(out[j]) || (overflow ? isnan(gradient[j]) && log_det == -INFINITY : !isfinite(gradient[j]));
        if (!bad || (may_be_stiff && is_unsolved(out, gradient, log_det, dim))) continue;
        if (result->worst == 0) {
            nf__check_at(result, nf__check_side(inverse), e->in + r * dim, dim);
            tell_bad(result, out, log_det, dim);
        }
        result->worst++;
    }
    return status;
}

/* Nor are the gradients with respect to parameters, at an event of zeros and where one feature is. */
static ad_status look_at_parameters(nf__checker *c, const nf__check_direction *d, bool inverse, nf_check_result *result)
{
    enum { ZEROS = 4 };
    if (d->n_parameter == 0) return AD_OK;
    ad_var *gradient = ad_alloc(d->n_parameter, sizeof *gradient);
    if (!gradient) return nf__check_out_of_memory(c);
    ad_grad(ad_sum_rows(ad_add(ad_sum(d->out), d->log_det)), d->input + 1, (int)d->n_parameter, gradient);
    ad_var all = ad_sum(gradient[0]);
    for (size_t i = 1; i < d->n_parameter; i++) all = ad_add(all, ad_sum(gradient[i]));
    double sum[ZEROS] = {0}; /* the same for each row */
    ad_plan *plan = nf__check_plan(d, &all, (double *[]){sum}, 1, c->error);
    const ad_status status = plan ? ad_plan_run(plan, &(ad_run){.rows = ZEROS}, c->error) : c->error->status;
    if (status == AD_OK && isnan(sum[0]) && result->worst++ == 0)
        snprintf(result->at, sizeof result->at, "a gradient with respect to the parameters, at %s with zeros",
                 nf__check_side(inverse));
    ad_plan_free(plan);
    ad_free(gradient);
    return status;
}

/* At the parameters as they are, and at extreme ones. */
static ad_status finite_one_way(nf__checker *c, bool inverse, nf_check_result *result, nf_check_result *moved)
{
    enum { MOVES = 2 };
    const bool solved = nf__check_tolerance(c->bijector) > 0;
    extremes e;
    ad_status status = open_extremes(c, inverse, &e);
    if (status == AD_OK) status = look_for_nan(c, &e, inverse, false, result);
    if (status == AD_OK) status = look_at_parameters(c, &e.d, inverse, result);
    double *saved = status == AD_OK ? nf__check_save(c) : NULL;
    if (status == AD_OK && !saved) status = nf__check_out_of_memory(c);
    for (unsigned move = 0; move < MOVES && status == AD_OK; move++) {
        nf__check_move(c, saved, move);
        status = look_for_nan(c, &e, inverse, solved, moved);
    }
    if (saved) nf__check_restore(c, saved);
    close_extremes(&e);
    return status;
}

ad_status nf__check_finite(nf__checker *c)
{
    nf_check_result *result = nf__check_result_add(c, "no NaN at 0 and +-1e-30 ... +-1e6 (count)", 0);
    nf_check_result *moved = nf__check_result_add(c, "no NaN at extreme parameters (count)", 0);
    const ad_status status = finite_one_way(c, false, result, moved);
    return status == AD_OK ? finite_one_way(c, true, result, moved) : status;
}

/* ---- Depth ---------------------------------------------------------------------------------------------------- */

enum { COPIES = 100 };

/* Through one copy after the other, or back through them; `one` is given the parameters of each in turn, for a plan of
 * all of them would take long to make. The log-dets add up in t->there. */
static ad_status go_through(nf__checker *c, const nf_bijector *deep, nf_flow *one, bool inverse, const trip *t,
                            double *event)
{
    const size_t steps = nf_chain_steps(deep) / COPIES;
    ad_status status = AD_OK;
    for (size_t k = 0; k < COPIES && status == AD_OK; k++) {
        const size_t copy = inverse ? COPIES - 1 - k : k;
        nf_bijector *slice = nf_chain_slice(deep, copy * steps, (copy + 1) * steps, c->error);
        double *values = slice ? nf__check_save(&(nf__checker){.bijector = slice}) : NULL;
        if (values) {
            nf__check_restore(&(nf__checker){.bijector = nf_flow_bijector(one)}, values);
            nf_flow_push(one);
            status = nf__check_transform(c, AD_F64, inverse, event, ROWS, event, t->again);
        } else {
            status = slice ? nf__check_out_of_memory(c) : c->error->status;
        }
        for (size_t r = 0; r < ROWS && !inverse; r++) t->there[r] += t->again[r];
        nf_bijector_free(slice);
    }
    return status;
}

/* A hundred copies, at their initial values. Events whose volume changes beyond what float64 can bring back leave, and
 * so do those that overflow: that one copy makes no NaN of a finite event is checked above. */
ad_status nf__check_depth(nf__checker *c)
{
    enum { LARGEST = 3 }; /* features: of more, the volume tells too little of what is stretched */
    const double most = 12;
    char *formula = nf_formula(c->bijector), *copies = NULL;
    const int length = formula && c->dim <= LARGEST ? asprintf(&copies, "(%s)*%d", formula, COPIES) : -1;
    const size_t context = c->bijector->context;
    nf_bijector *deep = length > 0 ? nf_bijector_parse(copies, c->dim, context, c->seed, NULL) : NULL;
    nf_flow *one = deep ? nf_flow_parse(formula, c->dim, context, AD_F64, c->seed, NULL) : NULL;
    ad_free(formula);
    if (length > 0) free(copies);
    trip t = {0};
    ad_status status = AD_OK;
    if (one) { /* else it is of a type that formulas don't know */
        nf_check_result *result = nf__check_result_add(c, "round trip z -> x -> z, 100 deep", 1e-6);
        nf_flow *own = c->flow[AD_F64];
        c->flow[AD_F64] = one;
        status = trip_new(&t, ROWS, c->dim) ? AD_OK : nf__check_out_of_memory(c);
        for (size_t i = 0; i < ROWS * c->dim && status == AD_OK; i++)
            t.in[i] = t.out[i] = ad_random_normal(c->seed, 9, i);
        for (size_t r = 0; r < ROWS && status == AD_OK; r++) t.there[r] = 0;
        if (status == AD_OK) status = go_through(c, deep, one, false, &t, t.out);
        if (status == AD_OK) status = go_through(c, deep, one, true, &t, t.out);
        for (size_t r = 0; r < ROWS && status == AD_OK; r++)
            if (fabs(t.there[r]) < most * (double)c->dim)
                compare(result, "z", t.in + r * c->dim, c->dim, t.in + r * c->dim, t.out + r * c->dim, c->dim, 1);
        c->flow[AD_F64] = own;
    }
    ad_free(t.in);
    nf_flow_free(one);
    nf_bijector_free(deep);
    return status;
}
