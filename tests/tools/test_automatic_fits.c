/* weir fit without settings: what it says, what is on record, what models of it do, and how a search ends. */
#include <weir/models.h>
#include "tools/command.h"
#include "tools/mixed.h"

#include <math.h>
#include <pty.h>

/* 80 moons, which are too few for a flow, so that it takes no time. */
static void make_few(void)
{
    SUCCEED("data", "moons", "-n", "80", "-o", "few.csv");
}

static const char *member_of(const json_t *candidates, size_t i)
{
    return text_in(json_array_get(candidates, i), "formula");
}

START_TEST(tells_what_it_chose)
{
    make_few();
    json_t *fit = SUCCEED_JSON("fit", "few.csv", "-o", "m.st", "--budget", "1m"),
           *candidates = member(fit, "candidates");
    double total = 0, nll = number_in(fit, "val_nll");
    size_t best = (size_t)number_in(fit, "best_mixture"), i;
    json_t *candidate;
    json_array_foreach(candidates, i, candidate)
    {
        total += number_in(candidate, "weight");
        ck_assert_double_ge(number_in(candidate, "val_nll"), nll - 1e-9);
        ck_assert_double_gt(number_in(candidate, "val_nll_stderr"), 0);
    }
    ck_assert_double_eq_tol(total, 1, 1e-9);
    ck_assert_str_eq(member_of(candidates, 0), "whiten");
    ck_assert_int_eq(strncmp(member_of(candidates, best), "gaussian_mixture(components=", 28), 0);
    ck_assert_double_eq(number_in(fit, "val_rows"), 80);
    ck_assert_double_eq(number_in(fit, "folds"), 5);
    ck_assert_int_eq(strncmp(text_in(fit, "formula"), "mixture_of(", 11), 0);
    ck_assert_double_eq(number_in(member(fit, "options"), "budget"), 60);
    ck_assert_ptr_null(json_object_get(member(fit, "options"), "epochs"));

    /* In words, and the same of the model. */
    char told[3][200];
    snprintf(told[0], sizeof told[0], "NLL         %.4f ± %.4f nats per row, on 80 rows that were held out, each in",
             nll, number_in(fit, "val_nll_stderr"));
    candidate = json_array_get(candidates, 0);
    snprintf(told[1], sizeof told[1], "            %.4f ± %.4f a normal with the data's covariance\n",
             number_in(candidate, "val_nll"), number_in(candidate, "val_nll_stderr"));
    candidate = json_array_get(candidates, best);
    snprintf(told[2], sizeof told[2], "            %.4f ± %.4f a mixture of %d normals\n",
             number_in(candidate, "val_nll"), number_in(candidate, "val_nll_stderr"),
             atoi(member_of(candidates, best) + 28));
    for (int k = 0; k < 2; k++) {
        if (k == 0)
            SUCCEED("fit", "few.csv", "-o", "n.st", "--budget", "1m");
        else
            SUCCEED("info", "m.st");
        for (size_t j = 0; j < COUNT(told); j++) assert_contains(output, told[j]);
        assert_contains(output, "mixture of  ");
        assert_contains(output, "few.csv: 80 rows");
    }
    ck_assert_ptr_null(strstr(output, "maf"));
    assert_contains(output, "--budget 60");
    json_t *info = SUCCEED_JSON("info", "m.st");
    json_array_foreach(candidates, best, candidate) json_object_del(candidate, "seconds"); /* which isn't kept */
    ck_assert(json_equal(member(member(info, "training"), "candidates"), candidates));
    json_decref(info);
    json_decref(fit);
}
END_TEST

/* The scores are those of logprob, near enough, and the same command gives the same model. */
START_TEST(models_are_models)
{
    static double first[160], again[160];
    make_few();
    SUCCEED("fit", "few.csv", "-o", "m.st");
    SUCCEED("fit", "few.csv", "-o", "n.st");
    SUCCEED("sample", "m.st", "-n", "80", "-o", "a.npy");
    SUCCEED("sample", "n.st", "-n", "80", "-o", "b.npy");
    nf_table a, b;
    ck_assert_int_eq(nf_table_read(scratch_path("a.npy").text, &a, NULL), AD_OK);
    ck_assert_int_eq(nf_table_read(scratch_path("b.npy").text, &b, NULL), AD_OK);
    memcpy(first, a.values, sizeof first);
    memcpy(again, b.values, sizeof again);
    ck_assert_mem_eq(first, again, sizeof first);
    nf_table_free(&a);
    nf_table_free(&b);
    json_t *score = SUCCEED_JSON("logprob", "m.st", "a.npy");
    ck_assert(fabs(number_in(score, "nll")) < 3);
    json_decref(score);
    if (have_gnuplot()) SUCCEED("plot", "m.st", "--data", "few.csv", "-o", "m.png");
}
END_TEST

START_TEST(no_single_z)
{
    make_few();
    SUCCEED("fit", "few.csv", "-o", "m.st");
    for (int inverse = 0; inverse < 2; inverse++) {
        int status = inverse ? RUN("transform", "m.st", "few.csv", "-o", "z.csv", "--inverse")
                             : RUN("transform", "m.st", "few.csv", "-o", "z.csv");
        ck_assert_int_eq(status, 1);
        ck_assert_uint_eq(lines(complaint), 1);
        assert_contains(complaint, "m.st is a mixture of flows");
        assert_contains(complaint, "weir fit --flow");
        ck_assert(!exists("z.csv"));
    }
}
END_TEST

/* What says how to train trains that flow; with what a search is told, it is a mistake. */
START_TEST(settings)
{
    static const char *const bad[] = {"abc", "-1", "0", "5q", "", "nan", "inf"};
    make_few();
    json_t *fit = SUCCEED_JSON("fit", "few.csv", "-o", "m.st", "--epochs", "2");
    ck_assert_ptr_null(json_object_get(fit, "candidates"));
    ck_assert_double_eq(number_in(fit, "epochs"), 2);
    json_decref(fit);
    fit = SUCCEED_JSON("fit", "few.csv", "-o", "m.st", "--seed", "7", "--dtype", "float64", "--threads", "1");
    ck_assert_uint_ge(json_array_size(member(fit, "candidates")), 3);
    ck_assert_double_eq(number_in(member(fit, "options"), "seed"), 7);
    json_decref(fit);
    for (size_t i = 0; i < COUNT(bad); i++) {
        ck_assert_int_eq(RUN("fit", "few.csv", "-o", "x.st", "--budget", bad[i]), 2);
        assert_contains(complaint, "--budget");
        assert_contains(complaint, "5m");
    }
    ck_assert_int_eq(RUN("fit", "few.csv", "-o", "x.st", "--budget", "5s", "--lr", "0.1"), 2);
    assert_contains(complaint, "--lr says how");
    ck_assert_int_eq(RUN("fit", "few.csv", "-o", "x.st", "--tune", "--epochs", "9"), 2);
    assert_contains(complaint, "--epochs says how");
    ck_assert(!exists("x.st"));
}
END_TEST

/* Rows of all kinds, with labels and missing values; and a context. */
START_TEST(mixed_columns)
{
    mixed_write("people.csv", 3, 90);
    mixed_write("held.csv", 4, 40);
    json_t *fit = SUCCEED_JSON("fit", "people.csv", "-o", "m.st", "--validation", "held.csv", "--drop", "unit");
    ck_assert_double_eq(number_in(fit, "val_rows"), 40);
    ck_assert_double_eq(number_in(fit, "folds"), 1);
    /* What is told of the held-out rows is log p of the table, probabilities and units and all. */
    json_t *score = SUCCEED_JSON("logprob", "m.st", "held.csv");
    ck_assert_double_eq_tol(number_in(score, "nll"), number_in(fit, "val_nll"),
                            2 + 4 * number_in(fit, "val_nll_stderr"));
    json_decref(score);
    json_decref(fit);
    SUCCEED("sample", "m.st", "-n", "50", "-o", "draws.csv");
    SUCCEED("logprob", "m.st", "draws.csv");
    SUCCEED("fit", "people.csv", "-o", "c.st", "--context", "age,city");
    assert_contains(output, "mixture of");
    SUCCEED("sample", "c.st", "--context", "age=40,city=Oslo", "-n", "10", "-o", "draws.csv");
}
END_TEST

/* A row that is a mistake is named. */
START_TEST(far_row)
{
    static char text[8192];
    size_t filled = 0;
    for (int r = 0; r < 60; r++)
        filled += (size_t)snprintf(text + filled, sizeof text - filled, "%.6f,%.6f\n", r == 41 ? 1e6 : sin(7.7 * r),
                                   cos(3.1 * r * r));
    write_text("far.csv", text);
    SUCCEED("fit", "far.csv", "-o", "m.st");
    assert_contains(output, "1 held-out row is far from all others: row 42 has log p = ");
}
END_TEST

/* Candidates that take long enough for ctrl-C to find them at work. */
START_TEST(interrupt_keeps_what_is_done)
{
    static char screen[1 << 18];
    struct winsize window = {.ws_row = 24, .ws_col = 100};
    int terminal, state;
    size_t filled = 0;
    bool typed = false;
    SUCCEED("data", "moons", "-n", "2000", "-o", "moons.npy");
    pid_t child = forkpty(&terminal, NULL, NULL, &window);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        become_command(WORDS("fit", "moons.npy", "-o", "m.st", "--budget", "10m"));
    }
    for (ssize_t got;
         filled < sizeof screen - 1 && (got = read(terminal, screen + filled, sizeof screen - 1 - filled)) > 0;) {
        filled += (size_t)got;
        screen[filled] = '\0';
        if (!typed && strstr(screen, "components=8")) typed = write(terminal, "\x03", 1) == 1;
    }
    close(terminal);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), 130);
    assert_contains(screen, "interrupted after");
    assert_contains(screen, "; those that were done are in 'm.st'");
    json_t *info = SUCCEED_JSON("info", "m.st");
    ck_assert_str_eq(text_in(member(info, "training"), "outcome"), "interrupted");
    json_decref(info);
    json_t *score = SUCCEED_JSON("logprob", "m.st", "moons.npy");
    ck_assert_double_lt(number_in(score, "nll"), 1);
    json_decref(score);
}
END_TEST

Suite *automatic_fits_suite(void);

Suite *automatic_fits_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("automatic_fits", &tests);
    tcase_add_test(tests, tells_what_it_chose);
    tcase_add_test(tests, models_are_models);
    tcase_add_test(tests, no_single_z);
    tcase_add_test(tests, settings);
    tcase_add_test(tests, mixed_columns);
    tcase_add_test(tests, far_row);
    tcase_add_test(tests, interrupt_keeps_what_is_done);
    return suite;
}
