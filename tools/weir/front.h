/* Words before the command's name: weir --mpi --plugin FILE fit … */
#ifndef WEIR_COMMAND_FRONT_H
#define WEIR_COMMAND_FRONT_H

enum front_option { FRONT_PLUGIN, FRONT_MPI, FRONT_NO_MPI, FRONT_END };

/* The option that begins at words[*at], behind which *at then is; FRONT_END where none does. *value: what stands behind
 * its '=', or of --plugin the next word; NULL: nothing. */
enum front_option front_next(int count, char **words, int *at, const char **value);

/* How many words they are. */
int front_words(int count, char **words);

/* For help: "--plugin FILE", and what it does, in lines; NULL behind the last. */
const char *front_usage(enum front_option option);
const char *front_help(enum front_option option);

#endif
