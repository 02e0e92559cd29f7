/* Signals at the worst moments: nothing that took long to come by is lost. A model larger than what a pipe holds goes
 * to a pipe that nobody empties, so that saving waits for the signals that are to come meanwhile. */
#include <weir/models.h>
#include "tools/command.h"

#include <errno.h>
#include <pty.h>

/* The command's state at its end. `before` (0: none) is sent in the training, `meanwhile`, twice, while the model is
 * saved to standard output; what came there is in the file of this name. */
static int signal_twice(const char *const words[], int before, int meanwhile, const char *name)
{
    static char content[1 << 20];
    int ends[2], terminal, state;
    size_t filled = 0, told = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        become_command(words);
    }
    close(ends[1]);
    if (before) { /* the bar shows that the training has begun */
        ck_assert_int_gt(read(terminal, complaint, 1), 0);
        kill(child, before);
    }
    for (ssize_t got; (got = read(ends[0], content + filled, filled ? sizeof content - filled : 1)) > 0;) {
        if (!filled) {
            kill(child, meanwhile);
            kill(child, meanwhile);
        }
        filled += (size_t)got;
    }
    close(ends[0]);
    for (ssize_t got; (got = read(terminal, complaint + told, sizeof complaint - 1 - told)) > 0;) told += (size_t)got;
    complaint[told] = '\0';
    close(terminal);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    scratch_write(name, content, filled);
    return state;
}

static void assert_kept(const char *const words[], int before, int meanwhile)
{
    int state = signal_twice(words, before, meanwhile, "m.safetensors");
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    ck_assert_msg(WEXITSTATUS(state) == (before ? 128 + before : 0), "exit status %d: %s", WEXITSTATUS(state),
                  complaint);
    if (before) assert_contains(complaint, "are in '/dev/stdout'");
    SUCCEED("info", "m.safetensors");
}

#define FIT(epochs) WORDS("fit", "moons.npy", "--flow", "maf(256,256)", "--epochs", epochs, "-o", "-")

/* In the training and then in the saving, or in the saving alone. */
static const int moments[][2] = {{SIGTERM, SIGTERM}, {SIGHUP, SIGHUP},   {SIGINT, SIGTERM}, {0, SIGTERM},
                                 {0, SIGHUP},        {SIGXCPU, SIGXCPU}, {0, SIGPIPE}};

START_TEST(a_fit_is_saved)
{
    const int before = moments[_i][0];
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    assert_kept(before ? FIT("1000000") : FIT("1"), before, moments[_i][1]);
}
END_TEST

#define VI(iters) WORDS("vi", "pot1", "--flow", "maf(256,256)", "--mc", "2", "--iters", iters, "-o", "-")

START_TEST(an_inference_is_saved)
{
    const int before = moments[_i][0];
    assert_kept(before ? VI("1000000000") : VI("1"), before, moments[_i][1]);
}
END_TEST

START_TEST(draws_are_written)
{
    int state = signal_twice(WORDS("nuts", "gaussian", "--chains", "1", "--tune", "10", "-n", "5000", "-o", "-"), 0,
                             SIGTERM, "draws.csv");
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    ck_assert_int_eq(WEXITSTATUS(state), 0);
    nf_table draws;
    ck_assert_int_eq(nf_table_read(scratch_path("draws.csv").text, &draws, NULL), AD_OK);
    ck_assert_uint_eq(draws.rows, 5000);
    nf_table_free(&draws);
}
END_TEST

/* Typed twice, ctrl-C ends it: the pipe may never be emptied. */
START_TEST(a_second_ctrl_c_ends_the_saving)
{
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    int state = signal_twice(FIT("1000000"), SIGINT, SIGINT, "m.safetensors");
    ck_assert(WIFSIGNALED(state));
    ck_assert_int_eq(WTERMSIG(state), SIGINT);
}
END_TEST

/* Nobody reads what standard output gets: the model is there, and the exit status tells. */
START_TEST(a_report_without_a_reader)
{
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    int ends[2], state;
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        if (!freopen(scratch_path("complaint").text, "w", stderr)) _exit(126);
        become_command(WORDS("fit", "moons.npy", "--flow", "loc", "--epochs", "1", "-o", "m.safetensors"));
    }
    close(ends[1]);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    ck_assert_int_eq(WEXITSTATUS(state), 1);
    slurp(scratch_path("complaint").text, complaint, sizeof complaint);
    assert_contains(complaint, strerror(EPIPE));
    SUCCEED("info", "m.safetensors");
}
END_TEST

Suite *signals_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("signals", &tests);
    tcase_add_loop_test(tests, a_fit_is_saved, 0, COUNT(moments));
    tcase_add_loop_test(tests, an_inference_is_saved, 0, COUNT(moments));
    tcase_add_test(tests, draws_are_written);
    tcase_add_test(tests, a_report_without_a_reader);
    tcase_add_test(tests, a_second_ctrl_c_ends_the_saving);
    return suite;
}
