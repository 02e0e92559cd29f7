/* Words before the command's name. */
#include "front.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    bool takes_word;
    const char *usage, *help;
} options[] = {
    [FRONT_PLUGIN] = {"--plugin", true, "--plugin FILE",
                      "load a plug-in, which brings bijectors, targets, optimisers, … of others; may be given "
                      "again. Those of the variable WEIR_PLUGINS, FILE:FILE…, are loaded first."},
    [FRONT_MPI] = {"--mpi", false, "--mpi[=FILE]",
                   "work together with the other processes of an MPI launcher, which 'mpirun -n 4 weir fit …' does by "
                   "itself. FILE: the plug-in for this MPI, or 'openmpi' or 'mpich', for one that was installed with "
                   "this command. The variable WEIR_MPI says the same."},
    [FRONT_NO_MPI] = {"--no-mpi", false, "--no-mpi",
                      "have nothing to do with them (WEIR_MPI=no): for runs that a launcher starts side by side"},
};

const char *front_usage(enum front_option option)
{
    return option < FRONT_END ? options[option].usage : NULL;
}

const char *front_help(enum front_option option)
{
    return option < FRONT_END ? options[option].help : NULL;
}

enum front_option front_next(int count, char **words, int *at, const char **value)
{
    *value = NULL;
    for (int i = 0; i < FRONT_END && *at < count; i++) {
        const size_t length = strlen(options[i].name);
        const char *word = words[*at];
        if (strncmp(word, options[i].name, length) != 0 || (word[length] && word[length] != '=')) continue;
        ++*at;
        if (word[length])
            *value = word + length + 1;
        else if (options[i].takes_word && *at < count)
            *value = words[(*at)++];
        return (enum front_option)i;
    }
    return FRONT_END;
}

int front_words(int count, char **words)
{
    int taken = 0;
    const char *value;
    while (front_next(count, words, &taken, &value) != FRONT_END) continue;
    return taken;
}
