/* NetCDF-4 files by libnetcdf, made in memory: the command writes them as it writes any file, whole or not at all. */
#include "netcdf.h"

#include <netcdf.h>
#include <netcdf_mem.h>
#include <stdlib.h>
#include <string.h>

static const nc_type types[] = {[NETCDF_DOUBLE] = NC_DOUBLE, [NETCDF_INTEGER] = NC_INT64, [NETCDF_FLAG] = NC_BYTE};

/* Each of these returns libnetcdf's own status, 0 for success. */
static int put_text(int in, int variable, const char *name, const char *text)
{
    return nc_put_att_text(in, variable, name, strlen(text), text);
}

/* Values come with the definitions; NC_NOFILL: all of them are written. */
static int put_variable(int in, const int *dimension, const netcdf_variable *v)
{
    int variable, of[NETCDF_MOST_DIMENSIONS];
    for (size_t i = 0; i < v->rank; i++) of[i] = dimension[v->dimension[i]];
    int failed = nc_def_var(in, v->name, types[v->kind], (int)v->rank, of, &variable);
    if (!failed) failed = nc_def_var_fill(in, variable, NC_NOFILL, NULL);
    if (!failed && v->kind == NETCDF_FLAG) failed = put_text(in, variable, "dtype", "bool");
    return failed ? failed : nc_put_var(in, variable, v->values);
}

static int put_group(int file, const netcdf_group *group)
{
    int in, failed = nc_def_grp(file, group->name, &in);
    int *dimension = failed ? NULL : calloc(group->dimensions + 1, sizeof *dimension);
    if (!failed && !dimension) failed = NC_ENOMEM;
    for (size_t i = 0; i < group->attributes && !failed; i++)
        failed = put_text(in, NC_GLOBAL, group->attribute[i].name, group->attribute[i].value);
    for (size_t i = 0; i < group->dimensions && !failed; i++)
        failed = nc_def_dim(in, group->dimension[i].name, group->dimension[i].size, &dimension[i]);
    for (size_t i = 0; i < group->variables && !failed; i++) failed = put_variable(in, dimension, &group->variable[i]);
    free(dimension);
    return failed;
}

static ad_status encode(const netcdf_group *group, size_t groups, void **bytes, size_t *size, ad_error *error)
{
    int file;
    NC_memio memory = {0};
    int failed = nc_create_mem("weir.nc", NC_NETCDF4 | NC_CLOBBER, 0, &file);
    if (!failed) {
        for (size_t i = 0; i < groups && !failed; i++) failed = put_group(file, &group[i]);
        if (failed)
            nc_abort(file);
        else
            failed = nc_close_memio(file, &memory);
    }
    *bytes = memory.memory;
    *size = memory.size;
    if (!failed) return AD_OK;
    return ad_error_set(error, failed == NC_ENOMEM ? AD_ERROR_MEMORY : AD_ERROR_IO, "NetCDF: %s", nc_strerror(failed));
}

extern const netcdf_part weir_netcdf __attribute__((visibility("default")));
const netcdf_part weir_netcdf = {WEIR_ABI, encode};
