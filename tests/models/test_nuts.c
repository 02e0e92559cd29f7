/* NUTS: its draws against closed forms and quadrature. */
#include "models/nuts_tools.h"

/* ---- Normals ----------------------------------------------------------------------------------------------------- */

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

Suite *nuts_suite(void)
{
    Suite *suite = suite_create("nuts");
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
    return suite;
}
