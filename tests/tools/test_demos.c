/* The demos: what they make, and that their scores are those of what they save. */
#include "tools/command.h"

#include <math.h>

START_TEST(demo)
{
    bool pictures = have_gnuplot();
    int status = RUN("demo", "moons", "-o", "demo", "--flow", "maf(8)", "--epochs", "2", "--json");
    ck_assert_int_eq(status, pictures ? 0 : 1);
    json_t *result = parse_output();
    double nll = number_in(result, "test_nll");
    ck_assert_double_gt(number_in(result, "test_nll_stderr"), 0);
    ck_assert_double_lt(number_in(result, "test_nll_stderr"), 0.1);
    ck_assert_double_gt(number_in(result, "seconds"), 0);
    ck_assert_double_eq(number_in(result, "rows"), 10000);
    ck_assert_double_eq(number_in(result, "test_rows"), 20000);
    ck_assert_double_gt(nll, number_in(result, "entropy")); /* as any density's must be, but for chance */
    json_decref(result);
    /* The score is that of the saved flow. */
    SUCCEED("data", "moons", "-n", "20000", "--seed", "2", "-o", "test.npy");
    json_t *score = SUCCEED_JSON("logprob", "demo/moons.safetensors", "test.npy");
    ck_assert_double_eq_tol(number_in(score, "nll"), nll, 1e-12);
    json_decref(score);
    ck_assert(!pictures || exists("demo/density.png"));
    ck_assert(exists("demo/samples.npy"));
    char remove[128];
    snprintf(remove, sizeof remove, "rm -r '%s/demo'", scratch);
    ck_assert_int_eq(system(remove), 0);
}
END_TEST

/* Few epochs are enough. */
START_TEST(demo_banana)
{
    bool pictures = have_gnuplot();
    int status = RUN("demo", "banana", "-o", "banana", "--epochs", "600", "--json");
    ck_assert_int_eq(status, pictures ? 0 : 1);
    json_t *result = parse_output();
    double nll = number_in(result, "test_nll");
    ck_assert_double_eq(number_in(result, "rows"), 512);
    ck_assert_double_gt(nll, number_in(result, "entropy"));
    ck_assert_double_lt(nll, 4.15); /* a Gaussian's: 1/2 log((2 pi e)^2 * 9 * 11.125) = 5.14 nats */
    ck_assert_double_eq(number_in(json_object_get(result, "options"), "weight-decay"), 1.0 / 512);
    json_decref(result);
    SUCCEED("data", "banana", "-n", "20000", "--seed", "2", "-o", "test.npy");
    json_t *score = SUCCEED_JSON("logprob", "banana/banana.safetensors", "test.npy");
    ck_assert_double_eq_tol(number_in(score, "nll"), nll, 1e-12);
    json_decref(score);
    ck_assert(exists("banana/banana.npy"));
    ck_assert(exists("banana/banana-samples.npy"));
    ck_assert(!pictures || (exists("banana/banana.png") && exists("banana/banana-steps.png")));
    char remove[128];
    snprintf(remove, sizeof remove, "rm -r '%s/banana'", scratch);
    ck_assert_int_eq(system(remove), 0);
}
END_TEST

START_TEST(figures_of_papers)
{
    if (!have_gnuplot()) return;
    json_t *made = SUCCEED_JSON("demo", "potentials", "-o", "demo", "--iters", "3", "--mc", "16");
    ck_assert_uint_eq(json_array_size(member(made, "fits")), 12);
    json_decref(made);
    ck_assert(exists("demo/potentials.png") && exists("demo/u4-32.safetensors"));
    made = SUCCEED_JSON("demo", "nfvi", "-o", "demo", "--iters", "20", "--nuts-draws", "20", "--threads", "1");
    ck_assert_uint_eq(json_array_size(member(made, "rows")), 18);
    /* pot2: z1 is Laplace of scale b = 10, z2 a normal of sd 0.4 around sin(πz1/2), and E cos(πz1) = 1 / (1 + π²b²) */
    json_t *exact = json_array_get(member(made, "rows"), 8);
    ck_assert_str_eq(text_in(exact, "target"), "pot2");
    ck_assert_str_eq(text_in(exact, "method"), "quadrature");
    ck_assert_double_eq_tol(number_in(exact, "mean1"), 0, 1e-9);
    ck_assert_double_eq_tol(number_in(exact, "mean2"), 0, 1e-9);
    ck_assert_double_eq_tol(number_in(exact, "sd1"), sqrt(200), 1e-4);
    const double pi = acos(-1);
    ck_assert_double_eq_tol(number_in(exact, "sd2"), sqrt(0.16 + 0.5 - 0.5 / (1 + 100 * pi * pi)), 1e-4);
    ck_assert_str_eq(text_in(json_array_get(member(made, "rows"), 6), "method"), "NUTS through the flow");
    json_decref(made);
    char remove[128];
    snprintf(remove, sizeof remove, "rm -r '%s/demo'", scratch);
    ck_assert_int_eq(system(remove), 0);
}
END_TEST

Suite *demos_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("demos", &tests);
    tcase_add_test(tests, demo);
    tcase_add_test(tests, demo_banana);
    tcase_add_test(tests, figures_of_papers);
    return suite;
}
