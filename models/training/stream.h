/* Rows of a fit that are read when they are needed: options.source, or arrays that are shuffled by blocks. */
#ifndef WEIR_MODELS_TRAINING_STREAM_H
#define WEIR_MODELS_TRAINING_STREAM_H

#include "training/fit.h"

/* Take options.source, or the arrays, as t->stream, and split its rows. */
ad_status nf__stream_open(nf__training *t, ad_error *error);
/* Once t->batches are known: room for the blocks of an epoch. */
ad_status nf__stream_begin(nf__training *t, ad_error *error);
void nf__stream_free(nf__stream *stream);

/* What plans in the flow's dtype read: rows of x, or of the context. NULL of NULL. */
const ad_source *nf__stream_source(const nf__stream *stream, bool context);
/* Rows of x for plans in float64. */
const ad_source *nf__stream_exact_source(const nf__stream *stream);
/* From here on they read these rows, see nf__show(). */
void nf__stream_show(nf__training *t, nf__list list, size_t first);
size_t nf__stream_row(const nf__stream *stream, nf__list list, size_t place);
ad_status nf__stream_read(const nf__stream *stream, nf__list list, size_t place, size_t rows, double *x,
                          double *context, ad_error *error);
ad_status nf__stream_check(const nf__stream *stream, ad_error *error);

/* nf__fit_bijectors() to a sample. */
ad_status nf__stream_fit_bijectors(nf__training *t, ad_error *error);

#endif
