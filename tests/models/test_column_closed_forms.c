/* Columns: densities and probabilities of simple cases, in closed form. */
#include "models/column_tools.h"

static char *cities[] = {"Köln", "Oslo", "Rome", NULL};

static double log_normal_density(double z)
{
    return -z * z / 2 - 0.5 * log(2 * M_PI);
}

/* log x of N(0, 1), up to the offset. */
START_TEST(a_log_normal)
{
    nf_table *table = one_column(1000, log_normal);
    nf_columns *columns = learned(table, NULL);
    nf_flow *flow = identity_flow(1);
    double values[] = {1e-3, 0.5, 1, 3, 1e6, 0, -1}, log_prob[7];
    nf_table points = {.rows = 7, .columns = 1, .values = values};
    log_prob_of(columns, flow, &points, 0, log_prob);
    for (size_t i = 0; i < 5; i++)
        ck_assert_double_eq_tol(log_prob[i], log_normal_density(log(values[i])) - log(values[i]), 1e-12);
    for (size_t i = 5; i < 7; i++) ck_assert_double_eq(log_prob[i], -INFINITY);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

/* The logistic-normal and the half-way map, at points worked out by hand. */
START_TEST(other_maps)
{
    nf_table *table = make_table(1000, 2, (cell_function[]){share, log_normal});
    nf_columns *columns = learned(table, "c1:(0,2), c2:[-1,inf)");
    nf_flow *flow = identity_flow(2);
    double values[] = {0.5, 3, 1.5, 0.5}, log_prob[2], features[4], log_weight[2];
    nf_table points = {.rows = 2, .columns = 2, .values = values};
    ASSERT_OK(nf_columns_encode(columns, &points, 1, 0, features, log_weight, &error));
    log_prob_of(columns, flow, &points, 0, log_prob);
    for (size_t r = 0; r < 2; r++) {
        double x = values[2 * r], y = values[2 * r + 1], logit = log(x / (2 - x));
        ck_assert_double_eq_tol(features[2 * r], logit, 1e-12);
        ck_assert_double_eq_tol(features[2 * r + 1], log(y + 1), 1e-12);
        ck_assert_double_eq_tol(log_weight[r], log(2 / (x * (2 - x))) - log(y + 1), 1e-12);
        ck_assert_double_eq_tol(log_prob[r], log_weight[r] + log_normal_density(logit) + log_normal_density(log(y + 1)),
                                1e-12);
    }
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

static double half_normal(size_t r)
{
    return fabs(normal_cell(r));
}

/* Where there is no noise, the log-weight is the logarithm of the feature's derivative. */
START_TEST(weights_are_derivatives)
{
    static const struct {
        cell_function cell;
        const char *given;
    } columns_of[] = {{half_normal, NULL},
                      {exponential, NULL},
                      {log_normal, NULL},
                      {normal_cell, NULL},
                      {share, NULL},
                      {uniform_cell, "c1:[-1,3]"},
                      {timestamp, NULL},
                      {half_normal, "c1:positive"},
                      {log_normal, "c1:(-3,inf)"}};
    for (size_t i = 0; i < COUNT(columns_of); i++) {
        nf_table *table = one_column(1000, columns_of[i].cell);
        nf_columns *columns = learned(table, columns_of[i].given);
        double log_weight[1000], below[1000], above[1000], step[1000], x[1000];
        ck_assert(!nf_columns_noisy(columns));
        if (i == 0) ck_assert_ptr_nonnull(strstr(face(columns, 0)->why, "by the logarithm near 0"));
        ASSERT_OK(nf_columns_encode(columns, table, 1, 0, below, log_weight, &error));
        memcpy(x, table->values, sizeof x);
        for (int side = -1; side <= 1; side += 2) {
            for (size_t r = 0; r < 1000; r++) {
                step[r] = 1e-5 * fmin(fabs(x[r]), i == 4 ? fabs(1 - x[r]) : 1000);
                table->values[r] = x[r] + side * step[r];
            }
            ASSERT_OK(nf_columns_encode(columns, table, 1, 0, side < 0 ? below : above, NULL, &error));
        }
        for (size_t r = 0; r < 1000; r++) {
            double run = (x[r] + step[r]) - (x[r] - step[r]);
            ck_assert_msg(fabs(log((above[r] - below[r]) / run) - log_weight[r]) < 1e-4, "%zu: %g: %g, not %g", i, x[r],
                          log_weight[r], log((above[r] - below[r]) / run));
        }
        nf_columns_free(columns);
    }
}
END_TEST

static double age(size_t r)
{
    return round(45 + 14 * normal_cell(r));
}

/* Many say that they are of a round age. */
static double said_age(size_t r)
{
    return uniform_cell(r) < 0.5 ? 5 * round(age(r) / 5) : age(r);
}

/* Counts of few rows are smoothed; of many, what they tell is kept. */
START_TEST(counts_are_smoothed)
{
    static const struct {
        cell_function cell;
        size_t rows;
        double least, most; /* how much more probable 45 is than 42 */
    } ages[] = {{age, 80, 0.9, 1.5}, {said_age, 4000, 4, 9}};
    nf_flow *flow = identity_flow(1);
    for (size_t i = 0; i < COUNT(ages); i++) {
        nf_columns *columns = learned(one_column(ages[i].rows, ages[i].cell), NULL);
        double values[] = {45, 42}, log_prob[2];
        nf_table points = {.rows = 2, .columns = 1, .values = values};
        log_prob_of(columns, flow, &points, 1, log_prob);
        double ratio = exp(log_prob[0] - log_prob[1]);
        ck_assert_msg(ratio > ages[i].least && ratio < ages[i].most, "%zu: %g", i, ratio);
        nf_columns_free(columns);
    }
    nf_flow_free(flow);
}
END_TEST

/* With a flow that does nothing, categories and missing values have the shares of the data, and integers those that are
 * smoothed: close to Poisson's. Noise adds nothing to such a density. */
START_TEST(shares_of_the_data)
{
    nf_table *table = make_table(4000, 2, (cell_function[]){three, sometimes_poisson});
    set_labels(0, cities);
    nf_columns *columns = learned(table, NULL);
    nf_flow *flow = identity_flow(2);
    size_t count[3] = {0}, whole[40] = {0}, present = 0;
    for (size_t r = 0; r < 4000; r++) {
        count[(size_t)table->values[2 * r]]++;
        if (isnan(table->values[2 * r + 1])) continue;
        present++;
        whole[(size_t)table->values[2 * r + 1]]++;
    }
    double poisson_mass = exp(-2);
    for (size_t k = 0; k < 8; k++) {
        double values[] = {(double)(k % 3), (double)k}, log_prob;
        nf_table point = {.rows = 1, .columns = 2, .values = values, .labels = table->labels};
        log_prob_of(columns, flow, &point, 4, &log_prob);
        double category = ((double)count[k % 3] + 0.5) / 4001.5, mass = exp(log_prob) / category;
        double counted = (double)whole[k] / 4000, expected = poisson_mass * (double)present / 4000;
        ck_assert_double_eq_tol(mass, counted, 2 * sqrt(counted / 4000));
        ck_assert_double_eq_tol(mass, expected, 3 * sqrt(expected / 4000));
        poisson_mass *= 2 / ((double)k + 1);
    }
    double values[] = {1, NAN}, log_prob;
    nf_table point = {.rows = 1, .columns = 2, .values = values, .labels = table->labels};
    log_prob_of(columns, flow, &point, 4, &log_prob);
    ck_assert_double_eq_tol(exp(log_prob), ((double)count[1] + 0.5) / 4001.5 * (1 - (double)present / 4000), 1e-12);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

/* N(0, I) is a uniform angle, for any noise; and moved by (1, 0) it is the projected normal, whose density is
 * e^(-1/2)/2π (1 + c √2π Φ(c) e^(c²/2)) with c = cos θ (Mardia & Jupp 2000, 3.5.6). */
START_TEST(projected_normals)
{
    nf_table *table = one_column(500, degrees);
    nf_columns *columns = learned(table, "c1:angle");
    nf_flow *uniform = identity_flow(2), *moved = nf_flow_parse("loc", 2, 0, AD_F64, 1, &error);
    double *parameters = nf_flow_parameters(moved), values[36], log_prob[36];
    parameters[0] = 1;
    nf_table points = {.rows = 36, .columns = 1, .values = values};
    for (size_t r = 0; r < 36; r++) values[r] = 10 * (double)r;
    log_prob_of(columns, uniform, &points, 1, log_prob);
    for (size_t r = 0; r < 36; r++) ck_assert_double_eq_tol(log_prob[r], -log(360), 1e-12);
    log_prob_of(columns, moved, &points, 4096, log_prob);
    for (size_t r = 0; r < 36; r++) {
        double c = cos(values[r] * M_PI / 180), cumulative = erfc(-c * M_SQRT1_2) / 2;
        double density = exp(-0.5) / (2 * M_PI) * (1 + c * sqrt(2 * M_PI) * cumulative * exp(c * c / 2));
        ck_assert_double_eq_tol(log_prob[r], log(density * M_PI / 180), 0.02);
    }
    nf_flow_free(moved);
    nf_flow_free(uniform);
    nf_columns_free(columns);
}
END_TEST

Suite *column_closed_forms_suite(void)
{
    Suite *suite = suite_create("column_closed_forms");
    TCase *tcase = tcase_create("column_closed_forms");
    tcase_add_test(tcase, a_log_normal);
    tcase_add_test(tcase, other_maps);
    tcase_add_test(tcase, weights_are_derivatives);
    tcase_add_test(tcase, counts_are_smoothed);
    tcase_add_test(tcase, shares_of_the_data);
    tcase_add_test(tcase, projected_normals);
    suite_add_tcase(suite, tcase);
    return suite;
}
