/* Draws from a target as ArviZ's InferenceData. */
#include "inference_data.h"
#include "plugin_place.h"
#include "ranks.h"
#include "report.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- What writes NetCDF --------------------------------------------------------------------------------------------
 */

bool is_netcdf(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcasecmp(dot, ".nc") == 0;
}

static ad_status load_netcdf(const netcdf_part **part, ad_error *error)
{
    char path[PLUGIN_PLACE];
    if (!plugin_place_of("netcdf", path))
        return ad_error_set(
            error, AD_ERROR_IO,
            "this weir was built without NetCDF: install libnetcdf-dev (of Debian; libnetcdf elsewhere) "
            "and build it anew, or name a file of another kind");
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *part = object ? dlsym(object, "weir_netcdf") : NULL;
    if (!*part) return ad_error_set(error, AD_ERROR_IO, "NetCDF can't be written: %.900s", dlerror());
    if ((*part)->abi == WEIR_ABI) return AD_OK;
    return ad_error_set(error, AD_ERROR_IO, "'%.900s' is of another version of Weir", path);
}

ad_status netcdf_check(ad_error *error)
{
    const netcdf_part *part;
    return load_netcdf(&part, error);
}

/* ---- Groups in the making ------------------------------------------------------------------------------------------
 */

enum { GROUPS = 4, NAME = 96 };

/* Everything that groups point to is in one list, released at the end. */
struct block {
    struct block *next;
    double room[];
};

struct making {
    struct block *blocks;
    netcdf_group group[GROUPS];
    size_t groups;
    bool failed; /* memory is out */
};

/* A zeroed block; NULL: memory is out. */
static void *take(struct making *m, size_t count, size_t size)
{
    struct block *block = size && count > SIZE_MAX / 2 / size ? NULL : calloc(1, sizeof *block + count * size);
    if (!block) {
        m->failed = true;
        return NULL;
    }
    block->next = m->blocks;
    m->blocks = block;
    return block->room;
}

static void release(struct making *m)
{
    while (m->blocks) {
        struct block *next = m->blocks->next;
        free(m->blocks);
        m->blocks = next;
    }
}

/* A group with room for so many dimensions, and for variables besides these, each of which has its numbers, from 0, as
 * coordinates. NULL: memory is out. */
static netcdf_group *begin(struct making *m, const char *name, size_t dimensions, size_t variables)
{
    static const netcdf_attribute library[] = {{"inference_library", "weir"},
                                               {"inference_library_version", WEIR_VERSION}};
    netcdf_group *group = &m->group[m->groups++];
    *group = (netcdf_group){.name = name,
                            .dimension = take(m, dimensions, sizeof *group->dimension),
                            .variable = take(m, dimensions + variables, sizeof *group->variable),
                            .attribute = library,
                            .attributes = sizeof library / sizeof *library};
    return m->failed ? NULL : group;
}

static void put(netcdf_group *group, netcdf_variable variable)
{
    ((netcdf_variable *)(uintptr_t)group->variable)[group->variables++] = variable;
}

/* Its number. */
static size_t put_dimension(struct making *m, netcdf_group *group, const char *name, size_t size)
{
    int64_t *number = take(m, size, sizeof *number);
    for (size_t i = 0; number && i < size; i++) number[i] = (int64_t)i;
    ((netcdf_dimension *)(uintptr_t)group->dimension)[group->dimensions] = (netcdf_dimension){name, size};
    put(group, (netcdf_variable){name, NETCDF_INTEGER, 1, {group->dimensions}, number});
    return group->dimensions++;
}

/* A group of what there is of each draw; dimensions 0 and 1 are chain and draw. */
static netcdf_group *begin_draws(struct making *m, const char *name, size_t dimensions, size_t variables,
                                 const struct inference_data *data)
{
    netcdf_group *group = begin(m, name, 2 + dimensions, variables);
    if (!group) return NULL;
    put_dimension(m, group, "chain", data->chains);
    put_dimension(m, group, "draw", data->draws);
    return group;
}

/* ---- Each group ----------------------------------------------------------------------------------------------------
 */

/* "theta_dim_0", as ArviZ calls what has no name. */
static size_t put_site_dimension(struct making *m, netcdf_group *group, const char *site, int number, size_t size)
{
    char *name = take(m, NAME, 1);
    if (name) snprintf(name, NAME, "%.80s_dim_%d", site, number);
    return name ? put_dimension(m, group, name, size) : 0;
}

/* A number has no dimension of its own, a vector one, a matrix two. */
static void put_site(struct making *m, netcdf_group *group, const nf_site *site, size_t first,
                     const struct inference_data *data)
{
    const size_t rows = data->chains * data->draws, stride = nf_target_size(data->target);
    double *values = take(m, rows, site->size * sizeof *values);
    netcdf_variable variable = {site->name, NETCDF_DOUBLE, 2, {0, 1}, values};
    size_t columns = 1;
    while (columns * columns < site->size) columns++;
    if (site->constraint == NF_SITE_CORRELATION_CHOLESKY)
        for (int i = 0; i < 2; i++)
            variable.dimension[variable.rank++] = put_site_dimension(m, group, site->name, i, columns);
    else if (site->size > 1)
        variable.dimension[variable.rank++] = put_site_dimension(m, group, site->name, 0, site->size);
    for (size_t r = 0; values && r < rows; r++)
        memcpy(values + r * site->size, data->values + r * stride + first, site->size * sizeof *values);
    put(group, variable);
}

static void make_posterior(struct making *m, const struct inference_data *data)
{
    const nf_target *target = data->target;
    size_t first = 0;
    netcdf_group *group = begin_draws(m, "posterior", 2 * target->n_site, target->n_site, data);
    for (size_t i = 0; group && i < target->n_site; i++) {
        put_site(m, group, &target->site[i], first, data);
        first += target->site[i].size;
    }
}

static void make_sample_stats(struct making *m, const struct inference_data *data)
{
    netcdf_group *group = begin_draws(m, "sample_stats", 0, data->statistics, data);
    for (size_t i = 0; group && i < data->statistics; i++) {
        const struct statistic *s = &data->statistic[i];
        put(group, (netcdf_variable){s->name, s->kind, 2, {0, 1}, s->values});
    }
}

/* What the target calls an observation is a row of its table, where it has one. */
static const char observations[] = "obs_id";

static void make_log_likelihood(struct making *m, const struct inference_data *data, const double *each, size_t n)
{
    netcdf_group *group = each ? begin_draws(m, "log_likelihood", 1, 1, data) : NULL;
    if (!group) return;
    put_dimension(m, group, observations, n);
    put(group, (netcdf_variable){"log_lik", NETCDF_DOUBLE, 3, {0, 1, 2}, each});
}

static void make_observed_data(struct making *m, const nf_target *target)
{
    size_t columns = 0;
    const char *name;
    while (nf_target_column_name(target, columns)) columns++;
    netcdf_group *group = columns > 0 ? begin(m, "observed_data", 1, columns) : NULL;
    if (!group) return;
    put_dimension(m, group, observations, nf_target_rows(target));
    for (size_t c = 0; (name = nf_target_column_name(target, c)); c++)
        if (nf_target_column(target, name))
            put(group, (netcdf_variable){name, NETCDF_DOUBLE, 1, {0}, nf_target_column(target, name)});
}

static ad_status encode(const struct inference_data *data, const double *each, size_t n, void **bytes, size_t *size,
                        ad_error *error)
{
    const netcdf_part *part;
    if (load_netcdf(&part, error)) return error->status;
    struct making m = {0};
    make_posterior(&m, data);
    if (!m.failed) make_sample_stats(&m, data);
    if (!m.failed) make_log_likelihood(&m, data, each, n);
    if (!m.failed) make_observed_data(&m, data->target);
    ad_status status = m.failed ? ad_error_set(error, AD_ERROR_MEMORY, "no memory for a NetCDF file of %zu draws",
                                               data->chains * data->draws)
                                : part->encode(m.group, m.groups, bytes, size, error);
    release(&m);
    return status;
}

ad_status inference_data_encode(const struct inference_data *data, ad_pool *pool, void **bytes, size_t *size,
                                ad_error *error)
{
    const size_t rows = data->chains * data->draws, n = nf_target_observations(data->target);
    double *each = n > 0 ? ad_alloc(rows, n * sizeof *each) : NULL;
    ad_status status = AD_OK;
    *bytes = NULL;
    *size = 0;
    if (n > 0 && !each) warn("there is no memory for log-likelihoods of %zu observations: they are left out", n);
    if (each) status = nf_target_log_likelihoods(data->target, data->z, rows, n, each, pool, error);
    if (!status) status = ranks_agree(ranks_is_first() ? encode(data, each, n, bytes, size, error) : AD_OK, error);
    ad_free(each);
    return status;
}
