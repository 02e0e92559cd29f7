/* Trainings that end early, by divergence and by signals, and what is kept of them. */
#include <weir/models.h>
#include "tools/command.h"

#include <math.h>
#include <pty.h>
#include <signal.h>

START_TEST(divergence_keeps_weights)
{
    SUCCEED("data", "moons", "-n", "500", "-o", "moons.npy");
    ck_assert_int_eq(RUN("fit", "moons.npy", "--flow", "maf(16)*2", "--lr", "1e30", "--epochs", "5", "--json", "-o",
                         "m.safetensors"),
                     1);
    assert_contains(complaint, "step");
    assert_contains(complaint, "'m.safetensors'");
    json_t *fit = parse_output();
    ck_assert_str_eq(text_in(fit, "outcome"), "diverged");
    json_decref(fit);
    json_t *info = SUCCEED_JSON("info", "m.safetensors");
    ck_assert_str_eq(text_in(member(info, "training"), "outcome"), "diverged");
    json_decref(info);
    json_t *score = SUCCEED_JSON("logprob", "m.safetensors", "moons.npy");
    ck_assert(isfinite(number_in(score, "nll")));
    json_decref(score);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

enum { TERMINAL_COLUMNS = 100 };

/* Run on a terminal, and type ctrl-C when `cue` is on the screen. */
static int interrupt_on_terminal(const char *const words[], const char *cue, char *screen, size_t size)
{
    struct winsize window = {.ws_row = 24, .ws_col = TERMINAL_COLUMNS};
    int terminal, state;
    size_t filled = 0;
    bool typed = false;
    pid_t child = forkpty(&terminal, NULL, NULL, &window);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        become_command(words);
    }
    for (ssize_t got; filled < size - 1 && (got = read(terminal, screen + filled, size - 1 - filled)) > 0;) {
        filled += (size_t)got;
        screen[filled] = '\0';
        if (!typed && strstr(screen, cue)) typed = write(terminal, "\x03", 1) == 1;
    }
    close(terminal);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
    return WEXITSTATUS(state);
}

START_TEST(interrupt_keeps_weights)
{
    static char screen[1 << 18];
    SUCCEED("data", "moons", "-n", "2000", "-o", "moons.npy");
    const char *const *words =
        WORDS("fit", "moons.npy", "--flow", "maf(16)", "--epochs", "1000000", "-o", "m.safetensors");
    ck_assert_int_eq(interrupt_on_terminal(words, "train ", screen, sizeof screen), 130);
    assert_contains(screen, "interrupted in epoch");
    assert_contains(screen, "the best weights, of epoch ");
    assert_contains(screen, "'m.safetensors'");
    assert_contains(screen, "rows/s");
    /* Each redrawing of the bar fits the terminal (which then shows ^C), and the last one is taken away. */
    size_t bars = 0;
    char *last = NULL;
    for (char *bar = screen; (bar = strstr(bar, "\r\033[K")); last = bar, bars++) {
        bar += 4;
        ck_assert_uint_lt(strcspn(bar, "\r\n^"), TERMINAL_COLUMNS);
    }
    ck_assert_uint_ge(bars, 2);
    assert_contains(screen, "\033[K[");
    ck_assert_int_eq(strncmp(last, "flow ", 5), 0);
    json_t *info = SUCCEED_JSON("info", "m.safetensors"), *training = member(info, "training");
    ck_assert_str_eq(text_in(training, "outcome"), "interrupted");
    ck_assert_double_ge(number_in(training, "best_epoch"), 1);
    ck_assert_double_lt(number_in(training, "epochs"), 1000000);
    json_decref(info);
    ck_assert_int_eq(unlink(scratch_path("m.safetensors.checkpoint").text), 0);
    ck_assert_int_eq(scratch_files(false), 2);
}
END_TEST

/* An epoch that is long is work, too. */
START_TEST(interrupt_keeps_a_first_epoch)
{
    static char screen[1 << 18];
    SUCCEED("data", "moons", "-n", "1000000", "-o", "moons.npy");
    const char *const *words = WORDS("fit", "moons.npy", "--flow", "maf(16)", "--batch", "1", "-o", "m.safetensors");
    ck_assert_int_eq(interrupt_on_terminal(words, "epoch 0/100", screen, sizeof screen), 130);
    assert_contains(screen, "interrupted in epoch 1 of 100; the weights at hand are in 'm.safetensors'");
    SUCCEED("info", "m.safetensors");
}
END_TEST

/* Scores of validation rows, in which whole numbers have much noise to be averaged over, can take longer than whoever
 * has sent the signal waits before he kills: the mean that the training has is told instead. */
START_TEST(interrupt_saves_in_haste)
{
    static char screen[1 << 18], table[4000] = "count,x\n";
    for (int i = 0; i < 200; i++) sprintf(table + strlen(table), "%d,%g\n", i * i % 7, sin(i));
    write_text("counts.csv", table);
    const char *const *words =
        WORDS("fit", "counts.csv", "--flow", "maf(16)", "--epochs", "1000000", "-o", "m.safetensors");
    ck_assert_int_eq(interrupt_on_terminal(words, "val ", screen, sizeof screen), 130);
    json_t *info = SUCCEED_JSON("info", "m.safetensors"), *training = member(info, "training");
    ck_assert(json_is_number(member(training, "val_nll")));
    ck_assert_ptr_null(json_object_get(training, "val_nll_stderr"));
    json_decref(info);
}
END_TEST

/* Ctrl-S stops a terminal, and whoever writes to it; the model is saved none the less. */
START_TEST(a_stopped_terminal_stops_no_saving)
{
    int terminal, state;
    SUCCEED("data", "moons", "-n", "200", "-o", "moons.npy");
    pid_t child = forkpty(&terminal, NULL, NULL, NULL);
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        setenv("TERM", "xterm", 1);
        become_command(WORDS("fit", "moons.npy", "--flow", "maf(16)", "--epochs", "100000000", "-o", "m.safetensors"));
    }
    char byte;
    ck_assert_int_eq(read(terminal, &byte, 1), 1);
    ck_assert_int_eq(write(terminal, "\x13", 1), 1);
    kill(child, SIGTERM);
    while (!exists("m.safetensors")) usleep(1000);
    ck_assert_int_eq(write(terminal, "\x11", 1), 1);
    while (read(terminal, &byte, 1) == 1) continue;
    close(terminal);
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state));
    ck_assert_int_eq(WEXITSTATUS(state), 128 + SIGTERM);
    SUCCEED("info", "m.safetensors");
}
END_TEST

/* What a search has by then: of a flow that is named, its best weights so far. */
START_TEST(interrupt_keeps_a_search)
{
    static char screen[1 << 18];
    SUCCEED("data", "moons", "-n", "300", "-o", "moons.npy");
    const char *const *const searches[] = {
        WORDS("fit", "moons.npy", "--flow", "maf(16)", "--budget", "1h", "-o", "m.safetensors"),
        WORDS("fit", "moons.npy", "--budget", "1h", "-o", "m.safetensors")};
    static const char *const cues[] = {"  maf(16)", "  (rqs("};
    for (size_t i = 0; i < COUNT(searches); i++) {
        ck_assert_int_eq(interrupt_on_terminal(searches[i], cues[i], screen, sizeof screen), 130);
        assert_contains(screen, "; those that were done are in 'm.safetensors'");
        json_t *score = SUCCEED_JSON("logprob", "m.safetensors", "moons.npy");
        /* How far the flow came, the machine decides; the mixture has the normals, which were done. */
        ck_assert_double_lt(number_in(score, "nll"), i == 0 ? INFINITY : 2.5);
        json_decref(score);
    }
}
END_TEST

/* As batch systems and closed terminals do it; a hang-up that the process was started to ignore is ignored. */
START_TEST(signals_keep_weights)
{
    static const int signals[] = {SIGTERM, SIGHUP};
    const char *const *words =
        WORDS("fit", "two.csv", "--flow", "maf(16)", "--epochs", "100000000", "-o", "m.safetensors");
    write_text("two.csv", "x,x\n1,2\n3,4.5\n-1,0\n2,2.5\n0,1\n"); /* a warning of its names tells that the fit begins */
    for (size_t i = 0; i < COUNT(signals); i++) {
        int ends[2], state;
        char line[1000];
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            if (signals[i] == SIGTERM) signal(SIGHUP, SIG_IGN);
            dup2(ends[1], STDERR_FILENO);
            if (freopen("/dev/null", "w", stdout)) become_command(words);
        }
        close(ends[1]);
        FILE *progress = fdopen(ends[0], "r");
        ck_assert_ptr_nonnull(fgets(line, sizeof line, progress));
        if (signals[i] == SIGTERM) kill(child, SIGHUP);
        kill(child, signals[i]);
        while (fgets(line, sizeof line, progress)) continue;
        fclose(progress);
        ck_assert_int_eq(waitpid(child, &state, 0), child);
        ck_assert_msg(WIFEXITED(state), "killed by signal %d", WTERMSIG(state));
        ck_assert_int_eq(WEXITSTATUS(state), 128 + signals[i]);
        assert_contains(line, "are in 'm.safetensors'");
        SUCCEED("info", "m.safetensors");
        ck_assert_int_eq(unlink(scratch_path("m.safetensors.checkpoint").text), 0);
        ck_assert_int_eq(scratch_files(false), 2);
    }
}
END_TEST

START_TEST(interrupt_keeps_fit)
{
    static char screen[1 << 18];
    const char *const *words =
        WORDS("vi", "pot1", "--flow", "planar*2", "--iters", "1000000000", "-o", "m.safetensors");
    ck_assert_int_eq(interrupt_on_terminal(words, "loss ", screen, sizeof screen), 130);
    assert_contains(screen, "of 1000000000 iterations; the parameters at hand are in 'm.safetensors'");
    json_t *info = SUCCEED_JSON("info", "m.safetensors"), *training = member(info, "training");
    ck_assert_str_eq(text_in(training, "outcome"), "interrupted");
    ck_assert_double_ge(number_in(training, "iterations"), 1);
    ck_assert(json_is_number(member(training, "elbo")));
    json_decref(info);
}
END_TEST

/* Of demos too: the model that is being fitted. */
START_TEST(interrupt_keeps_fits_of_demos)
{
    static char screen[1 << 18];
    const char *const *const demos[] = {
        WORDS("demo", "potentials", "--iters", "1000000000", "--mc", "2", "-o", "."),
        WORDS("demo", "nfvi", "--iters", "1000000000", "-o", "."),
    };
    static const char *const models[] = {"./pot1-2.safetensors", "./nfvi-0-pot1.safetensors"};
    for (size_t i = 0; i < COUNT(demos); i++) {
        ck_assert_int_eq(interrupt_on_terminal(demos[i], "loss ", screen, sizeof screen), 130);
        assert_contains(screen, "of 1000000000 iterations; the parameters at hand are in './");
        json_t *info = SUCCEED_JSON("info", models[i]), *training = member(info, "training");
        ck_assert_str_eq(text_in(training, "outcome"), "interrupted");
        json_decref(info);
    }
}
END_TEST

START_TEST(interrupt_keeps_draws)
{
    static char screen[1 << 18];
    const char *const *words =
        WORDS("nuts", "gaussian", "--chains", "2", "--tune", "100", "-n", "3000000", "-o", "d.npy");
    ck_assert_int_eq(interrupt_on_terminal(words, "draws  ", screen, sizeof screen), 130);
    assert_contains(screen, "of 3000000 draws of each chain; they are in 'd.npy'");
    assert_contains(screen, "gradients/s");
    nf_table draws;
    ck_assert_int_eq(nf_table_read(scratch_path("d.npy").text, &draws, NULL), AD_OK);
    ck_assert_uint_ge(draws.rows, 2);
    ck_assert_uint_lt(draws.rows, 6000000);
    nf_table_free(&draws);
}
END_TEST

START_TEST(progress_off_a_terminal)
{
    SUCCEED("data", "moons", "-n", "2000", "-o", "moons.npy");
    SUCCEED("fit", "moons.npy", "--flow", "maf(64,64)*4", "--epochs", "20", "-o", "m.safetensors");
    ck_assert_ptr_null(strpbrk(complaint, "\r\033"));
    ck_assert_uint_le(lines(complaint), 20);
    if (*complaint) assert_contains(complaint, "rows/s");
}
END_TEST

Suite *interrupts_suite(void)
{
    TCase *tests;
    Suite *suite = command_suite("interrupts", &tests);
    tcase_add_test(tests, divergence_keeps_weights);
    tcase_add_test(tests, interrupt_keeps_weights);
    tcase_add_test(tests, interrupt_keeps_a_first_epoch);
    tcase_add_test(tests, interrupt_saves_in_haste);
    tcase_add_test(tests, a_stopped_terminal_stops_no_saving);
    tcase_add_test(tests, interrupt_keeps_a_search);
    tcase_add_test(tests, signals_keep_weights);
    tcase_add_test(tests, interrupt_keeps_fit);
    tcase_add_test(tests, interrupt_keeps_fits_of_demos);
    tcase_add_test(tests, interrupt_keeps_draws);
    tcase_add_test(tests, progress_off_a_terminal);
    return suite;
}
