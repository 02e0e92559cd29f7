/* Signals at the worst moments: nothing that took long to come by is lost. A model larger than what a pipe holds goes
 * to a pipe that nobody empties, so that saving waits for the signals that are to come meanwhile. */
#include <weir/models.h>
#include "tools/command.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Instead of a signal's number: ctrl-C is typed once, or until the process ends, each time when the last is heeded. */
enum { TYPED = 1000, TYPED_ON };

/* The thread sanitizer keeps a signal back while a write waits: what is typed then would never be heeded. */
#ifdef __SANITIZE_THREAD__
enum { HEEDED = false };
#else
enum { HEEDED = true };
#endif

static void expect_on_terminal(int terminal, const char *text)
{
    static char screen[1 << 18];
    size_t filled = 0;
    ssize_t got;
    while ((got = read(terminal, screen + filled, sizeof screen - 1 - filled)) > 0) {
        filled += (size_t)got;
        screen[filled] = '\0';
        if (strstr(screen, text)) return;
    }
    ck_abort_msg("'%s' is not in: %s", text, screen);
}

static void type(int terminal)
{
    ck_assert_int_eq(write(terminal, "\x03", 1), 1);
}

/* Many times, since those that wait together count as one. */
static void send(int signal, pid_t child, int terminal)
{
    siginfo_t end;
    for (int i = 0; signal < TYPED && i < 10; i++) {
        kill(child, signal);
        usleep(100);
    }
    if (signal < TYPED) return;
    type(terminal);
    expect_on_terminal(terminal, "ctrl-C once more ends this and saves nothing");
    if (signal == TYPED) return;
    type(terminal);
    waitid(P_PID, (id_t)child, &end, WEXITED | WNOWAIT);
}

/* The command's state at its end. `before` (0: none) is sent in the training, `meanwhile` while the model is saved to
 * standard output; what came there is in the file of this name. */
static int signal_both(const char *const words[], int before, int meanwhile, const char *name)
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
        if (before == TYPED)
            type(terminal);
        else
            send(before, child, terminal);
    }
    for (ssize_t got; (got = read(ends[0], content + filled, filled ? sizeof content - filled : 1)) > 0;) {
        if (!filled) send(meanwhile, child, terminal);
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
    int state = signal_both(words, before, meanwhile, "m.safetensors");
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    int expected = !before ? 0 : 128 + (before == TYPED ? SIGINT : before);
    ck_assert_msg(WEXITSTATUS(state) == expected, "exit status %d: %s", WEXITSTATUS(state), complaint);
    if (before) assert_contains(complaint, "are in '/dev/stdout'");
    SUCCEED("info", "m.safetensors");
}

#define FIT(epochs) WORDS("fit", "moons.npy", "--flow", "maf(256,256)", "--epochs", epochs, "-o", "-")

/* In the training and then in the saving, or in the saving alone. */
static const int moments[][2] = {{SIGTERM, SIGTERM}, {SIGHUP, SIGHUP},   {SIGINT, SIGINT},   {SIGINT, SIGTERM},
                                 {SIGXCPU, SIGXCPU}, {SIGALRM, SIGALRM}, {SIGUSR1, SIGUSR2}, {0, SIGTERM},
                                 {0, SIGINT},        {0, SIGPIPE},       {TYPED, TYPED}};
enum { MOMENTS = COUNT(moments) - !HEEDED };

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
    int state = signal_both(WORDS("nuts", "gaussian", "--chains", "1", "--tune", "10", "-n", "5000", "-o", "-"), 0,
                            SIGTERM, "draws.csv");
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    ck_assert_int_eq(WEXITSTATUS(state), 0);
    nf_table draws;
    ck_assert_int_eq(nf_table_read(scratch_path("draws.csv").text, &draws, NULL), AD_OK);
    ck_assert_uint_eq(draws.rows, 5000);
    nf_table_free(&draws);
}
END_TEST

/* The pipe may never be emptied: typed again after what it will do is said, ctrl-C ends it. */
START_TEST(a_third_ctrl_c_ends_the_saving)
{
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    int state = signal_both(FIT("1000000"), TYPED, TYPED_ON, "m.safetensors");
    ck_assert(WIFSIGNALED(state));
    ck_assert_int_eq(WTERMSIG(state), SIGINT);
}
END_TEST

/* As `ulimit -t` sets it, for the system to kill without a word: what it leaves is time to save. */
START_TEST(processor_time_runs_out)
{
    struct rlimit old, two = {2, 2};
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    getrlimit(RLIMIT_CPU, &old);
    two.rlim_max = old.rlim_max < 2 ? old.rlim_max : 2;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setrlimit(RLIMIT_CPU, &two);
        _exit(RUN("fit", "moons.npy", "--flow", "maf(16)", "--epochs", "100000000", "-o", "m.safetensors"));
    }
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), 128 + SIGXCPU);
    SUCCEED("info", "m.safetensors");
}
END_TEST

/* The exit status where nobody reads what this standard file gets. */
static int run_without_reader(int standard, const char *const words[])
{
    int ends[2], state;
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (!freopen(scratch_path("complaint").text, "w", stderr)) _exit(126);
        dup2(ends[1], standard);
        become_command(words);
    }
    close(ends[1]);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    slurp(scratch_path("complaint").text, complaint, sizeof complaint);
    return WEXITSTATUS(state);
}

/* The model is there, and the exit status tells. */
START_TEST(a_report_without_a_reader)
{
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    ck_assert_int_eq(run_without_reader(STDOUT_FILENO, WORDS("fit", "moons.npy", "--flow", "loc", "--epochs", "1", "-o",
                                                             "m.safetensors")),
                     1);
    assert_contains(complaint, strerror(EPIPE));
    SUCCEED("info", "m.safetensors");
}
END_TEST

/* As behind `2>&1 | head -1`. What is to be read has two columns of one name, of which there is a warning. */
START_TEST(a_warning_without_a_reader)
{
    write_text("two.csv", "x,x\n1,2\n3,4.5\n-1,0\n2,2.5\n0,1\n");
    ck_assert_int_eq(run_without_reader(STDERR_FILENO, WORDS("fit", "two.csv", "--flow", "loc", "--epochs", "1", "-o",
                                                             "m.safetensors")),
                     0);
    SUCCEED("logprob", "m.safetensors", "two.csv");
    assert_contains(complaint, "warning");
    ck_assert_int_eq(run_without_reader(STDERR_FILENO, WORDS("logprob", "m.safetensors", "two.csv", "-o", "p.csv")), 0);
    ck_assert(exists("p.csv"));
}
END_TEST

/* No other file takes its place, for the report to be written into: a pipe, here, that gets a model. */
START_TEST(a_closed_standard_output)
{
    static char content[1 << 14];
    const file_path pipe_path = scratch_path("pipe");
    int state;
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    ck_assert_int_eq(mkfifo(pipe_path.text, 0600), 0);
    int from = open(pipe_path.text, O_RDONLY | O_NONBLOCK);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (!freopen(scratch_path("complaint").text, "w", stderr)) _exit(126);
        close(STDOUT_FILENO);
        become_command(WORDS("fit", "moons.npy", "--flow", "loc", "--epochs", "1", "-o", "pipe"));
    }
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), 1); /* the report has nowhere to go */
    ssize_t got = read(from, content, sizeof content);
    close(from);
    ck_assert_int_gt(got, 0);
    ck_assert_int_lt(got, sizeof content);
    scratch_write("m.safetensors", content, (size_t)got);
    SUCCEED("info", "m.safetensors");
}
END_TEST

Suite *signals_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("signals", &tests);
    tcase_add_loop_test(tests, a_fit_is_saved, 0, MOMENTS);
    tcase_add_loop_test(tests, an_inference_is_saved, 0, MOMENTS);
    tcase_add_test(tests, draws_are_written);
    tcase_add_test(tests, a_report_without_a_reader);
    tcase_add_test(tests, a_warning_without_a_reader);
    tcase_add_test(tests, a_closed_standard_output);
    if (HEEDED) tcase_add_test(tests, a_third_ctrl_c_ends_the_saving);
    tcase_add_test(tests, processor_time_runs_out);
    return suite;
}
