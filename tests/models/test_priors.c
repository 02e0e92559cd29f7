/* Priors on parameters: fits against closed forms, what has which, and what goes for every prior that is known, with
 * one of this file's own among them. */
#include "models/training_tools.h"

/* ---- A prior from outside -------------------------------------------------------------------------------------- */

static ad_var logistic(const nf_prior_type *self, const double *argument, ad_var w)
{
    (void)self;
    return nf_log_logistic(w, ad_scalar(w.tape, 0), ad_scalar(w.tape, argument[0]));
}

static const nf_argument arguments[] = {
    {.name = "scale", .kind = NF_NUMBER, .value = 2, .low = 0.1, .high = 10, .help = "how wide"}, {0}};
static const nf_prior_type own = {
    .name = "logistic", .help = "e^-z / (scale (1 + e^-z)²)", .argument = arguments, .log_density = logistic};

static int known(void)
{
    int count = 0;
    while (nf_prior_types()[count]) count++;
    return count;
}

/* In the process of each test. */
static void add_own(void)
{
    nf_register_prior(&own, NULL);
    ck_assert_ptr_eq(nf_prior_types()[known() - 1], &own);
}

START_TEST(registering_is_checked)
{
    nf_prior_type type = own;
    ASSERT_FAILS(nf_register_prior(&type, &error), AD_ERROR_ARGUMENT, "'logistic' is taken");
    type.name = NULL;
    ASSERT_FAILS(nf_register_prior(&type, &error), AD_ERROR_ARGUMENT, "isn't a name");
    type.name = "other";
    type.log_density = NULL;
    ASSERT_FAILS(nf_register_prior(&type, &error), AD_ERROR_ARGUMENT, "no log_density");
    ck_assert_int_eq(nf_register_prior(&type, NULL), AD_ERROR_ARGUMENT);
}
END_TEST

/* Its log-density at w: where the rows are 0, what callbacks see of a first step over one row is -log N(0; w, 1) - log
 * prior. */
typedef struct {
    nf_callback callback;
    double loss;
} watcher;

static bool watch(nf_callback *self, const nf_iteration *at)
{
    ((watcher *)self)->loss += at->loss;
    return true;
}

static double log_prior(const char *prior, double w)
{
    static const double x[1] = {0};
    watcher watched = {.callback.call = watch};
    nf_flow *flow = new_flow("loc", 1, AD_F64);
    *(double *)nf_flow_parameters(flow) = w;
    nf_flow_pull(flow);
    nf_fit_options o = {ALL_ROWS, .epochs = 1, .prior = prior, .callbacks = (nf_callback *[]){&watched.callback, NULL}};
    ASSERT_OK(nf_fit(flow, x, 1, &o, NULL, &error));
    nf_flow_free(flow);
    return log(2 * acos(-1)) / 2 + w * w / 2 - watched.loss;
}

START_TEST(densities_integrate_to_one)
{
    const nf_prior_type *type = nf_prior_types()[_i];
    const double step = 0.1, end = 60;
    double sum = 0;
    for (double w = -end + step / 2; w < end; w += step) sum += exp(log_prior(type->name, w)) * step;
    ck_assert_double_eq_tol(sum, 1, 1e-3);
    ck_assert_ptr_nonnull(type->help);
    ck_assert_ptr_null(strchr(type->help, '\n'));
    for (const nf_argument *a = type->argument; a && a->name; a++) {
        char text[64];
        snprintf(text, sizeof text, "%s(%s=%.17g)", type->name, a->name, a->value + 0.5);
        ck_assert_ptr_nonnull(a->help);
        ck_assert_double_ne(log_prior(text, 0.7), log_prior(type->name, 0.7));
    }
}
END_TEST

/* ---- The most probable parameters ------------------------------------------------------------------------------- */

/* `loc` alone is the mean of N(loc, 1): -log p of these rows is least at their mean, 2; weighed, at 11 / 6. */
static const double x[] = {1, 2, 3, 1, 3, 2}, weight[] = {1, 2, 0, 0.5, 0.5, 2};
enum { N_X = COUNT(x) };

/* Where the derivatives of -log p over all rows and of -log prior add up to 0, as in ridge regression's
 * Σ x / (N + 1/sd²). Weights count rows: N is their sum, here 6. */
START_TEST(they_are_shrunk)
{
    static const struct {
        const char *prior;
        const double *weight;
        double mean;
    } cases[] = {
        {NULL, NULL, 2},
        {NULL, weight, 11 / 6.},
        {"normal(sd=0.5)", NULL, 12 / (6 + 4.)},
        {"normal(sd=0.5)", weight, 11 / (6 + 4.)},
        {"normal(0.5, mean=-1)", NULL, (12 - 4) / (6 + 4.)},
        {" 0.l?c.* : laplace(scale=0.25)", NULL, 2 - 4 / 6.},
        {"laplace(0.01)", NULL, 0},
        {"student(df=2, scale=0.5)", NULL, 1.7548776662466927}, /* 6 (2 - w) = 3 w / (2 scale² + w²) */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nf_flow *flow = new_flow("loc", 1, AD_F64);
        nf_fit_options o = {ALL_ROWS,
                            DESCENT,
                            .schedule = "linear",
                            .epochs = 2000,
                            .optimizer.learning_rate = 0.3,
                            .row_weights = cases[i].weight,
                            .prior = cases[i].prior};
        ASSERT_OK(nf_fit(flow, x, N_X, &o, NULL, &error));
        ck_assert_double_eq_tol(parameter_at(flow, 0), cases[i].mean, i == 6 ? 0.01 : 1e-9);
        nf_flow_free(flow);
    }
}
END_TEST

/* At loc = 3, small steps add up: each of the batches, of 4 rows and of 2, adds (3 / sd²) / N. All losses that are told
 * are of the rows alone. */
START_TEST(batches_and_losses)
{
    nf_flow *with = new_flow("loc", 1, AD_F64), *without = new_flow("loc", 1, AD_F64);
    const double rate = 1e-7, val_x[] = {0.5, -1};
    nf_fit_options o = {DESCENT,
                        STEADY,
                        .optimizer.learning_rate = rate,
                        .epochs = 2,
                        .batch = 4,
                        .val_x = val_x,
                        .val_rows = 2,
                        .row_weights = weight};
    nf_fit_report report[2];
    *(double *)nf_flow_parameters(with) = *(double *)nf_flow_parameters(without) = 3;
    nf_flow_pull(with);
    nf_flow_pull(without);
    ASSERT_OK(nf_fit(without, x, N_X, &o, &report[0], &error));
    o.prior = "normal(sd=0.5)";
    ASSERT_OK(nf_fit(with, x, N_X, &o, &report[1], &error));
    const double steps = (double)report[1].last.step;
    ck_assert_double_eq_tol((parameter_at(without, 0) - parameter_at(with, 0)) / rate, steps * 3 / 0.25 / 6, 1e-5);
    for (int i = 0; i < 2; i++) {
        ck_assert_double_eq_tol(report[0].history[i].train_nll, report[1].history[i].train_nll, 1e-5);
        ck_assert_double_eq_tol(report[0].history[i].val_nll, report[1].history[i].val_nll, 1e-5);
    }
    for (int i = 0; i < 2; i++) ad_free(report[i].history);
    nf_flow_free(with);
    nf_flow_free(without);
}
END_TEST

/* Weights of a network by their names, and nothing else: with a prior that is narrow they are 0. */
START_TEST(names_choose)
{
    nf_flow *flow = new_flow("maf(3)-scale-loc", 2, AD_F32);
    double *rows = normals(2 * ROWS, 1, 4);
    nf_fit_options o = {ALL_ROWS, .schedule = "linear", .epochs = 400, .optimizer.learning_rate = 0.02,
                        .prior = "*.weight*:normal(sd=0.0001), 2.loc.*:laplace"};
    ASSERT_OK(nf_fit(flow, rows, ROWS, &o, NULL, &error));
    const double *w = nf_parameter_value(nf_flow_bijector(flow)->child[0], "weight0");
    for (size_t i = 0; i < 6; i++) ck_assert_double_lt(fabs(w[i]), 0.01);
    ck_assert_double_gt(fabs(*nf_parameter_value(nf_flow_bijector(flow)->child[1], "rho")), 0.02);
    free(rows);
    nf_flow_free(flow);
}
END_TEST

START_TEST(mistakes_are_told)
{
    static const struct {
        const char *prior, *message;
    } cases[] = {
        {"", "unknown prior ''; expected one of normal, laplace, student"},
        {"gauss", "unknown prior 'gauss'"},
        {"normal(sd=0)", "'sd' is out of range"},
        {"*.weight*:normal,", "unknown prior ''"},
        {"*.weights:normal", "prior: '*.weights' is no trained parameter that is without one: 0.scale.rho, 1.loc.loc"},
        {"normal, 1.loc.loc:laplace", "'1.loc.loc' is no trained parameter that is without one"},
        {":normal", "'' is no trained parameter"},
    };
    nf_flow *flow = new_flow("scale-loc", 1, AD_F64);
    for (size_t i = 0; i < COUNT(cases); i++)
        ASSERT_FAILS(nf_fit(flow, x, N_X, &(nf_fit_options){.prior = cases[i].prior}, NULL, &error), AD_ERROR_ARGUMENT,
                     cases[i].message);
    char longer[2000] = "normal";
    memset(longer + 6, ' ', sizeof longer - 7);
    ASSERT_FAILS(nf_fit(flow, x, N_X, &(nf_fit_options){.prior = longer}, NULL, &error), AD_ERROR_ARGUMENT,
                 "expected less than 1024 characters");
    nf_flow_free(flow);
    flow = new_flow("standardize", 1, AD_F64);
    ASSERT_FAILS(nf_fit(flow, x, N_X, &(nf_fit_options){.prior = "normal"}, NULL, &error), AD_ERROR_ARGUMENT,
                 "prior: the flow has nothing that is trained");
    nf_flow_free(flow);
    flow = new_flow("cnf(4)", 1, AD_F64);
    nf_fit_options matching = {.prior = "normal", .objective = NF_FLOW_MATCHING};
    ASSERT_FAILS(nf_fit(flow, x, N_X, &matching, NULL, &error), AD_ERROR_ARGUMENT, "a prior goes with a likelihood");
    nf_flow_free(flow);
}
END_TEST

Suite *priors_suite(void);

Suite *priors_suite(void)
{
    Suite *suite = suite_create("priors");
    TCase *every = tcase_create("every prior"), *fits = tcase_create("fits");
    tcase_set_timeout(every, 60);
    tcase_set_timeout(fits, 60);
    tcase_add_checked_fixture(every, add_own, NULL);
    tcase_add_test(every, registering_is_checked);
    tcase_add_loop_test(every, densities_integrate_to_one, 0, known() + 1);
    tcase_add_test(fits, they_are_shrunk);
    tcase_add_test(fits, batches_and_losses);
    tcase_add_test(fits, names_choose);
    tcase_add_test(fits, mistakes_are_told);
    suite_add_tcase(suite, every);
    suite_add_tcase(suite, fits);
    return suite;
}
