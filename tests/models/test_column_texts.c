/* Columns of contexts; columns as JSON, also where that was tampered with; and memory that runs out. */
#include "models/column_tools.h"
#include "scratch.h"

static char *cities[] = {"Köln", "Oslo", "Rome", NULL};

static nf_table *all_kinds(size_t rows)
{
    nf_table *table = make_table(
        rows, 8, (cell_function[]){sometimes, share, sometimes_poisson, degrees, three, amount, seven, wide_count});
    set_labels(4, cities);
    for (size_t r = 0; r < rows; r += 9) table->values[r * 8 + 4] = NAN;
    return table;
}

static const char given[] = "c4:angle, c2:[0,1]";

/* ---- Contexts ---------------------------------------------------------------------------------------------------- */

START_TEST(contexts_are_standardised)
{
    static const char *const expected[] = {"c1",         "c1 missing", "c2",      "c3",      "c3 missing",
                                           "c4 cos",     "c4 sin",     "c5 Köln", "c5 Oslo", "c5 Rome",
                                           "c5 missing", "c6",         "c8"};
    enum { ROWS = 1000, FEATURES = COUNT(expected) };
    nf_table *table = all_kinds(ROWS);
    static double features[ROWS * FEATURES], log_weight[ROWS];
    char text[128];
    nf_columns *columns = learned_context(table, given);
    ck_assert(nf_columns_is_context(columns) && !nf_columns_noisy(columns));
    ck_assert_uint_eq(nf_columns_features(columns), FEATURES);
    for (size_t i = 0; i < FEATURES; i++) ck_assert_str_eq(nf_columns_feature_name(columns, i, text), expected[i]);
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, log_weight, &error));
    for (size_t r = 0; r < ROWS; r++) {
        const double *row = table->values + r * 8, *feature = features + r * FEATURES;
        ck_assert_double_eq(log_weight[r], 0);
        ck_assert_double_eq(feature[1], isnan(row[0]));
        ck_assert_double_eq_tol(feature[5], cos(row[3] * M_PI / 180), 1e-12);
        ck_assert_double_eq_tol(feature[6], sin(row[3] * M_PI / 180), 1e-12);
        for (size_t k = 0; k < 3; k++) ck_assert_double_eq(feature[7 + k], row[4] == (double)k);
        ck_assert_double_eq(feature[10], isnan(row[4]));
    }
    /* Mean and variance of what isn't missing, which is 0. */
    for (size_t i = 0; i < FEATURES; i += i == 4 ? 7 : 2) {
        double sum = 0, squares = 0, n = 0;
        const size_t column = i == 0 ? 0 : i == 2 ? 1 : i == 4 ? 2 : 5;
        for (size_t r = 0; r < ROWS; r++) {
            double value = features[r * FEATURES + (i == 4 ? 3 : i)];
            sum += value;
            squares += value * value;
            if (!isnan(table->values[r * 8 + column])) n++;
        }
        ck_assert_double_eq_tol(sum / n, 0, 1e-9);
        ck_assert_double_eq_tol(squares / n, 1, 1e-9);
    }
    nf_table decoded;
    ASSERT_FAILS(nf_columns_decode(columns, features, 1, &decoded, &error), AD_ERROR_ARGUMENT, "can't be decoded");
    nf_columns_free(columns);
}
END_TEST

/* Whatever unit a context is in, and wherever its origin is. */
START_TEST(a_context_has_no_unit)
{
    nf_table *table = one_column(500, normal_cell);
    double features[500], again[500];
    nf_columns *columns = learned_context(table, NULL);
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, features, NULL, &error));
    nf_columns_free(columns);
    for (size_t r = 0; r < 500; r++) table->values[r] = 2019 + 1e-3 * table->values[r];
    columns = learned_context(table, NULL);
    ASSERT_OK(nf_columns_encode(columns, table, 1, 0, again, NULL, &error));
    for (size_t r = 0; r < 500; r++) ck_assert_double_eq_tol(again[r], features[r], 1e-6);
    nf_columns_free(columns);
}
END_TEST

static double many(size_t r)
{
    return floor(60 * uniform_cell(r));
}

START_TEST(what_a_context_cannot_be)
{
    nf_table *table = make_table(1000, 5, (cell_function[]){log_normal, three, many, three, seven});
    set_labels(1, cities);
    nf_columns *columns = learned_context(table, "c1:positive, c3:category, c4:integer");
    const size_t size = nf_columns_features(columns);
    double row[] = {-1, 1, 2, 3, 9}, features[6];
    nf_table one = {.rows = 1, .columns = 5, .values = row, .labels = table->labels};
    ck_assert_uint_eq(size, 6);
    ASSERT_FAILS(nf_columns_encode(columns, &one, 1, 0, features, NULL, &error), AD_ERROR_FORMAT,
                 "context row 1, column 'c1': -1 is outside of 0 to inf");
    ASSERT_FAILS(nf_columns_check(columns, &one, "context.csv", &error), AD_ERROR_FORMAT, "-1 is outside");
    row[0] = NAN;
    ASSERT_FAILS(nf_columns_encode(columns, &one, 1, 0, features, NULL, &error), AD_ERROR_FORMAT,
                 "context row 1, column 'c1': missing where nothing was");
    /* Beyond the range of training is a warning, and no mistake; so is an unknown label. */
    static char *other[] = {"Bonn", "Oslo", NULL}, **labels[5];
    char text[512];
    labels[1] = other;
    row[0] = 1e9;
    row[1] = 0;
    row[3] = 0.5;
    one.labels = labels;
    ASSERT_OK(nf_columns_encode(columns, &one, 1, 0, features, NULL, &error));
    for (size_t k = 1; k < 4; k++) ck_assert_double_eq(features[k], 0);
    ck_assert(fabs(features[4]) < 5); /* one of 60 numbers: no unit vectors */
    ck_assert_uint_eq(nf_columns_outside(columns, &one, text), 1);
    ck_assert_msg(strstr(text, "row 1, column 'c1': 1000000000, and was ") == text, "%s", text);
    nf_columns_free(columns);
}
END_TEST

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

START_TEST(json_gives_the_same_bits)
{
    enum { ROWS = 500 };
    nf_table *table = all_kinds(ROWS), a_table, b_table;
    static double a[ROWS * 16], b[ROWS * 16], a_weight[ROWS], b_weight[ROWS];
    nf_columns *columns = _i ? learned_context(table, given) : learned(table, given);
    char *text = nf_columns_text(columns, &error);
    ck_assert_msg(text != NULL, "%s", error.message);
    nf_columns *again = nf_columns_parse(text, &error);
    ck_assert_msg(again != NULL, "%s", error.message);
    char *twice = nf_columns_text(again, &error);
    ck_assert_str_eq(text, twice);
    const size_t size = nf_columns_features(columns);
    ck_assert_uint_le(size, 16);
    ck_assert_uint_eq(nf_columns_features(again), size);
    ck_assert_int_eq(nf_columns_is_context(again), _i);
    for (size_t c = 0; c < 8; c++) {
        ck_assert_str_eq(face(again, c)->name, face(columns, c)->name);
        ck_assert_str_eq(face(again, c)->why, face(columns, c)->why);
        ck_assert_uint_eq(face(again, c)->features, face(columns, c)->features);
    }
    ASSERT_OK(nf_columns_encode(columns, table, 1, 2, a, a_weight, &error));
    ASSERT_OK(nf_columns_encode(again, table, 1, 2, b, b_weight, &error));
    ck_assert_mem_eq(a, b, ROWS * size * sizeof *a);
    ck_assert_mem_eq(a_weight, b_weight, sizeof a_weight);
    if (!_i) {
        ASSERT_OK(nf_columns_decode(columns, a, ROWS, &a_table, &error));
        ASSERT_OK(nf_columns_decode(again, a, ROWS, &b_table, &error));
        ck_assert_mem_eq(a_table.values, b_table.values, ROWS * 8 * sizeof *a);
        nf_table_free(&a_table);
        nf_table_free(&b_table);
    }
    ad_free(twice);
    ad_free(text);
    nf_columns_free(again);
    nf_columns_free(columns);
}
END_TEST

static void assert_not_parsed(const char *text, const char *part)
{
    ck_assert_ptr_null(nf_columns_parse(text, &error));
    ASSERT_FAILS(error.status, AD_ERROR_FORMAT, part);
}

START_TEST(what_is_not_of_columns)
{
    ck_assert_ptr_null(nf_columns_parse(NULL, &error));
    ASSERT_FAILS(error.status, AD_ERROR_ARGUMENT, "text is NULL");
    assert_not_parsed("", "no JSON object");
    assert_not_parsed("[]", "no JSON object");
    assert_not_parsed("{}", "version");
    assert_not_parsed("{\"version\":2}", "columns of version 2, and this Weir knows 1: use a newer one");
    assert_not_parsed("{\"version\":1,\"plain\":false}", "there is no 'context'");
    assert_not_parsed("{\"version\":1,\"plain\":false,\"context\":false,\"columns\":[{}]}",
                      "column 1 has no good 'why'");
    ck_assert_ptr_null(nf_columns_text(NULL, &error));
}
END_TEST

/* Any member that is taken away, or becomes something else, is told of or does no harm. */
START_TEST(tampered_json_does_no_harm)
{
    static const char *const other[] = {"null", "-1", "0", "1e400", "\"inf\"", "\"nan\"", "true", "[]", "[0,0]", "3"};
    enum { ROWS = 60 };
    nf_table *table = all_kinds(ROWS);
    nf_columns *columns = learned(table, given);
    char *text = nf_columns_text(columns, &error), *changed = malloc(strlen(text) + 100);
    static double features[ROWS * 40];
    size_t refused = 0, taken = 0;
    for (const char *at = strchr(text, ':'); at; at = strchr(at + 1, ':')) {
        size_t end = strcspn(at + 1, ",}]") + 1;
        for (size_t i = 0; i < COUNT(other); i++) {
            snprintf(changed, strlen(text) + 100, "%.*s%s%s", (int)(at + 1 - text), text, other[i], at + end);
            nf_columns *parsed_ones = nf_columns_parse(changed, NULL);
            if (!parsed_ones) {
                refused++;
                continue;
            }
            taken++;
            nf_table back;
            for (size_t k = 0; k < COUNT(features); k++) features[k] = 3 * normal_cell(k);
            if (nf_columns_features(parsed_ones) <= 40) {
                nf_columns_encode(parsed_ones, table, 1, 0, features, NULL, NULL);
                if (!nf_columns_decode(parsed_ones, features, ROWS, &back, NULL)) nf_table_free(&back);
                nf_columns_check(parsed_ones, table, "t", NULL);
                nf_columns_outside(parsed_ones, table, NULL);
            }
            nf_columns_free(parsed_ones);
        }
    }
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_gt(taken, 100);
    free(changed);
    ad_free(text);
    nf_columns_free(columns);
}
END_TEST

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* All that columns are for, to the first failure. */
static ad_status use_all(const nf_table *table, const nf_flow *flow)
{
    enum { MOST = 40 * 16 };
    double features[MOST], log_prob[40];
    nf_table back;
    nf_columns *columns = nf_columns_learn(table, given, NULL, &error), *again = NULL;
    char *text = NULL;
    ad_status status = columns ? AD_OK : error.status;
    if (!status) status = nf_columns_encode(columns, table, 1, 0, features, NULL, &error);
    if (!status) status = nf_columns_check(columns, table, "t", &error);
    if (!status) status = nf_columns_decode(columns, features, table->rows, &back, &error);
    if (!status) nf_table_free(&back);
    if (!status) status = nf_columns_log_prob(columns, flow, NULL, table, 2, 1, log_prob, NULL, &error);
    if (!status && !(text = nf_columns_text(columns, &error))) status = error.status;
    if (!status && !(again = nf_columns_parse(text, &error))) status = error.status;
    nf_columns_free(again);
    nf_columns_free(columns);
    ad_free(text);
    if (status) return status;
    columns = nf_columns_plain(2, (const char *[]){"a", "b"}, &error);
    status = columns ? AD_OK : error.status;
    nf_columns_free(columns);
    if (status) return status;
    columns = nf_columns_learn(table, given, &(nf_columns_options){.context = true}, &error);
    status = columns ? AD_OK : error.status;
    nf_columns_free(columns);
    return status;
}

START_TEST(memory_runs_out)
{
    nf_table *table = all_kinds(40);
    nf_columns *columns = learned(table, given);
    nf_flow *flow = nf_flow_parse("loc", nf_columns_features(columns), 0, AD_F64, 1, &error);
    double log_prob[40];
    /* The flow's plan is there already. */
    ASSERT_OK(nf_columns_log_prob(columns, flow, NULL, table, 2, 1, log_prob, NULL, &error));
    nf_columns_free(columns);
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        error = (ad_error){.status = AD_OK};
        memory_limit(allowed);
        ad_status status = use_all(table, flow);
        memory_unlimited();
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "%zu: %d: %s", allowed, status, error.message);
        if (denied) ck_assert_msg(strstr(error.message, "memory") != NULL, "%zu: %s", allowed, error.message);
    }
    nf_flow_free(flow);
}
END_TEST

Suite *column_texts_suite(void)
{
    Suite *suite = suite_create("column_texts");
    TCase *tcase = tcase_create("column_texts");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, contexts_are_standardised);
    tcase_add_test(tcase, a_context_has_no_unit);
    tcase_add_test(tcase, what_a_context_cannot_be);
    tcase_add_loop_test(tcase, json_gives_the_same_bits, 0, 2);
    tcase_add_test(tcase, what_is_not_of_columns);
    tcase_add_test(tcase, tampered_json_does_no_harm);
    tcase_add_test(tcase, memory_runs_out);
    suite_add_tcase(suite, tcase);
    return suite;
}
