/* Columns as JSON. */
#ifndef WEIR_MODELS_COLUMNS_TEXT_H
#define WEIR_MODELS_COLUMNS_TEXT_H

/* Goes up when what is written means something else to who reads it. */
enum { NF__COLUMNS_VERSION = 1 };

#endif
