/* The verifier: log-dets against Jacobians, on the tape and by finite differences; zeros and the sign of Jacobians. */
#include "verify/checker.h"

#include <weir/verify.h>

#include <math.h>
#include <string.h>

enum { ROWS = 12 };

/* ---- Determinants --------------------------------------------------------------------------------------------- */

typedef struct {
    double log_abs;
    int sign;     /* 0 where rounding may have turned it, once the doubt is known */
    double doubt; /* how much log_abs is off for each unit by which elements of A are: where a map has squashed an
                   * event, its Jacobian, 1 - tanh² say, has few digits; infinity where an element isn't finite */
    const double *of;
    double *work;
    size_t n;
} determinant;

/* By LU with partial pivoting; A (n,n) is overwritten. */
static determinant eliminate(double *a, size_t n)
{
    determinant det = {.sign = 1};
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        if (pivot != k) det.sign = -det.sign;
        if (a[pivot * n + k] < 0) det.sign = -det.sign;
        det.log_abs += log(fabs(a[pivot * n + k]));
        for (size_t j = 0; j < n; j++) {
            double swap = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swap;
        }
        for (size_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (size_t j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
        }
    }
    return det;
}

/* Its sign, and what its doubt is. That takes several times as long as the determinant itself, and is asked only where
 * something looks wrong. The doubt is what becomes of some random errors, of elements a that have one of 1 + a² units:
 * a derivative of 1/a has that. */
static void find_doubt(determinant *det)
{
    enum { TRIALS = 3 };
    const double unit = 1e-12;
    const size_t n = det->n;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        for (size_t i = 0; i < n * n; i++) {
            const double a = det->of[i];
            det->work[i] = a + unit * (1 + a * a) * (2 * ad_random_uniform(0, trial, i) - 1);
        }
        const determinant other = eliminate(det->work, n);
        const double change = fabs(other.log_abs - det->log_abs);
        det->doubt = fmax(det->doubt, isfinite(change) ? 10 * change / unit : INFINITY);
        if (other.sign != det->sign) det->doubt = INFINITY;
    }
    if (!(det->doubt * unit < 1)) det->sign = 0;
}

/* work: (n,n). */
static determinant determinant_of(const double *a, size_t n, double *work)
{
    memcpy(work, a, n * n * sizeof *work);
    determinant det = eliminate(work, n);
    det.of = a;
    det.n = n;
    det.work = work;
    return det;
}

ad_status nf__check_open_slopes(nf__checker *c, bool inverse)
{
    nf__check_slopes *s = &c->slopes[inverse];
    if (s->plan) return AD_OK;
    s->in = ad_alloc(NF_MOST_EVENTS, c->dim * sizeof *s->in);
    s->jacobian = ad_alloc(NF_MOST_EVENTS * c->dim, c->dim * sizeof *s->jacobian);
    s->log_det = ad_alloc(NF_MOST_EVENTS, sizeof *s->log_det);
    if (!s->in || !s->jacobian || !s->log_det) return nf__check_out_of_memory(c);
    if (!nf__check_open(c, inverse, NF_MOST_EVENTS, s->in, &s->d)) return c->error->status;
    const ad_var out[] = {ad_jacobian(s->d.out, s->d.in), s->d.log_det};
    s->plan = nf__check_plan(&s->d, out, (double *[]){s->jacobian, s->log_det}, 2, c->error);
    return s->plan ? AD_OK : c->error->status;
}

void nf__check_close_slopes(nf__checker *c)
{
    for (int inverse = 0; inverse < 2; inverse++) {
        nf__check_slopes *s = &c->slopes[inverse];
        ad_plan_free(s->plan);
        nf__check_close(&s->d);
        ad_free(s->log_det);
        ad_free(s->jacobian);
        ad_free(s->in);
    }
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
 * steps are so long that they reach past a kink, others too short. Into difference[0], and that change into [1]. */
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
        difference[1][i] = least;
    }
}

/* Where elements of the Jacobian may be off by `unit`, the error is less by what that makes, at most `most`; nothing is
 * said where it makes a tenth and could be more. */
static void compare_log_det(determinant *det, double log_det, double unit, double most, const char *name,
                            const double *event, size_t dim, nf_check_result *result)
{
    const double error = fabs(det->log_abs - log_det);
    double off = error / fmax(1, fabs(log_det));
    if (unit > 0 && !(off <= result->bound)) {
        find_doubt(det);
        const double doubt = fmin(unit * det->doubt, most);
        if (doubt > 0.1) return;
        off = (error > doubt || isnan(error) ? error - doubt : 0) / fmax(1, fabs(log_det));
    }
    if (nf__check_worse(result, off)) nf__check_at(result, name, event, dim);
}

/* Elements of the Jacobian may be off by what is in `change`, where that isn't NULL; and the last `far` of the events
 * are where they may be off by `unit`. */
static void compare_log_dets(const double *jacobian, const double *change, size_t dim, size_t rows, size_t far,
                             double unit, const double *log_det, const nf__check_direction *d, bool inverse,
                             double *work, nf_check_result *result)
{
    const size_t size = dim * dim;
    for (size_t r = 0; r < rows; r++) {
        determinant det = determinant_of(jacobian + r * size, dim, work);
        const bool is_far = r + far >= rows;
        double off = is_far ? unit : 0;
        for (size_t i = r * size; change && i < (r + 1) * size; i++)
            off = fmax(off, change[i] / (1 + jacobian[i] * jacobian[i]));
        compare_log_det(&det, log_det[r], off, is_far ? INFINITY : 1e-6, nf__check_side(inverse), d->value[0] + r * dim,
                        dim, result);
    }
}

/* The last few of these events lie far out, in all features or in some. */
static ad_status near_and_far(nf__checker *c, bool inverse, size_t rows, size_t far, double *in)
{
    static const double distance[] = {8, 20, 100, 4};
    double *z = ad_alloc(rows, c->dim * sizeof *z);
    if (!z) return nf__check_out_of_memory(c);
    for (size_t i = 0; i < rows * c->dim; i++) {
        size_t r = i / c->dim;
        double u = 2 * ad_random_uniform(c->seed, 17, i) - 1;
        bool out = r >= rows - far && (r % 2 || i % c->dim == 0);
        z[i] = out ? copysign(0.7 + 0.3 * fabs(u), u) * distance[r % 4] : 1.5 * ad_random_normal(c->seed, 1, i);
    }
    ad_status status = AD_OK;
    if (inverse)
        status = nf__check_transform(c, AD_F64, false, z, rows, in, NULL);
    else
        memcpy(in, z, rows * c->dim * sizeof *z);
    ad_free(z);
    return status;
}

static ad_status one_way(nf__checker *c, bool inverse, const char *property[2])
{
    enum { STEPS = 3 };
    static const double step[STEPS] = {1e-3, 1e-4, 1e-5};
    const size_t dim = c->dim;
    size_t rows = dim > 8 ? 6 : ROWS, far = dim > 8 ? 2 : 4;
    const nf__check_slopes *s = &c->slopes[inverse];
    double *difference[STEPS], *reach = ad_alloc(ROWS, dim * sizeof *reach), *work = ad_alloc(dim, dim * sizeof *work);
    bool good = reach && work;
    for (int k = 0; k < STEPS; k++) good = (difference[k] = ad_alloc(rows * dim, dim * sizeof *work)) && good;
    ad_status status = good ? nf__check_open_slopes(c, inverse) : nf__check_out_of_memory(c);
    if (status == AD_OK) status = near_and_far(c, inverse, rows, far, s->in);
    if (status == AD_OK) status = ad_plan_run(s->plan, &(ad_run){.rows = rows}, c->error);
    if (status == AD_OK) {
        find_reach(s->jacobian, s->in, rows, dim, reach);
        compare_log_dets(s->jacobian, NULL, dim, rows, far, 1e-14, s->log_det, &s->d, inverse, work,
                         nf__check_result_add(c, property[0], 1e-8));
    }
    for (int k = 0; k < STEPS && status == AD_OK; k++)
        status = difference_jacobian(c, inverse, s->in, rows, step[k], reach, difference[k]);
    if (status == AD_OK) {
        choose_steps(difference, STEPS, rows * dim * dim);
        if (inverse) rows -= far, far = 0; /* steps may leave the range of the map */
        compare_log_dets(difference[0], difference[1], dim, rows, far, 1e-11, s->log_det, &s->d, inverse, work,
                         nf__check_result_add(c, property[1], 1e-8));
    }
    for (int k = 0; k < STEPS; k++) ad_free(difference[k]);
    ad_free(work);
    ad_free(reach);
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
    double *moved = ad_alloc(n, sizeof *moved), *out = ad_alloc(n, sizeof *out), *after = ad_alloc(n, sizeof *after);
    const nf__check_slopes *s = &c->slopes[inverse];
    ad_status status =
        depends && moved && out && after ? nf__check_open_slopes(c, inverse) : nf__check_out_of_memory(c);
    if (status == AD_OK) status = nf__check_events(c, inverse, EVENTS, s->in);
    if (status == AD_OK) status = ad_dependence(s->d.out, s->d.in, depends, c->error);
    if (status == AD_OK) status = nf__check_transform(c, AD_F64, inverse, s->in, EVENTS, out, NULL);
    if (status == AD_OK) status = ad_plan_run(s->plan, &(ad_run){.rows = EVENTS}, c->error);
    for (size_t j = 0; j < dim && status == AD_OK; j++) {
        memcpy(moved, s->in, n * sizeof *moved);
        for (size_t r = 0; r < EVENTS; r++) moved[r * dim + j] *= 0.7;
        status = nf__check_transform(c, AD_F64, inverse, moved, EVENTS, after, NULL);
        for (size_t r = 0; r < EVENTS && status == AD_OK; r++)
            for (size_t i = 0; i < dim; i++) {
                bool same = memcmp(&after[r * dim + i], &out[r * dim + i], sizeof *out) == 0;
                if (depends[i * dim + j] || (same && s->jacobian[(r * dim + i) * dim + j] == 0)) continue;
                if (result->worst == 0)
                    snprintf(result->at, sizeof result->at, "output %zu moves with %s_%zu", i + 1,
                             nf__check_side(inverse), j + 1);
                result->worst++;
            }
    }
    ad_free(after);
    ad_free(out);
    ad_free(moved);
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

static bool may_be_singular(const nf_bijector *bijector)
{
    bool singular = bijector->type->singular;
    for (size_t i = 0; i < bijector->n_child && !singular; i++) singular = may_be_singular(bijector->child[i]);
    return singular;
}

/* A bijection's determinant has one sign, and since it is zero for no parameters, the same for all of them: where a
 * constraint is missing or wrong, there are some for which it has another. And log-dets are right for these too. Of
 * what is solved at moderate ones alone: extreme ones make equations stiff, and where stability limits the steps, their
 * derivatives are not near those of the solution. */
ad_status nf__check_orientation(nf__checker *c)
{
    static const double scale[] = {0.1, 1, 3, 10};
    nf_check_result *result = nf__check_result_add(c, "one sign of det J at extreme parameters (count)", 0);
    nf_check_result *log_dets = nf__check_result_add(c, "log-det against the Jacobian, other parameters", 1e-8);
    size_t dim = c->dim;
    double *work = ad_alloc(dim, dim * sizeof *work);
    const double tolerance = nf__check_tolerance(c->bijector);
    const bool singular = may_be_singular(c->bijector), solved = tolerance > 0;
    const double unit = fmax(1e-14, 10 * tolerance);
    const double least = solved ? log(200 * unit) : -INFINITY; /* a smaller determinant may have either sign */
    int first = 0;
    const nf__check_slopes *s = &c->slopes[false];
    double *saved = nf__check_save(c);
    ad_status status = saved && work ? nf__check_open_slopes(c, false) : nf__check_out_of_memory(c);
    for (unsigned move = solved ? NF_OTHER_MOVES : 0; move < NF_ALL_MOVES && status == AD_OK; move++) {
        for (size_t i = 0; i < NF_MOST_EVENTS * dim; i++)
            s->in[i] = scale[i / dim % 4] * ad_random_normal(c->seed, 11 + ((uint64_t)move << 32), i);
        nf__check_move(c, saved, move);
        status = ad_plan_run(s->plan, &(ad_run){.rows = NF_MOST_EVENTS}, c->error);
        for (size_t r = 0; r < NF_MOST_EVENTS && status == AD_OK; r++) {
            if (singular && (r == 0 || c->bijector->context)) first = 0; /* a context may be of the other sign */
            determinant det = determinant_of(s->jacobian + r * dim * dim, dim, work);
            if (move >= NF_OTHER_MOVES)
                compare_log_det(&det, s->log_det[r], unit, INFINITY, "z", s->in + r * dim, dim, log_dets);
            if (!(s->log_det[r] >= least)) continue;
            if (det.sign * first <= 0) find_doubt(&det);
            if (first == 0) first = det.sign;
            if (det.sign * first >= 0) continue;
            if (result->worst == 0) nf__check_at(result, "det J has another sign at z", s->in + r * dim, dim);
            result->worst++;
        }
    }
    if (saved) nf__check_restore(c, saved);
    ad_free(work);
    return status;
}
