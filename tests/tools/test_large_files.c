/* Fits that read a .npy file as they need its rows. */
#include "tools/command.h"

#include <weir/models.h>

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 4000, COLUMNS = 4 };

/* Two moons, a count that goes with them, and something positive. */
static void write_table(const char *name, double odd)
{
    static double values[ROWS * COLUMNS], moons[ROWS * 2];
    const nf_table table = {.rows = ROWS, .columns = COLUMNS, .values = values, .dtype = AD_F64};
    nf_moons(ROWS, 0.1, 3, moons, NULL);
    for (size_t r = 0; r < ROWS; r++) {
        double *row = values + r * COLUMNS;
        memcpy(row, moons + 2 * r, 2 * sizeof *row);
        row[2] = floor(1000 * ad_random_uniform(1, 1, r));
        row[3] = exp(2 * ad_random_normal(1, 2, r));
    }
    if (odd != 0) values[1234 * COLUMNS + 1] = odd;
    ck_assert_int_eq(nf_table_write(scratch_path(name).text, &table, NULL), AD_OK);
}

/* Columns of each kind, and of a context: with any number of threads the same, and as good as rows in memory. */
START_TEST(large_files_are_fitted)
{
    static const char *const roles[][2] = {
        {"--drop", "4"}, {"--context", "1"}, {"--context", "3,4"}, {"--drop", "3,4"}};
    const char *const role = roles[_i][0], *const columns = roles[_i][1];
    double nll[3];
    write_table("t.npy", 0);
    for (int k = 0; k < 3; k++) {
        json_t *fit =
            SUCCEED_JSON("fit", "t.npy", role, columns, "--flow", "(rqs(16)-flip)*2", "--epochs", "6", "--lr", "0.01",
                         "--shuffle", k == 2 ? "rows" : "blocks", "--threads", k == 1 ? "3" : "1", "-o", "m.st");
        ck_assert_int_eq((int)number_in(fit, "rows"), ROWS);
        nll[k] = number_in(fit, "val_nll");
        json_decref(fit);
        json_t *score = SUCCEED_JSON("logprob", "m.st", "t.npy");
        ck_assert_double_eq_tol(number_in(score, "nll"), nll[k], 0.5);
        json_decref(score);
    }
    ck_assert(nll[0] == nll[1]);
    ck_assert_double_eq_tol(nll[0], nll[2], 0.3);
}
END_TEST

static void refuse(const char *const words[], int expected, const char *part)
{
    const int status = run_words(words);
    ck_assert_msg(status == expected, "exit status %d: %s", status, complaint);
    ck_assert_uint_eq(lines(complaint), 1);
    assert_contains(complaint, part);
}

START_TEST(what_is_odd_in_a_large_file)
{
    write_table("t.npy", INFINITY);
    refuse(WORDS("fit", "t.npy", "--flow", "maf", "--shuffle", "blocks", "-o", "m.st"), 1,
           "row 1235, column 2 is infinite");
    ck_assert_ptr_null(strstr(complaint, "of a sample"));
    write_table("t.npy", NAN); /* is missing there */
    SUCCEED("fit", "t.npy", "--flow", "maf(8)", "--epochs", "1", "--shuffle", "blocks", "-o", "m.st");
    refuse(WORDS("fit", "t.npy", "--weights", "3", "--flow", "maf", "--shuffle", "blocks", "-o", "n.st"), 2,
           "rows with --weights must be in memory");
    write_text("t.csv", "1,2\n3,4\n");
    refuse(WORDS("fit", "t.csv", "--flow", "maf", "--shuffle", "blocks", "-o", "n.st"), 1,
           "--shuffle blocks reads a whole .npy file, as 'weir data convert' writes it");
    refuse(WORDS("fit", "none.npy", "--flow", "maf", "--shuffle", "blocks", "-o", "n.st"), 1, "No such file");
    ck_assert(!exists("n.st"));
}
END_TEST

/* Of rows that may not be in the sample by which columns are known. */
START_TEST(what_is_odd_in_more_rows)
{
    enum { MANY = 70000, ODD = 69998 };
    static double values[MANY];
    const nf_table table = {.rows = MANY, .columns = 1, .values = values, .dtype = AD_F64};
    for (size_t r = 0; r < MANY; r++) values[r] = ad_random_normal(1, 1, r);
    values[ODD] = INFINITY;
    ck_assert_int_eq(nf_table_write(scratch_path("t.npy").text, &table, NULL), AD_OK);
    refuse(WORDS("fit", "t.npy", "--flow", "maf", "--shuffle", "blocks", "-o", "m.st"), 1,
           "row 69999, column 1 is infinite; mend it, or remove the row\n");
}
END_TEST

/* A fit goes on until its file is cut short, which comes once it has begun. */
START_TEST(a_file_that_shrinks)
{
    write_table("t.npy", 0);
    const file_path path = scratch_path("t.npy");
    const pid_t child = fork();
    if (child == 0) {
        while (!exists("m.st.checkpoint")) usleep(1000);
        _exit(truncate(path.text, 1000));
    }
    refuse(WORDS("fit", "t.npy", "--flow", "maf(8)", "--epochs", "1000000", "--shuffle", "blocks", "--checkpoint",
                 "1ms", "-o", "m.st"),
           1, "was changed by another program");
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(without_settings)
{
    write_table("t.npy", 0);
    SUCCEED("fit", "t.npy", "--drop", "3,4", "--budget", "1s", "--shuffle", "blocks", "-o", "m.st");
    ck_assert(exists("m.st"));
}
END_TEST

Suite *large_files_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("large_files", &tests);
    tcase_add_loop_test(tests, large_files_are_fitted, 0, 4);
    tcase_add_test(tests, what_is_odd_in_a_large_file);
    tcase_add_test(tests, what_is_odd_in_more_rows);
    tcase_add_test(tests, a_file_that_shrinks);
    tcase_add_test(tests, without_settings);
    return suite;
}
