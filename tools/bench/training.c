#include "training.h"

#include <weir/memory.h>
#include <weir/random.h>

#include <limits.h>

double *random_data(size_t rows, size_t dim)
{
    double *x = ad_alloc(rows, dim * sizeof *x);
    for (size_t i = 0; x && i < rows * dim; i++) x[i] = ad_random_normal(1, 0, i);
    return x;
}

ad_status train_until(nf_flow *flow, const double *x, size_t rows, size_t batch, ad_pool *pool,
                      bool (*step_done)(void *context), void *context, ad_error *error)
{
    return nf_fit(flow, x, rows,
                  &(nf_fit_options){.epochs = INT_MAX,
                                    .batch = batch,
                                    .optimizer.learning_rate = 1e-4,
                                    .val_fraction = -1,
                                    .pool = pool,
                                    .interrupted = step_done,
                                    .context = context},
                  NULL, error);
}
