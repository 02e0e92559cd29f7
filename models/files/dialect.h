/* How a .csv file is written, by the look of its first lines. */
#ifndef WEIR_MODELS_FILES_DIALECT_H
#define WEIR_MODELS_FILES_DIALECT_H

#include "files/fields.h"

/* ',', ';' or a tab, for a reader at the beginning of a file, which stays there. */
char nf__find_delimiter(const nf__reader *reader);

#endif
