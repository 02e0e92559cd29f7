/* Training whose steps are timed. */
#ifndef WEIR_TOOLS_BENCH_TRAINING_H
#define WEIR_TOOLS_BENCH_TRAINING_H

#include <weir/training.h>

/* (rows, dim) from N(0, I); NULL: memory is out. */
double *random_data(size_t rows, size_t dim);
/* Train on these rows, with none to validate, until step_done(context), which is asked after each step, says that it's
 * enough. */
ad_status train_until(nf_flow *flow, const double *x, size_t rows, size_t batch, ad_pool *pool,
                      bool (*step_done)(void *context), void *context, ad_error *error);

#endif
