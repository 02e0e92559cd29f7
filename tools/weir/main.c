/* The weir command: finds the command that is asked for, runs it, prints what it tells. */
#include "catalog.h"
#include "checkpoints.h"
#include "command.h"
#include "complete.h"
#include "files.h"
#include "fold.h"
#include "front.h"
#include "interrupt.h"
#include "manual.h"
#include "plugins.h"
#include "ranks.h"
#include "report.h"
#include "suggest.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* After a signal it is 128 and the signal's number, as shells have it. */
enum { EXIT_FAULT = 1, EXIT_USAGE = 2, EXIT_SIGNAL = 128 };

static int exit_status(ad_status status)
{
    switch (status) {
    case AD_OK:
        return 0;
    case AD_ERROR_ARGUMENT:
        return EXIT_USAGE;
    case AD_ERROR_INTERRUPTED:
        return EXIT_SIGNAL + interrupt_signal();
    default:
        return EXIT_FAULT;
    }
}

static void tell_unknown(const char *name)
{
    enum { MOST = 64 };
    const char *names[MOST];
    const struct command *command;
    size_t count = 0;
    for (size_t i = 0; (command = catalog_command(i)) && count < MOST; i++)
        if (!command_is_part(command)) names[count++] = command->name;
    const char *closest = suggest(name, names, count);
    char given[100];
    snprintf(given, sizeof given, "%s", name);
    name = ad_printable(given);
    if (closest)
        fprintf(stderr, "weir: unknown command '%s'; did you mean '%s'?\n", name, closest);
    else
        fprintf(stderr, "weir: unknown command '%s'; see 'weir --help'\n", name);
}

/* Told, when there is none. */
static const struct command *find_words(int count, char **words, int *taken)
{
    const struct command *found = catalog_find_words(count, words, taken);
    if (!found) tell_unknown(words[0]);
    return found;
}

/* What was buffered must have arrived before the command counts as done. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    fprintf(stderr, "weir: cannot write to standard output: %s\n", strerror(errno));
    return status ? status : EXIT_FAULT;
}

/* The help of a command, or with NULL that of all. */
static int show_help(const struct command *command)
{
    struct folded folded;
    fold_begin(&folded);
    command ? help_print(command, folded.to) : catalog_print(folded.to);
    fold_end(&folded);
    return finish(0);
}

static int run_command(const struct command *command, int count, char **words)
{
    struct arguments arguments;
    ad_error error = {0};
    ad_status status = arguments_parse(&arguments, command, count, words, &error);
    if (!status && option_flag(&arguments, "help")) return ranks_end(command->name, NULL, show_help(command));
    json_t *result = json_object();
    if (!status) status = resume_arguments(&arguments, &error);
    if (!status) status = check_files(&arguments, &error);
    FILE *to = status ? stdout : report_stream(&arguments);
    if (!status) status = command->run(&arguments, result, &error);
    if (json_object_size(result) > 0) {
        if (option_flag(&arguments, "json"))
            report_json(result, to);
        else {
            json_t *shown = report_printable(result);
            command->print(shown, to);
            json_decref(shown);
        }
    }
    json_decref(result);
    resume_free(&arguments);
    return ranks_end(command->name, status ? error.message : NULL, finish(exit_status(status)));
}

/* What `weir help` and the words behind it show. */
static int help_on(int count, char **words)
{
    if (count == 0) return show_help(NULL);
    const struct topic *topic;
    for (size_t i = 0; (topic = catalog_topic(i)); i++) {
        if (strcmp(words[0], topic->name) != 0) continue;
        struct folded folded;
        fold_begin(&folded);
        topic->print(folded.to);
        fold_end(&folded);
        return finish(0);
    }
    int taken;
    const struct command *command = find_words(count, words, &taken);
    return command ? show_help(command) : EXIT_USAGE;
}

/* For Jansson, which says little of a lack of memory: a result that can't be told, or a record that can't be kept, ends
 * the command. */
static void *allocate_or_end(size_t bytes)
{
    void *memory = malloc(bytes);
    if (memory) return memory;
    fprintf(stderr, "weir: out of memory for what is to be told\n");
    ranks_exit(EXIT_FAULT);
}

/* A standard stream that is closed would be taken by the next file that is opened, and what is told get into that. In
 * its place comes one that can't be used either. */
static void occupy_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* The words behind those that come before the command. */
static int run(int count, char **words)
{
    if (count == 0) {
        fprintf(stderr, "weir: a command is missing; see 'weir --help'\n");
        return EXIT_USAGE;
    }
    if (strcmp(words[0], "--version") == 0) {
        printf("weir %s\n", WEIR_VERSION);
        return finish(0);
    }
    if (strcmp(words[0], "--help") == 0 || strcmp(words[0], "-h") == 0) return help_on(0, words);
    if (strcmp(words[0], "help") == 0) return help_on(count - 1, words + 1);
    if (strcmp(words[0], "--man") == 0) return finish(manual_print(count - 1, words + 1, stdout) ? 0 : EXIT_USAGE);
    int taken;
    const struct command *command = find_words(count, words, &taken);
    return command ? run_command(command, count - taken, words + taken) : EXIT_USAGE;
}

/* Is there a command that all processes of a launcher work on? */
static bool is_together(int count, char **words)
{
    const struct command *command = count > 0 ? catalog_find(words[0]) : NULL;
    return command && command->together;
}

int main(int argc, char **argv)
{
    occupy_streams();
    json_set_alloc_funcs(allocate_or_end, free);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others */
    signal(SIGCHLD, SIG_DFL); /* where a parent has it ignored, nobody is told how gnuplot ended */
    const int count = argc - 1, taken = front_words(count, argv + 1);
    char **words = argv + 1;
    if (count > 0 && strcmp(words[0], "--complete") == 0) {
        complete(count - 1, words + 1, stdout);
        return finish(0);
    }
    bool ends;
    ad_error error = {0};
    ad_status status = ranks_start(count, words, is_together(count - taken, words + taken), &ends, &error);
    if (ends) return 0;
    if (!status) status = plugins_load(taken, words, &error);
    if (status) return ranks_end("", error.message, exit_status(status));
    return run(count - taken, words + taken);
}
