/* Distributions to try a flow on. */
#ifndef WEIR_TARGETS_H
#define WEIR_TARGETS_H

#include "data.h"

/* The choices of a command's TARGET. */
#define TARGETS "moons"

/* Rows of the two moons, with the names of their columns; release with nf_table_free(). */
ad_status draw_moons(size_t rows, double noise, uint64_t seed, nf_table *table, ad_error *error);

#endif
