/* Processes that a launcher started to run one command together. Alone, everything here does nothing.
 *
 * All of them run the command, in step. The first, rank 0, is the one that is seen: it prints, and writes files; the
 * others' standard output and standard error lead nowhere. */
#ifndef WEIR_COMMAND_RANKS_H
#define WEIR_COMMAND_RANKS_H

#include "command.h"

/* Find out whether there are others, by the launcher's variables and by the words before the command. *ends: this
 * process has nothing to do, since the first one does it alone, which is so unless `together`. */
ad_status ranks_start(int count, char **words, bool together, bool *ends, ad_error *error);

/* Does this process print and write files? */
bool ranks_is_first(void);
/* Rank and size; NULL: this process is alone. */
const ad_communicator *ranks_communicator(void);

/* What the first rank's work has come to, which it alone did, for all: all call it, with what they have; those of the
 * others aren't looked at. */
ad_status ranks_agree(ad_status status, ad_error *error);

/* The signal that interrupts the command (see interrupt.h), on whichever rank it was noted: all ask at once, and get
 * the same. 0: none. */
int ranks_interrupt(void);

/* The command's pool, of the threads that --threads asks for, and of all ranks. By default those of one machine share
 * its cores. NULL on failure. */
ad_pool *ranks_pool(const struct arguments *arguments, ad_error *error);

/* The end of the command's work, which came to this exit status, in this process: when all are here, or those that
 * aren't are not to be expected any more, what went wrong is told, once. `failure` says it, NULL: nothing went wrong.
 * Returns the exit status. */
int ranks_end(const char *command, const char *failure, int exit_status);

/* At once, of all of them. */
_Noreturn void ranks_exit(int exit_status);

#endif
