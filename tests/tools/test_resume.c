/* Commands that go on from a checkpoint, and what they refuse to go on with. */
#include <weir/models.h>
#include "tools/command.h"

#include <sys/stat.h>

#define FIT "fit", "moons.npy", "--flow", "maf(16)-flip-maf(16)", "--epochs", "40", "-o", "m.safetensors"

/* A fit that is interrupted as soon as it has written a checkpoint. */
static void interrupt_a_fit(void)
{
    SUCCEED("data", "moons", "-n", "3000", "-o", "moons.npy");
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        freopen("/dev/null", "w", stdout);
        freopen(scratch_path("told").text, "w", stderr);
        become_command(WORDS("fit", "moons.npy", "--flow", "maf(16)-flip-maf(16)", "--epochs", "1000000", "-o",
                             "m.safetensors", "--checkpoint", "1ms"));
    }
    while (!exists("m.safetensors.checkpoint")) usleep(1000);
    kill(child, SIGTERM);
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), 128 + SIGTERM);
    ck_assert(exists("m.safetensors"));
}

static void refuse(const char *const words[], int expected, const char *part)
{
    ck_assert_int_eq(run_words(words), expected);
    assert_contains(complaint, part);
    ck_assert(exists("m.safetensors.checkpoint"));
}

START_TEST(what_changes_bits_is_refused)
{
    interrupt_a_fit();
    refuse(WORDS("fit", "--resume", "m.safetensors", "--epochs", "5"), 2, "it began with --epochs 1000000");
    refuse(WORDS("fit", "--resume", "m.safetensors", "--ema", "0.9"), 2, "it began with --ema 0");
    refuse(WORDS("fit", "--resume", "m.safetensors", "--weights", "1"), 2, "it began without --weights");
    refuse(WORDS("fit", "other.npy", "--resume", "m.safetensors"), 2, "it began with DATA 'moons.npy'");
    refuse(WORDS("fit", "--resume", "m.safetensors", "-o", "n.safetensors"), 2, "it began with --output m.safetensors");
    refuse(WORDS("vi", "--resume", "m.safetensors"), 2, "is of 'weir fit', not of 'weir vi'");
    SUCCEED("data", "moons", "-n", "3000", "--seed", "2", "-o", "moons.npy");
    refuse(WORDS("fit", "--resume", "m.safetensors"), 2, "'moons.npy' is another file");
    SUCCEED("data", "moons", "-n", "3001", "-o", "moons.npy");
    refuse(WORDS("fit", "--resume", "m.safetensors"), 2, "its size is another");
    ck_assert_int_eq(unlink(scratch_path("moons.npy").text), 0);
    refuse(WORDS("fit", "--resume", "m.safetensors"), 1, "cannot read 'moons.npy'");
    write_text("m.safetensors.checkpoint", "rubbish that is long enough for a length");
    refuse(WORDS("fit", "--resume", "m.safetensors"), 1, "not a safetensors file");
}
END_TEST

START_TEST(a_finished_fit_has_none)
{
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    SUCCEED(FIT, "--checkpoint", "1ms");
    ck_assert_int_eq(scratch_files(false), 2);
    ck_assert_int_eq(RUN("fit", "--resume", "m.safetensors"), 1);
    assert_contains(complaint, "'m.safetensors' is finished");
    ck_assert_int_eq(RUN("fit", "--resume", "n.safetensors.checkpoint"), 1);
    assert_contains(complaint, "'n.safetensors' has no checkpoint 'n.safetensors.checkpoint'");
}
END_TEST

START_TEST(an_interrupted_fit_says_how_to_go_on)
{
    interrupt_a_fit();
    json_t *info = SUCCEED_JSON("info", "m.safetensors");
    ck_assert_str_eq(text_in(member(info, "training"), "outcome"), "interrupted");
    json_decref(info);
    /* Given again, by the other name: it goes on, as it is told by being interrupted at its first checkpoint. */
    struct stat old, now;
    ck_assert_int_eq(stat(scratch_path("m.safetensors.checkpoint").text, &old), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        freopen("/dev/null", "w", stdout);
        freopen(scratch_path("told").text, "w", stderr);
        become_command(WORDS("fit", "moons.npy", "--resume", "m.safetensors.checkpoint", "--flow",
                             "maf(16)-flip-maf(16)", "--checkpoint", "1ms", "--threads", "1", "--json"));
    }
    do {
        usleep(1000);
        ck_assert_int_eq(stat(scratch_path("m.safetensors.checkpoint").text, &now), 0);
    } while (now.st_ino == old.st_ino);
    kill(child, SIGTERM);
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    slurp(scratch_path("told").text, complaint, sizeof complaint);
    ck_assert_int_eq(WEXITSTATUS(state), 128 + SIGTERM);
    assert_contains(complaint, "'weir fit --resume m.safetensors' goes on");
    /* Begun anew, it warns. */
    SUCCEED("fit", "moons.npy", "--flow", "maf(4)", "--epochs", "1", "-o", "m.safetensors");
    assert_contains(complaint, "of work that was interrupted");
    ck_assert(!exists("m.safetensors.checkpoint"));
}
END_TEST

START_TEST(there_is_none_without_a_file)
{
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    ck_assert_int_eq(RUN("vi", "banana", "--iters", "10", "--checkpoint", "1m"), 2);
    assert_contains(complaint, "give a file as -o");
    SUCCEED("fit", "moons.npy", "--flow", "maf(4)", "--epochs", "1", "-o", "/dev/null");
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

/* It would be taken for one, and removed. */
START_TEST(no_output_is_called_a_checkpoint)
{
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    ck_assert_int_eq(RUN("fit", "moons.npy", "--flow", "loc", "--epochs", "1", "-o", "m.checkpoint"), 2);
    assert_contains(complaint, "output 'm.checkpoint': checkpoints are called so");
    ck_assert_int_eq(RUN("vi", "banana", "--iters", "10", "--checkpoint", "0", "-o", "m.checkpoint"), 2);
    ck_assert_int_eq(scratch_files(false), 1);
}
END_TEST

START_TEST(an_earlier_one_that_stays_is_told)
{
    interrupt_a_fit();
    SUCCEED("fit", "moons.npy", "--flow", "loc", "--epochs", "1", "-o", "m.safetensors", "--checkpoint", "0");
    assert_contains(complaint, "this begins anew, and leaves it there");
    ck_assert(exists("m.safetensors.checkpoint"));
}
END_TEST

Suite *resume_suite(void);

Suite *resume_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("resume", &tests);
    tcase_add_test(tests, what_changes_bits_is_refused);
    tcase_add_test(tests, a_finished_fit_has_none);
    tcase_add_test(tests, an_interrupted_fit_says_how_to_go_on);
    tcase_add_test(tests, there_is_none_without_a_file);
    tcase_add_test(tests, no_output_is_called_a_checkpoint);
    tcase_add_test(tests, an_earlier_one_that_stays_is_told);
    return suite;
}
