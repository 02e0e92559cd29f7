/* Models whose place turns out, when the work is done, not to take them: they are kept elsewhere. /dev/full is what a
 * full disk looks like: it opens, but nothing can be written. */
#include "tools/command.h"

#include <errno.h>
#include <sys/resource.h>

#define FIT(...)                                                                                                       \
    {                                                                                                                  \
        "weir", "fit", "moons.npy", "--flow", "loc", __VA_ARGS__, "-o", "/dev/full", "--json", NULL                    \
    }
static const char *const works[][16] = {
    FIT("--epochs", "1"),
    FIT("--epochs", "5", "--no-standardize", "--lr", "1e300"), /* this one diverges too */
    {"weir", "vi", "gaussian", "--flow", "loc", "--iters", "1", "--draws", "10", "-o", "/dev/full", "--json", NULL},
};

/* The complaint names the file, which has the model. */
static void assert_kept_in(const char *directory)
{
    char start[PATH_MAX], name[PATH_MAX];
    snprintf(start, sizeof start, "'/dev/full': %s; the model is in '%s/weir-", strerror(ENOSPC), directory);
    assert_contains(complaint, start);
    ck_assert_int_eq(sscanf(strstr(complaint, "is in '"), "is in '%4000[^']", name), 1);
    json_t *result = parse_output();
    ck_assert_str_eq(text_in(result, "output"), name);
    json_decref(result);
    SUCCEED("info", name);
}

START_TEST(in_the_current_directory)
{
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    ck_assert_int_eq(run_words(works[_i]), 1);
    if (_i == 1) assert_contains(complaint, "diverged");
    assert_kept_in(".");
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

START_TEST(among_temporary_files)
{
    char directory[sizeof scratch];
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    file_path data = scratch_path("moons.npy");
    const char *const *words = WORDS("fit", data.text, "--flow", "loc", "--epochs", "1", "-o", "/dev/full", "--json");
    setenv("TMPDIR", scratch, 1);
    strcpy(directory, scratch);
    strcpy(scratch, "/proc"); /* where the command is run, and nobody can make files */
    int status = run_words(words);
    strcpy(scratch, directory);
    ck_assert_int_eq(status, 1);
    assert_kept_in(directory);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

/* Then nothing is left behind, and nothing is called saved. */
START_TEST(nowhere)
{
    struct rlimit old, small;
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 2000;
    setrlimit(RLIMIT_FSIZE, &small);
    int status = RUN("fit", "moons.npy", "--flow", "maf(64)", "--epochs", "1", "-o", "m.safetensors");
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(status, 1);
    assert_contains(complaint, strerror(EFBIG));
    assert_contains(complaint, "nor is there a place for it in the current directory or in '/");
    assert_contains(output, "training ");
    ck_assert_ptr_null(strstr(output, "saved"));
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

Suite *keep_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("keep", &tests);
    tcase_add_loop_test(tests, in_the_current_directory, 0, COUNT(works));
    tcase_add_test(tests, among_temporary_files);
    tcase_add_test(tests, nowhere);
    return suite;
}
