/* NUTS: its parts against definitions, its draws against closed forms and quadrature. */
#include <weir/nuts.h>
#include "flows/flow_tools.h"
#include "nuts/metric.h"
#include "nuts/nuts_tree.h"
#include "scratch.h"
#include "nuts/warmup.h"

#include <math.h>

/* ---- Sampling ---------------------------------------------------------------------------------------------------- */

static nf_nuts_result sample(const nf_target *target, const nf_nuts_options *options)
{
    nf_nuts_result result;
    ASSERT_OK(nf_nuts(target, options, &result, &error));
    return result;
}

static nf_nuts_result sample_named(const char *text, const nf_nuts_options *options)
{
    nf_target *target = target_of(text);
    nf_nuts_result result = sample(target, options);
    nf_target_free(target);
    return result;
}

/* A function of a draw's values: of (size) to (count). */
typedef void (*function)(const double *x, size_t size, double *f);

/* Means over the draws are as expected, within `errors` of their standard errors, and the chains agree. */
static void assert_means(const nf_nuts_result *r, function f, size_t count, const double *expected, double errors)
{
    size_t rows = r->chains * r->draws;
    double *all = calloc(rows * count, sizeof *all);
    nf_summary *summary = calloc(count, sizeof *summary);
    for (size_t i = 0; i < rows; i++) f(r->values + i * r->size, r->size, all + i * count);
    ASSERT_OK(nf_summarize(all, r->chains, r->draws, count, summary, NULL, &error));
    for (size_t k = 0; k < count; k++) {
        double off = (summary[k].mean - expected[k]) / summary[k].mcse_mean;
        ck_assert_msg(fabs(off) <= errors, "mean %zu is %g ± %g, not %g", k, summary[k].mean, summary[k].mcse_mean,
                      expected[k]);
        ck_assert_msg(summary[k].rhat < 1.03, "mean %zu: rhat %g", k, summary[k].rhat);
    }
    free(all);
    free(summary);
}

static double mean_steps(const nf_nuts_result *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->chains * r->draws; i++) sum += r->draw[i].steps;
    return sum / (double)(r->chains * r->draws);
}

/* ---- Normals ----------------------------------------------------------------------------------------------------- */

/* The values, and their products two by two. */
static void moments(const double *x, size_t size, double *f)
{
    for (size_t i = 0; i < size; i++) *f++ = x[i];
    for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j <= i; j++) *f++ = x[i] * x[j];
}

/* The values, their squares, and the products of neighbours. */
static void moments_of_neighbours(const double *x, size_t size, double *f)
{
    for (size_t i = 0; i < size; i++) {
        *f++ = x[i];
        *f++ = x[i] * x[i];
        *f++ = x[i] * x[i ? i - 1 : 0];
    }
}

static const struct {
    const char *target;
    size_t dim;
    double correlation;
    nf_nuts_options options;
} gaussian_runs[] = {
    {"gaussian(dim=5,correlation=0.9)", 5, 0.9, {.draws = 1500, .seed = 1}},
    {"gaussian(dim=5,correlation=0.9)", 5, 0.9, {.draws = 1500, .seed = 2, .dense = true}},
    {"gaussian(dim=5,correlation=-0.5)", 5, -0.5, {.draws = 1500, .seed = 3, .target_accept = 0.95}},
    {"gaussian(dim=1)", 1, 0, {.chains = 7, .tune = 60, .draws = 500, .seed = 4}},
    {"gaussian(dim=5,correlation=0.6)", 5, 0.6, {.chains = 8, .tune = 500, .draws = 3000, .seed = 5, .max_depth = 2}},
    {"gaussian(dim=50,correlation=0.6)", 50, 0.6, {.tune = 500, .draws = 500, .seed = 6}},
    {"gaussian(dim=50,correlation=0.9)", 50, 0.9, {.tune = 500, .draws = 500, .seed = 7, .dense = true}},
};

START_TEST(gaussians)
{
    size_t dim = gaussian_runs[_i].dim, count = 0;
    double *expected = calloc(dim * (dim + 3) / 2 + 3 * dim, sizeof *expected), r = gaussian_runs[_i].correlation;
    nf_nuts_result result = sample_named(gaussian_runs[_i].target, &gaussian_runs[_i].options);
    if (dim <= 5) {
        for (; count < dim; count++) expected[count] = 0;
        for (size_t i = 0; i < dim; i++)
            for (size_t j = 0; j <= i; j++) expected[count++] = pow(r, (double)(i - j));
        assert_means(&result, moments, count, expected, 4);
    } else {
        for (; count < 3 * dim; count += 3) {
            expected[count + 1] = 1;
            expected[count + 2] = count ? r : 1;
        }
        assert_means(&result, moments_of_neighbours, count, expected, 4);
    }
    ck_assert_uint_eq(result.divergent, 0);
    nf_nuts_free(&result);
    free(expected);
}
END_TEST

/* Standard deviations far apart. */
static ad_var scaled_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var precision = ad_constant(value[0].tape, AD_SHAPE(4), (double[]){1e4, 1, 1e-2, 1e-6});
    return ad_mul_scalar(ad_sum(ad_mul(precision, ad_square(value[0]))), -0.5);
}
static const nf_site four[] = {{.name = "x", .size = 4}};
static const nf_target scaled = {.name = "scaled", .site = four, .n_site = 1, .log_density = scaled_density};

static void squares(const double *x, size_t size, double *f)
{
    for (size_t i = 0; i < size; i++) f[i] = x[i] * x[i];
}

START_TEST(mass_matrix_learns_scales)
{
    nf_nuts_result r = sample(&scaled, &(nf_nuts_options){.seed = 1, .dense = _i});
    assert_means(&r, squares, 4, (double[]){1e-4, 1, 1e2, 1e6}, 4);
    ck_assert_double_lt(mean_steps(&r), 8);
    nf_nuts_free(&r);
}
END_TEST

START_TEST(dense_mass_matrix_learns_correlations)
{
    nf_nuts_result diagonal = sample_named("gaussian(dim=3,correlation=0.99)", &(nf_nuts_options){.seed = 1});
    nf_nuts_result dense =
        sample_named("gaussian(dim=3,correlation=0.99)", &(nf_nuts_options){.seed = 1, .dense = true});
    ck_assert_double_gt(mean_steps(&diagonal), 3 * mean_steps(&dense));
    nf_nuts_free(&diagonal);
    nf_nuts_free(&dense);
}
END_TEST

START_TEST(target_acceptance_is_met)
{
    static const double asked[] = {0.6, 0.8, 0.95};
    nf_nuts_result r = sample_named("gaussian(dim=20,correlation=0.3)",
                                    &(nf_nuts_options){.chains = 8, .seed = 1, .target_accept = asked[_i]});
    ck_assert_double_eq_tol(r.acceptance, asked[_i], 0.5 * (1 - asked[_i]));
    nf_nuts_free(&r);
}
END_TEST

START_TEST(depth_is_limited)
{
    nf_nuts_result r =
        sample_named("gaussian(dim=5,correlation=0.99)", &(nf_nuts_options){.draws = 200, .seed = 1, .max_depth = 3});
    uint32_t deepest = 0;
    for (size_t i = 0; i < r.chains * r.draws; i++) {
        if (r.draw[i].depth > deepest) deepest = r.draw[i].depth;
        ck_assert_uint_lt(r.draw[i].steps, 8);
        ck_assert_uint_ge(r.draw[i].steps, (1u << r.draw[i].depth) - 1);
    }
    ck_assert_uint_eq(deepest, 3);
    ck_assert_uint_gt(r.cut_off, r.chains * r.draws / 2);
    nf_nuts_free(&r);
}
END_TEST

/* ---- Other shapes --------------------------------------------------------------------------------------------------
 */

/* Bent back: both features, their squares and product. */
static void straightened(const double *x, size_t size, double *f)
{
    (void)size;
    double y = x[1] + 0.03 * (x[0] * x[0] - 100);
    f[0] = x[0];
    f[1] = x[0] * x[0];
    f[2] = y;
    f[3] = y * y;
    f[4] = x[0] * y;
}

START_TEST(banana)
{
    nf_nuts_result r = sample_named("banana", &(nf_nuts_options){.draws = 4000, .seed = 1, .target_accept = 0.9});
    assert_means(&r, straightened, 5, (double[]){0, 100, 0, 1, 0}, 3.5);
    nf_nuts_free(&r);
}
END_TEST

/* The same on both lobes of the ring: chains seldom go from one to the other. */
static void of_either_lobe(const double *z, size_t size, double *f)
{
    (void)size;
    f[0] = fabs(z[0]);
    f[1] = z[0] * z[0];
    f[2] = z[1];
    f[3] = z[1] * z[1];
    f[4] = fabs(z[0]) < 1;
}

/* U1 of Rezende & Mohamed 2015. */
static double u1(double a, double b)
{
    double norm = (hypot(a, b) - 2) / 0.4, left = (a + 2) / 0.6, right = (a - 2) / 0.6;
    return 0.5 * norm * norm - log(exp(-0.5 * left * left) + exp(-0.5 * right * right));
}

START_TEST(pot1_against_quadrature)
{
    double expected[5] = {0}, sum = 0, f[5];
    for (double a = -5.005; a < 5.01; a += 0.01)
        for (double b = -5; b < 5.01; b += 0.02) {
            double p = exp(-u1(a, b));
            of_either_lobe((double[]){a, b}, 2, f);
            sum += p;
            for (int k = 0; k < 5; k++) expected[k] += p * f[k];
        }
    for (int k = 0; k < 5; k++) expected[k] /= sum;
    nf_nuts_result r = sample_named("pot1", &(nf_nuts_options){.chains = 8, .draws = 1500, .seed = 1});
    assert_means(&r, of_either_lobe, 5, expected, 3.5);
    nf_nuts_free(&r);
}
END_TEST

START_TEST(pot1_both_lobes_are_found)
{
    nf_nuts_result r = sample_named("pot1", &(nf_nuts_options){.chains = 100, .tune = 100, .draws = 50, .seed = 1});
    size_t right = 0;
    for (size_t i = 0; i < r.chains * r.draws; i++) right += r.values[2 * i] > 0;
    ck_assert_double_eq_tol((double)right / (double)(r.chains * r.draws), 0.5, 0.15);
    nf_nuts_free(&r);
}
END_TEST

/* Gamma(3, 1) of a positive number. */
static ad_var gamma_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_sub(ad_mul_scalar(ad_log(value[0]), 2), value[0]));
}
static const nf_site positive[] = {{.name = "x", .size = 1, .constraint = NF_SITE_POSITIVE_EXP}};
static const nf_target gamma3 = {.name = "gamma", .site = positive, .n_site = 1, .log_density = gamma_density};

/* Two normals of different widths, 0.7 N(-1, 1) + 0.3 N(2, 0.5²). */
static ad_var two_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_var x = ad_sum(value[0]);
    ad_var a = ad_add_scalar(ad_mul_scalar(ad_square(ad_add_scalar(x, 1)), -0.5), log(0.7));
    ad_var b = ad_add_scalar(ad_mul_scalar(ad_square(ad_add_scalar(x, -2)), -2), log(0.6));
    ad_var parts[2] = {ad_reshape(a, AD_SHAPE(1)), ad_reshape(b, AD_SHAPE(1))};
    return ad_logsumexp(ad_concat(parts, 2, 0));
}
static const nf_site one[] = {{.name = "x", .size = 1}};
static const nf_target two = {.name = "two", .site = one, .n_site = 1, .log_density = two_density};

static double gamma_cdf(double x)
{
    return 1 - exp(-x) * (1 + x + x * x / 2);
}

static double normal_cdf(double x)
{
    return erfc(-x / sqrt(2)) / 2;
}

static double two_cdf(double x)
{
    return 0.7 * normal_cdf(x + 1) + 0.3 * normal_cdf((x - 2) / 0.5);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const struct {
    const nf_target *target;
    double (*cdf)(double x);
} on_a_line[] = {{&gamma3, gamma_cdf}, {&two, two_cdf}};

/* Kolmogorov-Smirnov, on draws so far from each other that they hardly correlate. */
START_TEST(distribution_on_a_line)
{
    enum { CHAINS = 16, DRAWS = 2000, APART = 10 };
    nf_nuts_result r = sample(on_a_line[_i].target, &(nf_nuts_options){.chains = CHAINS, .draws = DRAWS, .seed = 1});
    double x[CHAINS * DRAWS / APART], worst = 0;
    size_t n = COUNT(x);
    for (size_t i = 0; i < n; i++) x[i] = r.values[i * APART];
    qsort(x, n, sizeof *x, compare);
    for (size_t i = 0; i < n; i++) {
        double p = on_a_line[_i].cdf(x[i]);
        worst = fmax(worst, fmax(fabs(p - (double)i / (double)n), fabs(p - (double)(i + 1) / (double)n)));
    }
    ck_assert_double_lt(worst * sqrt((double)n), 1.63); /* exceeded with probability 0.01 */
    nf_nuts_free(&r);
}
END_TEST

START_TEST(draws_come_with_their_density)
{
    nf_nuts_result r = sample(&gamma3, &(nf_nuts_options){.draws = 50, .seed = 1});
    for (size_t i = 0; i < r.chains * r.draws; i++) {
        double z = r.unconstrained[i], x = r.values[i];
        ck_assert_double_eq_tol(x, exp(z), 1e-12 * x);
        ck_assert_double_eq_tol(r.draw[i].log_density, 2 * log(x) - x + z, 1e-10);
        ck_assert_double_gt(r.draw[i].energy, -(2 * log(3) - 3 + log(3)));
        ck_assert(r.draw[i].acceptance > 0 && r.draw[i].acceptance <= 1);
    }
    /* of independent energies it would be 2 */
    for (size_t c = 0; c < r.chains; c++) ck_assert(r.bfmi[c] > 0.5 && r.bfmi[c] < 3);
    nf_nuts_free(&r);
}
END_TEST

START_TEST(divergences_are_told)
{
    nf_nuts_result centered = sample_named("eight_schools_centered", &(nf_nuts_options){.seed = 1});
    nf_nuts_result funnel = sample_named("funnel", &(nf_nuts_options){.draws = 500, .seed = 1});
    ck_assert_uint_gt(centered.divergent, 10);
    ck_assert_uint_gt(funnel.divergent, 0);
    ck_assert_double_lt(funnel.bfmi[0], 0.5);
    nf_nuts_free(&centered);
    nf_nuts_free(&funnel);
}
END_TEST

/* ---- NeuTra
 * ------------------------------------------------------------------------------------------------------------ */

START_TEST(flow_preconditions)
{
    nf_bijector *bijector = parsed("scale-loc", 4, 1);
    double *rho = nf_parameter_value(bijector->child[0], "rho"), *loc = nf_parameter_value(bijector->child[1], "loc");
    static const double sd[4] = {1e-2, 1, 10, 1e3};
    ck_assert(rho && loc);
    for (int i = 0; i < 4; i++) {
        rho[i] = sd[i] > 30 ? sd[i] : log(expm1(sd[i]));
        loc[i] = 0.1 * sd[i];
    }
    nf_flow *flow = nf_flow_new(NULL, bijector, AD_F32, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    nf_nuts_result r = sample(&scaled, &(nf_nuts_options){.seed = 1, .tune = 100, .flow = flow});
    assert_means(&r, squares, 4, (double[]){1e-4, 1, 1e2, 1e6}, 4);
    ck_assert_double_lt(mean_steps(&r), 8);
    for (size_t i = 0; i < 20; i++) {
        const double *x = r.unconstrained + 4 * i;
        double log_density = -0.5 * (1e4 * x[0] * x[0] + x[1] * x[1] + 1e-2 * x[2] * x[2] + 1e-6 * x[3] * x[3]);
        ck_assert_double_eq_tol(r.draw[i].log_density, log_density, 1e-9);
    }
    nf_nuts_free(&r);
    nf_flow_free(flow);
}
END_TEST

/* A flow that is not the identity leaves the distribution as it is. */
START_TEST(flow_changes_no_distribution)
{
    nf_flow *flow = moved_flow("maf(8)-flip-maf(8)", 2, AD_F64);
    nf_nuts_result r =
        sample_named("gaussian(dim=2,correlation=0.5)", &(nf_nuts_options){.draws = 2000, .seed = 1, .flow = flow});
    assert_means(&r, moments, 5, (double[]){0, 0, 1, 0.5, 1}, 3.5);
    nf_nuts_free(&r);
    nf_flow_free(flow);
}
END_TEST

/* ---- Bits
 * ---------------------------------------------------------------------------------------------------------------- */

static void assert_same_chain(const nf_nuts_result *a, const nf_nuts_result *b, size_t chain, size_t draws)
{
    size_t from_a = chain * a->draws, from_b = chain * b->draws;
    ck_assert_mem_eq(a->values + from_a * a->size, b->values + from_b * b->size, draws * a->size * sizeof(double));
    for (size_t i = 0; i < draws; i++) {
        ck_assert_double_eq(a->draw[from_a + i].energy, b->draw[from_b + i].energy);
        ck_assert_double_eq(a->draw[from_a + i].log_density, b->draw[from_b + i].log_density);
        ck_assert_uint_eq(a->draw[from_a + i].steps, b->draw[from_b + i].steps);
    }
    ck_assert_double_eq(a->step_size[chain], b->step_size[chain]);
}

START_TEST(chains_depend_neither_on_each_other_nor_on_threads)
{
    ad_pool *pool = ad_pool_new(3, &error);
    nf_nuts_options o = {.chains = 50, .tune = 60, .draws = 30, .seed = 1, .dense = _i};
    nf_nuts_result many = sample_named("eight_schools", &o);
    o.pool = pool;
    nf_nuts_result threads = sample_named("eight_schools", &o);
    o.chains = 3;
    nf_nuts_result few = sample_named("eight_schools", &o);
    o.seed = 2;
    nf_nuts_result other = sample_named("eight_schools", &o);
    for (size_t c = 0; c < many.chains; c++) assert_same_chain(&many, &threads, c, many.draws);
    for (size_t c = 0; c < few.chains; c++) assert_same_chain(&many, &few, c, few.draws);
    ck_assert_uint_eq(many.gradients, threads.gradients);
    ck_assert_double_ne(few.values[0], other.values[0]);
    ck_assert_double_ne(few.values[0], few.values[few.draws * few.size]);
    nf_nuts_free(&many);
    nf_nuts_free(&threads);
    nf_nuts_free(&few);
    nf_nuts_free(&other);
    ad_pool_free(pool);
}
END_TEST

/* ---- Stopping
 * -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    bool after_tuning;
    int calls;
    nf_nuts_progress last;
} watcher;

static bool until_enough(void *context, const nf_nuts_progress *p)
{
    watcher *w = context;
    w->calls++;
    ck_assert_uint_ge(p->draws, w->last.draws);
    ck_assert_uint_gt(p->gradients, w->last.gradients);
    ck_assert_uint_eq(p->all_draws, 3 * 1000500);
    w->last = *p;
    return w->after_tuning ? p->tuning > 0 : false;
}

static bool at_once(void *context)
{
    return ++((watcher *)context)->calls > 0;
}

START_TEST(stopped_keeps_the_draws_so_far)
{
    nf_target *target = target_of("gaussian(dim=3)");
    watcher w = {.after_tuning = _i};
    nf_nuts_options o = {
        .chains = 3, .tune = 500, .draws = 1000000, .seed = 1, .progress = until_enough, .context = &w};
    nf_nuts_result stopped = sample(target, &o);
    ck_assert(stopped.stopped);
    ck_assert_uint_lt(stopped.draws, 1000000);
    if (w.after_tuning) ck_assert_uint_eq(w.last.tuning, 0);
    o = (nf_nuts_options){.chains = 3, .tune = 500, .draws = stopped.draws > 100 ? 100 : stopped.draws, .seed = 1};
    if (stopped.draws > 0) {
        nf_nuts_result whole = sample(target, &o);
        ck_assert(!whole.stopped);
        for (size_t c = 0; c < 3; c++) assert_same_chain(&stopped, &whole, c, whole.draws);
        nf_nuts_free(&whole);
    }
    nf_nuts_free(&stopped);
    nf_target_free(target);
}
END_TEST

START_TEST(interrupted)
{
    watcher w = {0};
    nf_nuts_options o = {.chains = 2, .tune = 1000000, .seed = 1, .interrupted = at_once, .context = &w};
    nf_nuts_result r = sample_named("gaussian(dim=3)", &o);
    ck_assert(r.stopped);
    ck_assert_int_eq(w.calls, 1);
    ck_assert_uint_eq(r.draws, 0);
    nf_nuts_free(&r);
}
END_TEST

/* ---- Mistakes
 * -------------------------------------------------------------------------------------------------------------- */

static ad_var nan_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_log(ad_add_scalar(ad_neg(ad_sum(ad_square(value[0]))), -1));
}
static const nf_target nowhere = {.name = "nowhere", .site = four, .n_site = 1, .log_density = nan_density};

/* log 0 everywhere */
static ad_var impossible_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_log(ad_mul_scalar(ad_sum(ad_square(value[0])), 0));
}
static const nf_target impossible = {
    .name = "impossible", .site = four, .n_site = 1, .log_density = impossible_density};

static ad_var flat_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_mul_scalar(ad_sum(value[0]), 0);
}
static const nf_target flat = {.name = "flat", .site = four, .n_site = 1, .log_density = flat_density};

/* Half of its gradient is missing. */
static ad_var detached_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_neg(ad_sum(ad_mul(value[0], ad_stop_gradient(value[0]))));
}
static const nf_target detached = {.name = "detached", .site = four, .n_site = 1, .log_density = detached_density};

/* NaN where x < 0: half of the starts need another attempt. */
static ad_var half_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sub(ad_mul_scalar(ad_sum(ad_log(value[0])), 2), ad_sum(value[0]));
}
static const nf_target half = {.name = "half", .site = one, .n_site = 1, .log_density = half_density};

static void assert_fails(const nf_target *target, nf_nuts_options options, ad_status status, const char *part)
{
    nf_nuts_result r;
    ASSERT_FAILS(nf_nuts(target, &options, &r, &error), status, part);
    ck_assert_ptr_null(r.values);
    ck_assert_ptr_null(r.draw);
}

START_TEST(densities_that_cannot_be_sampled)
{
    assert_fails(&nowhere, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "no start for chain 1");
    assert_fails(&nowhere, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "density is NaN");
    assert_fails(&nowhere, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "op 'log'");
    assert_fails(&impossible, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "-inf");
    assert_fails(&flat, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "proper");
    assert_fails(&detached, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "its gradient disagrees with its value");
}
END_TEST

START_TEST(a_start_outside_the_support_is_drawn_again)
{
    nf_nuts_result r = sample(&half, &(nf_nuts_options){.chains = 20, .tune = 300, .draws = 300, .seed = 1});
    assert_means(&r, moments, 2, (double[]){3, 12}, 4);
    nf_nuts_free(&r);
}
END_TEST

START_TEST(options_are_checked)
{
    nf_flow *flow = moved_flow("scale", 3, AD_F32);
    assert_fails(&flat, (nf_nuts_options){.target_accept = 1}, AD_ERROR_ARGUMENT, "between 0 and 1, got 1");
    assert_fails(&flat, (nf_nuts_options){.target_accept = NAN}, AD_ERROR_ARGUMENT, "got nan");
    assert_fails(&flat, (nf_nuts_options){.max_depth = 25}, AD_ERROR_ARGUMENT, "got 25");
    assert_fails(&flat, (nf_nuts_options){.draws = SIZE_MAX}, AD_ERROR_ARGUMENT, "draws");
    assert_fails(&flat, (nf_nuts_options){.flow = flow}, AD_ERROR_ARGUMENT,
                 "flow has 3 features, but target 'flat' has 4");
    nf_flow_free(flow);
}
END_TEST

START_TEST(without_memory)
{
    nf_target *target = target_of("gaussian(dim=2)");
    nf_nuts_options o = {.chains = 2, .tune = 5, .draws = 5, .seed = 1, .dense = true};
    nf_nuts_result r;
    size_t allowed = 0;
    do {
        memory_limit(allowed++);
        ad_status status = nf_nuts(target, &o, &r, &error);
        ck_assert_msg(status == (memory.denied ? AD_ERROR_MEMORY : AD_OK), "%s", error.message);
    } while (memory.denied);
    memory_unlimited();
    nf_nuts_free(&r);
    nf_target_free(target);
}
END_TEST

/* ---- Parts
 * ----------------------------------------------------------------------------------------------------------------- */

/* The last draws of windows of a warm-up. */
static size_t closes_of(size_t warmup, size_t close[16])
{
    nf__windows w = nf__windows_of(warmup);
    size_t count = 0;
    for (size_t i = 0; i < warmup; i++) {
        bool learns = nf__windows_learn(&w, i);
        if (nf__windows_close(&w, i)) {
            ck_assert(learns);
            close[count++] = i;
        }
    }
    return count;
}

START_TEST(windows_are_stan_s)
{
    size_t close[16];
    ck_assert_uint_eq(closes_of(1000, close), 5);
    ck_assert_mem_eq(close, ((size_t[]){99, 149, 249, 449, 949}), 5 * sizeof *close);
    ck_assert_uint_eq(closes_of(150, close), 1);
    ck_assert_uint_eq(close[0], 99);
    ck_assert_uint_eq(closes_of(100, close), 1);
    ck_assert_uint_eq(close[0], 89);
    ck_assert_uint_eq(closes_of(19, close), 0);
    nf__windows w = nf__windows_of(1000);
    ck_assert(!nf__windows_learn(&w, 74) && nf__windows_learn(&w, 75));
    ck_assert(nf__windows_learn(&w, 949) && !nf__windows_learn(&w, 950));
}
END_TEST

/* Hoffman & Gelman 2014, equation 6 and algorithm 5. */
START_TEST(dual_averaging_by_hand)
{
    nf__step_size state = {.target = 0.8};
    nf__step_size_restart(&state, 0.3);
    double mu = log(3), h = 0, log_mean = 0;
    for (int m = 1; m <= 30; m++) {
        double acceptance = ad_random_uniform(1, 1, (uint64_t)m);
        h = (1 - 1. / (m + 10)) * h + (0.8 - acceptance) / (m + 10);
        double log_step = mu - sqrt(m) / 0.05 * h, eta = pow(m, -0.75);
        log_mean = eta * log_step + (1 - eta) * log_mean;
        ck_assert_double_eq_tol(nf__step_size_learn(&state, acceptance), exp(log_step), 1e-10 * exp(log_step));
        ck_assert_double_eq_tol(nf__step_size_mean(&state), exp(log_mean), 1e-10 * exp(log_mean));
    }
    nf__step_size_restart(&state, 1);
    double step = 1;
    for (int m = 0; m < 2000; m++) step = nf__step_size_learn(&state, exp(-step));
    ck_assert_double_eq_tol(nf__step_size_mean(&state), -log(0.8), 0.01);
}
END_TEST

START_TEST(metric_is_the_regularised_covariance)
{
    enum { DIM = 3, DRAWS = 40 };
    bool dense = _i;
    nf__metric metric;
    ck_assert(nf__metric_new(&metric, DIM, dense));
    for (int round = 0; round < 2; round++) { /* the second knows nothing of the first */
        double q[DRAWS][DIM], mean[DIM] = {0}, expected[DIM][DIM] = {0}, p[DIM] = {0.3, -1, 2}, v[DIM], normal[DIM];
        for (int n = 0; n < DRAWS; n++) {
            for (int i = 0; i < DIM; i++) {
                q[n][i] = 100 + (i + 1) * ad_random_normal(1, (uint64_t)round, (uint64_t)(n * DIM + i));
                if (i > 0) q[n][i] += q[n][i - 1];
                mean[i] += q[n][i] / DRAWS;
            }
            nf__metric_add(&metric, q[n]);
        }
        for (int i = 0; i < DIM; i++)
            for (int j = 0; j < DIM; j++) {
                for (int n = 0; n < DRAWS; n++)
                    expected[i][j] += (q[n][i] - mean[i]) * (q[n][j] - mean[j]) / (DRAWS - 1);
                expected[i][j] *= DRAWS / (DRAWS + 5.);
                expected[i][j] += i == j ? 1e-3 * 5 / (DRAWS + 5.) : 0;
                if (!dense && i != j) expected[i][j] = 0;
            }
        ck_assert(nf__metric_update(&metric));
        nf__metric_velocity(&metric, p, v);
        for (int i = 0; i < DIM; i++) {
            double want = 0;
            for (int j = 0; j < DIM; j++) want += expected[i][j] * p[j];
            ck_assert_double_eq_tol(v[i], want, 1e-10 * fabs(want));
        }
        /* p = A n has the covariance A Aᵀ = M = (M⁻¹)⁻¹: column by column, A Aᵀ (M⁻¹ e) = e */
        double a[DIM][DIM];
        for (int j = 0; j < DIM; j++) {
            memset(normal, 0, sizeof normal);
            normal[j] = 1;
            nf__metric_momentum(&metric, normal);
            for (int i = 0; i < DIM; i++) a[i][j] = normal[i];
        }
        for (int i = 0; i < DIM; i++)
            for (int k = 0; k < DIM; k++) {
                double product = 0;
                for (int j = 0; j < DIM; j++)
                    for (int l = 0; l < DIM; l++) product += a[i][j] * a[l][j] * expected[l][k];
                ck_assert_double_eq_tol(product, i == k, 1e-9);
            }
    }
    nf__metric_add(&metric, (double[DIM]){INFINITY, 0, 0});
    nf__metric_add(&metric, (double[DIM]){0, 0, 0});
    ck_assert(!nf__metric_update(&metric));
    nf__metric_free(&metric);
}
END_TEST

/* ---- Trees against recursion
 * ------------------------------------------------------------------------------------------------ */

enum { WALK_DIM = 2, WALK = 64 };

static double dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1];
}

static void sum_of(double p[][WALK_DIM], int begin, int end, double sum[WALK_DIM])
{
    sum[0] = sum[1] = 0;
    for (int i = begin; i < end; i++)
        for (int k = 0; k < WALK_DIM; k++) sum[k] += p[i][k];
}

static bool turns_over(double p[][WALK_DIM], double v[][WALK_DIM], int begin, int end)
{
    double sum[WALK_DIM];
    sum_of(p, begin, end, sum);
    return dot(v[begin], sum) <= 0 || dot(v[end - 1], sum) <= 0;
}

/* Whether states begin … end-1 or a half of them, or of these, turn: Stan's transition(), by the definition. */
static bool turns_anywhere(double p[][WALK_DIM], double v[][WALK_DIM], int begin, int end)
{
    int middle = (begin + end) / 2;
    if (end - begin == 1) return false;
    return turns_anywhere(p, v, begin, middle) || turns_anywhere(p, v, middle, end) || turns_over(p, v, begin, end) ||
           turns_over(p, v, begin, middle + 1) || turns_over(p, v, middle - 1, end);
}

START_TEST(trees_turn_as_defined)
{
    double p[WALK][WALK_DIM], v[WALK][WALK_DIM];
    size_t lasted[8] = {0};
    for (uint64_t walk = 0; walk < 3000; walk++) {
        double angle = 6 * ad_random_uniform(1, walk, WALK), rate = 3 * pow(ad_random_uniform(1, walk, WALK + 1), 3);
        for (uint64_t i = 0; i < WALK; i++) {
            angle += rate * ad_random_normal(1, walk, i) + rate / 4;
            p[i][0] = cos(angle);
            p[i][1] = sin(angle);
            v[i][0] = 2 * p[i][0] + 0.5 * p[i][1];
            v[i][1] = 0.5 * p[i][0] + p[i][1];
        }
        nf__tree tree;
        ck_assert(nf__tree_new(&tree, WALK_DIM, 6));
        int states = 0, complete = 0;
        while (states < WALK && nf__tree_add(&tree, p[states], v[states])) states++;
        /* each aligned block that was completed before does not turn; one that ends here does */
        bool turned = states < WALK;
        for (int size = 2, level = 1; size <= WALK; size *= 2, level++)
            for (int begin = 0; begin + size <= states; begin += size) {
                ck_assert(!turns_anywhere(p, v, begin, begin + size));
                if (level > complete) complete = level;
            }
        bool here = false;
        for (int size = 2; turned && size <= WALK && (states + 1) % size == 0; size *= 2)
            here |= turns_anywhere(p, v, states + 1 - size, states + 1);
        ck_assert(here == turned);
        if (!turned) {
            ck_assert_uint_eq(tree.height, 1);
            ck_assert_uint_eq(tree.subtree[0].states, WALK);
            double sum[WALK_DIM];
            sum_of(p, 0, WALK, sum);
            for (int k = 0; k < WALK_DIM; k++) {
                ck_assert_double_eq_tol(tree.subtree[0].p_sum[k], sum[k], 1e-12);
                ck_assert_double_eq(tree.subtree[0].p_first[k], p[0][k]);
                ck_assert_double_eq(tree.subtree[0].v_last[k], v[WALK - 1][k]);
            }
        }
        lasted[complete]++;
        nf__tree_free(&tree);
    }
    for (int level = 0; level <= 6; level++) ck_assert_uint_gt(lasted[level], 0);
}
END_TEST

Suite *nuts_suite(void);

Suite *nuts_suite(void)
{
    Suite *suite = suite_create("nuts");
    TCase *parts = tcase_create("parts");
    tcase_add_test(parts, windows_are_stan_s);
    tcase_add_test(parts, dual_averaging_by_hand);
    tcase_add_loop_test(parts, metric_is_the_regularised_covariance, 0, 2);
    tcase_add_test(parts, trees_turn_as_defined);
    suite_add_tcase(suite, parts);
    TCase *draws = tcase_create("draws");
    tcase_set_timeout(draws, 120);
    tcase_add_loop_test(draws, gaussians, 0, COUNT(gaussian_runs));
    tcase_add_loop_test(draws, mass_matrix_learns_scales, 0, 2);
    tcase_add_test(draws, dense_mass_matrix_learns_correlations);
    tcase_add_loop_test(draws, target_acceptance_is_met, 0, 3);
    tcase_add_test(draws, depth_is_limited);
    tcase_add_test(draws, banana);
    tcase_add_test(draws, pot1_against_quadrature);
    tcase_add_test(draws, pot1_both_lobes_are_found);
    tcase_add_loop_test(draws, distribution_on_a_line, 0, COUNT(on_a_line));
    tcase_add_test(draws, draws_come_with_their_density);
    tcase_add_test(draws, divergences_are_told);
    tcase_add_test(draws, flow_preconditions);
    tcase_add_test(draws, flow_changes_no_distribution);
    suite_add_tcase(suite, draws);
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 120);
    tcase_add_loop_test(runs, chains_depend_neither_on_each_other_nor_on_threads, 0, 2);
    tcase_add_loop_test(runs, stopped_keeps_the_draws_so_far, 0, 2);
    tcase_add_test(runs, interrupted);
    suite_add_tcase(suite, runs);
    TCase *mistakes = tcase_create("mistakes");
    tcase_set_timeout(mistakes, 120);
    tcase_add_test(mistakes, densities_that_cannot_be_sampled);
    tcase_add_test(mistakes, a_start_outside_the_support_is_drawn_again);
    tcase_add_test(mistakes, options_are_checked);
    tcase_add_test(mistakes, without_memory);
    suite_add_tcase(suite, mistakes);
    return suite;
}
