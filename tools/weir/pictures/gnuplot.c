/* Running gnuplot: script, picture and complaints go through files without a name, which are gone with the process. */
#include <weir/file.h>
#include "pictures/gnuplot.h"
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static FILE *unnamed_file(ad_error *error)
{
    FILE *file = tmpfile();
    if (!file) ad_error_set(error, AD_ERROR_IO, "cannot create a temporary file: %s", strerror(errno));
    return file;
}

FILE *gnuplot_begin(ad_error *error)
{
    return unnamed_file(error);
}

void gnuplot_quote(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'') fputc('\'', script);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, script);
    }
    fputc('\'', script);
}

/* How a process of this state failed: the last line that is no blank one, where gnuplot says what is wrong. It may be
 * gone before it says anything, as where memory is out. */
static void reason_of(FILE *complaints, int state, char text[static 256])
{
    char line[256];
    if (WIFSIGNALED(state))
        snprintf(text, sizeof line, "a signal ended it, %d (%s)", WTERMSIG(state), strsignal(WTERMSIG(state)));
    else
        snprintf(text, sizeof line, "its exit status is %d, and it says no more", WEXITSTATUS(state));
    rewind(complaints);
    while (fgets(line, sizeof line, complaints))
        if (line[strspn(line, " \n")]) strcpy(text, line);
    text[strcspn(text, "\n")] = '\0';
}

/* Until it ends, or a signal asks for an end, which gnuplot itself wouldn't heed. Returns 0 or errno. */
static int wait_for(pid_t child, int *state)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    pid_t ended;
    while ((ended = waitpid(child, state, WNOHANG)) == 0) {
        if (interrupt_signal()) kill(child, SIGKILL);
        nanosleep(&pause, NULL);
    }
    return ended < 0 ? errno : 0;
}

static ad_status run(FILE *script, FILE *picture, FILE *complaints, ad_error *error)
{
    /* By name: of what comes unnamed it reads one byte at a time, a call of the system for each. */
    char *words[] = {"gnuplot", "--default-settings", "/dev/stdin", NULL}, text[256];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(picture), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(complaints), STDERR_FILENO);
    pid_t child;
    int state = 0;
    interrupt_catch(); /* before there is a child that could be left behind */
    int failure = posix_spawnp(&child, words[0], &actions, NULL, words, environ);
    if (!failure) failure = wait_for(child, &state);
    interrupt_release();
    posix_spawn_file_actions_destroy(&actions);
    if (failure == ENOENT)
        return ad_error_set(error, AD_ERROR_IO,
                            "no picture: gnuplot is not installed; it is in the package gnuplot-nox");
    if (failure) return ad_error_set(error, AD_ERROR_IO, "cannot run gnuplot: %s", strerror(failure));
    if (interrupt_signal())
        return ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted while gnuplot was drawing; there is no picture");
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return AD_OK;
    reason_of(complaints, state, text);
    return ad_error_set(error, AD_ERROR_IO, "gnuplot failed: %s", text);
}

/* What gnuplot drew, to its place. Before a text it has a form feed, which a terminal has no use for. */
static ad_status store(FILE *picture, const char *path, ad_error *error)
{
    nf_file *file;
    char buffer[1 << 14];
    size_t got, total = 0;
    if (nf_file_create(path, &file, error)) return error->status;
    rewind(picture);
    while ((got = fread(buffer, 1, sizeof buffer, picture)) > 0) {
        const size_t skipped = total == 0 && *buffer == '\f';
        nf_file_write(file, buffer + skipped, got - skipped);
        total += got;
    }
    if (total > 0) return nf_file_commit(file, error);
    nf_file_abort(file);
    return ad_error_set(error, AD_ERROR_IO, "gnuplot drew nothing; has it the terminals pngcairo, svg and pdfcairo?");
}

ad_status gnuplot_finish(FILE *script, const char *path, ad_error *error)
{
    ad_status status = AD_OK;
    if (fflush(script) != 0 || ferror(script))
        status = ad_error_set(error, AD_ERROR_IO, "cannot write a temporary file: %s", strerror(errno));
    FILE *picture = status ? NULL : unnamed_file(error), *complaints = picture ? unnamed_file(error) : NULL;
    if (!complaints)
        status = error->status;
    else {
        rewind(script);
        status = run(script, picture, complaints, error);
        if (!status) status = store(picture, path, error);
        fclose(complaints);
    }
    if (picture) fclose(picture);
    fclose(script);
    return status;
}
