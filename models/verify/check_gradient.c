/* The verifier: gradients against finite differences, and on both sides of kinks. */
#include "verify/checker.h"

#include <weir/verify.h>

#include <math.h>
#include <string.h>

enum { ROWS = 12 };

/* ---- Gradients ------------------------------------------------------------------------------------------------ */

/* Of value and log-det at once, with respect to the event, every parameter and the context. */
static ad_status gradients(nf__checker *c, bool inverse, const char *property)
{
    double *in = ad_alloc(ROWS, c->dim * sizeof *in);
    nf__check_direction d = {0};
    ad_status status = in ? nf__check_events(c, inverse, ROWS, in) : nf__check_out_of_memory(c);
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
    for (int k = 0; k < HALVINGS && status == AD_OK && now > 1e-3 * jump; k++) {
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
    ad_status status = memory && base ? nf__check_events(c, inverse, 1, base) : nf__check_out_of_memory(c);
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
        l.plan = nf__check_plan(&d, (ad_var[]){y, ad_grad1(y, d.in)}, (double *[]){l.value, l.slope}, 2, c->error);
        if (!l.plan) status = c->error->status;
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
