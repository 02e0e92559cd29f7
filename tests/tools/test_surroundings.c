/* What a command finds around it: little stack, and variables of the environment that name nothing. */
#include "tools/command.h"

#include <stdlib.h>
#include <sys/resource.h>

/* Soft limit on the stack of the commands that follow; 0: as it was. */
static void limit_stack(rlim_t bytes)
{
    static struct rlimit before;
    struct rlimit limit;
    if (before.rlim_max == 0) ck_assert_int_eq(getrlimit(RLIMIT_STACK, &before), 0);
    limit = before;
    if (bytes) limit.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_STACK, &limit), 0);
}

static void in_little_stack(const char *const words[])
{
    limit_stack(128 << 10);
    int status = run_words(words);
    limit_stack(0);
    ck_assert_msg(status == 0, "weir %s: exit status %d: %s", words[1], status, complaint);
}

#define IN_LITTLE_STACK(...) in_little_stack(WORDS(__VA_ARGS__))

START_TEST(commands_in_little_stack)
{
    if (_i) ck_assert_int_eq(setenv("WEIR_ISA", "portable", 1), 0);
    IN_LITTLE_STACK("data", "moons", "-n", "500", "-o", "moons.npy");
    IN_LITTLE_STACK("fit", "moons.npy", "--flow", "(maf(16,16)-flip)*2", "--epochs", "2", "--threads", "3", "-o",
                    "moons.safetensors");
    IN_LITTLE_STACK("vi", "banana", "--flow", "(rqs(16)-flip)*2", "--iters", "20", "-o", "banana.safetensors");
    IN_LITTLE_STACK("nuts", "funnel", "--tune", "20", "--draws", "20", "--threads", "3", "-o", "trace.npy");
    IN_LITTLE_STACK("sample", "moons.safetensors", "-n", "100", "-o", "draws.csv");
    IN_LITTLE_STACK("logprob", "moons.safetensors", "draws.csv");
    IN_LITTLE_STACK("transform", "moons.safetensors", "moons.npy", "-o", "z.npy");
    IN_LITTLE_STACK("export", "moons.safetensors", "-o", "moons.onnx");
    IN_LITTLE_STACK("check", "(maf(16,16)-flip)*2", "--dim", "3");
    IN_LITTLE_STACK("info", "moons.safetensors");
}
END_TEST

START_TEST(searches_in_little_stack)
{
    IN_LITTLE_STACK("data", "moons", "-n", "300", "-o", "moons.npy");
    IN_LITTLE_STACK("fit", "moons.npy", "--budget", "0.5s", "-o", "moons.safetensors");
    IN_LITTLE_STACK("vi", "eight_schools", "--budget", "0.5s", "-o", "schools.safetensors");
}
END_TEST

/* `count` times what opens, what is within, and as many of what closes. */
static char *nested(const char *opens, const char *within, const char *closes, size_t count)
{
    char *text = malloc(count * (strlen(opens) + strlen(closes)) + strlen(within) + 1), *at = text;
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, opens);
    at = stpcpy(at, within);
    for (size_t i = 0; i < count; i++) at = stpcpy(at, closes);
    return text;
}

static const struct {
    const char *opens, *closes;
    size_t reach;
} levels[] = {{"(", ")", 60}, {"invert(", ")", 20}, {"on([2,1],", ")", 60}};

/* What is nested very deep is refused; what is allowed is within reach. */
START_TEST(deep_formulas_in_little_stack)
{
    for (size_t i = 0; i < COUNT(levels); i++) {
        char *deep = nested(levels[i].opens, "affine", levels[i].closes, 2000);
        char *deepest = nested(levels[i].opens, "affine", levels[i].closes, levels[i].reach);
        limit_stack(128 << 10);
        const int status = RUN("check", deep, "--dim", "2");
        limit_stack(0);
        ck_assert_int_eq(status, 2);
        assert_contains(complaint, "nested too deep");
        IN_LITTLE_STACK("check", deepest, "--dim", "2");
        free(deepest);
        free(deep);
    }
}
END_TEST

static void write_header(const char *name, const char *header)
{
    const uint64_t length = strlen(header);
    FILE *file = fopen(scratch_path(name).text, "wb");
    ck_assert_ptr_nonnull(file);
    fwrite(&length, sizeof length, 1, file);
    fputs(header, file);
    fclose(file);
}

START_TEST(deep_models_in_little_stack)
{
    char *arrays = nested("[", "", "]", 2000), *objects = nested("{\"a\":", "1", "}", 600);
    static char header[1 << 15];
    snprintf(header, sizeof header, "{\"x\":%s}", arrays);
    write_header("arrays.safetensors", header);
    write_header("objects.safetensors", objects);
    for (int i = 0; i < 2; i++) {
        limit_stack(128 << 10);
        const int status = RUN("info", i ? "objects.safetensors" : "arrays.safetensors");
        limit_stack(0);
        ck_assert_int_eq(status, 1);
        assert_contains(complaint, "nested too deep");
    }
    free(objects);
    free(arrays);
}
END_TEST

START_TEST(instruction_sets_that_there_are_not)
{
    static const char *const slips[] = {"avx1", "AVX2", "avx2 ", "x"};
    for (size_t i = 0; i < COUNT(slips); i++) {
        ck_assert_int_eq(setenv("WEIR_ISA", slips[i], 1), 0);
        ck_assert_int_eq(RUN("check", "affine", "--dim", "2"), 2);
        assert_contains(complaint, "WEIR_ISA=");
        assert_contains(complaint, slips[i]);
        assert_contains(complaint, "expected an instruction set of this CPU: portable");
    }
    ck_assert_int_eq(setenv("WEIR_ISA", "", 1), 0);
    SUCCEED("check", "affine", "--dim", "2");
    ck_assert_int_eq(setenv("WEIR_ISA", "portable", 1), 0);
    SUCCEED("check", "affine", "--dim", "2");
}
END_TEST

Suite *surroundings_suite(void)
{
    Suite *suite = suite_create("surroundings");
    TCase *commands = tcase_create("commands");
    tcase_add_checked_fixture(commands, scratch_begin, scratch_end);
    tcase_set_timeout(commands, 120);
    tcase_add_loop_test(commands, commands_in_little_stack, 0, 2);
    tcase_add_test(commands, searches_in_little_stack);
    tcase_add_test(commands, deep_formulas_in_little_stack);
    tcase_add_test(commands, deep_models_in_little_stack);
    tcase_add_test(commands, instruction_sets_that_there_are_not);
    suite_add_tcase(suite, commands);
    return suite;
}
