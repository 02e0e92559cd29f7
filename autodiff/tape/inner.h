/* Inner programs: a function that is recorded on a tape of its own, for an op that runs it. */
#ifndef WEIR_AUTODIFF_TAPE_INNER_H
#define WEIR_AUTODIFF_TAPE_INNER_H

#include <weir/op.h>

/* On the inner tape, an input or a parameter in the place of an outer value. */
ad_var ad__stand_in(ad_tape *inner, ad_var value);

/* Rows are run in groups that change from step to step: an op that sums them, counts them or draws noise for them has
 * no meaning there. Where `result` needs one, the tape fails. */
void ad__check_inner_ops(ad_var result);

/* That f gave a value of the inner tape, of this shape; where not, the tape fails. */
bool ad__check_inner_result(ad_var result, ad_tape *inner, ad_shape shape);

/* What was recorded of `result`, again, node by node, on a tape, which may be its own; of given[i] in the place of
 * input[i]. Invalid where the tape has failed. */
ad_var ad__replay(ad_var result, const ad_var *input, int n_input, ad_tape *to, const ad_var *given);

#endif
