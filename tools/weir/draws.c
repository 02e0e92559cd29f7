/* Draws from a target, as files. */
#include "draws.h"
#include "files.h"
#include "inference.h"
#include "inference_data.h"
#include "keep.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

/* ---- What is told of each draw, by ArviZ's names ------------------------------------------------------------------
 */

static double chain_of(const nf_nuts_result *chains, size_t chain, size_t draw)
{
    (void)chains, (void)draw;
    return (double)chain;
}

static double number_of(const nf_nuts_result *chains, size_t chain, size_t draw)
{
    (void)chains, (void)chain;
    return (double)draw;
}

static double step_size_of(const nf_nuts_result *chains, size_t chain, size_t draw)
{
    (void)draw;
    return chains->step_size[chain];
}

#define OF_DRAW(member)                                                                                                \
    static double member##_of(const nf_nuts_result *chains, size_t chain, size_t draw)                                 \
    {                                                                                                                  \
        return (double)chains->draw[chain * chains->draws + draw].member;                                              \
    }
OF_DRAW(log_density)
OF_DRAW(acceptance)
OF_DRAW(depth)
OF_DRAW(steps)
OF_DRAW(divergent)
OF_DRAW(energy)

/* The first two are dimensions in a NetCDF file. */
static const struct {
    const char *name;
    netcdf_kind kind;
    double (*of)(const nf_nuts_result *chains, size_t chain, size_t draw);
} statistics[] = {
    {"chain", NETCDF_INTEGER, chain_of},        {"draw", NETCDF_INTEGER, number_of},
    {"lp", NETCDF_DOUBLE, log_density_of},      {"acceptance_rate", NETCDF_DOUBLE, acceptance_of},
    {"step_size", NETCDF_DOUBLE, step_size_of}, {"tree_depth", NETCDF_INTEGER, depth_of},
    {"n_steps", NETCDF_INTEGER, steps_of},      {"diverging", NETCDF_FLAG, divergent_of},
    {"energy", NETCDF_DOUBLE, energy_of},
};
enum { STATISTICS = sizeof statistics / sizeof *statistics, INDICES = 2 };

ad_status check_statistics(const nf_target *target, ad_error *error)
{
    char name[64];
    for (size_t i = 0; i < nf_target_size(target); i++)
        for (size_t k = 0; k < STATISTICS; k++)
            if (strcmp(nf_target_element(target, i, name), statistics[k].name) == 0)
                return ad_error_set(error, AD_ERROR_ARGUMENT,
                                    "--stats: the target has a '%s' of its own; a .nc file has room for both", name);
    return AD_OK;
}

/* ---- Chains ---------------------------------------------------------------------------------------------------------
 */

ad_status check_draws(const char *path, ad_error *error)
{
    if (!is_netcdf(path)) return check_table(path, error);
    return netcdf_check(error) ? error->status : check_output(path, error);
}

/* A table of the draws with their statistics behind; its values and its names, which are those of the draws, are for
 * ad_free(). */
static ad_status put_statistics(const nf_nuts_result *chains, const nf_table *draws, nf_table *both, ad_error *error)
{
    const size_t columns = draws->columns + STATISTICS;
    *both = (nf_table){.rows = draws->rows, .columns = columns, .dtype = AD_F64};
    both->values = ad_alloc(draws->rows, columns * sizeof *both->values);
    both->names = ad_alloc(columns, sizeof *both->names);
    if (!both->values || !both->names)
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the statistics of %zu draws", draws->rows);
    for (size_t c = 0; c < columns; c++)
        both->names[c] = c < draws->columns ? draws->names[c] : (char *)(uintptr_t)statistics[c - draws->columns].name;
    for (size_t r = 0; r < draws->rows; r++) {
        double *row = both->values + r * columns;
        memcpy(row, draws->values + r * draws->columns, draws->columns * sizeof *row);
        for (size_t k = 0; k < STATISTICS; k++)
            row[draws->columns + k] = statistics[k].of(chains, r / chains->draws, r % chains->draws);
    }
    return AD_OK;
}

/* A statistic of all draws, as NetCDF has it; for ad_free(). */
static void *statistic_values(const nf_nuts_result *chains, size_t k)
{
    const size_t rows = chains->chains * chains->draws;
    void *values = ad_alloc(rows, sizeof(double));
    for (size_t r = 0; values && r < rows; r++) {
        const double x = statistics[k].of(chains, r / chains->draws, r % chains->draws);
        if (statistics[k].kind == NETCDF_DOUBLE)
            ((double *)values)[r] = x;
        else if (statistics[k].kind == NETCDF_INTEGER)
            ((int64_t *)values)[r] = (int64_t)x;
        else
            ((int8_t *)values)[r] = (int8_t)x;
    }
    return values;
}

static ad_status encode_chains(const nf_target *target, const nf_nuts_result *chains, ad_pool *pool, struct kept *what,
                               ad_error *error)
{
    struct statistic statistic[STATISTICS - INDICES];
    const struct inference_data data = {.target = target,
                                        .chains = chains->chains,
                                        .draws = chains->draws,
                                        .values = chains->values,
                                        .z = chains->unconstrained,
                                        .statistic = statistic,
                                        .statistics = STATISTICS - INDICES};
    bool made = true;
    for (size_t k = INDICES; k < STATISTICS; k++) {
        void *values = statistic_values(chains, k);
        statistic[k - INDICES] = (struct statistic){statistics[k].name, statistics[k].kind, values};
        made = made && values;
    }
    ad_status status = made ? inference_data_encode(&data, pool, &what->bytes, &what->size, error)
                            : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the statistics of draws");
    for (size_t k = INDICES; k < STATISTICS; k++) ad_free((void *)(uintptr_t)statistic[k - INDICES].values);
    return status;
}

/* What couldn't be made is told with what came before. */
static ad_status join(ad_status status, ad_status made, const ad_error *why, ad_error *error)
{
    char reason[sizeof error->message];
    if (!made) return status;
    snprintf(reason, sizeof reason, "%s", error->message);
    if (status) return ad_error_set(error, made, "%.300s; and %.700s", reason, why->message);
    *error = *why;
    return made;
}

ad_status keep_chains(const char *path, const nf_target *target, const nf_nuts_result *chains, bool statistics_too,
                      ad_pool *pool, ad_status status, json_t *result, ad_error *error)
{
    char kept[PATH_MAX] = "", **names = element_names(target);
    ad_error why;
    const nf_table draws = {chains->chains * chains->draws, chains->size, chains->values, names, AD_F64};
    nf_table both = {0};
    struct kept what = {.table = statistics_too ? &both : &draws, .left = "they"};
    ad_status made = names ? AD_OK : ad_error_set(&why, AD_ERROR_MEMORY, "no memory for the names of draws");
    if (!made && is_netcdf(path))
        made = encode_chains(target, chains, pool, &what, &why);
    else if (!made && statistics_too)
        made = put_statistics(chains, &draws, &both, &why);
    status = made ? join(status, made, &why, error) : keep(&what, status, path, kept, error);
    if (*kept) json_object_set_new(result, "output", report_text(kept));
    free(what.bytes);
    ad_free(both.values);
    ad_free(both.names);
    ad_free(names);
    return status;
}

/* ---- Draws of a flow ------------------------------------------------------------------------------------------------
 */

static ad_status encode_flow_draws(nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed, ad_pool *pool,
                                   struct kept *what, ad_error *error)
{
    const size_t dim = nf_target_dim(target), size = nf_target_size(target);
    double *z = ad_alloc(draws, (dim + size + 2) * sizeof *z);
    if (!z) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu draws", draws);
    double *values = z + draws * dim, *log_q = values + draws * size, *log_p = log_q + draws;
    const struct statistic statistic[] = {{"lp", NETCDF_DOUBLE, log_p}, {"log_q", NETCDF_DOUBLE, log_q}};
    const struct inference_data data = {.target = target,
                                        .chains = 1,
                                        .draws = draws,
                                        .values = values,
                                        .z = z,
                                        .statistic = statistic,
                                        .statistics = sizeof statistic / sizeof *statistic};
    ad_status status = nf_sample(flow, NULL, draws, seed, z, log_q, pool, error);
    if (!status) status = nf_target_values(target, z, draws, values, pool, error);
    if (!status) status = nf_target_log_densities(target, z, draws, log_p, pool, error);
    if (!status) status = inference_data_encode(&data, pool, &what->bytes, &what->size, error);
    ad_free(z);
    return status;
}

ad_status keep_flow_draws(const char *path, nf_flow *flow, const nf_target *target, size_t draws, uint64_t seed,
                          ad_pool *pool, ad_status status, char kept[], ad_error *error)
{
    ad_error why;
    struct kept what = {.left = "draws of what it came to"};
    ad_status made = encode_flow_draws(flow, target, draws, seed, pool, &what, &why);
    status = made ? join(status, made, &why, error) : keep(&what, status, path, kept, error);
    free(what.bytes);
    return status;
}
