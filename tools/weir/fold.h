/* Help on a terminal: what is longer than a line of it goes on below, under the text's beginning. */
#ifndef WEIR_COMMAND_FOLD_H
#define WEIR_COMMAND_FOLD_H

#include <stdio.h>

struct folded {
    FILE *to; /* what is shown goes here */
    char *text;
    size_t size, columns;
};

/* stdout itself where that is no terminal: a line is a line for other programs. */
void fold_begin(struct folded *folded);
void fold_end(struct folded *folded);

#endif
