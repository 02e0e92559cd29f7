/* Columns as JSON. Numbers have 17 digits, which give the same bits again. */
#include "columns/column.h"
#include "columns/text.h"
#include "files/json.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <math.h>

static json_t *number_json(double number)
{
    if (isfinite(number)) return json_real(number);
    return json_string(isnan(number) ? "nan" : number > 0 ? "inf" : "-inf");
}

static json_t *count_json(size_t count)
{
    return json_integer((json_int_t)count);
}

static void put_number(json_t **object, const char *key, double number)
{
    nf__json_put(object, key, number_json(number));
}

static void put_numbers(json_t **object, const char *key, const double *numbers, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) nf__json_append(&array, number_json(numbers[i]));
    nf__json_put(object, key, array);
}

static json_t *map_json(const nf__map *map)
{
    json_t *json = json_object();
    nf__json_put(&json, "type", json_string(nf__map_name(map->type)));
    put_number(&json, "low", map->low);
    put_number(&json, "high", map->high);
    put_number(&json, "width", map->width);
    put_number(&json, "pull_low", map->pull_low);
    put_number(&json, "pull_high", map->pull_high);
    put_number(&json, "offset", map->offset);
    put_number(&json, "scale", map->scale);
    return json;
}

static json_t *labels_json(const nf_column *face)
{
    json_t *array = json_array();
    for (size_t k = 0; k < face->categories; k++) nf__json_append(&array, nf__json_text(face->labels[k]));
    return array;
}

static json_t *column_json(const nf__column *column)
{
    const nf_column *face = &column->face;
    json_t *json = json_object();
    if (face->name) nf__json_put(&json, "name", nf__json_text(face->name));
    nf__json_put(&json, "kind", json_string(nf_column_kind_name(face->kind)));
    nf__json_put(&json, "why", nf__json_text(face->why));
    nf__json_put(&json, "rows", count_json(face->rows));
    put_number(&json, "missing", face->missing);
    put_number(&json, "least", face->least);
    put_number(&json, "most", face->most);
    put_number(&json, "low", face->low);
    put_number(&json, "high", face->high);
    nf__json_put(&json, "can_miss", json_boolean(column->can_miss));
    nf__json_put(&json, "discrete", json_boolean(column->discrete));
    if (face->labels) nf__json_put(&json, "labels", labels_json(face));
    if (face->codes) put_numbers(&json, "codes", face->codes, face->categories);
    if (face->atoms) put_numbers(&json, "atoms", face->atom, face->atoms);
    if (column->cells.count) put_numbers(&json, "cells", column->cells.mass, column->cells.count);
    if (face->kind == NF_COLUMN_DUPLICATE) {
        nf__json_put(&json, "source", count_json(face->source));
        put_number(&json, "slope", face->slope);
        put_number(&json, "intercept", face->intercept);
        nf__json_put(&json, "whole", json_boolean(column->whole));
    }
    if (column->map.scale > 0) {
        nf__json_put(&json, "map", map_json(&column->map));
        put_number(&json, "fill_mean", column->fill_mean);
        put_number(&json, "fill_sd", column->fill_sd);
    }
    return json;
}

char *nf_columns_text(const nf_columns *columns, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!columns) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: columns is NULL"), NULL;
    json_t *json = json_object(), *array = json_array();
    for (size_t c = 0; c < columns->count; c++) nf__json_append(&array, column_json(&columns->column[c]));
    nf__json_put(&json, "version", json_integer(NF__COLUMNS_VERSION));
    nf__json_put(&json, "context", json_boolean(columns->context));
    nf__json_put(&json, "plain", json_boolean(columns->plain));
    nf__json_put(&json, "columns", array);
    size_t bytes;
    char *text = nf__json_dump(json, JSON_REAL_PRECISION(17), &bytes);
    json_decref(json);
    if (!text) ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu columns as text", columns->count);
    return text;
}
