/* Rows of a file that a model is asked about. */
#include "points.h"
#include "columns.h"
#include "gather.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* ---- Which columns --------------------------------------------------------------------------------------------- */

/* Where the columns of a model are in a table. */
struct places {
    size_t *features, *conditions; /* of each column: SIZE_MAX where it isn't needed */
    size_t *found;                 /* room for as many as there are in all, */
    bool *taken;                   /* and for each column of the table */
    char **names;
};

static void places_free(struct places *places)
{
    ad_free(places->features);
    ad_free(places->found);
    ad_free(places->taken);
    ad_free(places->names);
}

static ad_status places_begin(struct places *places, const struct model *model, const nf_table *table, ad_error *error)
{
    size_t features = nf_columns_count(model->features), conditions = nf_columns_count(model->conditions);
    size_t all = features + conditions, most = all > table->columns ? all : table->columns;
    *places = (struct places){.features = ad_alloc(all, sizeof(size_t)),
                              .found = ad_alloc(most, sizeof *places->found),
                              .taken = ad_alloc(most, sizeof *places->taken),
                              .names = ad_alloc(all, sizeof *places->names)};
    if (!places->features || !places->found || !places->taken || !places->names) {
        places_free(places);
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the order of %zu columns", most);
    }
    places->conditions = places->features + features;
    for (size_t i = 0; i < all; i++) places->features[i] = SIZE_MAX;
    return AD_OK;
}

/* What was found of columns that aren't dropped goes to the places of these. */
static void spread(const nf_columns *columns, const size_t *found, size_t *place)
{
    for (size_t c = 0; c < nf_columns_count(columns); c++)
        if (nf_columns_column(columns, c)->kind != NF_COLUMN_DROPPED) place[c] = *found++;
}

/* Those that a text lists are the context. */
static ad_status find_by_text(const char *path, const char *text, const struct model *model, const nf_table *table,
                              struct places *places, ad_error *error)
{
    size_t size = nf_columns_count(model->conditions), count = 0;
    ad_status status =
        text ? columns_parse(text, "context", path, table, places->found, places->taken, &count, error) : AD_OK;
    if (!status && count != size)
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "--context names %zu column%s, but %s needs %zu", count,
                              plural(count), model->path, size);
    if (!status) memcpy(places->conditions, places->found, size * sizeof *places->found);
    return status;
}

static ad_status find_by_name(const char *path, const char *text, const struct model *model, const nf_table *table,
                              struct places *places, ad_error *error)
{
    char **names = columns_names(model->features), **given = text ? NULL : columns_names(model->conditions);
    size_t features = columns_kept(model->features), conditions = given ? columns_kept(model->conditions) : 0;
    ad_status status = names ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the names of columns");
    if (!status && !given) status = find_by_text(path, text, model, table, places, error);
    if (!status) {
        if (given) memcpy(places->names, given, conditions * sizeof *given);
        memcpy(places->names + conditions, names, features * sizeof *names);
        status = columns_match(table, path, model->path, places->names, conditions + features, places->taken,
                               places->found, error);
    }
    if (!status) {
        if (given) spread(model->conditions, places->found, places->conditions);
        spread(model->features, places->found + conditions, places->features);
    }
    ad_free(given);
    ad_free(names);
    return status;
}

static ad_status wrong_width(const char *path, const struct model *model, const nf_table *table, ad_error *error)
{
    size_t dim = nf_columns_count(model->features), size = nf_columns_count(model->conditions),
           columns = table->columns;
    const char *of = columns_plain(model->features) ? "feature" : "column";
    if (size == 0)
        return ad_error_set(error, AD_ERROR_FORMAT, "%s has %zu column%s, but %s is a flow of %zu %s%s", path, columns,
                            plural(columns), model->path, dim, of, plural(dim));
    return ad_error_set(error, AD_ERROR_FORMAT, "%s has %zu column%s, but %s needs %zu: %zu %s%s and a context of %zu",
                        path, columns, plural(columns), model->path, dim + size, dim, of, plural(dim), size);
}

/* As the table of the training was: the context where it stood, the others in their order. A table without those that
 * are dropped has the context behind the others, as samples have. */
static ad_status find_by_position(const char *path, const char *text, const struct model *model, const nf_table *table,
                                  struct places *places, ad_error *error)
{
    size_t features = nf_columns_count(model->features), size = nf_columns_count(model->conditions);
    size_t kept = columns_kept(model->features);
    if (table->columns == features + size) {
        ad_status status = find_by_text(path, text, model, table, places, error);
        for (size_t c = 0, f = 0; c < table->columns && !status; c++)
            if (!places->taken[c]) places->features[f++] = c;
        return status;
    }
    if (table->columns != kept + size) return wrong_width(path, model, table, error);
    for (size_t i = 0; i < kept + size; i++) places->found[i] = i;
    spread(model->features, places->found, places->features);
    for (size_t k = 0; k < size; k++) places->conditions[k] = kept + k;
    return AD_OK;
}

static bool has_names(const nf_columns *columns)
{
    return nf_columns_count(columns) > 0 && nf_columns_column(columns, 0)->name;
}

static ad_status find(const char *path, const char *text, const struct model *model, const nf_table *table,
                      struct places *places, ad_error *error)
{
    bool by_name = table->names && has_names(model->features);
    if (!text && !(by_name && has_names(model->conditions)))
        text = json_string_value(json_object_get(model->record, "context"));
    return by_name ? find_by_name(path, text, model, table, places, error)
                   : find_by_position(path, text, model, table, places, error);
}

ad_status points_find(const nf_table *table, const char *path, const char *model, const nf_columns *columns,
                      size_t *order, ad_error *error)
{
    size_t size = nf_columns_count(columns);
    if (!table->names || !has_names(columns)) {
        for (size_t k = 0; k < size; k++) order[k] = k;
        if (table->columns == size) return AD_OK;
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "%s has %zu row%s of %zu column%s, but the context has %zu number%s", path, table->rows,
                            plural(table->rows), table->columns, plural(table->columns), size, plural(size));
    }
    size_t *found = ad_alloc(size, sizeof *found);
    bool *taken = ad_alloc(table->columns, sizeof *taken);
    char **names = columns_names(columns);
    ad_status status = found && taken && names
                           ? columns_match(table, path, model, names, columns_kept(columns), taken, found, error)
                           : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the order of %zu columns", size);
    for (size_t k = 0; k < size; k++) order[k] = SIZE_MAX;
    if (!status) spread(columns, found, order);
    ad_free(names);
    ad_free(taken);
    ad_free(found);
    return status;
}

/* ---- What is in them ------------------------------------------------------------------------------------------- */

/* What is wrong with a value that no row of the training could have had; NULL: nothing. */
static const char *fault_of(const nf_table *table, size_t c, double value, const nf_column *column)
{
    if (column->kind == NF_COLUMN_DROPPED) return NULL;
    if (isnan(value)) return column->missing > 0 ? NULL : " is missing, or NaN, which none was in the training";
    if (isinf(value)) return " is infinite; mend or remove the row";
    bool text = table->labels && table->labels[c] && !column->labels;
    return text && !columns_text_is_number(table->labels[c][(size_t)value]) ? " is not a number" : NULL;
}

ad_status points_check(const nf_table *table, const size_t *place, const nf_columns *columns, const char *path,
                       ad_error *error)
{
    for (size_t r = 0; r < table->rows; r++)
        for (size_t c = 0; c < table->columns; c++) {
            const nf_column *column = nf_columns_column(columns, c);
            double value = table->values[r * table->columns + c];
            const char *fault = fault_of(table, c, value, column), *name = column->name ? column->name : "";
            if (!fault) continue;
            char text[128] = "";
            if (table->labels && table->labels[c] && !isnan(value))
                snprintf(text, sizeof text, ": '%.100s'", table->labels[c][(size_t)value]);
            return ad_error_set(error, AD_ERROR_FORMAT, "%s: row %zu, column %zu%s%.100s%s%s%s", path,
                                table->first_row + r + 1, place[c] + 1, *name ? " ('" : "", name, *name ? "')" : "",
                                text, fault);
        }
    return AD_OK;
}

static ad_status encode_conditions(const struct model *model, struct points *points, ad_error *error)
{
    size_t size = nf_columns_features(model->conditions), rows = points->conditions.rows;
    points->context = ad_alloc(rows, size * sizeof *points->context);
    if (!points->context) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context of %zu rows", rows);
    return nf_columns_encode(model->conditions, &points->conditions, 0, 0, points->context, NULL, error);
}

/* Put what was found behind what is known. */
static void add_oddities(struct oddities *to, const struct oddities *found)
{
    const size_t rows = to->rows + found->rows;
    if (found->rows > 0 && (to->rows == 0 || found->part < to->part)) *to = *found;
    to->rows = rows;
}

/* Values that contradict what their columns are are not mistakes: they have density 0. */
static void look_for_oddities(struct points_reader *reader, const struct points *points)
{
    struct oddities found = {.part = points->features.first_row};
    found.rows = nf_columns_impossible(reader->model->features, &points->features, found.first);
    add_oddities(&reader->impossible, &found);
    found.rows = nf_columns_outside(reader->model->conditions, &points->conditions, found.first);
    add_oddities(&reader->outside, &found);
}

void points_warn(const struct points_reader *reader)
{
    const struct oddities *impossible = &reader->impossible, *outside = &reader->outside;
    char more[64] = "";
    if (impossible->rows > 1) snprintf(more, sizeof more, "; so it is with a value in %zu rows", impossible->rows);
    if (impossible->rows > 0) warn("density 0: %s: %s%s", reader->path, impossible->first, more);
    if (outside->rows > 0)
        warn("%s: %zu row%s with a context beyond those of the training; %s", reader->path, outside->rows,
             plural(outside->rows), outside->first);
}

ad_status points_gather(struct points_reader *reader, const ad_communicator *ranks, ad_error *error)
{
    if (!ranks) return AD_OK;
    const size_t size = (size_t)ranks->size, rank = (size_t)ranks->rank;
    struct oddities(*all)[2] = ad_alloc(size, sizeof *all);
    ad_status status = all ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu ranks", size);
    if (!status) {
        all[rank][0] = reader->impossible;
        all[rank][1] = reader->outside;
        status = gather_from_all(ranks, all, sizeof *all, error);
    }
    for (size_t r = 0; !status && r < size; r++) {
        if (r == rank) continue;
        add_oddities(&reader->impossible, &all[r][0]);
        add_oddities(&reader->outside, &all[r][1]);
    }
    ad_free(all);
    return status;
}

/* From the file's columns. */
static ad_status take(const char *path, const struct model *model, const struct places *places, const nf_table *file,
                      struct points *points, ad_error *error)
{
    size_t features = nf_columns_count(model->features), size = nf_columns_count(model->conditions);
    ad_status status = columns_select(file, places->features, features, &points->features, error);
    if (!status) status = points_check(&points->features, places->features, model->features, path, error);
    if (status || size == 0) return status;
    status = columns_select(file, places->conditions, size, &points->conditions, error);
    if (!status) status = points_check(&points->conditions, places->conditions, model->conditions, path, error);
    if (!status) status = encode_conditions(model, points, error);
    return status;
}

/* ---- All at once ----------------------------------------------------------------------------------------------- */

ad_status points_read(const char *path, const char *columns, nf_header header, const struct model *model,
                      struct points *points, ad_error *error)
{
    *points = (struct points){0};
    ad_status status = read_table(path, header, &points->file, error);
    if (status) return status;
    struct points_reader seen = {.path = path, .model = model};
    struct places places;
    status = places_begin(&places, model, &points->file, error);
    if (!status) {
        status = find(path, columns, model, &points->file, &places, error);
        if (!status) status = take(path, model, &places, &points->file, points, error);
        places_free(&places);
    }
    if (!status) table_warn(&points->file);
    if (!status) look_for_oddities(&seen, points);
    if (!status) points_warn(&seen);
    if (status) points_free(points);
    return status;
}

void points_free(struct points *points)
{
    ad_free(points->context);
    nf_table_free(&points->features);
    nf_table_free(&points->conditions);
    nf_table_free(&points->file);
    *points = (struct points){0};
}

/* ---- A part at a time ------------------------------------------------------------------------------------------ */

ad_status points_open(const char *path, const char *columns, nf_header header, const struct model *model,
                      struct points_reader *reader, ad_error *error)
{
    const nf_read_options options = {.header = header, .labels = true, .missing = true};
    *reader = (struct points_reader){.path = path, .model = model};
    reader->file = nf_table_open(path, &options, error);
    if (!reader->file) return error->status;
    const nf_table *head = nf_table_reader_head(reader->file);
    reader->places = ad_alloc(1, sizeof *reader->places);
    ad_status status = reader->places ? places_begin(reader->places, model, head, error)
                                      : ad_error_set(error, AD_ERROR_MEMORY, "no memory for the columns of '%s'", path);
    if (!status) status = find(path, columns, model, head, reader->places, error);
    if (status) points_close(reader);
    return status;
}

ad_status points_next(struct points_reader *reader, size_t most, ad_error *error)
{
    const nf_table *file;
    points_free(&reader->part);
    ad_status status = nf_table_next(reader->file, most, &file, error);
    if (status || file->rows == 0) return status;
    status = take(reader->path, reader->model, reader->places, file, &reader->part, error);
    if (status) return status;
    if (!reader->told) table_warn(nf_table_reader_head(reader->file));
    reader->told = true;
    look_for_oddities(reader, &reader->part);
    return AD_OK;
}

bool points_again(struct points_reader *reader)
{
    if (!nf_table_again(reader->file)) return false;
    reader->impossible = reader->outside = (struct oddities){0};
    return true;
}

void points_close(struct points_reader *reader)
{
    points_free(&reader->part);
    if (reader->places) places_free(reader->places);
    ad_free(reader->places);
    nf_table_close(reader->file);
    *reader = (struct points_reader){0};
}
