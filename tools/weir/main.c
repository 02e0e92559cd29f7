/* The weir command: finds the command that is asked for, runs it, prints what it tells. */
#include "checkpoints.h"
#include "command.h"
#include "files.h"
#include "interrupt.h"
#include "front.h"
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

/* The build names the commands, as WEIR_COMMANDS. */
#define DECLARE(name) extern const struct command name##_command;
WEIR_COMMANDS(DECLARE)

#define ENTRY(name) &name##_command,
static const struct command *const commands[] = {WEIR_COMMANDS(ENTRY)};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* Those of two words are, in the overview, parts of the first. */
static bool is_part(const struct command *command)
{
    return strchr(command->name, ' ') != NULL;
}

/* What 'weir help' tells of besides commands. */
static const struct {
    const char *name;
    void (*print)(FILE *to);
} topics[] = {
    {"formulas", help_print_formulas},   {"targets", help_print_targets},       {"optimizers", help_print_optimizers},
    {"schedules", help_print_schedules}, {"objectives", help_print_objectives}, {"priors", help_print_priors},
};

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

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static void tell_unknown(const char *name)
{
    const char *names[COMMANDS];
    size_t count = 0;
    for (size_t i = 0; i < COMMANDS; i++)
        if (!is_part(commands[i])) names[count++] = commands[i]->name;
    const char *closest = suggest(name, names, count);
    char given[100];
    snprintf(given, sizeof given, "%s", name);
    name = ad_printable(given);
    if (closest)
        fprintf(stderr, "weir: unknown command '%s'; did you mean '%s'?\n", name, closest);
    else
        fprintf(stderr, "weir: unknown command '%s'; see 'weir --help'\n", name);
}

/* The command of the words at the front, and how many these are; NULL, and told, when there is none. */
static const struct command *find_words(int count, char **words, int *taken)
{
    char two[64] = "";
    if (count > 1) snprintf(two, sizeof two, "%s %s", words[0], words[1]);
    const struct command *of_two = find_command(two);
    const struct command *found = of_two || strchr(words[0], ' ') ? of_two : find_command(words[0]);
    *taken = of_two ? 2 : 1;
    if (!found) tell_unknown(words[0]);
    return found;
}

static void print_overview(FILE *to)
{
    fprintf(to, "usage: weir [--plugin FILE] [--mpi[=FILE] | --no-mpi] COMMAND [arguments] [options]\n\n"
                "Fit normalizing flows to data and to densities, draw from them, and evaluate them.\n\ncommands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        if (!is_part(commands[i])) fprintf(to, "  %-10s%s\n", commands[i]->name, commands[i]->summary);
    fprintf(
        to,
        "\nbefore the command:\n"
        "  --plugin FILE  load a plug-in, which brings bijectors, targets, optimisers, … of others; may be given\n"
        "                 again. Those of the variable WEIR_PLUGINS, FILE:FILE…, are loaded first.\n"
        "  --mpi[=FILE]   work together with the other processes of an MPI launcher, which 'mpirun -n 4 weir fit …'\n"
        "                 does by itself. FILE: the plug-in for this MPI, or 'openmpi' or 'mpich', for one that was\n"
        "                 installed with this command. The variable WEIR_MPI says the same.\n"
        "  --no-mpi       have nothing to do with them (WEIR_MPI=no): for runs that a launcher starts side by side\n"
        "\n'weir help COMMAND' tells more of one, 'weir help formulas' how flows are written,\n'weir help "
        "targets' the densities that there are, 'weir help optimizers', schedules,\nobjectives and priors how they are "
        "fitted, 'weir --version' the version.\nTry: weir demo moons\n");
}

/* What was buffered must have arrived before the command counts as done. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    fprintf(stderr, "weir: cannot write to standard output: %s\n", strerror(errno));
    return status ? status : EXIT_FAULT;
}

static int run_command(const struct command *command, int count, char **words)
{
    struct arguments arguments;
    ad_error error = {0};
    ad_status status = arguments_parse(&arguments, command, count, words, &error);
    if (!status && option_flag(&arguments, "help")) {
        help_print(command, stdout);
        return ranks_end(command->name, NULL, finish(0));
    }
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
    for (size_t i = 0; count > 0 && i < sizeof topics / sizeof *topics; i++) {
        if (strcmp(words[0], topics[i].name) != 0) continue;
        topics[i].print(stdout);
        return finish(0);
    }
    int taken;
    const struct command *command = count > 0 ? find_words(count, words, &taken) : NULL;
    if (command)
        help_print(command, stdout);
    else if (count > 0)
        return EXIT_USAGE;
    else
        print_overview(stdout);
    return finish(0);
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
    int taken;
    const struct command *command = find_words(count, words, &taken);
    return command ? run_command(command, count - taken, words + taken) : EXIT_USAGE;
}

/* Is there a command that all processes of a launcher work on? */
static bool is_together(int count, char **words)
{
    const struct command *command = count > 0 ? find_command(words[0]) : NULL;
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
    bool ends;
    ad_error error = {0};
    ad_status status = ranks_start(count, words, is_together(count - taken, words + taken), &ends, &error);
    if (ends) return 0;
    if (!status) status = plugins_load(taken, words, &error);
    if (status) return ranks_end("", error.message, exit_status(status));
    return run(count - taken, words + taken);
}
