/* Models whose place turns out, when the work is done, not to take them: they are kept elsewhere. /dev/full is what a
 * full disk looks like: it opens, but nothing can be written. */
#include <weir/models.h>
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
    {"weir", "fit", "moons.npy", "--budget", "1s", "-o", "/dev/full", "--json", NULL},
    {"weir", "vi", "gaussian", "--flow", "loc", "--iters", "1", "--draws", "10", "-o", "/dev/full", "--json", NULL},
    {"weir", "vi", "gaussian", "--budget", "1s", "--draws", "10", "-o", "/dev/full", "--json", NULL},
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

START_TEST(draws)
{
    const file_path link = scratch_path("d.npy");
    ck_assert_int_eq(symlink("/dev/full", link.text), 0);
    ck_assert_int_eq(RUN("nuts", "gaussian", "--chains", "1", "--tune", "10", "-n", "100", "-o", "d.npy", "--json"), 1);
    assert_contains(complaint, strerror(ENOSPC));
    assert_contains(complaint, "; the draws are in './weir-");
    json_t *result = parse_output();
    ck_assert_uint_ge(json_array_size(member(result, "parameters")), 1);
    nf_table table;
    ck_assert_int_eq(nf_table_read(scratch_path(text_in(result, "output")).text, &table, NULL), AD_OK);
    ck_assert_uint_eq(table.rows, 100);
    nf_table_free(&table);
    json_decref(result);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

/* What can't be written is told as far as it is told at all. */
START_TEST(a_mean)
{
    make_model();
    ck_assert_int_eq(symlink("/dev/full", scratch_path("p.npy").text), 0);
    ck_assert_int_eq(RUN("logprob", "moons.safetensors", "moons.npy", "-o", "p.npy", "--json"), 1);
    assert_contains(complaint, strerror(ENOSPC));
    json_t *result = parse_output();
    ck_assert(json_is_number(member(result, "nll")));
    ck_assert_ptr_null(json_object_get(result, "output"));
    json_decref(result);
}
END_TEST

/* Then nothing is left behind, and nothing is called saved. */
START_TEST(nowhere)
{
    struct rlimit old, small;
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &small);
    int status = RUN("fit", "moons.npy", "--flow", "maf(256,256)", "--epochs", "1", "-o", "m.safetensors");
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(status, 1);
    assert_contains(complaint, strerror(EFBIG));
    assert_contains(complaint, "nor is there a place for it in the current directory or in '/");
    assert_contains(output, "training ");
    ck_assert_ptr_null(strstr(output, "saved"));
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

/* ---- Before the work ------------------------------------------------------------------------------------------- */

static const char *const no_room[][12] = {
    {"weir", "data", "moons", "-o", "d.npy"},
    {"weir", "fit", "moons.npy", "-o", "d.safetensors"},
    {"weir", "vi", "pot1", "-o", "d.safetensors"},
    {"weir", "nuts", "gaussian", "-o", "d.npy"},
    {"weir", "sample", "moons.safetensors", "-o", "d.npy"},
    {"weir", "logprob", "moons.safetensors", "moons.npy", "-o", "d.npy"},
    {"weir", "transform", "moons.safetensors", "moons.npy", "-o", "d.npy"},
    {"weir", "plot", "moons.safetensors", "-o", "d.png"},
    {"weir", "demo", "moons", "-o", "."},
    {"weir", "demo", "banana", "-o", "."},
    {"weir", "demo", "potentials", "-o", "."},
    {"weir", "demo", "nfvi", "-o", "."},
};

/* A disk that has room for words, and for no file. */
START_TEST(no_room_is_told_first)
{
    struct rlimit old, small;
    make_model();
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 2000;
    setrlimit(RLIMIT_FSIZE, &small);
    int status = run_words(no_room[_i]);
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(status, 1);
    assert_contains(complaint, "no room for '");
    assert_contains(complaint, strerror(EFBIG));
    ck_assert_uint_eq(lines(complaint), 1);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

/* With another mistake, that comes to light in the work. */
static const char *const bad_names[][12] = {
    {"weir", "data", "moons", "-n", "4000000000", "-o", "d.xyz"},
    {"weir", "nuts", "gaussian", "--flow", "missing.safetensors", "-o", "d.xyz"},
    {"weir", "sample", "moons.safetensors", "--steps", "99", "-o", "d.xyz"},
    {"weir", "logprob", "moons.safetensors", "missing.npy", "-o", "d.xyz"},
    {"weir", "transform", "moons.safetensors", "missing.npy", "-o", "d.xyz"},
};

START_TEST(bad_names_are_told_first)
{
    make_model();
    ck_assert_int_eq(run_words(bad_names[_i]), 2);
    assert_contains(complaint, "no known extension '.xyz'");
}
END_TEST

Suite *keep_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("keep", &tests);
    tcase_add_loop_test(tests, in_the_current_directory, 0, COUNT(works));
    tcase_add_test(tests, among_temporary_files);
    tcase_add_test(tests, draws);
    tcase_add_test(tests, a_mean);
    tcase_add_test(tests, nowhere);
    tcase_add_loop_test(tests, no_room_is_told_first, 0, COUNT(no_room));
    tcase_add_loop_test(tests, bad_names_are_told_first, 0, COUNT(bad_names));
    return suite;
}
