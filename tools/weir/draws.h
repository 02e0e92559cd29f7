/* Draws from a target, as files: tables, and ArviZ's InferenceData. */
#ifndef WEIR_COMMAND_DRAWS_H
#define WEIR_COMMAND_DRAWS_H

#include "command.h"

#include <weir/models.h>

/* Can draws go to this file, whose name tells the format? */
ad_status check_draws(const char *path, ad_error *error);

/* AD_ERROR_ARGUMENT where an element of the target has the name of a statistic, beside which it is to stand. */
ad_status check_statistics(const nf_target *target, ad_error *error);

/* Keep the draws of chains that have come to this status, as keep() does; with `statistics`, a table has those of each
 * draw in columns behind the others. The name of the file that has them goes into result. */
ad_status keep_chains(const char *path, const nf_target *target, const nf_nuts_result *chains, bool statistics,
                      ad_pool *pool, ad_status status, json_t *result, ad_error *error);

/* The same of draws of a flow that was fitted to the target, to a NetCDF file; kept: the name of it. */
ad_status keep_flow_draws(const char *path, nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed,
                          ad_pool *pool, ad_status status, char kept[], ad_error *error);

#endif
