/* From features to the rows of a table. */
#include "columns/column.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <math.h>
#include <string.h>

/* ---- Values ---------------------------------------------------------------------------------------------------- */

static double decode_angle(const nf__column *column, const double *feature)
{
    const nf__map *map = &column->map;
    double part = atan2(feature[1], feature[0]) / (2 * M_PI);
    double value = map->low + (part < 0 ? part + 1 : part) * (map->high - map->low);
    return value >= map->high ? map->low : value; /* a tiny negative part rounds up to a whole turn */
}

static double decode_value(const nf__column *column, const double *feature)
{
    const nf_column *face = &column->face;
    if (column->cells.count > 0) {
        if (isnan(*feature)) return NAN;
        size_t state = nf__cells_from(&column->cells, *feature++);
        if (column->can_miss && state == column->cells.count - 1) return NAN;
        if (face->kind == NF_COLUMN_CATEGORY) return face->labels ? (double)state : face->codes[state];
        if (column->discrete) return column->first + (double)state;
        if (state > 0) return face->atom[state - 1];
    }
    if (face->kind == NF_COLUMN_ANGLE) return decode_angle(column, feature);
    double value = isnan(*feature) ? NAN : nf__map_from(&column->map, *feature);
    if (face->kind == NF_COLUMN_INTEGER)
        return fmin(fmax(floor(value), fmax(column->map.low, -0x1p40)), fmin(column->map.high - 1, 0x1p40));
    return value;
}

static double decode_source(const nf__column *column, double x)
{
    double value = column->face.slope * x + column->face.intercept;
    return column->whole ? nearbyint(value) : value;
}

static double constant(const nf_column *face)
{
    return face->categories == 0 ? NAN : face->labels ? 0 : face->codes[0];
}

/* All columns of a row, also those that are dropped. */
static void decode_row(const nf_columns *columns, const double *feature, double *row)
{
    for (size_t c = 0; c < columns->count; c++) {
        const nf__column *column = &columns->column[c];
        switch (column->face.kind) {
        case NF_COLUMN_CONSTANT:
            row[c] = constant(&column->face);
            break;
        case NF_COLUMN_DUPLICATE:
            row[c] = decode_source(column, row[column->face.source]);
            break;
        case NF_COLUMN_DROPPED:
            row[c] = NAN;
            break;
        default:
            row[c] = columns->plain ? feature[c] : decode_value(column, feature + column->face.feature);
        }
    }
}

/* ---- Tables ---------------------------------------------------------------------------------------------------- */

/* The labels of a column, or of the one that it is a duplicate of. */
static const nf_column *labels_of(const nf_columns *columns, size_t c)
{
    const nf_column *face = &columns->column[c].face;
    return face->kind == NF_COLUMN_DUPLICATE ? &columns->column[face->source].face : face;
}

static bool is_kept(const nf_columns *columns, size_t c)
{
    return columns->column[c].face.kind != NF_COLUMN_DROPPED;
}

static ad_status copy_names(const nf_columns *columns, nf_table *table, ad_error *error)
{
    size_t bytes = 0, kept = 0;
    bool named = false;
    for (size_t c = 0; c < columns->count; c++) {
        const char *name = columns->column[c].face.name;
        named = named || name;
        bytes += name ? strlen(name) + 1 : 0;
    }
    if (!named) return AD_OK;
    table->names = ad_alloc(table->columns * sizeof *table->names + bytes, 1);
    if (!table->names) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu names", table->columns);
    char *text = (char *)(table->names + table->columns);
    for (size_t c = 0; c < columns->count; c++) {
        if (!is_kept(columns, c)) continue;
        table->names[kept++] = text;
        text = stpcpy(text, columns->column[c].face.name) + 1;
    }
    return AD_OK;
}

static ad_status copy_labels(const nf_columns *columns, nf_table *table, ad_error *error)
{
    size_t bytes = 0, pointers = table->columns, kept = 0;
    for (size_t c = 0; c < columns->count; c++) {
        const nf_column *face = labels_of(columns, c);
        if (!is_kept(columns, c) || !face->labels) continue;
        pointers += face->categories + 1;
        for (size_t k = 0; k < face->categories; k++) bytes += strlen(face->labels[k]) + 1;
    }
    if (pointers == table->columns) return AD_OK;
    table->labels = ad_alloc(pointers * sizeof(char *) + bytes, 1);
    if (!table->labels) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu labels", pointers);
    char **list = (char **)(table->labels + table->columns), *text = (char *)((char **)table->labels + pointers);
    for (size_t c = 0; c < columns->count; c++) {
        const nf_column *face = labels_of(columns, c);
        if (!is_kept(columns, c)) continue;
        char ***labels = &table->labels[kept++];
        if (!face->labels) continue;
        *labels = list;
        for (size_t k = 0; k < face->categories; k++) {
            *list++ = text;
            text = stpcpy(text, face->labels[k]) + 1;
        }
        list++;
    }
    return AD_OK;
}

ad_status nf_columns_decode(const nf_columns *columns, const double *features, size_t rows, nf_table *table,
                            ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (table) *table = (nf_table){0};
    const char *missing = !columns ? "columns" : rows && !features ? "features" : !table ? "table" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: %s is NULL", missing);
    *table = (nf_table){.rows = rows, .dtype = AD_F64};
    if (columns->context) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns of a context can't be decoded");
    for (size_t c = 0; c < columns->count; c++) table->columns += is_kept(columns, c);
    table->values = ad_alloc(rows * table->columns + 1, sizeof *table->values);
    double *row = ad_alloc(columns->count + 1, sizeof *row), *to = table->values;
    ad_status status = AD_OK;
    if (!table->values || !row)
        status =
            ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows of %zu columns", rows, table->columns);
    if (!status) status = copy_names(columns, table, error);
    if (!status) status = copy_labels(columns, table, error);
    for (size_t r = 0; r < rows && !status; r++) {
        decode_row(columns, features + r * columns->features, row);
        for (size_t c = 0; c < columns->count; c++) {
            if (!is_kept(columns, c)) continue;
            table->missing = table->missing || isnan(row[c]);
            *to++ = row[c];
        }
    }
    ad_free(row);
    if (status) nf_table_free(table);
    return status;
}
