/* Contexts on the command line: by name, with labels, beside samples, and beyond the training. */
#include "tools/command.h"

#include <math.h>

enum { ROWS = 200 };

/* y and a label given age and city; ages from 20 to 60. */
static void make_conditional(void)
{
    static char text[1 << 15];
    size_t filled = (size_t)snprintf(text, sizeof text, "y,age,city,mark\n");
    for (int r = 0; r < ROWS; r++)
        filled +=
            (size_t)snprintf(text + filled, sizeof text - filled, "%.6f,%.3f,%s,%s\n", sin(7.7 * r) + (r % 2 ? 10 : 0),
                             40 + 20 * sin(1.3 * r), r % 2 ? "Oslo" : "\"Bonn, am Rhein\"", r % 3 ? "yes" : "no");
    write_text("data.csv", text);
    SUCCEED("fit", "data.csv", "--context", "age,city", "--flow", "rqs(8)-flip-rqs(8)", "--epochs", "5", "-o", "m.st");
    assert_contains(output, "mark  category: 2 different texts");
    assert_contains(output, "city  category: 2 different texts");
}

static const char *samples(const char *context, const char *option, const char *value)
{
    static char text[2][1 << 13];
    static int turn;
    turn ^= 1;
    SUCCEED("sample", "m.st", "--context", context, "-n", "20", "-o", "s.csv", option, value);
    slurp(scratch_path("s.csv").text, text[turn], sizeof text[turn]);
    return text[turn];
}

static const char *drawn(const char *context)
{
    return samples(context, "--seed", "1");
}

START_TEST(by_name)
{
    make_conditional();
    const char *expected = drawn("30,Oslo");
    static const char *const same[] = {"age=30,city=Oslo", "city=Oslo,age=30"};
    for (size_t i = 0; i < COUNT(same); i++) {
        ck_assert_str_eq(drawn(same[i]), expected);
        ck_assert_str_eq(told(), "");
    }
    ck_assert_int_eq(strncmp(expected, "y,mark,age,city\n", 16), 0);
    assert_contains(drawn("city=Bonn, am Rhein,age=30"), ",30,\"Bonn, am Rhein\"\n");
    ck_assert_str_eq(told(), "");

    ck_assert_int_eq(RUN("sample", "m.st", "--context", "age=30", "-o", "s.csv"), 2);
    assert_contains(complaint, "'age=30' doesn't say 'city'");
    ck_assert_int_eq(RUN("sample", "m.st", "--context", "age=old,city=Oslo", "-o", "s.csv"), 2);
    assert_contains(complaint, "'old' in 'age=old,city=Oslo' is not a number");
    ck_assert_int_eq(RUN("sample", "m.st", "--context", "1,2,3", "-o", "s.csv"), 2);
    assert_contains(complaint, "expected 2 numbers");
    ck_assert_int_eq(RUN("sample", "m.st", "--context", "none.csv", "-o", "s.csv"), 1);
    assert_contains(complaint, "none.csv");
}
END_TEST

/* A file of that name is what it always was. */
START_TEST(a_file_with_such_a_name)
{
    make_conditional();
    write_text("city=Oslo,age=30", "age,city\n50,Oslo\n");
    assert_contains(drawn("city=Oslo,age=30"), ",50,Oslo\n");
}
END_TEST

START_TEST(beside_samples)
{
    make_conditional();
    write_text("given.csv", "city,unused,age\nOslo,1,25\n\"Bonn, am Rhein\",2,55\n");
    const char *both = drawn("given.csv");
    ck_assert_uint_eq(lines(both), 21);
    const char *second = strchr(strchr(both, '\n') + 1, '\n');
    ck_assert_int_eq(strncmp(second - 8, ",25,Oslo", 8), 0);
    assert_contains(both, ",55,\"Bonn, am Rhein\"\n");
    /* As they are there, the model can score them. */
    json_t *score = SUCCEED_JSON("logprob", "m.st", "s.csv");
    ck_assert(json_is_number(member(score, "nll")));
    json_decref(score);
    ck_assert_int_eq(strncmp(samples("given.csv", "--write-context", "no"), "y,mark\n", 7), 0);
    ck_assert_int_eq(RUN("sample", "m.st", "--context", "given.csv", "-o", "s.npy"), 2);
    assert_contains(complaint, "no place for labels");

    /* Without names the context stands where it stood. */
    static char text[1 << 13];
    size_t filled = 0;
    for (int r = 0; r < 100; r++)
        filled += (size_t)snprintf(text + filled, sizeof text - filled, "%.5f,%.5f\n", cos(r), 5 + sin(7.3 * r));
    write_text("two.csv", text);
    SUCCEED("fit", "two.csv", "--context", "1", "--flow", "maf(4)", "--epochs", "2", "-o", "m.st");
    const char *nameless = drawn("0.5");
    ck_assert_int_eq(strncmp(nameless, "0.5,", 4), 0);
    SUCCEED("logprob", "m.st", "s.csv");
    SUCCEED("sample", "m.st", "--context", "0.5", "-n", "3", "-o", "s.npy");
    json_t *sample = SUCCEED_JSON("sample", "m.st", "--context", "0.5", "-n", "3", "-o", "s.npy");
    ck_assert_double_eq(number_in(sample, "columns"), 1); /* an array has what it always had */
    json_decref(sample);
    sample = SUCCEED_JSON("sample", "m.st", "--context", "0.5", "-n", "3", "--write-context", "yes", "-o", "s.npy");
    ck_assert_double_eq(number_in(sample, "columns"), 2);
    json_decref(sample);
}
END_TEST

START_TEST(beyond_the_training)
{
    make_conditional();
    drawn("age=130,city=Oslo");
    assert_contains(complaint, "weir: warning: --context is beyond that of the training");
    assert_contains(complaint, "'age': 130");
    drawn("age=30,city=Paris");
    assert_contains(complaint, "'Paris' was not among the 2 of training");
    write_text("far.csv", "y,age,city,mark\n0.5,30,Oslo,yes\n0.5,99,Oslo,yes\n");
    SUCCEED("logprob", "m.st", "far.csv");
    assert_contains(complaint, "far.csv: 1 row with a context beyond those of the training");
    assert_contains(complaint, "'age': 99");
}
END_TEST

/* The unit and the origin of a context tell nothing. */
START_TEST(units_of_a_context)
{
    static char text[1 << 15];
    double nll[3];
    static const double scale[] = {1, 0.001, 1e7}, origin[] = {0, 2000, -3e9};
    for (size_t i = 0; i < 3; i++) {
        size_t filled = (size_t)snprintf(text, sizeof text, "x,c\n");
        for (int r = 0; r < 400; r++) {
            double c = sin(1.7 * r);
            filled += (size_t)snprintf(text + filled, sizeof text - filled, "%.8f,%.12g\n", 3 * c + 0.1 * sin(9.1 * r),
                                       origin[i] + scale[i] * c);
        }
        write_text("data.csv", text);
        json_t *fit = SUCCEED_JSON("fit", "data.csv", "--context", "c", "--flow", "maf(16)", "--epochs", "30", "--lr",
                                   "0.01", "-o", "m.st");
        nll[i] = number_in(fit, "val_nll");
        json_decref(fit);
        ck_assert_double_eq_tol(nll[i], nll[0], 2e-3);
    }
}
END_TEST

Suite *contexts_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("contexts", &tests);
    tcase_add_test(tests, by_name);
    tcase_add_test(tests, a_file_with_such_a_name);
    tcase_add_test(tests, beside_samples);
    tcase_add_test(tests, beyond_the_training);
    tcase_add_test(tests, units_of_a_context);
    return suite;
}
