/* Files that a command reads, known again by their sizes and samples of what is in them. */
#ifndef WEIR_COMMAND_FINGERPRINT_H
#define WEIR_COMMAND_FINGERPRINT_H

#include "command.h"

#include <stdint.h>

/* FNV-1a, 64 bits, which begins with that of nothing. */
#define FINGERPRINT_OF_NOTHING UINT64_C(0xcbf29ce484222325)
uint64_t fingerprint_bytes(uint64_t state, const void *bytes, size_t count);
/* The same of samples of a file, evenly spread from its first to its last bytes; false, with errno: it can't be read.
 */
bool fingerprint_file(int fd, uint64_t size, uint64_t *state);

/* Of each input that the command line names: an array of objects. What is no ordinary file has none. */
json_t *fingerprints_of(const struct arguments *arguments);
/* That the inputs are those that were fingerprinted; `directory` is where they were named. */
ad_status fingerprints_check(const struct arguments *arguments, const json_t *files, const char *directory,
                             ad_error *error);

#endif
