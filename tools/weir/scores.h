/* What a fit's record tells of the rows: scores in the units of the columns, and which rows are unusual. */
#ifndef WEIR_COMMAND_SCORES_H
#define WEIR_COMMAND_SCORES_H

#include "rows.h"

/* Into the record of a fit: "log_prob_quantiles", for outliers_lowest(); and where columns are no plain numbers, the
 * losses of the features, which nf_fit() tells, become those of the columns: "val_nll" with its standard error,
 * "train_nll", and "history". By another objective than the likelihood, the history is left as it is, and "train_nll"
 * goes. What can't be had for want of memory is left as it is. */
void scores_tell(json_t *record, const struct rows *rows, bool by_likelihood, const nf_flow *flow, ad_pool *pool);

/* The quantiles alone. */
void scores_tell_quantiles(json_t *record, const struct rows *rows, const nf_flow *flow, ad_pool *pool);

#endif
