/* For what was mistyped. */
#ifndef WEIR_COMMAND_SUGGEST_H
#define WEIR_COMMAND_SUGGEST_H

#include <stddef.h>

/* The most similar of the names; NULL when none is. */
const char *suggest(const char *given, const char *const *names, size_t count);

#endif
