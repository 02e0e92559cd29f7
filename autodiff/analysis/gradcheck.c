/* The gradient checker: the tape's gradient against 4-point central differences, in float64.
 *
 * A random direction u mixes every element, so a few directions find any wrong rule; the elements are compared one by
 * one only to say where it is. A stencil that crosses a kink is not the derivative: the step shrinks until none is
 * crossed, which helps no wrong gradient. The error is scaled by Σ|g_j u_j|: sums that cancel don't turn rounding into
 * a failure, and unlike a comparison of absolute values a flipped sign shows. */
#include "tape/node.h"

#include <weir/environment.h>
#include <weir/gradcheck.h>
#include <weir/memory.h>
#include <weir/plan.h>
#include <weir/random.h>

#include <math.h>
#include <string.h>

typedef struct {
    ad_plan *value, *gradient;
    double **point;      /* a copy of each input, to move */
    size_t *size;        /* elements, over all rows */
    const int *input_of; /* of each wrt */
    double **g;          /* gradient with respect to each wrt, at the point */
    ad_run run;
    double step;
    ad_error *error;
} checker;

static bool value_at(checker *c, double *value)
{
    ad_plan_set_output(c->value, 0, value);
    return ad_plan_run(c->value, &c->run, c->error) == AD_OK;
}

/* d/dt f(x + t u) at t = 0. */
static bool difference(checker *c, int input, const double *u, double h, double *slope)
{
    static const double at[4] = {-2, -1, 1, 2}, weight[4] = {1, -8, 8, -1};
    double *x = c->point[input], sum = 0, value;
    double *saved = ad_alloc(c->size[input], sizeof *saved);
    if (!saved) return ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory in the gradient check"), false;
    memcpy(saved, x, c->size[input] * sizeof *saved);
    bool good = true;
    for (int p = 0; p < 4 && good; p++) {
        for (size_t j = 0; j < c->size[input]; j++) x[j] = saved[j] + at[p] * h * u[j];
        good = value_at(c, &value);
        sum += weight[p] * value;
    }
    memcpy(x, saved, c->size[input] * sizeof *saved);
    ad_free(saved);
    *slope = sum / (12 * h);
    return good;
}

static double scale_of(double sum)
{
    return sum < 1 ? 1 : sum; /* below 1 rounding of f itself is what is left */
}

/* The element whose own difference quotient disagrees most. */
static bool locate(checker *c, int wrt, ad_gradcheck_report *report)
{
    int input = c->input_of[wrt];
    double *u = ad_alloc(c->size[input], sizeof *u), worst = -1;
    if (!u) return ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory in the gradient check"), false;
    bool good = true;
    for (size_t j = 0; j < c->size[input] && good; j++) {
        double slope, got = c->g[wrt][j];
        u[j] = fmax(1, fabs(c->point[input][j]));
        good = difference(c, input, u, c->step, &slope);
        slope /= u[j];
        u[j] = 0;
        double off = fabs(slope - got);
        if (good && (off > worst || isnan(off))) {
            worst = isnan(off) ? INFINITY : off;
            report->element = j;
            report->expected = slope;
            report->got = got;
        }
    }
    ad_free(u);
    return good;
}

static ad_status compare(checker *c, ad_var y, const ad_var *wrt, int n_wrt, const ad_gradcheck_options *o,
                         ad_gradcheck_report *report)
{
    enum { DIRECTIONS = 3, SHRINKS = 5 };
    report->worst = -1;
    for (int i = 0; i < n_wrt; i++) {
        int input = c->input_of[i];
        double *u = ad_alloc(c->size[input], sizeof *u);
        if (!u) return ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory in the gradient check");
        for (unsigned k = 0; k < DIRECTIONS; k++) {
            double slope, dot = 0, total = 0;
            for (size_t j = 0; j < c->size[input]; j++) {
                u[j] = (2 * ad_random_uniform(o->seed, 1000 + k + (unsigned)i * DIRECTIONS, j) - 1) *
                       fmax(1, fabs(c->point[input][j]));
                dot += c->g[i][j] * u[j];
                total += fabs(c->g[i][j] * u[j]);
            }
            double off = INFINITY, h = c->step;
            for (int shrink = 0; shrink < SHRINKS && off > o->tolerance; shrink++, h /= 10) {
                if (!difference(c, input, u, h, &slope)) return ad_free(u), c->error->status;
                off = fmin(off, fabs(slope - dot) / scale_of(total));
            }
            if (off > report->worst) {
                report->worst = off;
                report->wrt = i;
            }
        }
        ad_free(u);
    }
    if (!(report->worst > o->tolerance)) return AD_OK;
    if (!locate(c, report->wrt, report)) return c->error->status;
    return ad_error_set(
        c->error, AD_ERROR_NUMERIC,
        "gradient check of '%s' (%%%d) with respect to argument %d, '%s': the finite difference along a "
        "random direction is off by %.3g of Σ|g·u| (tolerance %.3g); worst at element %zu: finite "
        "difference %.12g, tape %.12g",
        ad__node_of(y)->op->name, y.id, report->wrt, ad_name_of(wrt[report->wrt]), report->worst, o->tolerance,
        report->element, report->expected, report->got);
}

/* c·y summed to a scalar per row, with random c. */
static ad_var random_projection(ad_var y, uint64_t seed)
{
    size_t n = ad_shape_size(ad_shape_of(y));
    double *c = ad_alloc(n, sizeof *c);
    if (!c) {
        ad_tape_fail(y.tape, AD_ERROR_MEMORY, "out of memory in the gradient check");
        return y;
    }
    for (size_t i = 0; i < n; i++) c[i] = 0.5 + ad_random_uniform(seed, 999, i);
    ad_var weighted = ad_sum(ad_mul(y, ad_constant(y.tape, ad_shape_of(y), c)));
    ad_free(c);
    return ad_is_per_row(weighted) ? ad_sum_rows(weighted) : weighted;
}

static int find(ad_var v, const ad_var *in, int n)
{
    for (int i = 0; i < n; i++)
        if (in[i].tape == v.tape && in[i].id == v.id) return i;
    return -1;
}

static void bind(ad_plan *plan, const ad_var *inputs, double *const *point, int n_inputs)
{
    for (int i = 0; i < n_inputs; i++) ad_plan_set_input(plan, inputs[i], point[i]);
}

ad_status ad_gradcheck(ad_var y, const ad_var *wrt, int n_wrt, const ad_var *inputs, const double *const *values,
                       int n_inputs, const ad_gradcheck_options *options, ad_gradcheck_report *report, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    ad_gradcheck_options o = options ? *options : (ad_gradcheck_options){0};
    ad_gradcheck_report unused;
    ad_error own = {AD_OK, ""};
    if (!o.rows) o.rows = 3;
    if (o.step <= 0) o.step = 1e-3;
    if (o.tolerance <= 0) o.tolerance = 1e-8;
    if (!report) report = &unused;
    if (!error) error = &own;
    *report = (ad_gradcheck_report){.wrt = -1};
    if (n_wrt < 1 || !ad_is_valid(y)) {
        const ad_error *fault = y.tape ? ad_tape_error(y.tape) : NULL;
        if (fault) *error = *fault;
        return fault ? fault->status : ad_error_set(error, AD_ERROR_ARGUMENT, "gradcheck: nothing to check");
    }
    size_t n = (size_t)n_inputs, w = (size_t)n_wrt;
    int *input_of = ad_alloc(w, sizeof *input_of);
    ad_var *gradient = ad_alloc(w, sizeof *gradient);
    checker c = {.point = ad_alloc(n, sizeof *c.point),
                 .size = ad_alloc(n, sizeof *c.size),
                 .g = ad_alloc(w, sizeof *c.g),
                 .input_of = input_of,
                 .run = {.rows = o.rows, .seed = o.seed},
                 .step = o.step,
                 .error = error};
    ad_status status = AD_OK;
    bool room = input_of && gradient && c.point && c.size && c.g;
    for (int i = 0; i < n_inputs && room; i++) {
        c.size[i] = ad_shape_size(ad_shape_of(inputs[i])) * (ad_is_per_row(inputs[i]) ? o.rows : 1);
        room = (c.point[i] = ad_alloc(c.size[i], sizeof **c.point)) != NULL;
        if (room) memcpy(c.point[i], values[i], c.size[i] * sizeof **c.point);
    }
    for (int i = 0; i < n_wrt && room && status == AD_OK; i++) {
        input_of[i] = find(wrt[i], inputs, n_inputs);
        if (input_of[i] < 0)
            status = ad_error_set(error, AD_ERROR_ARGUMENT, "gradcheck: wrt[%d] is not among the inputs", i);
        else
            room = (c.g[i] = ad_alloc(c.size[input_of[i]], sizeof **c.g)) != NULL;
    }
    if (!room) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory in the gradient check");
    if (status == AD_OK) {
        ad_var f = random_projection(y, o.seed);
        ad_grad(f, wrt, n_wrt, gradient);
        c.value = ad_plan_new(&f, 1, &(ad_plan_options){.dtype = AD_F64}, error);
        c.gradient = c.value ? ad_plan_new(gradient, n_wrt, &(ad_plan_options){.dtype = AD_F64}, error) : NULL;
        status = c.gradient ? AD_OK : error->status;
    }
    if (status == AD_OK) {
        bind(c.value, inputs, c.point, n_inputs);
        bind(c.gradient, inputs, c.point, n_inputs);
        for (int i = 0; i < n_wrt; i++) ad_plan_set_output(c.gradient, i, c.g[i]);
        status = ad_plan_run(c.gradient, &c.run, error);
    }
    if (status == AD_OK) status = compare(&c, y, wrt, n_wrt, &o, report);
    ad_plan_free(c.gradient);
    ad_plan_free(c.value);
    for (int i = 0; c.g && i < n_wrt; i++) ad_free(c.g[i]);
    for (int i = 0; c.point && i < n_inputs; i++) ad_free(c.point[i]);
    ad_free(c.g);
    ad_free(c.size);
    ad_free(c.point);
    ad_free(gradient);
    ad_free(input_of);
    return status;
}
