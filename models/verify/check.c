/* The verifier of bijectors: what a wrong map, inverse, log-det, gradient or constraint can't pass. */
#include "verify/checker.h"

#include <weir/environment.h>
#include <weir/flow.h>
#include <weir/stochastic.h>
#include <weir/verify.h>

#include <math.h>
#include <string.h>

/* ---- Results -------------------------------------------------------------------------------------------------- */

nf_check_result *nf__check_result_add(nf__checker *c, const char *property, double bound)
{
    nf_check_result *result = &c->result[c->count++];
    if (bound > 0) bound = fmax(bound, 100 * nf__check_tolerance(c->bijector));
    *result = (nf_check_result){.property = property, .bound = bound};
    return result;
}

bool nf__check_worse(nf_check_result *result, double error)
{
    if (isnan(error)) error = INFINITY;
    if (!(error > result->worst)) return false;
    result->worst = error;
    return true;
}

/* Of an argument of this name; 0 where there is none. */
static double argument_of(const nf_bijector *bijector, const char *name)
{
    const nf_argument *argument = bijector->type->argument;
    for (size_t i = 0; argument && argument[i].name; i++)
        if (strcmp(argument[i].name, name) == 0) return bijector->argument[i];
    return 0;
}

double nf__check_tolerance(const nf_bijector *bijector)
{
    const double usual = 1e-12; /* of ad_ode_options */
    double tolerance = 0;
    if (bijector->type->velocity)
        tolerance = fmax(usual, fmax(argument_of(bijector, "rtol"), argument_of(bijector, "atol")));
    for (size_t i = 0; i < bijector->n_child; i++) tolerance = fmax(tolerance, nf__check_tolerance(bijector->child[i]));
    return tolerance;
}

void nf__check_at(nf_check_result *result, const char *name, const double *event, size_t dim)
{
    size_t room = sizeof result->at, at = (size_t)snprintf(result->at, room, "%s = (", name);
    for (size_t j = 0; j < dim && at + 40 < room; j++)
        at += (size_t)snprintf(result->at + at, room - at, j ? ", %.4g" : "%.4g", event[j]);
    snprintf(result->at + at, room - at, ")");
}

ad_status nf__check_out_of_memory(nf__checker *c)
{
    return ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory for the check");
}

/* ---- Evaluation ----------------------------------------------------------------------------------------------- */

double *nf__check_context(const nf__checker *c, size_t rows, bool same)
{
    size_t size = c->bijector->context;
    double *context = size ? ad_alloc(rows, size * sizeof *context) : NULL;
    for (size_t i = 0; context && i < rows * size; i++) context[i] = ad_random_normal(c->seed, 3, same ? i % size : i);
    return context;
}

ad_status nf__check_transform(nf__checker *c, ad_dtype dtype, bool inverse, const double *in, size_t rows, double *out,
                              double *log_det)
{
    double *context = nf__check_context(c, rows, false);
    if (c->bijector->context && !context) return nf__check_out_of_memory(c);
    ad_status status = nf_transform(c->flow[dtype], inverse, in, context, rows, out, log_det, NULL, c->error);
    ad_free(context);
    return status;
}

const char *nf__check_side(bool inverse)
{
    return inverse ? "x" : "z";
}

/* Random events on the side that a direction starts from: images under the map for the inverse, so that they are in its
 * range. */
ad_status nf__check_events(nf__checker *c, bool inverse, size_t rows, double *in)
{
    size_t n = rows * c->dim;
    double *z = inverse ? ad_alloc(n, sizeof *z) : in;
    if (!z) return nf__check_out_of_memory(c);
    for (size_t i = 0; i < n; i++) z[i] = 1.5 * ad_random_normal(c->seed, 1, i);
    ad_status status = inverse ? nf__check_transform(c, AD_F64, false, z, rows, in, NULL) : AD_OK;
    if (inverse) ad_free(z);
    return status;
}

static bool list_value(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    nf__check_direction *d = context;
    if (d->value) d->value[d->n_input] = parameter->value;
    d->n_input++;
    return true;
}

bool nf__check_open(nf__checker *c, bool inverse, size_t rows, double *in, nf__check_direction *d)
{
    *d = (nf__check_direction){.tape = ad_tape_new(), .context = nf__check_context(c, rows, false)};
    nf_each_parameter(c->bijector, list_value, d);
    d->n_parameter = d->n_input;
    d->input = ad_alloc(d->n_parameter + 2, sizeof *d->input);
    d->value = ad_alloc(d->n_parameter + 2, sizeof *d->value);
    if (!d->tape || !d->input || !d->value || (c->bijector->context && !d->context))
        return nf__check_out_of_memory(c), false;
    const nf_scope *at = nf_bind(c->bijector, d->tape);
    if (!at) return nf__check_out_of_memory(c), false;
    d->in = ad_input(d->tape, inverse ? "x" : "z", AD_SHAPE(c->dim));
    d->out = inverse ? nf_inverse(at, d->in, &d->log_det) : nf_forward(at, d->in, &d->log_det);
    d->input[0] = d->in;
    d->value[0] = in;
    d->n_input = 1;
    nf_each_parameter(c->bijector, list_value, d);
    for (size_t i = 0; i < d->n_parameter; i++) d->input[1 + i] = at->parameter[i].var;
    if (d->context) {
        d->input[d->n_input] = nf_context(at);
        d->value[d->n_input++] = d->context;
    }
    return true;
}

void nf__check_close(nf__check_direction *d)
{
    ad_tape_free(d->tape);
    ad_free(d->context);
    ad_free(d->input);
    ad_free(d->value);
}

ad_plan *nf__check_plan(const nf__check_direction *d, const ad_var *out, double *const *to, int count, ad_error *error)
{
    enum { MOST = 3 };
    ad_var in_rows[MOST];
    for (int i = 0; i < count; i++) in_rows[i] = ad_to_rows(out[i]);
    ad_plan *plan = ad_plan_new(in_rows, count, &(ad_plan_options){.dtype = AD_F64}, error);
    for (size_t i = 0; i < d->n_input; i++) ad_plan_set_input(plan, d->input[i], d->value[i]);
    for (int i = 0; i < count; i++) ad_plan_set_output(plan, i, to[i]);
    return plan;
}

/* ---- Parameters ----------------------------------------------------------------------------------------------- */

typedef struct {
    double *saved;
    size_t at;
    uint64_t seed;
    unsigned move;
    size_t odd; /* the element that goes another way */
    enum { COUNT, SAVE, MOVE, RESTORE } what;
} walk;

static double moved(const walk *w)
{
    const double from = w->saved[w->at], side = w->move % 2 ? -1 : 1;
    if (w->move < NF_EXTREME_MOVES)
        return from + side * 20 * ad_random_normal(w->seed, 8 + ((uint64_t)w->move / 2 << 32), w->at);
    if (w->move < NF_OTHER_MOVES) return from + (w->at == w->odd ? -20 : 20) * ad_random_normal(w->seed, 8, w->at);
    if (w->move == NF_MODERATE_MOVES) return -from;
    double n = ad_random_normal(w->seed, 13 + ((uint64_t)w->move / 2 << 32), w->at);
    return from + side * copysign(1 + 0.5 * fabs(n), n);
}

static bool walk_parameter(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    walk *w = context;
    for (size_t i = 0; i < ad_shape_size(parameter->spec.shape); i++, w->at++) {
        double *value = &parameter->value[i];
        if (w->what == SAVE) w->saved[w->at] = *value;
        if (w->what == RESTORE) *value = w->saved[w->at];
        if (w->what == MOVE && !parameter->spec.fixed) *value = moved(w);
    }
    return true;
}

double *nf__check_save(nf__checker *c)
{
    walk w = {.what = COUNT};
    nf_each_parameter(c->bijector, walk_parameter, &w);
    w = (walk){.what = SAVE, .saved = ad_alloc(w.at, sizeof *w.saved)};
    if (w.saved) nf_each_parameter(c->bijector, walk_parameter, &w);
    return w.saved;
}

void nf__check_move(nf__checker *c, const double *saved, unsigned move)
{
    walk w = {.what = COUNT};
    nf_each_parameter(c->bijector, walk_parameter, &w);
    const double others = NF_OTHER_MOVES - NF_EXTREME_MOVES;
    const double place = ((double)move - NF_EXTREME_MOVES + ad_random_uniform(c->seed, 14, move)) / others;
    const size_t count = w.at;
    w = (walk){.what = MOVE, .saved = (double *)(uintptr_t)saved, .seed = c->seed, .move = move};
    if (move >= NF_EXTREME_MOVES && move < NF_OTHER_MOVES) w.odd = (size_t)(place * (double)count);
    nf_each_parameter(c->bijector, walk_parameter, &w);
}

void nf__check_restore(nf__checker *c, double *saved)
{
    walk w = {.what = RESTORE, .saved = saved};
    nf_each_parameter(c->bijector, walk_parameter, &w);
    ad_free(saved);
}

/* ---- The check ------------------------------------------------------------------------------------------------ */

/* Move every parameter a little, so that nothing is checked at a special value. */
static bool perturb(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    uint64_t *state = context; /* seed, stream */
    size_t size = ad_shape_size(parameter->spec.shape);
    for (size_t i = 0; i < size; i++) parameter->value[i] += 0.2 * (2 * ad_random_uniform(state[0], state[1], i) - 1);
    state[1]++;
    return true;
}

void nf__check_perturb(nf__checker *c)
{
    uint64_t state[2] = {c->seed, 100};
    nf_each_parameter(c->bijector, perturb, state);
}

ad_status nf__check_conclude(const nf__checker *c, ad_status status, int *count)
{
    *count = c->count;
    for (int i = 0; i < c->count && status == AD_OK; i++) {
        const nf_check_result *result = &c->result[i];
        if (!(result->worst <= result->bound))
            status = ad_error_set(c->error, AD_ERROR_NUMERIC, "%s: off by %.3g (bound %.3g): %s", result->property,
                                  result->worst, result->bound, result->at);
    }
    return status;
}

static ad_status make_flows(nf__checker *c)
{
    for (int dtype = AD_F32; dtype <= AD_F64; dtype++) {
        nf_bijector *borrowed = nf_chain_slice(c->bijector, 0, nf_chain_steps(c->bijector), c->error);
        c->flow[dtype] = borrowed ? nf_flow_new(NULL, borrowed, (ad_dtype)dtype, c->error) : NULL;
        if (!c->flow[dtype]) return c->error->status;
    }
    return AD_OK;
}

static bool dequantizes(const nf_bijector *bijector)
{
    bool does = strcmp(bijector->type->name, "dequantize") == 0;
    for (size_t i = 0; i < bijector->n_child && !does; i++) does = dequantizes(bijector->child[i]);
    return does;
}

ad_status nf_check_bijector(nf_bijector *bijector, uint64_t seed, nf_check_result *result, int *count, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (count) *count = 0;
    const char *missing = !bijector ? "bijector" : !result ? "result" : !count ? "count" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "check: %s is NULL", missing);
    static ad_status (*const properties[])(nf__checker *) = {
        nf__check_alone,     nf__check_round_trips, nf__check_edges,   nf__check_far,         nf__check_jacobians,
        nf__check_gradients, nf__check_kinks,       nf__check_zeros,   nf__check_orientation, nf__check_finite,
        nf__check_depth,     nf__check_density,     nf__check_float32,
    };
    if (nf_bijector_is_stochastic(bijector))
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "check: steps that draw, as metropolis does, are no bijectors: they have no inverse to check");
    if (dequantizes(bijector))
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "check: dequantize adds noise, so that it has no inverse to check: check the flows within and before it");
    ad_error own = {AD_OK, ""};
    nf__checker c = {
        .bijector = bijector, .dim = bijector->dim, .seed = seed, .result = result, .error = error ? error : &own};
    nf__check_perturb(&c);
    ad_status status = make_flows(&c);
    for (size_t i = 0; i < sizeof properties / sizeof *properties && status == AD_OK; i++) status = properties[i](&c);
    nf_flow_free(c.flow[AD_F32]);
    nf_flow_free(c.flow[AD_F64]);
    nf__check_close_slopes(&c);
    return nf__check_conclude(&c, status, count);
}
