/* One row of a table as features. */
#ifndef WEIR_MODELS_COLUMNS_ENCODE_H
#define WEIR_MODELS_COLUMNS_ENCODE_H

#include "columns/values.h"

/* Returns the log-weight. */
double nf__encode_row(const nf__values *values, size_t row, uint64_t seed, uint64_t draw, double *features);
/* AD_ERROR_FORMAT for a value that can't be. */
ad_status nf__encode_context(const nf__values *values, size_t row, double *features, ad_error *error);

#endif
