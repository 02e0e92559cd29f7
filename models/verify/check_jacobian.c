/* The verifier: Jacobians and gradients, on the tape and by finite differences. */
#include "verify/checker.h"

#include <weir/verify.h>

#include <math.h>
#include <string.h>

enum { ROWS = 12 };

static const char *name_of(bool inverse)
{
    return inverse ? "x" : "z";
}

/* Random events on the side that a direction starts from: images under the map for the inverse, so that they are in its
 * range. */
static ad_status random_events(nf__checker *c, bool inverse, size_t rows, double *in)
{
    size_t n = rows * c->dim;
    double *z = inverse ? ad_alloc(n, sizeof *z) : in;
    if (!z) return nf__check_out_of_memory(c);
    for (size_t i = 0; i < n; i++) z[i] = 1.5 * ad_random_normal(c->seed, 1, i);
    ad_status status = inverse ? nf__check_transform(c, AD_F64, false, z, rows, in, NULL) : AD_OK;
    if (inverse) ad_free(z);
    return status;
}

/* ---- Determinants --------------------------------------------------------------------------------------------- */

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

/* jacobian[r][i][j] = d out_i / d in_j by the tape. */
static ad_status tape_jacobian(nf__checker *c, const nf__check_direction *d, size_t rows, double *jacobian)
{
    return nf__check_run(d, ad_jacobian(d->out, d->in), rows, jacobian, c->error);
}

/* How far each feature may move: no further than makes an output move as far, lest it leave the range of the map. */
static void find_reach(const double *jacobian, const double *at, size_t rows, size_t dim, double *reach)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < dim; j++) {
            double steepest = 1;
            for (size_t i = 0; i < dim; i++) steepest = fmax(steepest, fabs(jacobian[(r * dim + i) * dim + j]));
            reach[r * dim + j] = fmax(1, fabs(at[r * dim + j])) / steepest;
        }
}

/* By the 4-point central difference of step h * reach_j. */
static ad_status difference_jacobian(nf__checker *c, bool inverse, const double *at, size_t rows, double h,
                                     const double *reach, double *jacobian)
{
    static const double offset[4] = {-2, -1, 1, 2}, weight[4] = {1. / 12, -8. / 12, 8. / 12, -1. / 12};
    size_t dim = c->dim, n = rows * dim;
    double *in = ad_alloc(n, sizeof *in), *out = ad_alloc(n, sizeof *out);
    ad_status status = in && out ? AD_OK : nf__check_out_of_memory(c);
    if (status == AD_OK) memset(jacobian, 0, n * dim * sizeof *jacobian);
    for (size_t j = 0; j < dim; j++)
        for (int k = 0; k < 4 && status == AD_OK; k++) {
            memcpy(in, at, n * sizeof *in);
            for (size_t r = 0; r < rows; r++) in[r * dim + j] += offset[k] * h * reach[r * dim + j];
            status = nf__check_transform(c, AD_F64, inverse, in, rows, out, NULL);
            for (size_t r = 0; r < rows; r++)
                for (size_t i = 0; i < dim; i++)
                    jacobian[(r * dim + i) * dim + j] += weight[k] * out[r * dim + i] / (h * reach[r * dim + j]);
        }
    ad_free(out);
    ad_free(in);
    return status;
}

/* Of each element's differences, from long steps to short ones, the one that a tenth of the step changes least: some
 * steps are so long that they reach past a kink, others too short. Into difference[0]. */
static void choose_steps(double *const *difference, int count, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double least = INFINITY, chosen = difference[0][i];
        for (int k = 0; k + 1 < count; k++) {
            double change = fabs(difference[k + 1][i] - difference[k][i]);
            if (!(change < least)) continue;
            least = change;
            chosen = difference[k + 1][i];
        }
        difference[0][i] = chosen;
    }
}

static void compare_log_dets(double *jacobian, size_t dim, size_t rows, const double *log_det,
                             const nf__check_direction *d, bool inverse, nf_check_result *result)
{
    for (size_t r = 0; r < rows; r++) {
        double error = fabs(log_abs_det(jacobian + r * dim * dim, dim) - log_det[r]);
        if (nf__check_worse(result, error / fmax(1, fabs(log_det[r]))))
            nf__check_at(result, name_of(inverse), d->value[0] + r * dim, dim);
    }
}

static ad_status one_way(nf__checker *c, bool inverse, const char *property[2])
{
    enum { STEPS = 3 };
    static const double step[STEPS] = {1e-3, 1e-4, 1e-5};
    size_t dim = c->dim;
    size_t rows = dim > 8 ? 4 : ROWS;
    double *jacobian[STEPS], *in = ad_alloc(ROWS, dim * sizeof *in), *reach = ad_alloc(ROWS, dim * sizeof *reach);
    double log_det[ROWS];
    nf__check_direction d = {0};
    bool good = in && reach;
    for (int k = 0; k < STEPS; k++) good = (jacobian[k] = ad_alloc(rows * dim, dim * sizeof *in)) && good;
    ad_status status = good ? random_events(c, inverse, rows, in) : nf__check_out_of_memory(c);
    if (status == AD_OK && !nf__check_open(c, inverse, rows, in, &d)) status = c->error->status;
    if (status == AD_OK) status = nf__check_run(&d, d.log_det, rows, log_det, c->error);
    if (status == AD_OK) status = tape_jacobian(c, &d, rows, jacobian[0]);
    if (status == AD_OK) find_reach(jacobian[0], in, rows, dim, reach);
    if (status == AD_OK)
        compare_log_dets(jacobian[0], dim, rows, log_det, &d, inverse, nf__check_result_add(c, property[0], 1e-8));
    for (int k = 0; k < STEPS && status == AD_OK; k++)
        status = difference_jacobian(c, inverse, in, rows, step[k], reach, jacobian[k]);
    if (status == AD_OK) {
        choose_steps(jacobian, STEPS, rows * dim * dim);
        compare_log_dets(jacobian[0], dim, rows, log_det, &d, inverse, nf__check_result_add(c, property[1], 1e-8));
    }
    nf__check_close(&d);
    for (int k = 0; k < STEPS; k++) ad_free(jacobian[k]);
    ad_free(reach);
    ad_free(in);
    return status;
}

ad_status nf__check_jacobians(nf__checker *c)
{
    ad_status status = one_way(
        c, false,
        (const char *[]){"log-det against the Jacobian, forward", "log-det against finite differences, forward"});
    if (status != AD_OK) return status;
    return one_way(
        c, true,
        (const char *[]){"log-det against the Jacobian, inverse", "log-det against finite differences, inverse"});
}

/* ---- Gradients ------------------------------------------------------------------------------------------------ */

/* Of value and log-det at once, with respect to the event, every parameter and the context. */
static ad_status gradients(nf__checker *c, bool inverse, const char *property)
{
    double *in = ad_alloc(ROWS, c->dim * sizeof *in);
    nf__check_direction d = {0};
    ad_status status = in ? random_events(c, inverse, ROWS, in) : nf__check_out_of_memory(c);
    if (status == AD_OK && !nf__check_open(c, inverse, ROWS, in, &d)) status = c->error->status;
    if (status == AD_OK) {
        nf_check_result *result = nf__check_result_add(c, property, 1e-8);
        ad_var parts[] = {d.out, ad_reshape(d.log_det, AD_SHAPE(1))};
        ad_gradcheck_report report;
        ad_gradcheck_options options = {.rows = ROWS, .seed = c->seed, .tolerance = result->bound};
        status = ad_gradcheck(ad_concat(parts, 2, 0), d.input, (int)d.n_input, d.input, (const double *const *)d.value,
                              (int)d.n_input, &options, &report, c->error);
        if (status == AD_OK || report.wrt >= 0) {
            result->worst = report.worst;
            snprintf(result->at, sizeof result->at,
                     "with respect to %s, element %zu: %.6g by differences, %.6g by the tape",
                     report.wrt == 0 ? "the event" : ad_name_of(d.input[report.wrt]), report.element, report.expected,
                     report.got);
            status = AD_OK;
        }
    }
    nf__check_close(&d);
    ad_free(in);
    return status;
}

ad_status nf__check_gradients(nf__checker *c)
{
    ad_status status = gradients(c, false, "gradients against differences, forward");
    return status == AD_OK ? gradients(c, true, "gradients against differences, inverse") : status;
}

/* ---- Kinks ---------------------------------------------------------------------------------------------------- */

/* Of one function along one feature: y = Σ_i c_i out_i + log_det, and its slope by the tape. */
typedef struct {
    nf__checker *c;
    nf__check_direction *d;
    ad_plan *plan;
    const double *base; /* the event that is moved along */
    size_t feature;
    double *in, *value, *slope; /* room for rows of them */
} line;

static ad_status on_line(line *l, const double *at, size_t rows)
{
    size_t dim = l->c->dim;
    for (size_t r = 0; r < rows; r++) {
        memcpy(l->in + r * dim, l->base, dim * sizeof *l->in);
        l->in[r * dim + l->feature] = at[r];
    }
    ad_status status = ad_plan_run(l->plan, &(ad_run){.rows = rows}, l->c->error);
    for (size_t r = 0; r < rows && status == AD_OK; r++) l->slope[r] = l->slope[r * dim + l->feature];
    return status;
}

/* Halve the interval with the largest jump of slope; a smooth function's jump vanishes with it, a kink's stays. An end
 * of the support, beyond which the value is -inf, is none. */
static ad_status find_kink(line *l, bool *found, double *where)
{
    enum { GRID = 256, HALVINGS = 36 };
    double at[GRID], left = 0, right = 0, jump = 0, largest = 0;
    for (int i = 0; i < GRID; i++) at[i] = -6 + 12 * (i + 0.37) / GRID;
    ad_status status = on_line(l, at, GRID);
    for (int i = 0; i + 1 < GRID && status == AD_OK; i++) {
        if (isinf(l->value[i]) || isinf(l->value[i + 1])) continue;
        largest = fmax(largest, fabs(l->slope[i]));
        if (fabs(l->slope[i + 1] - l->slope[i]) <= jump) continue;
        jump = fabs(l->slope[i + 1] - l->slope[i]);
        left = at[i];
        right = at[i + 1];
    }
    double now = jump;
    for (int k = 0; k < HALVINGS && status == AD_OK && jump > 0; k++) {
        double three[3] = {left, 0.5 * (left + right), right};
        status = on_line(l, three, 3);
        bool first = fabs(l->slope[1] - l->slope[0]) > fabs(l->slope[2] - l->slope[1]);
        now = first ? fabs(l->slope[1] - l->slope[0]) : fabs(l->slope[2] - l->slope[1]);
        left = first ? left : three[1];
        right = first ? three[1] : right;
    }
    *found = now > 0.1 * jump && now > 1e-6 * largest;
    *where = 0.5 * (left + right);
    return status;
}

/* The slope `away` from the kink by the tape, and by differences that stay on that side. */
static ad_status slope_beside(line *l, double kink, double away, double *by_tape, double *by_differences)
{
    static const double offset[4] = {-2, -1, 1, 2}, weight[4] = {1. / 12, -8. / 12, 8. / 12, -1. / 12};
    const double centre = kink + away, h = fabs(away) / 4;
    double at[5] = {centre};
    for (int k = 0; k < 4; k++) at[k + 1] = centre + offset[k] * h;
    ad_status status = on_line(l, at, 5);
    *by_tape = l->slope[0];
    *by_differences = 0;
    for (int k = 0; k < 4; k++) *by_differences += weight[k] * l->value[k + 1] / h;
    return status;
}

/* Just left and just right of it; nearer where another kink, or a strong curvature, may be close by. */
static ad_status both_sides(line *l, double kink, nf_check_result *result)
{
    for (int side = -1; side <= 1; side += 2) {
        double least = INFINITY, got = 0, expected = 0;
        bool outside = false; /* of the support */
        for (double away = 1e-3; away > 1e-6 && !outside && !(least <= result->bound); away /= 10) {
            double by_tape, by_differences;
            ad_status status = slope_beside(l, kink, side * away, &by_tape, &by_differences);
            if (status != AD_OK) return status;
            double error = fabs(by_differences - by_tape) / fmax(1, fabs(by_differences));
            outside = isinf(l->value[1]) || isinf(l->value[4]);
            if (error >= least) continue;
            least = error;
            got = by_tape;
            expected = by_differences;
        }
        if (!outside && nf__check_worse(result, least))
            snprintf(result->at, sizeof result->at,
                     "feature %zu, %s of the kink at %.6g: %.6g by differences, %.6g by the tape", l->feature + 1,
                     side < 0 ? "left" : "right", kink, expected, got);
    }
    return AD_OK;
}

static ad_status kinks_one_way(nf__checker *c, bool inverse, nf_check_result *result)
{
    enum { ROOM = 256, FEATURES = 8 };
    size_t dim = c->dim;
    double *memory = ad_alloc(2 * dim + 1, ROOM * sizeof *memory), *base = ad_alloc(dim, sizeof *base);
    nf__check_direction d = {0};
    ad_status status = memory && base ? random_events(c, inverse, 1, base) : nf__check_out_of_memory(c);
    line l = {.c = c, .d = &d, .base = base, .in = memory};
    if (status == AD_OK && !nf__check_open(c, inverse, ROOM, l.in, &d)) status = c->error->status;
    if (status == AD_OK) {
        size_t n_context = c->bijector->context;
        for (size_t i = n_context; i < ROOM * n_context; i++) d.context[i] = d.context[i - n_context]; /* one line */
        l.slope = memory + ROOM * dim;
        l.value = l.slope + ROOM * dim;
        double *coefficient = l.in; /* for a moment */
        for (size_t i = 0; i < dim; i++) coefficient[i] = 0.5 + ad_random_uniform(c->seed, 10, i);
        ad_var y = ad_add(ad_sum(ad_mul(d.out, ad_constant(d.tape, AD_SHAPE(dim), coefficient))), d.log_det);
        ad_var out[] = {ad_to_rows(y), ad_to_rows(ad_grad1(y, d.in))};
        l.plan = ad_plan_new(out, 2, &(ad_plan_options){.dtype = AD_F64}, c->error);
        if (!l.plan) status = c->error->status;
    }
    if (status == AD_OK) {
        for (size_t i = 0; i < d.n_input; i++) ad_plan_set_input(l.plan, d.input[i], d.value[i]);
        ad_plan_set_output(l.plan, 0, l.value);
        ad_plan_set_output(l.plan, 1, l.slope);
    }
    for (size_t j = 0; j < dim && j < FEATURES && status == AD_OK; j++) {
        bool found;
        double kink;
        l.feature = j;
        status = find_kink(&l, &found, &kink);
        if (status == AD_OK && found) status = both_sides(&l, kink, result);
    }
    ad_plan_free(l.plan);
    nf__check_close(&d);
    ad_free(base);
    ad_free(memory);
    return status;
}

ad_status nf__check_kinks(nf__checker *c)
{
    nf_check_result *result = nf__check_result_add(c, "gradients on both sides of kinks", 1e-7);
    ad_status status = kinks_one_way(c, false, result);
    return status == AD_OK ? kinks_one_way(c, true, result) : status;
}

/* ---- Zeros ---------------------------------------------------------------------------------------------------- */

/* Where the tape shows that an output doesn't depend on an input, the Jacobian is exactly zero, and moving the input
 * leaves the output's bits alone. */
static ad_status zeros_one_way(nf__checker *c, bool inverse, nf_check_result *result)
{
    enum { EVENTS = 3 };
    size_t dim = c->dim, n = EVENTS * dim;
    bool *depends = ad_alloc(dim, dim);
    double *in = ad_alloc(n, sizeof *in), *moved = ad_alloc(n, sizeof *moved), *out = ad_alloc(n, sizeof *out);
    double *after = ad_alloc(n, sizeof *after), *jacobian = ad_alloc(n, dim * sizeof *jacobian);
    nf__check_direction d = {0};
    ad_status status = depends && in && moved && out && after && jacobian ? random_events(c, inverse, EVENTS, in)
                                                                          : nf__check_out_of_memory(c);
    if (status == AD_OK && !nf__check_open(c, inverse, EVENTS, in, &d)) status = c->error->status;
    if (status == AD_OK) status = ad_dependence(d.out, d.in, depends, c->error);
    if (status == AD_OK) status = nf__check_transform(c, AD_F64, inverse, in, EVENTS, out, NULL);
    if (status == AD_OK) status = tape_jacobian(c, &d, EVENTS, jacobian);
    for (size_t j = 0; j < dim && status == AD_OK; j++) {
        memcpy(moved, in, n * sizeof *in);
        for (size_t r = 0; r < EVENTS; r++) moved[r * dim + j] *= 0.7;
        status = nf__check_transform(c, AD_F64, inverse, moved, EVENTS, after, NULL);
        for (size_t r = 0; r < EVENTS && status == AD_OK; r++)
            for (size_t i = 0; i < dim; i++) {
                bool same = memcmp(&after[r * dim + i], &out[r * dim + i], sizeof *out) == 0;
                if (depends[i * dim + j] || (same && jacobian[(r * dim + i) * dim + j] == 0)) continue;
                if (result->worst == 0)
                    snprintf(result->at, sizeof result->at, "output %zu moves with %s_%zu", i + 1, name_of(inverse),
                             j + 1);
                result->worst++;
            }
    }
    nf__check_close(&d);
    ad_free(jacobian);
    ad_free(after);
    ad_free(out);
    ad_free(moved);
    ad_free(in);
    ad_free(depends);
    return status;
}

ad_status nf__check_zeros(nf__checker *c)
{
    nf_check_result *result = nf__check_result_add(c, "zeros of the Jacobian are exact (count)", 0);
    ad_status status = zeros_one_way(c, false, result);
    return status == AD_OK ? zeros_one_way(c, true, result) : status;
}

/* ---- Orientation ---------------------------------------------------------------------------------------------- */

/* The sign of det A, or 0 where it is too near to 0 to tell or not a number; A (n,n) is overwritten. */
static int sign_of_det(double *a, size_t n)
{
    const double least = 1e-8;
    int sign = 1;
    for (size_t i = 0; i < n; i++) {
        double largest = 0;
        for (size_t j = 0; j < n; j++) largest = fmax(largest, fabs(a[i * n + j]));
        for (size_t j = 0; j < n; j++) a[i * n + j] /= largest;
    }
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        if (!(fabs(a[pivot * n + k]) > least)) return 0;
        if (pivot != k) sign = -sign;
        for (size_t j = 0; j < n; j++) {
            double swap = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swap;
        }
        if (a[k * n + k] < 0) sign = -sign;
        for (size_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (size_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
        }
    }
    return sign;
}

/* A bijection's determinant has one sign: where a constraint is missing or wrong, there are parameters for which it
 * hasn't. */
ad_status nf__check_orientation(nf__checker *c)
{
    enum { EVENTS = 32, DRAWS = 8 };
    static const double scale[] = {0.1, 1, 3, 10};
    nf_check_result *result = nf__check_result_add(c, "one sign of det J at extreme parameters (count)", 0);
    size_t dim = c->dim;
    double *in = ad_alloc(EVENTS, dim * sizeof *in), *jacobian = ad_alloc(EVENTS * dim, dim * sizeof *jacobian);
    double *saved = nf__check_save(c);
    nf__check_direction d = {0};
    ad_plan *plan = NULL;
    ad_status status = in && jacobian && saved ? AD_OK : nf__check_out_of_memory(c);
    if (status == AD_OK && !nf__check_open(c, false, EVENTS, in, &d)) status = c->error->status;
    if (status == AD_OK) {
        ad_var out = ad_to_rows(ad_jacobian(d.out, d.in));
        plan = ad_plan_new(&out, 1, &(ad_plan_options){.dtype = AD_F64}, c->error);
        if (!plan) status = c->error->status;
    }
    for (size_t i = 0; i < d.n_input && plan; i++) ad_plan_set_input(plan, d.input[i], d.value[i]);
    if (plan) ad_plan_set_output(plan, 0, jacobian);
    for (uint64_t draw = 0; draw < DRAWS && status == AD_OK; draw++) {
        for (size_t i = 0; i < EVENTS * dim; i++)
            in[i] = scale[i / dim % 4] * ad_random_normal(c->seed, 11 + (draw << 32), i);
        nf__check_make_extreme(c, saved, draw);
        status = ad_plan_run(plan, &(ad_run){.rows = EVENTS}, c->error);
        int first = 0;
        for (size_t r = 0; r < EVENTS && status == AD_OK; r++) {
            int sign = sign_of_det(jacobian + r * dim * dim, dim);
            if (first == 0) first = sign;
            if (sign * first >= 0) continue;
            if (result->worst == 0) nf__check_at(result, "det J has another sign at z", in + r * dim, dim);
            result->worst++;
        }
    }
    ad_plan_free(plan);
    nf__check_close(&d);
    if (saved) nf__check_restore(c, saved);
    ad_free(jacobian);
    ad_free(in);
    return status;
}
