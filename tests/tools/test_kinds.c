/* Tables as people have them: columns of all kinds, with missing values, weights, and rows to validate with. */
#include "tools/mixed.h"

enum { ROWS = 1500 };

/* A fit that is good enough to tell shares and ranges, in a second or two. */
#define FIT_MIXED(...)                                                                                                 \
    SUCCEED_JSON("fit", "mixed.csv", "--flow", "(rqs(32)-permute)*5", "--epochs", "60", "--batch", "64", "--lr",       \
                 "0.01", "--columns", "phase:angle, share:[0,1]", "-o", "m.st", __VA_ARGS__)

static nf_table read_back_table(const char *name)
{
    nf_table table;
    ad_error error;
    ad_status status = nf_table_read_with(scratch_path(name).text, &(nf_read_options){.labels = true, .missing = true},
                                          &table, &error);
    ck_assert_msg(status == AD_OK, "%s", error.message);
    return table;
}

static double at(const nf_table *table, size_t row, size_t column)
{
    return table->values[row * table->columns + column];
}

/* The part of the rows of which that is true. */
static double share_of(const nf_table *table, size_t column, bool (*is)(double value))
{
    double count = 0;
    for (size_t r = 0; r < table->rows; r++) count += is(at(table, r, column));
    return count / (double)table->rows;
}

static bool is_missing(double value)
{
    return isnan(value);
}

static bool is_zero(double value)
{
    return value == 0;
}

static bool is_whole(double value)
{
    return isnan(value) || value == floor(value);
}

static bool is_first(double value) /* "Bonn, am Rhein" */
{
    return value == 0;
}

static bool is_second(double value) /* "Oslo" */
{
    return value == 1;
}

static bool is_positive(double value)
{
    return isnan(value) || value > 0;
}

static bool is_share(double value)
{
    return isnan(value) || (value >= 0 && value <= 1);
}

static bool is_angle(double value)
{
    return value >= 0 && value < 360;
}

static bool is_over_ten(double value)
{
    return value > 10;
}

static double correlation_of_logs(const nf_table *table, size_t a, size_t b)
{
    double n = 0, sum[2] = {0}, square[2] = {0}, product = 0;
    for (size_t r = 0; r < table->rows; r++) {
        double x = at(table, r, a), y = log(at(table, r, b));
        if (isnan(x) || isnan(y)) continue;
        n++;
        sum[0] += x;
        sum[1] += y;
        square[0] += x * x;
        square[1] += y * y;
        product += x * y;
    }
    return (product - sum[0] * sum[1] / n) /
           sqrt((square[0] - sum[0] * sum[0] / n) * (square[1] - sum[1] * sum[1] / n));
}

static const char *const kinds[MIXED_COLUMNS] = {"real",     "duplicate", "constant", "integer", "integer",
                                                 "positive", "bounded",   "positive", "angle",   "category"};

START_TEST(a_mixed_table)
{
    mixed_write("mixed.csv", 1, ROWS);
    json_t *fit = FIT_MIXED("--seed", "1");
    json_t *column, *list = member(fit, "column_kinds");
    size_t i;
    ck_assert_uint_eq(json_array_size(list), MIXED_COLUMNS);
    json_array_foreach(list, i, column)
    {
        ck_assert_str_eq(text_in(column, "kind"), kinds[i]);
        assert_contains(text_in(column, "why"), kinds[i]);
        bool some = i == AGE || i == INCOME || i == SHARE || i == CITY;
        ck_assert_double_le(fabs(number_in(column, "missing") - (some ? 0.05 : 0)), some ? 0.02 : 0);
    }
    ck_assert(isfinite(number_in(fit, "val_nll")) && number_in(fit, "val_nll_stderr") > 0);
    json_decref(fit);
    SUCCEED("info", "m.st");
    assert_contains(output, "city       category: 3 different texts; missing in");

    SUCCEED("sample", "m.st", "-n", "3000", "-o", "s.csv");
    char first[256];
    FILE *file = fopen(scratch_path("s.csv").text, "r");
    ck_assert_ptr_nonnull(fgets(first, sizeof first, file));
    fclose(file);
    first[strcspn(first, "\n")] = '\0';
    ck_assert_str_eq(first, mixed_names);
    nf_table data = read_back_table("mixed.csv"), samples = read_back_table("s.csv");
    static const struct {
        size_t column;
        bool (*is)(double value);
        double tolerance; /* 0: of all rows */
    } shares[] = {
        {AGE, is_whole, 0},        {VISITS, is_whole, 0},    {INCOME, is_positive, 0},    {SHARE, is_share, 0},
        {PHASE, is_angle, 0},      {AGE, is_missing, 0.025}, {INCOME, is_missing, 0.025}, {SHARE, is_missing, 0.025},
        {CITY, is_missing, 0.025}, {SPENT, is_zero, 0.05},   {SPENT, is_missing, 0},      {CITY, is_first, 0.06},
        {CITY, is_second, 0.06},   {VISITS, is_zero, 0.04},  {SPENT, is_over_ten, 0.05},
    };
    for (i = 0; i < COUNT(shares); i++) {
        double expected = share_of(&data, shares[i].column, shares[i].is);
        double found = share_of(&samples, shares[i].column, shares[i].is);
        ck_assert_msg(fabs(found - expected) <= shares[i].tolerance, "share %zu is %g, not %g", i, found, expected);
    }
    for (size_t r = 0; r < samples.rows; r++) {
        ck_assert_double_eq_tol(at(&samples, r, HEIGHT_CM), 100 * at(&samples, r, HEIGHT), 1e-9);
        ck_assert_double_eq(at(&samples, r, UNIT), 7);
    }
    ck_assert_str_eq(samples.labels[CITY][0], "Bonn, am Rhein");
    ck_assert_ptr_null(samples.labels[CITY][3]);
    ck_assert_double_eq_tol(correlation_of_logs(&samples, AGE, INCOME), correlation_of_logs(&data, AGE, INCOME), 0.15);
    nf_table_free(&samples);
    nf_table_free(&data);
    ck_assert_int_eq(RUN("sample", "m.st", "-o", "s.npy"), 2);
    assert_contains(complaint, "s.npy: an array has no place for labels such as 'Bonn, am Rhein' of column city");
}
END_TEST

/* A score is of the table's own columns, and the same wherever it is told. */
START_TEST(rows_of_their_own_to_validate_with)
{
    mixed_write("mixed.csv", 1, ROWS);
    mixed_write("valid.csv", 2, 300);
    json_t *fit = FIT_MIXED("--validation", "valid.csv");
    ck_assert_double_eq(number_in(fit, "train_rows"), ROWS);
    ck_assert_double_eq(number_in(fit, "val_rows"), 300);
    json_t *score = SUCCEED_JSON("logprob", "m.st", "valid.csv");
    ck_assert_double_eq_tol(number_in(score, "nll"), number_in(fit, "val_nll"), 1e-9);
    ck_assert_double_eq_tol(number_in(score, "nll_stderr"), number_in(fit, "val_nll_stderr"), 1e-9);
    /* The losses of the epochs are of one draw of noise, which is no better. */
    json_t *losses = member(member(fit, "history"), "val_nll");
    double best = json_number_value(json_array_get(losses, (size_t)number_in(fit, "best_epoch") - 1));
    ck_assert_double_ge(best, number_in(fit, "val_nll"));
    ck_assert_double_le(best, number_in(fit, "val_nll") + 1.5);
    json_decref(score);
    json_decref(fit);
}
END_TEST

/* A label that training hasn't is told, and spoils no score. */
START_TEST(validation_rows_that_cannot_be)
{
    char text[1 << 14] = "city,x\n";
    for (int r = 0; r < 200; r++)
        snprintf(text + strlen(text), 64, "%s,%.6f\n", r % 2 ? "Rome" : "Oslo", sin(9.1 * r) + r % 2);
    write_text("t.csv", text);
    write_text("v.csv", "x,city\n0.1,Rome\n0.4,Paris\n0.2,Oslo\n0.6,Rome\n");
    write_text("none.csv", "x,city\n0.4,Paris\n");
    const char *const *const asked[] = {
        WORDS("fit", "t.csv", "--validation", "v.csv", "--budget", "1s", "-o", "m.st", "--json"),
        WORDS("fit", "t.csv", "--validation", "v.csv", "--flow", "maf(4)", "--epochs", "5", "-o", "m.st", "--json")};
    for (size_t i = 0; i < COUNT(asked); i++) {
        ck_assert_int_eq(run_words(asked[i]), 0);
        assert_contains(complaint, "1 row has density 0 under any flow, and is left out of the scores");
        json_t *fit = parse_output();
        ck_assert_double_lt(fabs(number_in(fit, "val_nll")), 10);
        ck_assert_double_gt(number_in(fit, "val_nll_stderr"), 0);
        json_decref(fit);
    }
    write_text("two.csv", "x,y\n1,2\n2,1.5\n");
    SUCCEED("fit", "two.csv", "-o", "n.st");
    assert_contains(output, "search      1 candidate, ");
    ck_assert_int_eq(RUN("fit", "t.csv", "--validation", "none.csv", "-o", "n.st"), 1);
    assert_contains(complaint, "--validation: no row is left to validate with");
}
END_TEST

/* What lies at 50 has no weight. */
START_TEST(weights)
{
    char text[1 << 14] = "x,w\n";
    for (int r = 0; r < 300; r++)
        snprintf(text + strlen(text), 64, "%.6f,%d\n", sin(9.1 * r) + 50 * (r % 3 == 0), r % 3 == 0 ? 0 : 1 + r % 3);
    write_text("w.csv", text);
    json_t *fit = SUCCEED_JSON("fit", "w.csv", "--weights", "w", "--flow", "rqs(4)", "--columns", "x:real", "--epochs",
                               "5", "-o", "m.st");
    ck_assert_double_eq(number_in(fit, "dim"), 1);
    ck_assert_double_eq(number_in(fit, "train_rows") + number_in(fit, "val_rows"), 200);
    json_decref(fit);
    SUCCEED("sample", "m.st", "-n", "500", "-o", "s.csv");
    nf_table samples = read_back_table("s.csv");
    ck_assert_uint_eq(samples.columns, 1);
    for (size_t r = 0; r < samples.rows; r++) ck_assert_double_lt(samples.values[r], 10);
    nf_table_free(&samples);
    write_text("w.csv", "x,w\n1,1\n2,-1\n3,1\n");
    ck_assert_int_eq(RUN("fit", "w.csv", "--weights", "w", "-o", "n.st"), 1);
    assert_contains(complaint, "w.csv: row 2: a weight is a number, 0 or more");
    write_text("w.csv", "x,w\n1,0\n2,0\n3,0\n");
    ck_assert_int_eq(RUN("fit", "w.csv", "--weights", "w", "-o", "n.st"), 1);
    assert_contains(complaint, "w.csv: every row's weight is 0");
    ck_assert_int_eq(RUN("fit", "w.csv", "--drop", "x,w", "-o", "n.st"), 2);
    assert_contains(complaint, "--drop: every column of w.csv is context or left out");
    ck_assert_int_eq(RUN("fit", "w.csv", "--weights", "x,w", "-o", "n.st"), 2);
    assert_contains(complaint, "--weights: expected one column, got 'x,w'");
}
END_TEST

/* Prices, shares and thousands as spreadsheets write them are texts, and that is told. */
START_TEST(numbers_with_units)
{
    char text[1 << 13] = "price,share,name,x\n";
    for (int r = 0; r < 60; r++)
        snprintf(text + strlen(text), 80, "\"$%d,%03d\",%d%%,n%d,%.4f\n", 1 + r, 7 * r, r % 3, r % 4, sin(9.1 * r));
    write_text("t.csv", text);
    SUCCEED("fit", "t.csv", "--flow", "maf(4)", "--epochs", "1", "-o", "m.st");
    assert_contains(output, "dropped: 60 different texts in 60 rows tell rows apart, which look like numbers: '$");
    assert_contains(output, "category: 3 different texts, which look like numbers: '0%'");
    assert_contains(output, "category: 4 different texts\n");
}
END_TEST

/* Left out of the table, whether it is there later or not. */
START_TEST(dropped_columns)
{
    write_text("three.csv", "id,a,b\n1,0.5,2.25\n2,0.75,3.5\n3,1.5,1.125\n4,-1,2\n5,0,0.5\n");
    write_text("two.csv", "b,a\n2.25,0.5\n3.5,0.75\n");
    write_text("nameless3.csv", "9,0.5,2.25\n9,0.75,3.5\n");
    write_text("nameless2.csv", "0.5,2.25\n0.75,3.5\n");
    static const char *const given[] = {"id", "1"};
    for (size_t i = 0; i < COUNT(given); i++) {
        json_t *fit = SUCCEED_JSON("fit", "three.csv", "--drop", given[i], "--columns", "a:real,b:real", "--flow",
                                   "scale-loc", "--epochs", "2", "-o", "m.st");
        ck_assert_double_eq(number_in(fit, "dim"), 2);
        json_decref(fit);
        double nll[3];
        static const char *const files[] = {"two.csv", "nameless3.csv", "nameless2.csv"};
        for (size_t f = 0; f < 3; f++) {
            json_t *score = SUCCEED_JSON("logprob", "m.st", files[f]);
            nll[f] = number_in(score, "nll");
            json_decref(score);
            ck_assert_double_eq(nll[f], nll[0]);
        }
        SUCCEED("sample", "m.st", "-n", "1", "-o", "s.csv");
        char text[128];
        slurp(scratch_path("s.csv").text, text, sizeof text);
        ck_assert_int_eq(strncmp(text, "a,b\n", 4), 0);
    }
    ck_assert_int_eq(RUN("fit", "three.csv", "--drop", "c", "-o", "n.st"), 2);
    assert_contains(complaint, "--drop: three.csv has no column 'c'");
    static const char *const signs[] = {"-18446744073709551615", "+1", " 1", "18446744073709551617"};
    for (size_t i = 0; i < COUNT(signs); i++) {
        ck_assert_int_eq(RUN("fit", "three.csv", "--context", signs[i], "-o", "n.st"), 2);
        assert_contains(complaint, "has no column");
    }
    ck_assert_int_eq(RUN("fit", "three.csv", "--drop", "a", "--context", "a", "-o", "n.st"), 2);
    assert_contains(complaint, "--drop: column 'a' is given twice");
}
END_TEST

START_TEST(numbers_with_a_slip_among_them)
{
    write_text("slip.csv", "a,b\n1,2\n3,4\n5,l2\n7,9\n8,7\n");
    ck_assert_int_eq(RUN("fit", "slip.csv", "-o", "m.st"), 1);
    ck_assert_uint_eq(lines(complaint), 1);
    assert_contains(complaint, "slip.csv: row 3, column 2 ('b'): 'l2' is not a number");
    SUCCEED("fit", "slip.csv", "--columns", "b:category", "--flow", "loc", "--epochs", "1", "-o", "m.st");
    SUCCEED("fit", "slip.csv", "--drop", "b", "--flow", "loc", "--epochs", "1", "-o", "m.st");
    ck_assert_int_eq(RUN("fit", "slip.csv", "--drop", "b", "--columns", "c:real", "-o", "m.st"), 2);
    assert_contains(complaint, "there is no 'c'");
}
END_TEST

/* What can't be has density 0, and is told; what can't be read is refused. */
START_TEST(values_that_contradict_the_training)
{
    mixed_write("mixed.csv", 1, ROWS);
    json_decref(FIT_MIXED("--epochs", "1"));
    write_text("odd.csv", "height,height_cm,unit,age,visits,income,share,spent,phase,city\n"
                          "1.7,170,7,40,2,9000,0.5,0,10,Paris\n1.7,170,7,40,2,9000,0.5,0,10,Oslo\n"
                          "1.7,170,7,40,2,-9000,0.5,0,10,Oslo\n");
    json_t *score = SUCCEED_JSON("logprob", "m.st", "odd.csv", "-o", "l.csv");
    ck_assert(json_is_null(member(score, "nll")));
    assert_contains(complaint, "weir: warning: density 0: odd.csv");
    json_decref(score);
    nf_table table = read_back_table("l.csv");
    ck_assert(table.values[0] == -INFINITY && isfinite(table.values[1]) && table.values[2] == -INFINITY);
    nf_table_free(&table);
    write_text("bad.csv", "height,height_cm,unit,age,visits,income,share,spent,phase,city\n"
                          "1.7,170,7,40,,9000,0.5,0,10,Oslo\n");
    ck_assert_int_eq(RUN("logprob", "m.st", "bad.csv"), 1);
    assert_contains(complaint, "bad.csv: row 1, column 5 ('visits') is missing");
}
END_TEST

START_TEST(headers_of_numbers)
{
    write_text("years.csv", "2019,2020\n1.5,2.5\n2.25,3\n0.5,1.75\n3,2\n");
    static const struct {
        const char *header;
        double rows;
    } cases[] = {{"yes", 4}, {"no", 5}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *fit = SUCCEED_JSON("fit", "years.csv", "--header", cases[i].header, "--flow", "loc", "--epochs", "1",
                                   "--val-fraction", "0", "-o", "m.st");
        ck_assert_double_eq(number_in(fit, "rows"), cases[i].rows);
        json_decref(fit);
    }
}
END_TEST

Suite *kinds_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("kinds", &tests);
    tcase_add_test(tests, a_mixed_table);
    tcase_add_test(tests, rows_of_their_own_to_validate_with);
    tcase_add_test(tests, validation_rows_that_cannot_be);
    tcase_add_test(tests, weights);
    tcase_add_test(tests, dropped_columns);
    tcase_add_test(tests, numbers_with_units);
    tcase_add_test(tests, numbers_with_a_slip_among_them);
    tcase_add_test(tests, values_that_contradict_the_training);
    tcase_add_test(tests, headers_of_numbers);
    return suite;
}
