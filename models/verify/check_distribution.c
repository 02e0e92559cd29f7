/* The verifier of base distributions: what a wrong density, gradient or draw can't pass. */
#include "verify/checker.h"

#include <weir/environment.h>
#include <weir/flow.h>
#include <weir/verify.h>

#include <math.h>
#include <string.h>

enum { DRAWS = 20000, FEW = 12 };

/* ---- A flow that is the base alone ------------------------------------------------------------------------------ */

/* A copy with the same parameters, for the flow to own. */
static nf_bijector *copy_of(const nf_bijector *base, ad_error *error)
{
    const nf_arguments given = {.value = base->argument,
                                .choice = base->choice,
                                .size = base->size,
                                .n_size = base->n_size,
                                .feature = base->feature,
                                .n_feature = base->n_feature};
    nf_bijector *copy = nf_bijector_new(base->type, base->dim, base->context, &given, error);
    for (size_t i = 0; copy && i < copy->n_parameter; i++)
        memcpy(copy->parameter[i].value, base->parameter[i].value,
               ad_shape_size(copy->parameter[i].spec.shape) * sizeof(double));
    return copy;
}

static nf_flow *flow_of(nf__checker *c, ad_dtype dtype)
{
    nf_bijector *copy = copy_of(c->bijector, c->error);
    nf_bijector *identity = copy ? nf_bijector_parse("flip-flip", c->dim, 0, 0, c->error) : NULL;
    if (identity) return nf_flow_new(copy, identity, dtype, c->error);
    nf_bijector_free(copy);
    return NULL;
}

/* ---- Properties ------------------------------------------------------------------------------------------------- */

/* Log p of draws: a draw has a density, in both dtypes, and they agree on it. */
static ad_status check_draws(nf__checker *c, double *draws, double *log_prob)
{
    size_t dim = c->dim;
    double *narrow = ad_alloc(DRAWS, (dim + 1) * sizeof *narrow), *wide = narrow + (narrow ? DRAWS * dim : 0);
    ad_status status = narrow ? AD_OK : nf__check_out_of_memory(c);
    if (!status) status = nf_sample(c->flow[AD_F64], NULL, DRAWS, c->seed, draws, NULL, NULL, c->error);
    if (!status) status = nf_log_prob(c->flow[AD_F64], draws, NULL, DRAWS, log_prob, NULL, c->error);
    nf_check_result *result = nf__check_result_add(c, "draws have a density (count)", 0);
    for (size_t r = 0; r < DRAWS && !status; r++)
        if (!isfinite(log_prob[r]) && result->worst++ == 0) nf__check_at(result, "z", draws + r * dim, dim);
    if (!status) status = nf_sample(c->flow[AD_F32], NULL, DRAWS, c->seed, narrow, NULL, NULL, c->error);
    if (!status) status = nf_log_prob(c->flow[AD_F32], narrow, NULL, DRAWS, wide, NULL, c->error);
    for (size_t r = 0; r < DRAWS && !status; r++)
        if (!isfinite(wide[r]) && result->worst++ == 0) nf__check_at(result, "z", narrow + r * dim, dim);
    ad_free(narrow);
    return status;
}

/* NaN in any feature gives NaN; no number, however far out, does, nor a density of infinity. */
static ad_status check_nan(nf__checker *c)
{
    static const double far[] = {0, 1e-30, 1, 30, 1e3, 1e6, 1e150, INFINITY};
    enum { FAR = sizeof far / sizeof *far };
    nf_check_result *result = nf__check_result_add(c, "NaN where z is NaN, and nowhere else (count)", 0);
    size_t dim = c->dim, rows = 2 * FAR + dim;
    double *z = ad_alloc(rows, (dim + 1) * sizeof *z), *log_prob = z + (z ? rows * dim : 0);
    ad_status status = z ? AD_OK : nf__check_out_of_memory(c);
    for (size_t i = 0; i < rows * dim && !status; i++) {
        size_t r = i / dim;
        z[i] = r < 2 * FAR ? (r % 2 ? -far[r / 2] : far[r / 2]) : i % dim == r - 2 * FAR ? NAN : 0.3;
    }
    if (!status) status = nf_log_prob(c->flow[AD_F64], z, NULL, rows, log_prob, NULL, c->error);
    for (size_t r = 0; r < rows && !status; r++) {
        bool good = r < 2 * FAR ? log_prob[r] < INFINITY : isnan(log_prob[r]) != 0;
        if (!good && result->worst++ == 0) nf__check_at(result, "z", z + r * dim, dim);
    }
    ad_free(z);
    return status;
}

/* Of log p with respect to the event and every parameter, at draws. */
static ad_status check_gradient(nf__checker *c, double *draws)
{
    size_t n = c->bijector->n_parameter + 1;
    nf_check_result *result = nf__check_result_add(c, "gradients against differences", 1e-8);
    ad_tape *tape = ad_tape_new();
    ad_var *input = ad_alloc(n, sizeof *input);
    double **value = ad_alloc(n, sizeof *value);
    const nf_scope *at = nf_bind(c->bijector, tape);
    ad_status status = tape && input && value && at ? AD_OK : nf__check_out_of_memory(c);
    if (!status) {
        input[0] = ad_input(tape, "z", AD_SHAPE(c->dim));
        value[0] = draws;
        for (size_t i = 1; i < n; i++) {
            input[i] = at->parameter[i - 1].var;
            value[i] = c->bijector->parameter[i - 1].value;
        }
        ad_gradcheck_report report;
        status =
            ad_gradcheck(c->bijector->type->log_prob(at, input[0]), input, (int)n, input, (const double *const *)value,
                         (int)n, &(ad_gradcheck_options){.rows = FEW, .seed = c->seed}, &report, c->error);
        if (!status || report.wrt >= 0) {
            result->worst = report.worst;
            snprintf(
                result->at, sizeof result->at, "with respect to %s, element %zu: %.6g by differences, %.6g by the tape",
                report.wrt == 0 ? "z" : ad_name_of(input[report.wrt]), report.element, report.expected, report.got);
            status = AD_OK;
        }
    }
    ad_free(value);
    ad_free(input);
    ad_tape_free(tape);
    return status;
}

/* ---- The density and its draws ---------------------------------------------------------------------------------- */

/* All reals from (-1, 1), so that tails and edges count: z = 2 t / (1 - t²); or all angles. */
static double stretch(const nf__checker *c, double t, double *slope)
{
    const double pi = 3.14159265358979323846;
    if (c->bijector->type->circular) {
        *slope = pi;
        return pi * t;
    }
    double rest = 1 - t * t;
    *slope = 2 * (1 + t * t) / (rest * rest);
    return 2 * t / rest;
}

/* Functions of an event, whose means over draws and over the density must agree: bounded ones, and log p, which feels
 * the scale of draws whatever that of the density is. */
static double probe(size_t which, const double *z, size_t dim, double log_prob)
{
    if (which == 2 * dim + 1) return log_prob;
    return which < dim ? tanh(z[which]) : which < 2 * dim ? cos(2 * z[which - dim]) : sin(z[0] - z[dim - 1] + 0.5);
}

enum { PROBES = 6 }; /* in two dimensions */

/* The midpoint rule: of 1, and of each probe. */
static ad_status integrate(nf__checker *c, size_t cells, double integral[1 + PROBES])
{
    size_t dim = c->dim, lines = dim == 2 ? cells : 1;
    double *z = ad_alloc(cells, (dim + 1) * sizeof *z), *log_prob = z + (z ? cells * dim : 0), first = 1, slope;
    ad_status status = z ? AD_OK : nf__check_out_of_memory(c);
    memset(integral, 0, (1 + PROBES) * sizeof *integral);
    for (size_t line = 0; line < lines && !status; line++) {
        double step = 2 / (double)cells, at = stretch(c, ((double)line + 0.5) * step - 1, &first);
        for (size_t k = 0; k < cells; k++) {
            z[k * dim] = at;
            z[k * dim + dim - 1] = stretch(c, ((double)k + 0.5) * step - 1, &slope);
        }
        status = nf_log_prob(c->flow[AD_F64], z, NULL, cells, log_prob, NULL, c->error);
        for (size_t k = 0; k < cells && !status; k++) {
            stretch(c, ((double)k + 0.5) * step - 1, &slope);
            double weight = exp(log_prob[k]) * slope * step * (dim == 2 ? first * step : 1);
            integral[0] += weight;
            for (size_t p = 0; p < 2 * dim + 2 && weight > 0; p++)
                integral[1 + p] += weight * probe(p, z + k * dim, dim, log_prob[k]);
        }
    }
    ad_free(z);
    return status;
}

/* Would a grid that is finer still be of use? It is, also, where something is wrong. */
static bool differ(const double *fine, const double *coarse, size_t count)
{
    const double little = 1e-4;
    bool all = fabs(fine[0] - 1) <= little;
    for (size_t i = 0; i < count; i++) all = all && fabs(fine[i] - coarse[i]) <= little;
    return !all;
}

static ad_status check_density(nf__checker *c, const double *draws, const double *log_prob)
{
    if (c->dim > 2) return AD_OK;
    /* Where a density jumps, as at the edge of a square, the rule is off by as much as a line of cells. */
    nf_check_result *one = nf__check_result_add(c, "the density integrates to 1", c->dim == 2 ? 1e-2 : 1e-3);
    double coarse[1 + PROBES], fine[1 + PROBES];
    const size_t most = c->dim == 2 ? 800 : 102400;
    size_t cells = c->dim == 2 ? 100 : 1600;
    ad_status status = integrate(c, cells, fine);
    do {
        memcpy(coarse, fine, sizeof coarse);
        if (!status) status = integrate(c, cells *= 2, fine);
        if (status) return status;
    } while (cells < most && differ(fine, coarse, 2 * c->dim + 3));
    double of_grid = fabs(fine[0] - coarse[0]); /* what a finer grid changes is its own error */
    nf__check_worse(one, fmax(fabs(fine[0] - 1) - of_grid, 0));
    snprintf(one->at, sizeof one->at, "the integral is %.6g", fine[0]);
    nf_check_result *follow = nf__check_result_add(c, "draws follow the density (standard errors)", 5);
    for (size_t p = 0; p < 2 * c->dim + 2; p++) {
        double sum = 0, squares = 0;
        for (size_t r = 0; r < DRAWS; r++) {
            double y = probe(p, draws + r * c->dim, c->dim, log_prob[r]);
            sum += y;
            squares += y * y;
        }
        double mean = sum / DRAWS, variance = fmax(squares / DRAWS - mean * mean, 0);
        double allowance = sqrt(variance / DRAWS) + 1e-4 + of_grid + fabs(fine[1 + p] - coarse[1 + p]);
        if (nf__check_worse(follow, fabs(mean - fine[1 + p]) / allowance))
            snprintf(follow->at, sizeof follow->at, "mean of %s: %.5g of draws, %.5g of the density",
                     p == 2 * c->dim + 1 ? "log p" : "a bounded function", mean, fine[1 + p]);
    }
    return status;
}

/* ---- The check -------------------------------------------------------------------------------------------------- */

ad_status nf_check_distribution(nf_bijector *base, uint64_t seed, nf_check_result *result, int *count, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (count) *count = 0;
    const char *missing = !base ? "base" : !result ? "result" : !count ? "count" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "check: %s is NULL", missing);
    ad_error own = {AD_OK, ""};
    nf__checker c = {.bijector = base, .dim = base->dim, .seed = seed, .result = result, .error = error ? error : &own};
    *count = 0;
    if (!base->type->log_prob || !base->type->sample)
        return ad_error_set(c.error, AD_ERROR_ARGUMENT, "'%s' is no base distribution: it needs log_prob and sample",
                            base->type->name);
    nf__check_perturb(&c);
    double *draws = ad_alloc(DRAWS, (c.dim + 1) * sizeof *draws);
    ad_status status = draws ? AD_OK : nf__check_out_of_memory(&c);
    for (int dtype = AD_F32; dtype <= AD_F64 && !status; dtype++)
        if (!(c.flow[dtype] = flow_of(&c, (ad_dtype)dtype))) status = c.error->status;
    if (!status) status = check_draws(&c, draws, draws + DRAWS * c.dim);
    if (!status) status = check_nan(&c);
    if (!status) status = check_gradient(&c, draws);
    if (!status) status = check_density(&c, draws, draws + DRAWS * c.dim);
    ad_free(draws);
    nf_flow_free(c.flow[AD_F32]);
    nf_flow_free(c.flow[AD_F64]);
    return nf__check_conclude(&c, status, count);
}
