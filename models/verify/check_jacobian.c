/* The verifier: log-dets against Jacobians, on the tape and by finite differences; zeros and the sign of Jacobians. */
#include "verify/checker.h"

#include <weir/verify.h>

#include <math.h>
#include <string.h>

enum { ROWS = 12 };

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

ad_status nf__check_jacobian(nf__checker *c, const nf__check_direction *d, size_t rows, double *jacobian)
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
            nf__check_at(result, nf__check_side(inverse), d->value[0] + r * dim, dim);
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
    ad_status status = good ? nf__check_events(c, inverse, rows, in) : nf__check_out_of_memory(c);
    if (status == AD_OK && !nf__check_open(c, inverse, rows, in, &d)) status = c->error->status;
    if (status == AD_OK) status = nf__check_run(&d, d.log_det, rows, log_det, c->error);
    if (status == AD_OK) status = nf__check_jacobian(c, &d, rows, jacobian[0]);
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
    ad_status status = depends && in && moved && out && after && jacobian ? nf__check_events(c, inverse, EVENTS, in)
                                                                          : nf__check_out_of_memory(c);
    if (status == AD_OK && !nf__check_open(c, inverse, EVENTS, in, &d)) status = c->error->status;
    if (status == AD_OK) status = ad_dependence(d.out, d.in, depends, c->error);
    if (status == AD_OK) status = nf__check_transform(c, AD_F64, inverse, in, EVENTS, out, NULL);
    if (status == AD_OK) status = nf__check_jacobian(c, &d, EVENTS, jacobian);
    for (size_t j = 0; j < dim && status == AD_OK; j++) {
        memcpy(moved, in, n * sizeof *in);
        for (size_t r = 0; r < EVENTS; r++) moved[r * dim + j] *= 0.7;
        status = nf__check_transform(c, AD_F64, inverse, moved, EVENTS, after, NULL);
        for (size_t r = 0; r < EVENTS && status == AD_OK; r++)
            for (size_t i = 0; i < dim; i++) {
                bool same = memcmp(&after[r * dim + i], &out[r * dim + i], sizeof *out) == 0;
                if (depends[i * dim + j] || (same && jacobian[(r * dim + i) * dim + j] == 0)) continue;
                if (result->worst == 0)
                    snprintf(result->at, sizeof result->at, "output %zu moves with %s_%zu", i + 1,
                             nf__check_side(inverse), j + 1);
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
