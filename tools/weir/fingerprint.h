/* Files that a command reads, known again by their sizes and samples of what is in them. */
#ifndef WEIR_COMMAND_FINGERPRINT_H
#define WEIR_COMMAND_FINGERPRINT_H

#include "command.h"

/* Of each input that the command line names: an array of objects. What is no ordinary file has none. */
json_t *fingerprints_of(const struct arguments *arguments);
/* That the inputs are those that were fingerprinted; `directory` is where they were named. */
ad_status fingerprints_check(const struct arguments *arguments, const json_t *files, const char *directory,
                             ad_error *error);

#endif
