/* The weir command from data to scores: training, drawing, evaluating, checking. */
#include "tools/command.h"

#include <math.h>
#include <sys/stat.h>

START_TEST(from_data_to_scores)
{
    json_t *data = SUCCEED_JSON("data", "moons", "-n", "500", "--noise", "0.1", "--seed", "5", "-o", "moons.csv");
    ck_assert_str_eq(text_in(data, "output"), "moons.csv");
    ck_assert_double_eq(number_in(data, "rows"), 500);
    json_decref(data);

    json_t *fit = SUCCEED_JSON("fit", "moons.csv", "--flow", "maf(16) - flip - maf(16)", "--epochs", "4", "--batch",
                               "100", "--val-fraction", "0.2", "--schedule", "cosine", "-o", "moons.safetensors");
    ck_assert_str_eq(text_in(fit, "formula"), "maf(16)-flip-maf(16)-standardize");
    ck_assert(json_is_true(member(fit, "standardize_appended")));
    ck_assert_str_eq(text_in(fit, "output"), "moons.safetensors");
    ck_assert_str_eq(text_in(fit, "outcome"), "finished");
    ck_assert_double_eq(number_in(fit, "rows"), 500);
    ck_assert_double_eq(number_in(fit, "train_rows"), 400);
    ck_assert_double_eq(number_in(fit, "val_rows"), 100);
    ck_assert_double_eq(number_in(fit, "epochs"), 4);
    ck_assert_double_eq(number_in(fit, "steps"), 16);
    ck_assert_double_gt(number_in(fit, "seconds"), 0);
    ck_assert_double_gt(number_in(fit, "rows_per_second"), 0);
    json_t *val_nll = member(member(fit, "history"), "val_nll");
    ck_assert_uint_eq(json_array_size(val_nll), 4);
    size_t best = (size_t)number_in(fit, "best_epoch");
    ck_assert_double_eq(json_number_value(json_array_get(val_nll, best - 1)), number_in(fit, "val_nll"));
    for (size_t i = 0; i < 4; i++)
        ck_assert_double_ge(json_number_value(json_array_get(val_nll, i)), number_in(fit, "val_nll"));

    json_t *info = SUCCEED_JSON("info", "moons.safetensors"), *training = member(info, "training");
    ck_assert_str_eq(text_in(info, "formula"), text_in(fit, "formula"));
    ck_assert_double_eq(number_in(info, "dim"), 2);
    ck_assert_str_eq(text_in(info, "dtype"), "float32");
    ck_assert_double_eq(number_in(info, "parameters"), number_in(fit, "parameters"));
    ck_assert_double_eq(number_in(training, "val_nll"), number_in(fit, "val_nll"));
    ck_assert_str_eq(text_in(training, "data"), "moons.csv");
    ck_assert_double_eq(number_in(member(training, "options"), "batch"), 100);
    ck_assert_str_eq(text_in(member(training, "options"), "schedule"), "cosine");
    ck_assert_double_eq(number_in(member(training, "options"), "seed"), 1);
    SUCCEED("info", "moons.safetensors");
    assert_contains(output, "maf(16)-flip-maf(16)-standardize");
    assert_contains(output, "moons.csv: 500 rows");
    ck_assert_ptr_null(strstr(output, "--lr")); /* an option that was not given and has no value */
    json_decref(fit);
    json_decref(info);

    json_t *sample = SUCCEED_JSON("sample", "moons.safetensors", "-n", "50", "--seed", "9", "-o", "samples.csv");
    ck_assert_double_eq(number_in(sample, "rows"), 50);
    ck_assert_double_eq(number_in(sample, "columns"), 2);
    json_decref(sample);
    char text[1 << 14];
    slurp(scratch_path("samples.csv").text, text, sizeof text);
    ck_assert_uint_eq(lines(text), 51);
    ck_assert_int_eq(strncmp(text, "x,y\n", 4), 0); /* named as the data was */

    json_t *score = SUCCEED_JSON("logprob", "moons.safetensors", "samples.csv", "-o", "logp.csv");
    slurp(scratch_path("logp.csv").text, text, sizeof text);
    double sum = 0, squares = 0;
    char *at = strchr(text, '\n');
    for (int i = 0; i < 50; i++) {
        double log_prob = strtod(at, &at);
        sum += log_prob;
        squares += log_prob * log_prob;
    }
    ck_assert_str_eq(at, "\n");
    ck_assert_double_eq_tol(number_in(score, "nll"), -sum / 50, 1e-6);
    ck_assert_double_eq_tol(number_in(score, "nll_stderr"), sqrt((squares - sum * sum / 50) / 49 / 50), 1e-6);
    json_decref(score);
    SUCCEED("logprob", "moons.safetensors", "samples.csv", "--outliers", "0");
    ck_assert_uint_eq(lines(output), 1);
}
END_TEST

START_TEST(same_seed_same_flow)
{
    char first[1 << 12], other[1 << 12];
    size_t bytes = 0;
    static const char *const seeds[] = {"1", "1", "2"}, *const threads[] = {"1", "3", "1"};
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    for (size_t i = 0; i < 3; i++) {
        SUCCEED("fit", "moons.npy", "--flow", "maf(16)", "--epochs", "2", "--seed", seeds[i], "--threads", threads[i],
                "-o", "m.safetensors");
        SUCCEED("sample", "m.safetensors", "-n", "20", "--threads", threads[i], "-o", "samples.npy");
        bytes = slurp(scratch_path("samples.npy").text, i ? other : first, sizeof first);
        if (i == 1) ck_assert_mem_eq(first, other, bytes);
        if (i == 2) ck_assert_mem_ne(first, other, bytes);
    }
}
END_TEST

START_TEST(standardize)
{
    write_text("far.csv", "1000,5\n1001,7\n1002,6\n1003,5\n");
    static const struct {
        const char *flow, *option, *formula;
        bool appended;
    } cases[] = {
        {"flip", "--json", "flip-standardize", true},
        {"flip", "--no-standardize", "flip", false},
        {"standardize-maf(4)", "--json", "standardize-maf(4)", false},
        {"(flip-standardize)*2", "--json", "(flip-standardize)*2", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *fit = SUCCEED_JSON("fit", "far.csv", "--flow", cases[i].flow, cases[i].option, "--epochs", "1", "-o",
                                   "m.safetensors");
        ck_assert_str_eq(text_in(fit, "formula"), cases[i].formula);
        ck_assert_int_eq(json_is_true(member(fit, "standardize_appended")), cases[i].appended);
        json_decref(fit);
    }
}
END_TEST

/* So few rows are soon learnt by heart, and the validation loss rises. */
START_TEST(scores_are_of_the_best_epoch)
{
    SUCCEED("data", "moons", "-n", "60", "-o", "moons.npy");
    json_t *fit = SUCCEED_JSON("fit", "moons.npy", "--flow", "maf(64,64)*2", "--epochs", "60", "--lr", "0.02",
                               "--batch", "20", "--val-fraction", "0.3", "-o", "m.safetensors");
    size_t best = (size_t)number_in(fit, "best_epoch");
    ck_assert_uint_lt(best, 60);
    static const char *const names[] = {"train_nll", "val_nll"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *losses = member(member(fit, "history"), names[i]);
        ck_assert_double_eq(number_in(fit, names[i]), json_number_value(json_array_get(losses, best - 1)));
    }
    json_decref(fit);
}
END_TEST

START_TEST(zero_turns_validation_off)
{
    SUCCEED("data", "moons", "-n", "100", "-o", "moons.npy");
    json_t *fit = SUCCEED_JSON("fit", "moons.npy", "--flow", "maf(8)", "--epochs", "2", "--val-fraction", "0", "-o",
                               "m.safetensors");
    ck_assert_double_eq(number_in(fit, "train_rows"), 100);
    ck_assert_double_eq(number_in(fit, "val_rows"), 0);
    ck_assert(json_is_null(member(fit, "val_nll")));
    ck_assert(json_is_number(member(fit, "train_nll")));
    json_decref(fit);
}
END_TEST

START_TEST(check_tells_all)
{
    json_t *result = SUCCEED_JSON("check", "(maf(8)-flip)*2", "--dim", "3"), *check;
    size_t i;
    ck_assert(json_is_true(member(result, "passed")));
    ck_assert_double_eq(number_in(result, "dim"), 3);
    ck_assert_uint_ge(json_array_size(member(result, "checks")), 5);
    json_array_foreach(member(result, "checks"), i, check)
    {
        ck_assert_double_le(number_in(check, "worst"), number_in(check, "bound"));
        ck_assert_str_ne(text_in(check, "property"), "");
    }
    json_decref(result);
}
END_TEST

START_TEST(numbers_to_standard_output)
{
    make_model();
    SUCCEED("sample", "moons.safetensors", "-n", "5", "-o", "/dev/stdout");
    ck_assert_uint_eq(lines(output), 5 + (output[0] == 'x'));
    assert_contains(complaint, "5 samples");
}
END_TEST

/* What a shell makes of a line, in the scratch directory with `weir` on the path. */
static int shell(const char *line)
{
    static char whole[4096];
    const char *slash = strrchr(WEIR_COMMAND, '/');
    snprintf(whole, sizeof whole, "cd %s && PATH=%.*s:$PATH && exec 2>/dev/null; %s", scratch,
             (int)(slash - WEIR_COMMAND), WEIR_COMMAND, line);
    int state = system(whole);
    ck_assert(WIFEXITED(state));
    return WEXITSTATUS(state);
}

START_TEST(standard_input_and_output)
{
    make_model();
    char piped[4096], direct[4096];
    ck_assert_int_eq(shell("weir data moons -n 20 -o - >direct.csv && weir data moons -n 20 -o - | tee points.csv |"
                           "weir logprob moons.safetensors - -o - >piped.csv"),
                     0);
    SUCCEED("logprob", "moons.safetensors", "points.csv", "-o", "logp.csv");
    slurp(scratch_path("piped.csv").text, piped, sizeof piped);
    slurp(scratch_path("logp.csv").text, direct, sizeof direct);
    ck_assert_uint_eq(lines(direct), 21);
    ck_assert_str_eq(piped, direct);
    ck_assert_int_eq(shell("weir fit - --flow loc --epochs 1 -o - <moons.npy >m.safetensors"), 0);
    ck_assert_int_eq(shell("weir info - <m.safetensors >info.txt"), 0);
    ck_assert(!exists("-"));
}
END_TEST

/* The reader sees the numbers, and not an end before. */
START_TEST(named_pipes)
{
    char piped[4096], direct[4096];
    make_model();
    SUCCEED("sample", "moons.safetensors", "-n", "20", "-o", "direct.csv");
    ck_assert_int_eq(mkfifo(scratch_path("pipe.csv").text, 0600), 0);
    ck_assert_int_eq(RUN("sample", "moons.safetensors", "-n", "20", "-o", "pipe.csv"), 1);
    assert_contains(complaint, "nobody reads from this pipe; start its reader first");
    /* A reader opens the pipe at some time, and the command succeeds from then on. */
    ck_assert_int_eq(shell("cat pipe.csv >piped.csv & "
                           "n=0; until weir sample moons.safetensors -n 20 -o pipe.csv; do n=$((n + 1)); "
                           "[ $n -lt 1000 ] || exit 1; done; wait"),
                     0);
    slurp(scratch_path("piped.csv").text, piped, sizeof piped);
    slurp(scratch_path("direct.csv").text, direct, sizeof direct);
    ck_assert_str_eq(piped, direct);
}
END_TEST

START_TEST(full_standard_output)
{
    int state = system("\"" WEIR_COMMAND "\" --help >/dev/full 2>/dev/null");
    ck_assert_int_eq(WEXITSTATUS(state), 1);
}
END_TEST

Suite *scores_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("scores", &tests);
    tcase_add_test(tests, from_data_to_scores);
    tcase_add_test(tests, same_seed_same_flow);
    tcase_add_test(tests, standardize);
    tcase_add_test(tests, scores_are_of_the_best_epoch);
    tcase_add_test(tests, zero_turns_validation_off);
    tcase_add_test(tests, check_tells_all);
    tcase_add_test(tests, numbers_to_standard_output);
    tcase_add_test(tests, standard_input_and_output);
    tcase_add_test(tests, named_pipes);
    tcase_add_test(tests, full_standard_output);
    return suite;
}
