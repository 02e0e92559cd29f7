/* Targets that have a name: one suite for all in the table, Weir's own and one that this file registers, and Weir's own
 * against values from SciPy and their integrals. */
#include "flows/flow_tools.h"
#include <weir/densities.h>

#include <check.h>
#include <math.h>
#include <stdio.h>

/* ---- A target of one's own --------------------------------------------------------------------------------------- */

/* A truncated normal, times a constant: with data of the author's, arguments, a site whose ends follow from them, and
 * a log Z that does. */
static const double log_constant = 0.7;

static ad_status build_window(nf_target *self, nf_site *site, ad_error *cause)
{
    double low = nf_target_argument(self, "low"), high = nf_target_argument(self, "high");
    if (!(low < high)) return ad_error_set(cause, AD_ERROR_ARGUMENT, "window: needs low < high");
    site[0].low = low;
    site[0].high = high;
    site[1].size = (size_t)nf_target_argument(self, "free");
    self->log_z = *(const double *)self->data + log(0.5 * (erf(high / sqrt(2)) - erf(low / sqrt(2))));
    return AD_OK;
}

static ad_var window_density(const nf_target *self, const ad_var *value)
{
    ad_tape *tape = value[0].tape;
    ad_var zero = ad_scalar(tape, 0), one = ad_scalar(tape, 1);
    ad_var normal = ad_add(nf_log_normal(value[0], zero, one), nf_log_normal(value[1], zero, one));
    return ad_add_scalar(normal, *(const double *)self->data);
}

static const nf_site window_sites[] = {{.name = "inside", .size = 1, .constraint = NF_SITE_INTERVAL, .high = 1},
                                       {.name = "free", .size = 1}};

static const nf_target_type window = {
    .name = "window",
    .help = "a normal between two walls",
    .target = {.site = window_sites, .n_site = 2, .log_density = window_density, .log_z = NAN, .data = &log_constant},
    .argument = (const nf_argument[]){{.name = "low", .kind = NF_NUMBER, .value = -1, .low = -9, .high = 9},
                                      {.name = "high", .kind = NF_NUMBER, .value = 2, .low = 1, .high = 9},
                                      {.name = "free", .kind = NF_COUNT, .value = 1, .low = 1, .high = 99},
                                      {.name = "fourth", .kind = NF_COUNT, .value = 4, .low = 1, .high = 9},
                                      {.name = "fifth", .kind = NF_CHOICE, .value = 1, .choices = "a|b"},
                                      {0}},
    .build = build_window,
};

START_TEST(an_own_target_has_its_data_and_arguments)
{
    nf_target *made = target_of("window(low=-0.5, free=3, fifth=a)");
    ck_assert_ptr_eq(made->data, &log_constant);
    ck_assert_ptr_eq(made->type, &window);
    ck_assert_double_eq(nf_target_argument(made, "low"), -0.5);
    ck_assert_double_eq(nf_target_argument(made, "high"), 2);
    ck_assert_double_eq(nf_target_argument(made, "fourth"), 4);
    ck_assert_double_eq(nf_target_argument(made, "fifth"), 0);
    ck_assert_double_nan(nf_target_argument(made, "sixth"));
    ck_assert_double_nan(nf_target_argument(&window.target, "low"));
    ck_assert_double_eq(made->site[0].low, -0.5);
    ck_assert_uint_eq(nf_target_dim(made), 4);
    ck_assert_double_eq(window_sites[0].low, 0); /* the type's own are as they were */
    nf_target_free(made);
    ck_assert_ptr_null(nf_target_parse("window(low=3)", &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "needs low < high");
    ck_assert_ptr_null(nf_target_parse("window(low=3)", NULL));
}
END_TEST

static double outside(const nf_target *self, const double *value, double *gradient)
{
    (void)self;
    gradient[0] = -value[0];
    return -0.5 * value[0] * value[0];
}

/* Whose second site takes its name from an argument's value: 1 for that of the first, 0 for none. */
static ad_status build_names(nf_target *self, nf_site *site, ad_error *cause)
{
    (void)cause;
    site[1].name = nf_target_argument(self, "twin") > 0 ? site[0].name : NULL;
    return AD_OK;
}

static const nf_target_type names = {
    .name = "names",
    .argument = (const nf_argument[]){{.name = "twin", .kind = NF_COUNT, .high = 1}, {0}},
    .target = {.site = window_sites, .n_site = 2, .log_density = window_density, .log_z = NAN},
    .build = build_names,
};

START_TEST(sites_that_cannot_be)
{
    ASSERT_OK(nf_register_target(&names, &error));
    ck_assert_ptr_null(nf_target_parse("names(twin=1)", &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "site 'inside' (size 1) has the name of another");
    ck_assert_ptr_null(nf_target_parse("names(twin=0)", &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "has no name");
}
END_TEST

START_TEST(what_is_no_target_is_not_registered)
{
    static const struct {
        nf_target_type type;
        const char *message;
    } cases[] = {
        {{.name = "window", .target = {.site = window_sites, .n_site = 2, .log_density = window_density}}, "is taken"},
        {{.name = "pot1", .target = {.site = window_sites, .n_site = 2, .log_density = window_density}}, "is taken"},
        {{.name = "two words", .target = {.site = window_sites, .n_site = 2, .log_density = window_density}},
         "isn't a name"},
        {{.target = {.site = window_sites, .n_site = 2, .log_density = window_density}}, "isn't a name"},
        {{.name = "siteless", .target = {.log_density = window_density}}, "no sites"},
        {{.name = "empty", .target = {.site = window_sites, .n_site = 2}},
         "one of log_density, external and external_rows"},
        {{.name = "both",
          .target = {.site = window_sites, .n_site = 2, .log_density = window_density, .external = outside}},
         "one of log_density, external and external_rows"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ASSERT_FAILS(nf_register_target(&cases[i].type, &error), AD_ERROR_ARGUMENT, cases[i].message);
        ck_assert_int_eq(nf_register_target(&cases[i].type, NULL), AD_ERROR_ARGUMENT);
    }
}
END_TEST

/* ---- Of every target ------------------------------------------------------------------------------------------- */

static const nf_target_type *const *of(int i)
{
    return nf_target_types() + i;
}

START_TEST(log_densities_are_finite)
{
    enum { ROWS = 200 };
    nf_target *target = target_of((*of(_i))->name);
    double *z = normals(ROWS * nf_target_dim(target), 1, 5), log_density[ROWS];
    ASSERT_OK(nf_target_log_densities(target, z, ROWS, log_density, NULL, &error));
    for (size_t r = 0; r < ROWS; r++) ck_assert_double_finite(log_density[r]);
    free(z);
    nf_target_free(target);
}
END_TEST

START_TEST(gradients_are_right)
{
    enum { ROWS = 20 };
    nf_target *target = target_of((*of(_i))->name);
    size_t dim = nf_target_dim(target);
    double *z = normals(ROWS * dim, 1, 11);
    ASSERT_OK(nf_target_check_gradient(target, z, ROWS, &error));
    if (target->log_density) { /* more exact than what is allowed to one from outside */
        ad_tape *tape = ad_tape_new();
        ad_var in = ad_input(tape, "z", AD_SHAPE(dim));
        ASSERT_OK(ad_gradcheck(nf_target_log_density(target, in), &in, 1, &in, (const double *const[]){z}, 1, NULL,
                               NULL, &error));
        ad_tape_free(tape);
    }
    free(z);
    nf_target_free(target);
}
END_TEST

START_TEST(elements_are_named_after_their_sites)
{
    nf_target *target = target_of((*of(_i))->name);
    char name[64], before[64] = "";
    size_t i = 0;
    for (size_t s = 0; s < target->n_site; s++)
        for (size_t k = 0; k < target->site[s].size; k++, i++) {
            const nf_site *site = &target->site[s];
            ck_assert_ptr_eq(nf_target_element(target, i, name), name);
            ck_assert_int_eq(strncmp(name, site->name, strlen(site->name)), 0);
            ck_assert_int_eq(name[strlen(site->name)], site->size > 1 ? '[' : '\0');
            ck_assert_str_ne(name, before);
            strcpy(before, name);
        }
    ck_assert_uint_eq(i, nf_target_size(target));
    nf_target_free(target);
}
END_TEST

START_TEST(help_is_there)
{
    const nf_target_type *type = *of(_i);
    ck_assert_ptr_nonnull(type->help);
    ck_assert_ptr_null(strchr(type->help, '\n'));
}
END_TEST

/* Each argument takes its ends, and nothing beyond. */
START_TEST(arguments_are_read_and_checked)
{
    const nf_target_type *type = *of(_i);
    const char *name = type->name;
    char text[256];
    nf_target *target = target_of(name);
    for (const nf_argument *a = type->argument; a && a->name; a++) {
        ck_assert_double_eq(nf_target_argument(target, a->name), a->value);
        if (a->kind != NF_COUNT && a->kind != NF_NUMBER) continue;
        snprintf(text, sizeof text, "%s(%s=%.17g)", name, a->name, a->low);
        nf_target *least = target_of(text);
        ck_assert_double_eq(nf_target_argument(least, a->name), a->low);
        nf_target_free(least);
        for (int end = 0; end < 2; end++) {
            snprintf(text, sizeof text, "%s(%s=%.17g)", name, a->name, end ? a->high + 1 : a->low - 1);
            ck_assert_ptr_null(nf_target_parse(text, &error));
            ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, a->name);
        }
    }
    nf_target_free(target);
    snprintf(text, sizeof text, "%s(nosuch=1)", name);
    ck_assert_ptr_null(nf_target_parse(text, &error));
    ck_assert_int_eq(error.status, AD_ERROR_ARGUMENT);
    ck_assert_ptr_null(nf_target_parse(text, NULL));
}
END_TEST

/* The integral over a square, by the midpoint rule. */
static double log_sum(const nf_target *target, size_t cells)
{
    const double reach = 130, step = 2 * reach / (double)cells;
    double *z = malloc(2 * cells * sizeof *z), *log_p = malloc(cells * sizeof *log_p), sum = 0;
    for (size_t i = 0; i < cells; i++) {
        for (size_t k = 0; k < cells; k++) {
            z[2 * k] = -reach + ((double)i + 0.5) * step;
            z[2 * k + 1] = -reach + ((double)k + 0.5) * step;
        }
        ASSERT_OK(nf_target_log_densities(target, z, cells, log_p, NULL, &error));
        for (size_t k = 0; k < cells; k++) sum += exp(log_p[k]);
    }
    free(log_p);
    free(z);
    return log(sum * step * step);
}

/* In two dimensions, of which many targets have as many as they are asked for. What a finer grid changes is the grid's
 * own error. */
START_TEST(log_z_is_the_integral_over_a_square)
{
    char text[128];
    const char *name = (*of(_i))->name;
    nf_target *target = target_of(name);
    if (nf_target_argument(target, "dim") > 2) {
        nf_target_free(target);
        snprintf(text, sizeof text, "%s(dim=2)", name);
        target = target_of(text);
    }
    if (nf_target_dim(target) == 2 && !isnan(target->log_z)) {
        double coarse = log_sum(target, 800), fine = log_sum(target, 1600);
        ck_assert_msg(fabs(fine - target->log_z) < 2e-3 + fabs(fine - coarse),
                      "%s: log Z %.6g, but the integral gives %.6g (%.6g)", name, target->log_z, fine, coarse);
    }
    nf_target_free(target);
}
END_TEST

/* ---- Weir's own ------------------------------------------------------------------------------------------------ */

/* Lines of targets.csv: target;z1,z2,…;log-density, by SciPy. */
START_TEST(densities_agree_with_scipy)
{
    FILE *golden = fopen(WEIR_GOLDEN_DIR "/targets.csv", "r");
    ck_assert_ptr_nonnull(golden);
    char name[64], point[2048];
    double expected, z[128], got;
    int lines = 0;
    for (; fscanf(golden, "%63[^;];%2047[^;];%lf\n", name, point, &expected) == 3; lines++) {
        nf_target *target = target_of(name);
        size_t dim = nf_target_dim(target), n = 0;
        for (char *at = strtok(point, ","); at; at = strtok(NULL, ",")) z[n++] = strtod(at, NULL);
        ck_assert_uint_eq(n, dim);
        ASSERT_OK(nf_target_log_densities(target, z, 1, &got, NULL, &error));
        ck_assert_msg(fabs(got - expected) <= 1e-11 * (1 + fabs(expected)), "%s: %.15g, expected %.15g", name, got,
                      expected);
        nf_target_free(target);
    }
    fclose(golden);
    ck_assert_int_ge(lines, 40);
}
END_TEST

/* The midpoint rule over a plane, where densities have vanished at its edge. */
static double log_integral(const nf_target *target, double reach_x, double low_y, double high_y)
{
    enum { CELLS_X = 3000, CELLS_Y = 400 };
    size_t rows = CELLS_X * CELLS_Y;
    double *z = malloc(2 * rows * sizeof *z), *log_p = malloc(rows * sizeof *log_p), sum = 0;
    double dx = 2 * reach_x / CELLS_X, dy = (high_y - low_y) / CELLS_Y;
    for (size_t i = 0; i < rows; i++) {
        z[2 * i] = -reach_x + ((double)(i % CELLS_X) + 0.5) * dx;
        z[2 * i + 1] = low_y + ((double)(i / CELLS_X) + 0.5) * dy;
    }
    ASSERT_OK(nf_target_log_densities(target, z, rows, log_p, NULL, &error));
    for (size_t i = 0; i < rows; i++) sum += exp(log_p[i]);
    free(log_p);
    free(z);
    return log(sum * dx * dy);
}

static const struct {
    const char *name;
    double reach_x, low_y, high_y, published;
} integrals[] = {
    /* the published best losses are -log Z, to four decimals */
    {"pot1", 6, -6, 6, 1.8775},
    {"pot2", 120, -4, 4, 2.9984},
    {"pot3", 120, -8, 4, 3.5580},
    {"pot4", 120, -8, 4, 3.6270},
    /* log of c √2π (8 + 0.1 √2π), c = 0.4, 0.7, 0.75 */
    {"u2", 6, -4, 4, 2.1129},
    {"u3", 6, -8, 4, 2.6726},
    {"u4", 6, -8, 4, 2.7416},
    {"banana(b=0.01)", 60, -50, 10, 0},
    {"mixture(modes=3,radius=2)", 8, -8, 8, 0},
    {"gaussian(correlation=-0.7)", 8, -8, 8, 0},
    /* log(11784.50927) + log(2π) / 2, of the paper's own code */
    {"many_well", 5, -8, 8, 10.2935},
};

START_TEST(log_z_is_the_integral)
{
    nf_target *target = target_of(integrals[_i].name);
    ck_assert_double_eq_tol(target->log_z, integrals[_i].published, 5.1e-5);
    double got = log_integral(target, integrals[_i].reach_x, integrals[_i].low_y, integrals[_i].high_y);
    ck_assert_double_eq_tol(got, target->log_z, 2e-5);
    nf_target_free(target);
}
END_TEST

START_TEST(arguments_set_sizes)
{
    static const struct {
        const char *text;
        size_t dim;
    } cases[] = {{"funnel", 10},      {"funnel(dim=3)", 3},   {"funnel(5)", 5},       {"banana(dim=7, b=0.1)", 7},
                 {"mixture( 4 )", 4}, {"gaussian(100)", 100}, {"gaussian(dim=1)", 1}, {"eight_schools", 10}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_target *target = target_of(cases[i].text);
        ck_assert_uint_eq(nf_target_dim(target), cases[i].dim);
        nf_target_free(target);
    }
}
END_TEST

START_TEST(mistakes_are_told)
{
    static const struct {
        const char *text, *message;
    } cases[] = {{"pot5", "unknown target 'pot5'; expected one of pot1"},
                 {"", "unknown target ''"},
                 {"pot1(3)", "takes no argument"},
                 {"funnel(dim=1)", "a whole number from 2"},
                 {"funnel(dims=3)", "no argument 'dims'"},
                 {"funnel(3", "isn't closed"},
                 {"funnel(3) x", "valid here: the end"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        ck_assert_ptr_null(nf_target_parse(cases[i].text, &error));
        ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, cases[i].message);
    }
}
END_TEST

Suite *target_types_suite(void)
{
    if (nf_register_target(&window, NULL) != AD_OK) abort(); /* no test runs yet, to tell of it */
    int types = 0;
    while (nf_target_types()[types]) types++;
    Suite *suite = suite_create("target_types");
    TCase *own = tcase_create("of one's own");
    tcase_add_test(own, an_own_target_has_its_data_and_arguments);
    tcase_add_test(own, sites_that_cannot_be);
    tcase_add_test(own, what_is_no_target_is_not_registered);
    suite_add_tcase(suite, own);
    TCase *every = tcase_create("every target");
    tcase_set_timeout(every, 60);
    tcase_add_loop_test(every, log_densities_are_finite, 0, types);
    tcase_add_loop_test(every, gradients_are_right, 0, types);
    tcase_add_loop_test(every, elements_are_named_after_their_sites, 0, types);
    tcase_add_loop_test(every, help_is_there, 0, types);
    tcase_add_loop_test(every, arguments_are_read_and_checked, 0, types);
    tcase_add_loop_test(every, log_z_is_the_integral_over_a_square, 0, types);
    suite_add_tcase(suite, every);
    TCase *builtin = tcase_create("Weir's own");
    tcase_add_test(builtin, densities_agree_with_scipy);
    tcase_add_loop_test(builtin, log_z_is_the_integral, 0, (int)COUNT(integrals));
    tcase_add_test(builtin, arguments_set_sizes);
    tcase_add_test(builtin, mistakes_are_told);
    suite_add_tcase(suite, builtin);
    return suite;
}
