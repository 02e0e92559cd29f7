/* Words before the command's name. */
#include "front.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    bool takes_word;
} options[] = {
    [FRONT_PLUGIN] = {"--plugin", true},
    [FRONT_MPI] = {"--mpi", false},
    [FRONT_NO_MPI] = {"--no-mpi", false},
};

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
