/* Distributions to try a flow on. */
#ifndef WEIR_COMMAND_TARGETS_H
#define WEIR_COMMAND_TARGETS_H

#include <weir/data.h>

/* Rows of one of them, with the names of their columns; release with nf_table_free(). */
ad_status draw_toy(const nf_toy *toy, size_t rows, double noise, uint64_t seed, nf_table *table, ad_error *error);

#endif
