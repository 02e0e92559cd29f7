/* NetCDF files, as the command has them written by a part of its own, netcdf.so, which is built where libnetcdf is: so
 * the command runs without that, and loads it only where a file is to be written. */
#ifndef WEIR_NETCDF_H
#define WEIR_NETCDF_H

#include <weir/error.h>

typedef enum { NETCDF_DOUBLE, NETCDF_INTEGER, NETCDF_FLAG } netcdf_kind;

enum { NETCDF_MOST_DIMENSIONS = 4 };

typedef struct {
    const char *name;
    size_t size;
} netcdf_dimension;

/* double, int64_t, or int8_t that xarray knows for bool. */
typedef struct {
    const char *name;
    netcdf_kind kind;
    size_t rank, dimension[NETCDF_MOST_DIMENSIONS]; /* which of its group, the slowest first */
    const void *values;
} netcdf_variable;

typedef struct {
    const char *name, *value;
} netcdf_attribute;

typedef struct {
    const char *name;
    const netcdf_dimension *dimension;
    size_t dimensions;
    const netcdf_variable *variable;
    size_t variables;
    const netcdf_attribute *attribute;
    size_t attributes;
} netcdf_group;

/* What netcdf.so defines, as weir_netcdf. */
typedef struct {
    int abi; /* WEIR_ABI of the headers that it was compiled with */
    /* All groups as the bytes of a NetCDF-4 file, for free(). */
    ad_status (*encode)(const netcdf_group *group, size_t groups, void **bytes, size_t *size, ad_error *error);
} netcdf_part;

#endif
