/* Draws from a target as ArviZ's InferenceData, in a NetCDF file: groups posterior, sample_stats, log_likelihood and
 * observed_data (https://python.arviz.org, "InferenceData schema specification"). */
#ifndef WEIR_COMMAND_INFERENCE_DATA_H
#define WEIR_COMMAND_INFERENCE_DATA_H

#include <weir/models.h>

#include "netcdf.h"

/* Of each draw (chains, draws): double, int64_t or int8_t, by its kind. */
struct statistic {
    const char *name;
    netcdf_kind kind;
    const void *values;
};

struct inference_data {
    const nf_target *target;
    size_t chains, draws;
    const double *values; /* (chains, draws, nf_target_size()) */
    const double *z;      /* (chains, draws, nf_target_dim()), for log-likelihoods */
    const struct statistic *statistic;
    size_t statistics;
};

/* Does the file's name end in .nc? */
bool is_netcdf(const char *path);
/* AD_ERROR_IO where this Weir was built without libnetcdf, which the message says how to have. */
ad_status netcdf_check(ad_error *error);

/* All of it as the bytes of a file, for free(); of several ranks, on the first. All call it, and have the same status.
 */
ad_status inference_data_encode(const struct inference_data *data, ad_pool *pool, void **bytes, size_t *size,
                                ad_error *error);

#endif
