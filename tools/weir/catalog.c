/* The commands that there are, and the topics of help. */
#include "catalog.h"
#include "front.h"

#include <string.h>

/* The build names the commands, as WEIR_COMMANDS. */
#define DECLARE(name) extern const struct command name##_command;
WEIR_COMMANDS(DECLARE)

#define ENTRY(name) &name##_command,
static const struct command *const commands[] = {WEIR_COMMANDS(ENTRY) NULL};

static const struct topic topics[] = {
    {"formulas", help_print_formulas},
    {"targets", help_print_targets},
    {"optimizers", help_print_optimizers},
    {"schedules", help_print_schedules},
    {"objectives", help_print_objectives},
    {"priors", help_print_priors},
    {NULL, NULL},
};

const struct command *catalog_command(size_t i)
{
    return commands[i];
}

const struct topic *catalog_topic(size_t i)
{
    return topics[i].name ? &topics[i] : NULL;
}

bool command_is_part(const struct command *command)
{
    return strchr(command->name, ' ') != NULL;
}

const struct command *catalog_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

const struct command *catalog_find_words(int count, char **words, int *taken)
{
    char two[64] = "";
    *taken = 0;
    if (count == 0) return NULL;
    if (count > 1) snprintf(two, sizeof two, "%s %s", words[0], words[1]);
    const struct command *of_two = catalog_find(two);
    *taken = of_two ? 2 : 1;
    return of_two || strchr(words[0], ' ') ? of_two : catalog_find(words[0]);
}

void catalog_print(FILE *to)
{
    fprintf(to, "usage: weir [--plugin FILE] [--mpi[=FILE] | --no-mpi] COMMAND [arguments] [options]\n\n"
                "Fit normalizing flows to data and to densities, draw from them, and evaluate them.\n\ncommands:\n");
    for (size_t i = 0; commands[i]; i++)
        if (!command_is_part(commands[i])) fprintf(to, "  %-10s%s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nbefore the command:\n");
    for (enum front_option i = 0; i < FRONT_END; i++) fprintf(to, "  %-15s%s\n", front_usage(i), front_help(i));
    fprintf(to, "\n'weir help COMMAND' tells more of one, 'weir help formulas' how flows are written, 'weir help "
                "targets' the densities that there are, 'weir help optimizers', schedules, objectives and priors how "
                "they are fitted, 'weir --version' the version.\nTry: weir demo moons\n");
}
