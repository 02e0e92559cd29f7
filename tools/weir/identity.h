/* Are ranks alike? They must come to the same bits, and decide the same. */
#ifndef WEIR_COMMAND_IDENTITY_H
#define WEIR_COMMAND_IDENTITY_H

#include <weir/autodiff.h>

/* Compare with the first rank's what results depend on: Weir itself, how it computes, words and variables. All ranks
 * call it, and all of them get the same error, which names one that differs. */
ad_status identity_check(const ad_communicator *ranks, int count, char **words, ad_error *error);

/* The same of files that the command reads: their sizes, and samples of what is in them. */
ad_status identity_check_files(const ad_communicator *ranks, const char *const *files, size_t count, ad_error *error);

/* The name of the machine; returns buffer. */
const char *identity_host(char buffer[static 64]);

#endif
