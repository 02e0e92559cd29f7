/* The context's columns beside those of samples. */
#ifndef WEIR_COMMAND_BESIDE_H
#define WEIR_COMMAND_BESIDE_H

#include "context.h"

/* Make `both` of the samples and of the context that each is given: behind them, or, where columns have no names, where
 * the context stood in the table of the training, so that the model can score the file. Names and labels are those of
 * the two, which must outlive it. first: the number of the first sample, from 0, as contexts are used in turn. For
 * nf_table_free(). */
ad_status put_beside(const nf_table *samples, size_t first, const struct context *context, const struct model *model,
                     nf_table *both, ad_error *error);

#endif
