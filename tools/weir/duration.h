/* Durations as a user writes them. */
#ifndef WEIR_COMMAND_DURATION_H
#define WEIR_COMMAND_DURATION_H

#include <stdbool.h>

/* "60s", "2m", "1.5h", or a number of seconds; false where it is none of these, or not above 0. */
bool parse_duration(const char *text, double *seconds);

#endif
