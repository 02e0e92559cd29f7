/* The commands that there are, and the topics of help. */
#ifndef WEIR_COMMAND_CATALOG_H
#define WEIR_COMMAND_CATALOG_H

#include "command.h"

/* Number i, in the order of 'weir --help'; NULL behind the last. */
const struct command *catalog_command(size_t i);
/* By name, which may be of two words, "demo banana"; NULL: none. */
const struct command *catalog_find(const char *name);
/* Is its name of two words? Those are, in the overview, parts of the first. */
bool command_is_part(const struct command *command);
/* The command of the words at the front, and how many these are; NULL: none. */
const struct command *catalog_find_words(int count, char **words, int *taken);

/* What 'weir help' tells of besides commands; NULL behind the last. */
struct topic {
    const char *name;
    void (*print)(FILE *to);
};
const struct topic *catalog_topic(size_t i);

/* What 'weir --help' tells of commands. */
void catalog_print(FILE *to);

#endif
