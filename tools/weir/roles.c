/* What the columns of a table are to a fit. */
#include "roles.h"
#include "columns.h"
#include "kinds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Which is what --------------------------------------------------------------------------------------------- */

struct finding {
    const nf_table *file;
    const char *path;
    bool *taken;                         /* does a column have a role? */
    size_t *conditions, *dropped, *rest; /* columns */
    size_t n_conditions, n_dropped, n_rest;
};

static void finding_free(struct finding *finding)
{
    ad_free(finding->taken);
    ad_free(finding->conditions);
}

static ad_status find_columns(const struct roles_text *text, struct finding *finding, struct roles *roles,
                              ad_error *error)
{
    const nf_table *file = finding->file;
    size_t columns = file->columns, one = 0;
    finding->taken = ad_alloc(columns, sizeof *finding->taken);
    finding->conditions = ad_alloc(columns, 3 * sizeof *finding->conditions);
    if (!finding->taken || !finding->conditions)
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", columns);
    finding->dropped = finding->conditions + columns;
    finding->rest = finding->dropped + columns;
    ad_status status = AD_OK;
    if (text->context)
        status = columns_parse(text->context, "context", finding->path, file, finding->conditions, finding->taken,
                               &finding->n_conditions, error);
    if (!status && text->weights) {
        /* Room for a list, of which it must be one. */
        status =
            columns_parse(text->weights, "weights", finding->path, file, finding->rest, finding->taken, &one, error);
        if (!status && one != 1)
            status = ad_error_set(error, AD_ERROR_ARGUMENT, "--weights: expected one column, got '%s'", text->weights);
        roles->weight = finding->rest[0];
        finding->dropped[0] = roles->weight;
    }
    size_t more = 0;
    if (!status && text->drop)
        status = columns_parse(text->drop, "drop", finding->path, file, finding->dropped + one, finding->taken, &more,
                               error);
    finding->n_dropped = one + more;
    if (!status && finding->n_conditions + finding->n_dropped == columns)
        status = ad_error_set(error, AD_ERROR_ARGUMENT,
                              "--%s: every column of %s is context or left out; nothing is left to fit",
                              text->context ? "context"
                              : text->drop  ? "drop"
                                            : "weights",
                              finding->path);
    /* Dropped ones stay among the others. */
    for (size_t i = 0; i < finding->n_dropped; i++) finding->taken[finding->dropped[i]] = false;
    for (size_t c = 0; c < columns; c++)
        if (!finding->taken[c]) finding->rest[finding->n_rest++] = c;
    return status;
}

/* ---- Text among numbers ---------------------------------------------------------------------------------------- */

/* The first row with this label. */
static size_t row_of(const nf_table *file, size_t column, size_t label)
{
    size_t r = 0;
    while (file->values[r * file->columns + column] != (double)label) r++;
    return r + 1;
}

/* Labels of which most are numbers are numbers with a mistake among them. */
static ad_status check_labels(const struct finding *finding, const char *kinds, ad_error *error)
{
    const nf_table *file = finding->file;
    for (size_t c = 0; file->labels && c < file->columns; c++) {
        size_t numbers = 0, labels = 0, odd = 0;
        for (; file->labels[c] && file->labels[c][labels]; labels++) {
            if (columns_text_is_number(file->labels[c][labels]))
                numbers++;
            else
                odd = labels;
        }
        if (2 * numbers < labels || numbers == labels || kinds_names(kinds, file, c)) continue;
        bool dropped = false;
        for (size_t i = 0; i < finding->n_dropped; i++) dropped |= finding->dropped[i] == c;
        if (dropped) continue;
        const char *name = file->names ? file->names[c] : "";
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "%s: row %zu, column %zu%s%.100s%s: '%.100s' is not a number, as most of this column are; "
                            "mend it, or say --columns '%zu:category'",
                            finding->path, row_of(file, c, odd), c + 1, *name ? " ('" : "", name, *name ? "')" : "",
                            file->labels[c][odd], c + 1);
    }
    return AD_OK;
}

/* ---- Learning -------------------------------------------------------------------------------------------------- */

static ad_status learn(const struct finding *finding, const struct roles_text *text, struct roles *roles,
                       ad_error *error)
{
    const nf_table *file = finding->file;
    struct kinds kinds = {0};
    ad_status status = kinds_split(text->kinds, file, finding->rest, finding->n_rest, finding->conditions,
                                   finding->n_conditions, finding->dropped, finding->n_dropped, &kinds, error);
    if (!status && text->pixels && kinds.features[0])
        status = ad_error_set(error, AD_ERROR_ARGUMENT,
                              "--columns '%s': pixels are all of one kind; only columns of the context have others",
                              text->kinds);
    if (!status) status = columns_select(file, finding->rest, finding->n_rest, &roles->table, error);
    if (!status && file->rows < 2 && !text->pixels) { /* of one row there is nothing to learn */
        roles->features = nf_columns_plain(finding->n_rest, (const char *const *)roles->table.names, error);
        if (!roles->features) status = error->status;
    } else if (!status) {
        roles->features =
            nf_columns_learn(&roles->table, kinds.features, &(nf_columns_options){.pixels = text->pixels}, error);
        if (!roles->features) status = error->status;
    }
    if (!status && finding->n_conditions > 0) {
        status = columns_select(file, finding->conditions, finding->n_conditions, &roles->conditions, error);
        if (!status)
            roles->given =
                nf_columns_learn(&roles->conditions, kinds.conditions, &(nf_columns_options){.context = true}, error);
        if (!status && !roles->given) status = error->status;
    }
    kinds_free(&kinds);
    return status;
}

static ad_status keep_places(const struct finding *finding, struct roles *roles, ad_error *error)
{
    const size_t n = finding->n_rest, conditions = finding->n_conditions;
    roles->place = ad_alloc(n + conditions, sizeof *roles->place);
    if (!roles->place) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", n + conditions);
    roles->condition_place = roles->place + n;
    memcpy(roles->place, finding->rest, n * sizeof *roles->place);
    memcpy(roles->condition_place, finding->conditions, conditions * sizeof *roles->place);
    return AD_OK;
}

/* ---- Weights --------------------------------------------------------------------------------------------------- */

static ad_status take_weights(const nf_table *file, const char *path, size_t column, double **weights, ad_error *error)
{
    *weights = ad_alloc(file->rows, sizeof **weights);
    if (!*weights) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu weights", file->rows);
    bool text = file->labels && file->labels[column];
    double sum = 0;
    for (size_t r = 0; r < file->rows; r++) {
        double weight = file->values[r * file->columns + column];
        (*weights)[r] = weight;
        sum += weight;
        if (!text && weight >= 0 && isfinite(weight)) continue;
        return ad_error_set(error, AD_ERROR_FORMAT, "%s: row %zu: a weight is a number, 0 or more%s", path, r + 1,
                            isnan(weight) ? "; this one is missing" : "");
    }
    if (!(sum > 0))
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "%s: every row's weight is 0, so that none counts: is '--weights' another column?", path);
    return AD_OK;
}

ad_status roles_weights(const nf_table *file, const char *path, const nf_table *other, size_t weight, double **weights,
                        ad_error *error)
{
    *weights = NULL;
    size_t c = weight;
    if (file->names && other->names)
        for (c = 0; c < file->columns && strcmp(file->names[c], other->names[weight]) != 0;) c++;
    else if (file->columns != other->columns)
        c = file->columns;
    return c < file->columns ? take_weights(file, path, c, weights, error) : AD_OK;
}

/* ---- All of it ------------------------------------------------------------------------------------------------- */

static ad_status check_finite(const nf_table *file, const char *path, ad_error *error)
{
    for (size_t i = 0; i < file->rows * file->columns; i++)
        if (isinf(file->values[i]))
            return ad_error_set(error, AD_ERROR_FORMAT,
                                "%s: row %zu, column %zu is infinite; mend it, remove the row, or leave it empty where "
                                "it is missing",
                                path, i / file->columns + 1, i % file->columns + 1);
    return AD_OK;
}

ad_status roles_find(const nf_table *file, const char *path, const struct roles_text *text, struct roles *roles,
                     ad_error *error)
{
    *roles = (struct roles){0};
    struct finding finding = {.file = file, .path = path};
    ad_status status = check_finite(file, path, error);
    if (!status) status = find_columns(text, &finding, roles, error);
    if (!status) status = check_labels(&finding, text->kinds, error);
    if (!status) status = keep_places(&finding, roles, error);
    if (!status) status = learn(&finding, text, roles, error);
    if (!status && text->weights) status = take_weights(file, path, roles->weight, &roles->weights, error);
    finding_free(&finding);
    if (status) roles_free(roles);
    return status;
}

void roles_free(struct roles *roles)
{
    nf_columns_free(roles->features);
    nf_columns_free(roles->given);
    nf_table_free(&roles->table);
    nf_table_free(&roles->conditions);
    ad_free(roles->weights);
    ad_free(roles->place);
    *roles = (struct roles){0};
}
