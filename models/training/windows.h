/* The blocks of an epoch that are in memory, each read by the first thread that needs a row of it. */
#ifndef WEIR_MODELS_TRAINING_WINDOWS_H
#define WEIR_MODELS_TRAINING_WINDOWS_H

#include "training/order.h"

#include <weir/rows.h>
#include <weir/shape.h>

typedef struct nf__windows nf__windows;

/* For rows of so many numbers, those of x and those of the context, in this dtype. The order's batches must be known.
 * NULL where memory is out. */
nf__windows *nf__windows_new(const nf_rows *from, size_t dim, size_t context, ad_dtype dtype, const nf__order *order);
void nf__windows_free(nf__windows *windows);

/* Make room for the windows of this batch, of the order's epoch: while no rows are being read. */
void nf__windows_prepare(nf__windows *windows, const nf__order *order, size_t batch);
/* Rows of the epoch from a place on, x or the context, as an ad_source gives them; all in the batch that was prepared.
 */
ad_status nf__windows_read(nf__windows *windows, const nf__order *order, bool context, size_t place, size_t rows,
                           void *to, size_t stride, ad_error *error);

#endif
