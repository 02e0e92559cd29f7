/* Rows whose context is nearest to one. */
#ifndef WEIR_COMMAND_NEAREST_H
#define WEIR_COMMAND_NEAREST_H

#include <weir/error.h>

/* Of contexts (rows, size) those nearest to `given` (size): a hundred, or the twentieth part where that is more; and
 * those that are no further than the last of them, as all of a category. The distance is Euclidean, in units of each
 * feature's standard deviation; a feature that doesn't vary tells nothing. chosen (rows): their numbers, ascending. */
ad_status nearest_rows(const double *contexts, size_t rows, size_t size, const double *given, size_t *chosen,
                       size_t *count, ad_error *error);

#endif
