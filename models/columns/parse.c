/* Columns from JSON, which may come from anywhere: what isn't checked here is believed everywhere else. */
#include "columns/column.h"
#include "columns/text.h"
#include "files/json.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <math.h>
#include <string.h>

/* What is read, with what went wrong first. */
struct reader {
    const json_t *json; /* of one column */
    const char *wrong;  /* a key; NULL: nothing yet */
    bool no_memory;
};

static void fail(struct reader *reader, const char *key)
{
    if (!reader->wrong) reader->wrong = key;
}

static void expect(struct reader *reader, bool condition, const char *key)
{
    if (!condition) fail(reader, key);
}

/* ---- Values ---------------------------------------------------------------------------------------------------- */

static double number_of(struct reader *reader, const json_t *json, const char *key)
{
    const char *text = json_string_value(json);
    if (json_is_number(json)) return json_number_value(json);
    if (text && strcmp(text, "nan") == 0) return NAN;
    if (text && strcmp(text, "inf") == 0) return INFINITY;
    if (text && strcmp(text, "-inf") == 0) return -INFINITY;
    fail(reader, key);
    return 0;
}

static double number(struct reader *reader, const json_t *json, const char *key)
{
    return number_of(reader, json_object_get(json, key), key);
}

static size_t count(struct reader *reader, const char *key)
{
    const json_t *json = json_object_get(reader->json, key);
    json_int_t value = json_integer_value(json);
    size_t size = (size_t)value; /* of 32 bits, perhaps */
    expect(reader, json_is_integer(json) && value >= 0 && (uint64_t)value == size, key);
    return size;
}

static bool truth(struct reader *reader, const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    expect(reader, json_is_boolean(value), key);
    return json_is_true(value);
}

/* NULL where there is none. */
static double *numbers(struct reader *reader, const char *key, size_t *size)
{
    const json_t *array = json_object_get(reader->json, key);
    *size = json_array_size(array);
    if (!array) return NULL;
    expect(reader, json_is_array(array), key);
    double *values = ad_alloc(*size + 1, sizeof *values);
    if (!values) reader->no_memory = true;
    for (size_t i = 0; values && i < *size; i++) values[i] = number_of(reader, json_array_get(array, i), key);
    return values;
}

static const char *text(struct reader *reader, const char *key)
{
    const char *string = json_string_value(json_object_get(reader->json, key));
    char *copy = ad_strdup(string ? string : "");
    if (!copy) reader->no_memory = true;
    expect(reader, string != NULL, key);
    return copy;
}

static const char *const *labels(struct reader *reader, size_t *size)
{
    const json_t *array = json_object_get(reader->json, "labels");
    size_t bytes = 0;
    *size = json_array_size(array);
    for (size_t k = 0; k < *size; k++) {
        expect(reader, json_is_string(json_array_get(array, k)), "labels");
        bytes += json_string_length(json_array_get(array, k)) + 1;
    }
    if (reader->wrong) return NULL;
    char **list = ad_alloc((*size + 1) * sizeof *list + bytes, 1);
    if (!list) {
        reader->no_memory = true;
        return NULL;
    }
    char *to = (char *)(list + *size + 1);
    for (size_t k = 0; k < *size; k++) {
        list[k] = to;
        to = stpcpy(to, json_string_value(json_array_get(array, k))) + 1;
    }
    return (const char *const *)list;
}

/* ---- Columns --------------------------------------------------------------------------------------------------- */

static nf_column_kind kind(struct reader *reader)
{
    const char *name = json_string_value(json_object_get(reader->json, "kind"));
    for (int k = 0; name && k <= NF_COLUMN_DROPPED; k++)
        if (strcmp(name, nf_column_kind_name((nf_column_kind)k)) == 0) return (nf_column_kind)k;
    fail(reader, "kind");
    return NF_COLUMN_REAL;
}

static nf__map map(struct reader *reader)
{
    const json_t *json = json_object_get(reader->json, "map");
    const char *type = json_string_value(json_object_get(json, "type"));
    nf__map read = {.type = NF__MAPS,
                    .low = number(reader, json, "low"),
                    .high = number(reader, json, "high"),
                    .width = number(reader, json, "width"),
                    .pull_low = number(reader, json, "pull_low"),
                    .pull_high = number(reader, json, "pull_high"),
                    .offset = number(reader, json, "offset"),
                    .scale = number(reader, json, "scale")};
    for (int t = 0; type && t < NF__MAPS; t++)
        if (strcmp(type, nf__map_name((nf__map_type)t)) == 0) read.type = (nf__map_type)t;
    const bool low = isfinite(read.low), high = isfinite(read.high);
    expect(reader, read.type != NF__MAPS, "map");
    expect(reader, read.low < read.high && isfinite(read.offset), "map");
    expect(reader, read.scale > 0 && isfinite(read.scale), "map");
    expect(reader, read.pull_low >= 0 && isfinite(read.pull_low) && (low || read.pull_low == 0), "map");
    expect(reader, read.pull_high >= 0 && isfinite(read.pull_high) && (high || read.pull_high == 0), "map");
    if (low && high) expect(reader, read.pull_low + read.pull_high < read.high - read.low, "map");
    if (read.type == NF__MAP_LOG || read.type == NF__MAP_SOFTPLUS) expect(reader, low && !high, "map");
    if (read.type == NF__MAP_SOFTPLUS) expect(reader, read.width > 0 && isfinite(read.width), "map");
    if (read.type == NF__MAP_LOGIT) expect(reader, low && high, "map");
    return read;
}

static void read_values(struct reader *reader, nf__column *column)
{
    nf_column *face = &column->face;
    size_t codes = 0, texts = 0;
    if (json_object_get(reader->json, "labels")) face->labels = labels(reader, &texts);
    face->codes = numbers(reader, "codes", &codes);
    face->atom = numbers(reader, "atoms", &face->atoms);
    expect(reader, codes == 0 || texts == 0, "codes");
    face->categories = codes + texts;
    for (size_t k = 1; face->codes && k < codes; k++) expect(reader, face->codes[k - 1] < face->codes[k], "codes");
    for (size_t a = 0; face->atom && a < face->atoms; a++) expect(reader, isfinite(face->atom[a]), "atoms");
}

/* How many cells there have to be. */
static size_t cells_of(struct reader *reader, const nf__column *column, bool context)
{
    const nf_column *face = &column->face;
    const size_t others = face->atoms + column->can_miss;
    if (face->kind == NF_COLUMN_CATEGORY) return face->categories + column->can_miss;
    if (context || face->kind >= NF_COLUMN_CONSTANT) return 0;
    if (!column->discrete) return others ? 1 + others : 0;
    double range = face->high - face->low + 1;
    expect(reader, range >= 1 && range < 1e6 && floor(range) == range && floor(face->low) == face->low, "high");
    return reader->wrong ? 0 : (size_t)range + column->can_miss;
}

static void check_kind(struct reader *reader, const nf__column *column, bool context)
{
    const nf_column *face = &column->face;
    const bool category = face->kind == NF_COLUMN_CATEGORY, constant = face->kind == NF_COLUMN_CONSTANT;
    expect(reader, !column->discrete || category || face->kind == NF_COLUMN_INTEGER || constant, "discrete");
    expect(reader, !(context && column->discrete && face->kind == NF_COLUMN_INTEGER), "discrete");
    expect(reader, category ? face->categories > 0 && column->discrete : face->categories <= (size_t)constant, "kind");
    if (face->kind < NF_COLUMN_CONSTANT && !column->discrete) expect(reader, column->map.scale > 0, "map");
    if (face->kind == NF_COLUMN_ANGLE)
        expect(reader, isfinite(column->map.low) && isfinite(column->map.high) && face->atoms == 0, "map");
}

static ad_status read_column(struct reader *reader, nf_columns *columns, size_t c, ad_error *error)
{
    nf__column *column = &columns->column[c];
    nf_column *face = &column->face;
    if (json_object_get(reader->json, "name")) face->name = text(reader, "name");
    face->why = text(reader, "why");
    face->kind = kind(reader);
    face->rows = count(reader, "rows");
    face->missing = number(reader, reader->json, "missing");
    face->least = number(reader, reader->json, "least");
    face->most = number(reader, reader->json, "most");
    face->low = number(reader, reader->json, "low");
    face->high = number(reader, reader->json, "high");
    column->can_miss = truth(reader, reader->json, "can_miss");
    column->discrete = truth(reader, reader->json, "discrete");
    column->first = face->low;
    read_values(reader, column);
    if (json_object_get(reader->json, "map")) {
        column->map = map(reader);
        column->fill_mean = number(reader, reader->json, "fill_mean");
        column->fill_sd = number(reader, reader->json, "fill_sd");
        expect(reader, isfinite(column->fill_mean) && column->fill_sd > 0 && isfinite(column->fill_sd), "fill_sd");
    }
    if (face->kind == NF_COLUMN_DUPLICATE) {
        face->source = count(reader, "source");
        face->slope = number(reader, reader->json, "slope");
        face->intercept = number(reader, reader->json, "intercept");
        column->whole = truth(reader, reader->json, "whole");
        expect(reader, face->source < c && columns->column[face->source].face.kind < NF_COLUMN_CONSTANT, "source");
    }
    check_kind(reader, column, columns->context);
    size_t cells;
    double *mass = numbers(reader, "cells", &cells);
    expect(reader, cells == cells_of(reader, column, columns->context), "cells");
    for (size_t k = 0; mass && k < cells; k++) expect(reader, mass[k] > 0, "cells");
    ad_status status = AD_OK;
    if (reader->no_memory)
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a column");
    else if (reader->wrong)
        status = ad_error_set(error, AD_ERROR_FORMAT, "columns of a record: column %zu has no good '%s'", c + 1,
                              reader->wrong);
    else if (cells > 0)
        status = nf__cells_make(mass, cells, &column->cells, error);
    ad_free(mass);
    return status;
}

static ad_status read_columns(const json_t *json, nf_columns **columns, ad_error *error)
{
    struct reader reader = {0};
    const json_t *array = json_object_get(json, "columns"), *version = json_object_get(json, "version");
    if (!json_is_integer(version) || json_integer_value(version) > NF__COLUMNS_VERSION)
        return ad_error_set(error, AD_ERROR_FORMAT, "columns of version %lld, and this Weir knows %d: use a newer one",
                            (long long)json_integer_value(version), NF__COLUMNS_VERSION);
    *columns = nf__columns_new(json_array_size(array), error);
    if (!*columns) return AD_ERROR_MEMORY;
    (*columns)->context = truth(&reader, json, "context");
    (*columns)->plain = truth(&reader, json, "plain");
    if (reader.wrong)
        return ad_error_set(error, AD_ERROR_FORMAT, "columns of a record: there is no '%s'", reader.wrong);
    ad_status status = AD_OK;
    for (size_t c = 0; c < (*columns)->count && !status; c++) {
        reader.json = json_array_get(array, c);
        status = read_column(&reader, *columns, c, error);
        if (!status && (*columns)->plain && (*columns)->column[c].face.kind != NF_COLUMN_REAL)
            status = ad_error_set(error, AD_ERROR_FORMAT, "columns of a record: column %zu is not plain", c + 1);
    }
    return status ? status : nf__columns_finish(*columns, error);
}

nf_columns *nf_columns_parse(const char *json_text, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!json_text) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: text is NULL"), NULL;
    json_error_t reason;
    json_t *json;
    nf_columns *columns = NULL;
    ad_status status = nf__json_load(json_text, strlen(json_text), &json, &reason);
    if (status == AD_ERROR_MEMORY)
        ad_error_set(error, status, "out of memory to read columns");
    else if (status)
        ad_error_set(error, status, "columns of a record are no JSON object: %s", reason.text);
    else
        status = read_columns(json, &columns, error);
    json_decref(json);
    if (!status) return columns;
    nf_columns_free(columns);
    return NULL;
}
