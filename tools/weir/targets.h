/* Distributions to try a flow on. */
#ifndef WEIR_COMMAND_TARGETS_H
#define WEIR_COMMAND_TARGETS_H

#include <weir/data.h>

/* Rows of the two moons and of the banana, with the names of their columns; release with nf_table_free(). */
ad_status draw_moons(size_t rows, double noise, uint64_t seed, nf_table *table, ad_error *error);
ad_status draw_banana(size_t rows, uint64_t seed, nf_table *table, ad_error *error);

#endif
