/* Signals while gnuplot draws: it is never left behind. Whether it is gone is seen on a pipe that it inherits: that is
 * at its end when nobody has it. */
#include "pictures/gnuplot.h"
#include "interrupt.h"
#include "tools/command.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>

/* What takes gnuplot's place: it lets signals pass, as gnuplot does, and never ends. */
static const char stand_in[] = "#!/bin/sh\ntrap '' INT TERM HUP\necho started >&9\nexec tail -f /dev/null\n";
enum { PIPE = 9 };

/* First on the path. Returns the end of the pipe to read from; the other one is PIPE in the child. */
static int start(pid_t *child)
{
    int ends[2];
    write_text("gnuplot", stand_in);
    ck_assert_int_eq(chmod(scratch_path("gnuplot").text, 0755), 0);
    ck_assert_int_eq(pipe(ends), 0);
    *child = fork();
    ck_assert_int_ge(*child, 0);
    close(ends[*child != 0]);
    if (*child) return ends[0];
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s:%s", scratch, getenv("PATH"));
    setenv("PATH", path, 1);
    dup2(ends[1], PIPE);
    close(ends[1]);
    if (!freopen(scratch_path("complaint").text, "w", stderr)) _exit(126);
    return -1;
}

/* Its exit status; and nobody is left behind, who would have the pipe open still. */
static int finish(pid_t child, int from)
{
    char byte;
    int state;
    ssize_t got;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_int_eq(fcntl(from, F_SETFL, O_NONBLOCK), 0);
    while ((got = read(from, &byte, 1)) == 1) continue;
    ck_assert_msg(got == 0, "gnuplot is left behind");
    close(from);
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    return WEXITSTATUS(state);
}

START_TEST(interrupt_ends_gnuplot)
{
    pid_t child;
    char text[256];
    make_model();
    int from = start(&child);
    if (from < 0) become_command(WORDS("plot", "moons.safetensors", "-n", "10", "-o", "p.png"));
    ck_assert_int_eq(read(from, text, 7), 7);
    kill(child, SIGINT);
    ck_assert_int_eq(finish(child, from), 130);
    slurp(scratch_path("complaint").text, text, sizeof text);
    assert_contains(text, "there is no picture");
    ck_assert(!exists("p.png"));
}
END_TEST

/* ---- At the worst moments ------------------------------------------------------------------------------------- */

/* How many signals come right before gnuplot is started, and right behind; the linker's --wrap leads there. */
static const struct {
    int signal, before, behind;
} moments[] = {{SIGINT, 1, 0}, {SIGINT, 0, 1}, {SIGTERM, 0, 2}, {SIGINT, 1, 1}, {SIGHUP, 0, 1}};
static int moment = -1;

int __wrap_posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const words[], char *const environment[]);
int __real_posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const words[], char *const environment[]);

int __wrap_posix_spawnp(pid_t *child, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const words[], char *const environment[])
{
    for (int i = 0; moment >= 0 && i < moments[moment].before; i++) raise(moments[moment].signal);
    int failure = __real_posix_spawnp(child, file, actions, attributes, words, environment);
    for (int i = 0; moment >= 0 && i < moments[moment].behind; i++) raise(moments[moment].signal);
    return failure;
}

START_TEST(signals_around_the_start)
{
    pid_t child;
    int from = start(&child);
    if (from < 0) {
        ad_error error = {AD_OK, ""};
        FILE *script = gnuplot_begin(&error);
        moment = _i;
        ad_status status = script ? gnuplot_finish(script, scratch_path("p.png").text, &error) : error.status;
        _exit(status == AD_ERROR_INTERRUPTED ? 128 + interrupt_signal() : 1);
    }
    ck_assert_int_eq(finish(child, from), 128 + moments[_i].signal);
    ck_assert(!exists("p.png"));
}
END_TEST

/* ---- How it ended --------------------------------------------------------------------------------------------- */

static const struct {
    const char *stand_in, *reason;
} ends[] = {
    {"#!/bin/sh\necho a picture\n", NULL},
    {"#!/bin/sh\necho half a picture\necho it failed >&2\nexit 3\n", "gnuplot failed: it failed"},
    {"#!/bin/sh\necho half a picture\necho it failed >&2\nkill -ABRT $$\n", "gnuplot failed: it failed"},
    {"#!/bin/sh\nexit 3\n", "gnuplot failed: its exit status is 3"},
    {"#!/bin/sh\nkill -KILL $$\n", "gnuplot failed: a signal ended it, 9 (Killed)"},
};

/* A parent that wants to know of no child of its own, as `trap '' CHLD` in a shell, leaves the command that way. */
START_TEST(the_end_is_known)
{
    char path[PATH_MAX];
    make_model();
    write_text("gnuplot", ends[_i].stand_in);
    ck_assert_int_eq(chmod(scratch_path("gnuplot").text, 0755), 0);
    snprintf(path, sizeof path, "%s:%s", scratch, getenv("PATH"));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("PATH", path, 1);
        signal(SIGCHLD, SIG_IGN);
        if (!freopen(scratch_path("complaint").text, "w", stderr)) _exit(126);
        become_command(WORDS("plot", "moons.safetensors", "-n", "10", "-o", "p.png"));
    }
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), ends[_i].reason ? 1 : 0);
    slurp(scratch_path("complaint").text, complaint, sizeof complaint);
    if (ends[_i].reason) assert_contains(complaint, ends[_i].reason);
    ck_assert_int_eq(exists("p.png"), !ends[_i].reason);
}
END_TEST

/* Where it can't be known, nothing is called a success. */
START_TEST(an_end_that_is_unknown)
{
    char path[PATH_MAX];
    ad_error error = {AD_OK, ""};
    write_text("gnuplot", ends[0].stand_in);
    ck_assert_int_eq(chmod(scratch_path("gnuplot").text, 0755), 0);
    snprintf(path, sizeof path, "%s:%s", scratch, getenv("PATH"));
    setenv("PATH", path, 1);
    signal(SIGCHLD, SIG_IGN);
    ad_status status = gnuplot_finish(gnuplot_begin(&error), scratch_path("p.png").text, &error);
    signal(SIGCHLD, SIG_DFL);
    ck_assert_int_eq(status, AD_ERROR_IO);
    assert_contains(error.message, "gnuplot");
    ck_assert(!exists("p.png"));
}
END_TEST

Suite *gnuplot_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("gnuplot", &tests);
    tcase_add_test(tests, interrupt_ends_gnuplot);
    tcase_add_loop_test(tests, signals_around_the_start, 0, COUNT(moments));
    tcase_add_loop_test(tests, the_end_is_known, 0, COUNT(ends));
    tcase_add_test(tests, an_end_that_is_unknown);
    return suite;
}
