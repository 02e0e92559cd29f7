/* The gradient checker: the tape's gradient against 4-point central differences, in float64.
 *
 * A random direction u mixes every element, so a few directions find any wrong rule; halves of one that fails lead to
 * the element. The error is scaled by Σ|g_j u_j|, however small: sums that cancel don't turn rounding into a failure,
 * and a flipped sign shows. What differences can't know is allowed for: how much they change from a step to a shorter
 * one, where the long one was too long or reached past a kink, and the rounding of f over the step. A wrong gradient is
 * off by more than that at any step. */
#include "tape/node.h"

#include <weir/environment.h>
#include <weir/gradcheck.h>
#include <weir/memory.h>
#include <weir/plan.h>
#include <weir/random.h>

#include <float.h>
#include <math.h>
#include <string.h>

enum { DIRECTIONS = 3 };

typedef struct {
    ad_plan *value, *gradient;
    double **point;      /* a copy of each input, to move */
    double *saved;       /* room for the one that is moved */
    size_t *size;        /* elements, over all rows */
    const int *input_of; /* of each wrt */
    double **g;          /* gradient with respect to each wrt, at the point */
    ad_run run;
    double step, tolerance;
    ad_error *error;
} checker;

/* f(x + t u), and Σ|c_i y_i| there, of whose size the terms of f are. */
static bool value_at(checker *c, int input, const double *u, double t, double *value, double *terms)
{
    double *x = c->point[input];
    memcpy(c->saved, x, c->size[input] * sizeof *x);
    for (size_t j = 0; j < c->size[input]; j++) x[j] += t * u[j];
    ad_plan_set_output(c->value, 0, value);
    ad_plan_set_output(c->value, 1, terms);
    bool good = ad_plan_run(c->value, &c->run, c->error) == AD_OK;
    memcpy(x, c->saved, c->size[input] * sizeof *x);
    return good;
}

/* d/dt f(x + t u) at t = 0. */
static bool difference(checker *c, int input, const double *u, double h, double *slope)
{
    static const double at[4] = {-2, -1, 1, 2}, weight[4] = {1. / 12, -8. / 12, 8. / 12, -1. / 12};
    double value;
    *slope = 0;
    for (int p = 0; p < 4; p++) {
        if (!value_at(c, input, u, at[p] * h, &value, NULL)) return false;
        *slope += weight[p] * value / h;
    }
    return true;
}

/* How rough f is between neighbours: of a smooth function the sixth differences are rounding alone, in each of which a
 * value's counts with Σ C(6,k)² = 924. A kink is on one side of x at most, the one that is rougher. flat: on a
 * side, all are equal. */
static bool find_roughness(checker *c, int input, const double *u, double apart, double *rough, bool *flat,
                           double *terms)
{
    enum { ORDER = 6, COUNT = 12 };
    *rough = INFINITY;
    *flat = false;
    for (int side = -1; side <= 1; side += 2) {
        double value[COUNT], squares = 0;
        bool equal = true;
        for (int k = 0; k < COUNT; k++) {
            if (!value_at(c, input, u, side * k * apart, &value[k], terms)) return false;
            equal = equal && value[k] == value[0];
        }
        *flat = *flat || equal;
        for (int order = 0; order < ORDER; order++)
            for (int k = 0; k + 1 < COUNT - order; k++) value[k] = value[k + 1] - value[k];
        for (int k = 0; k < COUNT - ORDER; k++) squares += value[k] / 924 * value[k];
        *rough = fmin(*rough, sqrt(squares / (COUNT - ORDER)));
    }
    return true;
}

/* The standard deviation of f's rounding (Moré & Wild 2011, "Estimating computational noise"): f's roughness, from near
 * neighbours to distant ones, for where it rounds to a few different values the near ones are equal; up to where the
 * roughness grows with the distance, which is f's own. */
static bool find_rounding(checker *c, int input, const double *u, double *rounding)
{
    double terms, before = INFINITY, rough;
    bool flat, flat_before = false;
    *rounding = 0;
    for (int k = 16; k >= 4; k -= 4, before = rough, flat_before = flat) {
        if (!find_roughness(c, input, u, ldexp(c->step, -k), &rough, &flat, &terms)) return false;
        if (!flat_before && rough > 16 * before) break;
        *rounding = fmax(*rounding, rough);
    }
    *rounding = fmax(*rounding, DBL_EPSILON * terms);
    return true;
}

/* What one direction tells. */
typedef struct {
    double error; /* by how much the tape is off, of Σ|g_j u_j|, beyond what differences can't know */
    double slope; /* by differences */
} comparison;

static bool compare(checker *c, int wrt, const double *u, comparison *result)
{
    enum { STEPS = 9, DEVIATIONS = 5 };
    const int input = c->input_of[wrt];
    double slope[STEPS], dot = 0, total = 0, rounding, doubt = INFINITY, off = INFINITY;
    for (size_t j = 0; j < c->size[input]; j++) {
        dot += c->g[wrt][j] * u[j];
        total += fabs(c->g[wrt][j] * u[j]);
    }
    for (int k = 0; k < STEPS; k++) {
        if (!difference(c, input, u, ldexp(c->step, -2 * k), &slope[k])) return false;
        off = fabs(slope[k] - dot);
        *result = (comparison){off > 0 ? off / total : 0, slope[k]};
        if (off <= c->tolerance * total && (total > 0 || k == 0)) return true;
    }
    if (!find_rounding(c, input, u, &rounding)) return false;
    for (int k = 0; k + 1 < STEPS; k++) {
        double unknown = fabs(slope[k + 1] - slope[k]) + DEVIATIONS * rounding / ldexp(c->step, -2 * k);
        if (!(unknown < doubt)) continue;
        doubt = unknown;
        off = fmax(fabs(slope[k] - dot) - doubt, 0);
        *result = (comparison){off > 0 ? off / total : 0, slope[k]};
    }
    if (isnan(dot) || isinf(doubt)) result->error = INFINITY;
    return true;
}

/* The element that a wrong direction leads to: halve it, and go where the larger error is. u is spoilt. */
static bool locate(checker *c, int wrt, double *u, ad_gradcheck_report *report)
{
    const size_t size = c->size[c->input_of[wrt]];
    size_t begin = 0, end = size;
    double *half = ad_alloc(size, sizeof *half);
    if (!half) return ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory in the gradient check"), false;
    comparison left, right;
    bool good = true;
    while (end - begin > 1 && good) {
        size_t middle = begin + (end - begin) / 2;
        memcpy(half + begin, u + begin, (middle - begin) * sizeof *half);
        good = compare(c, wrt, half, &left);
        memset(half + begin, 0, (middle - begin) * sizeof *half);
        memcpy(half + middle, u + middle, (end - middle) * sizeof *half);
        good = good && compare(c, wrt, half, &right);
        memset(half + middle, 0, (end - middle) * sizeof *half);
        if (!good) break;
        if (left.error >= right.error)
            end = middle;
        else
            begin = middle;
    }
    half[begin] = fmax(1, fabs(c->point[c->input_of[wrt]][begin]));
    good = good && compare(c, wrt, half, &left);
    report->element = begin;
    report->expected = left.slope / half[begin];
    report->got = c->g[wrt][begin];
    ad_free(half);
    return good;
}

/* Random direction number k of a wrt. */
static void draw_direction(const checker *c, int wrt, unsigned k, double *u)
{
    enum { FIRST_STREAM = 1000 };
    const int input = c->input_of[wrt];
    for (size_t j = 0; j < c->size[input]; j++)
        u[j] = (2 * ad_random_uniform(c->run.seed, FIRST_STREAM + k + (unsigned)wrt * DIRECTIONS, j) - 1) *
               fmax(1, fabs(c->point[input][j]));
}

static ad_status compare_all(checker *c, ad_var y, const ad_var *wrt, int n_wrt, ad_gradcheck_report *report)
{
    size_t most = 0;
    for (int i = 0; i < n_wrt; i++) most = c->size[c->input_of[i]] > most ? c->size[c->input_of[i]] : most;
    double *u = ad_alloc(most, sizeof *u);
    c->saved = ad_alloc(most, sizeof *c->saved);
    bool good = u && c->saved;
    if (!good) ad_error_set(c->error, AD_ERROR_MEMORY, "out of memory in the gradient check");
    report->worst = -1;
    unsigned direction = 0; /* the worst */
    for (int i = 0; i < n_wrt && good; i++)
        for (unsigned k = 0; k < DIRECTIONS && good; k++) {
            comparison result;
            draw_direction(c, i, k, u);
            good = compare(c, i, u, &result);
            if (!good || result.error <= report->worst) continue;
            report->worst = result.error;
            report->wrt = i;
            direction = k;
        }
    const bool right = report->worst <= c->tolerance;
    if (good && !right) {
        draw_direction(c, report->wrt, direction, u);
        good = locate(c, report->wrt, u, report);
    }
    ad_free(c->saved);
    ad_free(u);
    if (!good) return c->error->status;
    if (right) return AD_OK;
    return ad_error_set(
        c->error, AD_ERROR_NUMERIC,
        "gradient check of '%s' (%%%d) with respect to argument %d, '%s': the finite difference along a "
        "random direction is off by %.3g of Σ|g·u| (tolerance %.3g); worst at element %zu: finite "
        "difference %.12g, tape %.12g",
        ad__node_of(y)->op->name, y.id, report->wrt, ad_name_of(wrt[report->wrt]), report->worst, c->tolerance,
        report->element, report->expected, report->got);
}

static ad_var sum_all(ad_var v)
{
    ad_var sum = ad_sum(v);
    return ad_is_per_row(sum) ? ad_sum_rows(sum) : sum;
}

/* f = c·y summed to a scalar, with random c, and the sum of what that adds up without signs. */
static void random_projection(ad_var y, uint64_t seed, ad_var f[2])
{
    size_t n = ad_shape_size(ad_shape_of(y));
    double *c = ad_alloc(n, sizeof *c);
    if (!c) ad_tape_fail(y.tape, AD_ERROR_MEMORY, "out of memory in the gradient check");
    for (size_t i = 0; c && i < n; i++) c[i] = 0.5 + ad_random_uniform(seed, 999, i);
    ad_var weighted = ad_mul(y, ad_constant(y.tape, ad_shape_of(y), c));
    f[0] = sum_all(weighted);
    f[1] = sum_all(ad_abs(weighted));
    ad_free(c);
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
    const char *missing = !wrt ? "wrt" : n_inputs > 0 && !inputs ? "inputs" : n_inputs > 0 && !values ? "values" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "gradcheck: %s is NULL", missing);
    for (int i = 0; i < n_inputs; i++)
        if (!values[i] || !ad_is_valid(inputs[i]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "gradcheck: %s[%d] is %s", values[i] ? "inputs" : "values", i,
                                values[i] ? "not a value" : "NULL");
    size_t n = (size_t)n_inputs, w = (size_t)n_wrt;
    int *input_of = ad_alloc(w, sizeof *input_of);
    ad_var *gradient = ad_alloc(w, sizeof *gradient);
    checker c = {.point = ad_alloc(n, sizeof *c.point),
                 .size = ad_alloc(n, sizeof *c.size),
                 .g = ad_alloc(w, sizeof *c.g),
                 .input_of = input_of,
                 .run = {.rows = o.rows, .seed = o.seed},
                 .step = o.step,
                 .tolerance = o.tolerance,
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
        ad_var f[2];
        random_projection(y, o.seed, f);
        ad_grad(f[0], wrt, n_wrt, gradient);
        c.value = ad_plan_new(f, 2, &(ad_plan_options){.dtype = AD_F64}, error);
        c.gradient = c.value ? ad_plan_new(gradient, n_wrt, &(ad_plan_options){.dtype = AD_F64}, error) : NULL;
        status = c.gradient ? AD_OK : error->status;
    }
    if (status == AD_OK) {
        bind(c.value, inputs, c.point, n_inputs);
        bind(c.gradient, inputs, c.point, n_inputs);
        for (int i = 0; i < n_wrt; i++) ad_plan_set_output(c.gradient, i, c.g[i]);
        status = ad_plan_run(c.gradient, &c.run, error);
    }
    if (status == AD_OK) status = compare_all(&c, y, wrt, n_wrt, report);
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
