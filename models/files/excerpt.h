/* Text of a file as a message can show it: shortened, and with '?' for control characters. */
#ifndef WEIR_MODELS_FILES_EXCERPT_H
#define WEIR_MODELS_FILES_EXCERPT_H

#include <stddef.h>

typedef struct {
    char text[84];
} nf__excerpt;

nf__excerpt nf__excerpt_of(const char *text, size_t length);

#endif
