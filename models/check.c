/* The verifier of bijectors: what a wrong map, log-det or gradient can't pass. */
#include "models.h"

#include <math.h>
#include <string.h>

enum { ROWS = 12 };

/* One direction of the bijector on a tape of its own, with what is bound to it. */
typedef struct {
    ad_tape *tape;
    ad_var in, out, log_det;
    ad_var *input; /* in, then every parameter */
    double **value;
    size_t n_input;
} direction;

typedef struct {
    nf_bijector *bijector;
    uint64_t seed;
    nf_check_result *result;
    int count;
    ad_error *error;
} checker;

/* ---- Set-up -------------------------------------------------------------------------------------------------- */

static bool count_parameter(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    (void)parameter;
    ++*(size_t *)context;
    return true;
}

static bool list_parameter(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    direction *d = context;
    d->input[d->n_input] = parameter->var;
    d->value[d->n_input++] = parameter->value;
    return true;
}

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

static bool open_direction(checker *c, bool inverse, direction *d, double *in)
{
    size_t n = 1;
    nf_each_parameter(c->bijector, count_parameter, &n);
    *d = (direction){
        .tape = ad_tape_new(), .input = ad_alloc(n, sizeof *d->input), .value = ad_alloc(n, sizeof *d->value)};
    if (!d->tape || !d->input || !d->value)
        return ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory for the check"), false;
    nf_bind(c->bijector, d->tape);
    d->in = ad_input(d->tape, inverse ? "x" : "z", AD_SHAPE(c->bijector->dim));
    d->out = inverse ? nf_inverse(c->bijector, d->in, &d->log_det) : nf_forward(c->bijector, d->in, &d->log_det);
    d->input[0] = d->in;
    d->value[0] = in;
    d->n_input = 1;
    nf_each_parameter(c->bijector, list_parameter, d);
    return true;
}

static void close_direction(direction *d)
{
    ad_tape_free(d->tape);
    ad_free(d->input);
    ad_free(d->value);
}

static ad_status run(const direction *d, ad_var out, double *to, ad_error *error)
{
    ad_var rows = ad_to_rows(out);
    ad_plan *plan = ad_plan_new(&rows, 1, &(ad_plan_options){.dtype = AD_F64}, error);
    if (!plan) return error->status;
    for (size_t i = 0; i < d->n_input; i++) ad_plan_set_input(plan, d->input[i], d->value[i]);
    ad_plan_set_output(plan, 0, to);
    ad_status status = ad_plan_run(plan, &(ad_run){.rows = ROWS}, error);
    ad_plan_free(plan);
    return status;
}

/* ---- Results ------------------------------------------------------------------------------------------------- */

static nf_check_result *add_result(checker *c, const char *property, double bound)
{
    nf_check_result *result = &c->result[c->count++];
    *result = (nf_check_result){.property = property, .bound = bound};
    return result;
}

/* NaN is the worst of all. */
static bool worse(nf_check_result *result, double error)
{
    if (isnan(error)) error = INFINITY;
    if (!(error > result->worst)) return false;
    result->worst = error;
    return true;
}

static void describe_event(char *to, size_t room, const char *name, const double *event, size_t dim)
{
    size_t at = (size_t)snprintf(to, room, "%s = (", name);
    for (size_t j = 0; j < dim && at + 40 < room; j++)
        at += (size_t)snprintf(to + at, room - at, j ? ", %.4g" : "%.4g", event[j]);
    snprintf(to + at, room - at, ")");
}

static void compare_rows(nf_check_result *result, const char *name, const double *event, size_t dim, const double *a,
                         const double *b, size_t size)
{
    for (size_t r = 0; r < ROWS; r++)
        for (size_t j = 0; j < size; j++)
            if (worse(result, fabs(a[r * size + j] - b[r * size + j])))
                describe_event(result->at, sizeof result->at, name, event + r * dim, dim);
}

/* log|det A| by LU with partial pivoting; A (n,n) is overwritten. */
static double log_abs_det(double *a, size_t n)
{
    double log_det = 0;
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        for (size_t j = 0; j < n; j++) {
            double swap = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swap;
        }
        log_det += log(fabs(a[k * n + k]));
        for (size_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (size_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
        }
    }
    return log_det;
}

/* Row r of the Jacobian is the tape's gradient of output r. */
static ad_status check_jacobian(checker *c, const direction *d, const char *property)
{
    size_t dim = c->bijector->dim;
    nf_check_result *result = add_result(c, property, 1e-8);
    double *jacobian = ad_alloc(dim, dim * ROWS * sizeof *jacobian), *log_det = ad_alloc(ROWS, sizeof *log_det);
    double *one = ad_alloc(dim, dim * sizeof *one);
    ad_var *row = ad_alloc(dim, sizeof *row);
    ad_status status = jacobian && log_det && one && row
                           ? run(d, d->log_det, log_det, c->error)
                           : ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory for the check");
    if (status == AD_OK) {
        for (size_t i = 0; i < dim; i++) row[i] = ad_grad1(ad_sum(ad_slice(d->out, 0, i, i + 1)), d->in);
        status = run(d, ad_concat(row, (int)dim, 0), jacobian, c->error);
    }
    for (size_t r = 0; r < ROWS && status == AD_OK; r++) {
        memcpy(one, jacobian + r * dim * dim, dim * dim * sizeof *one);
        if (worse(result, fabs(log_abs_det(one, dim) - log_det[r])))
            describe_event(result->at, sizeof result->at, "event", d->value[0] + r * dim, dim);
    }
    ad_free(row);
    ad_free(one);
    ad_free(log_det);
    ad_free(jacobian);
    return status;
}

/* Of value and log-det at once. */
static ad_status check_gradients(checker *c, const direction *d, const char *property)
{
    nf_check_result *result = add_result(c, property, 1e-8);
    ad_var parts[] = {d->out, ad_reshape(d->log_det, AD_SHAPE(1))};
    ad_gradcheck_report report;
    ad_gradcheck_options options = {.rows = ROWS, .seed = c->seed, .tolerance = result->bound};
    ad_status status = ad_gradcheck(ad_concat(parts, 2, 0), d->input, (int)d->n_input, d->input,
                                    (const double *const *)d->value, (int)d->n_input, &options, &report, c->error);
    if (status != AD_OK && report.wrt < 0) return status;
    result->worst = report.worst;
    const ad_var wrt = d->input[report.wrt];
    snprintf(result->at, sizeof result->at, "with respect to %s", report.wrt == 0 ? "the event" : ad_name_of(wrt));
    if (status == AD_ERROR_NUMERIC) {
        size_t length = strlen(result->at);
        snprintf(result->at + length, sizeof result->at - length,
                 ", element %zu: %.6g by differences, %.6g by the tape", report.element, report.expected, report.got);
        status = AD_OK;
    }
    return status;
}

/* ---- The check ----------------------------------------------------------------------------------------------- */

static ad_status check_both(checker *c, double *buffer)
{
    size_t dim = c->bijector->dim, n = ROWS * dim;
    double *z = buffer, *x = z + n, *back = x + n, *ld_forward = back + n, *ld_inverse = ld_forward + ROWS;
    direction forward, inverse;
    for (size_t i = 0; i < n; i++) z[i] = 1.5 * ad_random_normal(c->seed, 1, i);
    bool opened = open_direction(c, false, &forward, z), both = open_direction(c, true, &inverse, x);
    ad_status status = opened && both ? AD_OK : AD_ERROR_MEMORY;

    if (status == AD_OK) status = run(&forward, forward.out, x, c->error);
    if (status == AD_OK) status = run(&forward, forward.log_det, ld_forward, c->error);
    if (status == AD_OK) status = run(&inverse, inverse.out, back, c->error);
    if (status == AD_OK) status = run(&inverse, inverse.log_det, ld_inverse, c->error);
    if (status == AD_OK) {
        compare_rows(add_result(c, "round trip z -> x -> z", 1e-10), "z", z, dim, back, z, dim);
        for (size_t r = 0; r < ROWS; r++) ld_inverse[r] = -ld_inverse[r];
        compare_rows(add_result(c, "log-dets of both directions cancel", 1e-10), "z", z, dim, ld_forward, ld_inverse,
                     1);
        status = check_jacobian(c, &forward, "log-det against the Jacobian, forward");
    }
    if (status == AD_OK) status = check_jacobian(c, &inverse, "log-det against the Jacobian, inverse");
    if (status == AD_OK) status = check_gradients(c, &forward, "gradients against differences, forward");
    if (status == AD_OK) status = check_gradients(c, &inverse, "gradients against differences, inverse");
    if (status == AD_OK) {
        for (size_t i = 0; i < n; i++) x[i] = 1.5 * ad_random_normal(c->seed, 2, i);
        status = run(&inverse, inverse.out, z, c->error);
        if (status == AD_OK) status = run(&forward, forward.out, back, c->error);
        compare_rows(add_result(c, "round trip x -> z -> x", 1e-10), "x", x, dim, back, x, dim);
    }
    close_direction(&forward);
    close_direction(&inverse);
    return status;
}

ad_status nf_check(nf_bijector *bijector, uint64_t seed, nf_check_result *result, int *count,
                   ad_error *error)
{
    ad_error own = {AD_OK, ""};
    checker c = {.bijector = bijector, .seed = seed, .result = result, .error = error ? error : &own};
    *count = 0;
    uint64_t state[2] = {seed, 100};
    nf_each_parameter(bijector, perturb, state);
    double *buffer = ad_alloc(3 * bijector->dim + 2, ROWS * sizeof *buffer);
    ad_status status =
        buffer ? check_both(&c, buffer) : ad_error_set(c.error, AD_ERROR_MEMORY, "out of memory for the check");
    ad_free(buffer);
    *count = c.count;
    for (int i = 0; i < c.count && status == AD_OK; i++)
        if (!(result[i].worst <= result[i].bound))
            status = ad_error_set(c.error, AD_ERROR_NUMERIC, "%s: off by %.3g (bound %.3g): %s", result[i].property,
                                  result[i].worst, result[i].bound, result[i].at);
    return status;
}
