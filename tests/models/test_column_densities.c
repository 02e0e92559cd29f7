/* Columns: log p is a density where values are measured and a probability where they are counted or named. Over all
 * rows that there can be it is 1, whatever the flow. */
#include "models/column_tools.h"

static char *cities[] = {"Köln", "Oslo", "Rome", NULL};

/* ---- Sums and integrals over all rows ---------------------------------------------------------------------------- */

/* Points of a column, and what each weighs in a sum or, by the midpoint rule in a coordinate that covers all of its
 * support, an integral. */
typedef struct {
    double value[600], weight[600];
    size_t count;
} axis;

static void add_point(axis *to, double value, double weight)
{
    to->value[to->count] = value;
    to->weight[to->count++] = weight;
}

/* A real value over (-inf, inf): t to sinh(t). */
static void add_line(axis *to)
{
    const size_t points = 300;
    for (size_t i = 0; i < points; i++) {
        double width = 14.0 / (double)points, t = ((double)i + 0.5) * width - 7;
        add_point(to, sinh(t), cosh(t) * width);
    }
}

/* A positive one: t to e^t. */
static void add_half_line(axis *to)
{
    const size_t points = 300;
    for (size_t i = 0; i < points; i++) {
        double width = 40.0 / (double)points, t = ((double)i + 0.5) * width - 20;
        add_point(to, exp(t), exp(t) * width);
    }
}

static void add_values(axis *points, double from, double most)
{
    for (double value = from; value <= most; value++) add_point(points, value, 1);
}

/* One value whose log p is of noise: many times, each with noise of its own. */
static void add_noisy(axis *points, double value)
{
    for (size_t i = 0; i < 50; i++) add_point(points, value, 1.0 / 50);
}

static double total(const nf_columns *columns, const nf_flow *flow, const axis *axes, char **labels, size_t draws)
{
    static double values[2 * 40000], log_prob[40000];
    const size_t dim = nf_columns_count(columns), second = dim > 1 ? axes[1].count : 1;
    char **lists[2] = {NULL, labels};
    nf_table table = {
        .rows = axes[0].count * second, .columns = dim, .values = values, .labels = labels ? lists : NULL};
    ck_assert_uint_le(table.rows, 40000);
    for (size_t r = 0; r < table.rows; r++) {
        values[r * dim] = axes[0].value[r / second];
        if (dim > 1) values[r * dim + 1] = axes[1].value[r % second];
    }
    log_prob_of(columns, flow, &table, draws, log_prob);
    double sum = 0;
    for (size_t r = 0; r < table.rows; r++)
        sum += exp(log_prob[r]) * axes[0].weight[r / second] * (dim > 1 ? axes[1].weight[r % second] : 1);
    return sum;
}

/* A real number and a label, both of which may be missing. */
START_TEST(real_and_category)
{
    nf_table *table = make_table(1000, 2, (cell_function[]){sometimes, three});
    set_labels(1, cities);
    for (size_t r = 0; r < 1000; r += 5) table->values[2 * r + 1] = NAN;
    nf_columns *columns = learned(table, NULL);
    ck_assert_uint_eq(nf_columns_features(columns), 3);
    nf_flow *flow = moved_flow("rqs(8)-flip-maf(8)-scale-loc", 3, AD_F64);
    axis axes[2] = {{.count = 0}};
    add_line(&axes[0]);
    add_noisy(&axes[0], NAN);
    add_values(&axes[1], 0, 2);
    add_point(&axes[1], NAN, 1);
    ck_assert_double_eq_tol(total(columns, flow, axes, cities, 1024), 1, 2e-3);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

/* A count, which may be missing, and an amount, which is often 0. */
START_TEST(integer_and_amount)
{
    nf_table *table = make_table(1000, 2, (cell_function[]){sometimes_poisson, amount});
    nf_columns *columns = learned(table, NULL);
    ck_assert_uint_eq(nf_columns_features(columns), 3);
    nf_flow *flow = moved_flow("maf(8)-flip-maf(8)-scale-loc", 3, AD_F64);
    axis axes[2] = {{.count = 0}};
    add_values(&axes[0], face(columns, 0)->low, face(columns, 0)->high);
    add_point(&axes[0], NAN, 1);
    add_half_line(&axes[1]);
    add_noisy(&axes[1], 0);
    ck_assert_double_eq_tol(total(columns, flow, axes, NULL, 256), 1, 2e-3);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

/* Alone: an angle, integers of a wide range, a share with both ends, and duplicates. */
START_TEST(an_angle)
{
    nf_table *table = one_column(500, degrees);
    nf_columns *columns = learned(table, "c1:angle");
    nf_flow *flow = moved_flow("rqs(8)-flip-rqs(8)-hh-loc", 2, AD_F64);
    axis around = {.count = 0};
    for (double value = 0.5; value < 360; value++) add_point(&around, value, 1);
    double sum = total(columns, flow, &around, NULL, 4096);
    ck_assert_double_eq_tol(sum, 1, 5e-3);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

static double wide(size_t r)
{
    return floor(300 * exponential(r));
}

START_TEST(wide_integers)
{
    nf_table *table = one_column(2000, wide);
    table->values[0] = 2000; /* wide for certain */
    static const char *const ways[] = {NULL, "c1:integer", "c1:count", "c1:integer[0,2500]"};
    for (size_t i = 0; i < COUNT(ways); i++) {
        nf_columns *columns = learned(table, ways[i]);
        ck_assert_int_eq(face(columns, 0)->kind, NF_COLUMN_INTEGER);
        nf_flow *flow = nf_flow_parse("scale-loc", 1, 0, AD_F64, 1, &error);
        double features[2000], values[40000], log_prob[40000], sum = 0;
        ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, NULL, &error));
        ASSERT_OK(nf_fit(flow, features, 2000, &(nf_fit_options){.epochs = 30, .optimizer = {.learning_rate = 0.3}},
                         NULL, &error));
        nf_table all = {.rows = 40000, .columns = 1, .values = values};
        for (size_t r = 0; r < all.rows; r++) values[r] = (double)r;
        log_prob_of(columns, flow, &all, 16, log_prob);
        for (size_t r = 0; r < all.rows; r++) sum += exp(log_prob[r]);
        ck_assert_msg(fabs(sum - 1) < 2e-3, "%s: %g", ways[i] ? ways[i] : "as recognised", sum);
        nf_flow_free(flow);
        nf_columns_free(columns);
    }
}
END_TEST

static double with_ends(size_t r)
{
    double u = ad_random_uniform(11, 8, r);
    return u < 0.2 ? 0 : u < 0.4 ? 1 : share(r);
}

START_TEST(a_share_with_its_ends)
{
    nf_table *table = one_column(1000, with_ends);
    nf_columns *columns = learned(table, "c1:[0,1]");
    ck_assert_uint_eq(face(columns, 0)->atoms, 2);
    nf_flow *flow = moved_flow("rqs(8)-flip-maf(8)", 2, AD_F64);
    axis all = {.count = 0};
    for (size_t i = 0; i < 400; i++) {
        double t = ((double)i + 0.5) * 0.1 - 20, x = 1 / (1 + exp(-t));
        add_point(&all, x, x * (1 - x) * 0.1);
    }
    add_point(&all, 0, 1);
    add_point(&all, 1, 1);
    ck_assert_double_eq_tol(total(columns, flow, &all, NULL, 1024), 1, 2e-3);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

/* ---- How it is called -------------------------------------------------------------------------------------------- */

/* Alone or among others, and in any number of threads, a row has the same log p; more draws than fit at once are the
 * same draws. */
START_TEST(rows_are_independent)
{
    nf_table *table = make_table(3000, 3, (cell_function[]){sometimes, three, degrees});
    nf_columns *columns = learned(table, "c3:angle");
    nf_flow *flow = moved_flow("maf(8)-flip-maf(8)", 5, AD_F64);
    static double all[3000], some[3000];
    ad_pool *pool = ad_pool_new(3, &error);
    ASSERT_OK(nf_columns_log_prob(columns, flow, NULL, table, 12, 1, all, pool, &error));
    table->rows = 10;
    ASSERT_OK(nf_columns_log_prob(columns, flow, NULL, table, 12, 1, some, NULL, &error));
    ck_assert_mem_eq(all, some, 10 * sizeof *all);
    ASSERT_OK(nf_columns_log_prob(columns, flow, NULL, table, 0, 1, all, NULL, &error));
    ASSERT_OK(nf_columns_log_prob(columns, flow, NULL, table, 64, 1, some, NULL, &error));
    ck_assert_mem_eq(all, some, 10 * sizeof *all);
    ad_pool_free(pool);
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

/* Each row with its own context. */
START_TEST(contexts_go_with_their_rows)
{
    nf_table *table = make_table(200, 2, (cell_function[]){three, normal_cell});
    nf_columns *columns = learned(table, NULL);
    nf_flow *flow = nf_flow_parse("maf(8)-flip-maf(8)", 2, 1, AD_F64, 1, &error);
    double context[200], log_prob[200], features[400], log_weight[200], expected[200];
    nf_each_parameter(nf_flow_bijector(flow), move_parameter, &(uint64_t){0});
    nf_flow_push(flow);
    for (size_t r = 0; r < 200; r++) context[r] = (double)r / 100;
    ASSERT_OK(nf_columns_log_prob(columns, flow, context, table, 1, 5, log_prob, NULL, &error));
    ASSERT_OK(nf_columns_encode(columns, table, 5, 0, features, log_weight, &error));
    ASSERT_OK(nf_log_prob(flow, features, context, 200, expected, NULL, &error));
    for (size_t r = 0; r < 200; r++) ck_assert_double_eq_tol(log_prob[r], expected[r] + log_weight[r], 1e-12);
    ASSERT_FAILS(nf_columns_log_prob(columns, flow, NULL, table, 1, 5, log_prob, NULL, &error), AD_ERROR_ARGUMENT,
                 "conditioned on 1 numbers");
    nf_flow_free(flow);
    nf_columns_free(columns);
}
END_TEST

START_TEST(flows_must_fit)
{
    nf_table *table = one_column(100, normal_cell);
    nf_columns *columns = learned(table, NULL), *context = learned_context(table, NULL);
    nf_flow *flow = identity_flow(2);
    double log_prob[100];
    ASSERT_FAILS(nf_columns_log_prob(columns, flow, NULL, table, 1, 5, log_prob, NULL, &error), AD_ERROR_ARGUMENT,
                 "the columns have 1 features, but the flow has 2");
    ASSERT_FAILS(nf_columns_log_prob(columns, NULL, NULL, table, 1, 5, log_prob, NULL, &error), AD_ERROR_ARGUMENT,
                 "flow is NULL");
    ASSERT_FAILS(nf_columns_log_prob(NULL, flow, NULL, table, 1, 5, log_prob, NULL, &error), AD_ERROR_ARGUMENT,
                 "columns is NULL");
    ASSERT_FAILS(nf_columns_log_prob(context, flow, NULL, table, 1, 5, log_prob, NULL, &error), AD_ERROR_ARGUMENT,
                 "context");
    nf_flow_free(flow);
    nf_columns_free(context);
    nf_columns_free(columns);
}
END_TEST

Suite *column_densities_suite(void)
{
    Suite *suite = suite_create("column_densities");
    TCase *tcase = tcase_create("column_densities");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, real_and_category);
    tcase_add_test(tcase, integer_and_amount);
    tcase_add_test(tcase, an_angle);
    tcase_add_test(tcase, wide_integers);
    tcase_add_test(tcase, a_share_with_its_ends);
    tcase_add_test(tcase, rows_are_independent);
    tcase_add_test(tcase, contexts_go_with_their_rows);
    tcase_add_test(tcase, flows_must_fit);
    suite_add_tcase(suite, tcase);
    return suite;
}
