/* What can be wrong with what is to be planned. */
#ifndef WEIR_AUTODIFF_PLAN_CHECK_H
#define WEIR_AUTODIFF_PLAN_CHECK_H

#include "tape/node.h"

#include <weir/plan.h>

/* False, with *error, for arguments that ad_plan_new() doesn't take. */
bool ad__check_outputs(const ad_var *outputs, int count, const ad_plan_options *options, ad_error *error);
/* False, with *error, where an op that is needed can't be evaluated in this dtype. */
bool ad__check_ops(const ad__node *node, size_t count, const bool *needed, ad_dtype dtype, ad_error *error);

#endif
