/* Columns by their names. */
#include "columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool columns_text_is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return end != text && *end == '\0';
}

static char **names_of(const json_t *array, size_t count)
{
    if (count == 0 || json_array_size(array) != count) return NULL;
    char **names = ad_alloc(count, sizeof *names);
    for (size_t i = 0; names && i < count; i++) {
        /* The record keeps the text; tables take names that they may write to. */
        names[i] = (char *)json_string_value(json_array_get(array, i));
        if (names[i]) continue;
        ad_free(names);
        return NULL;
    }
    return names;
}

char **feature_names(const json_t *record, size_t count)
{
    return names_of(json_object_get(record, "columns"), count);
}

char **context_names(const json_t *record, size_t count)
{
    return names_of(json_object_get(record, "context_columns"), count);
}

/* ---- Lists of columns ------------------------------------------------------------------------------------------ */

/* The column that the front of the text names, up to a comma or the end, and the length of that: the longest name, for
 * names may have commas; otherwise the number. As many as there are columns: none. */
static size_t find_column(const nf_table *table, const char *text, size_t *length)
{
    size_t found = table->columns;
    *length = 0;
    for (size_t c = 0; table->names && c < table->columns; c++) {
        size_t size = strlen(table->names[c]);
        if (size <= *length || strncmp(text, table->names[c], size) != 0 || (text[size] && text[size] != ',')) continue;
        *length = size;
        found = c;
    }
    if (found < table->columns) return found;
    *length = strcspn(text, ",");
    const unsigned long number = strtoul(text, NULL, 10);
    const bool digits = *length > 0 && strspn(text, "0123456789") == *length;
    return digits && number >= 1 && number <= table->columns ? number - 1 : table->columns;
}

ad_status columns_parse(const char *text, const char *option, const char *path, const nf_table *table, size_t *order,
                        bool *taken, size_t *count, ad_error *error)
{
    *count = 0;
    for (const char *at = text;; at++) {
        size_t length, c = find_column(table, at, &length);
        if (c == table->columns)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "--%s: %s has no column '%.*s'; expected names from its header, or numbers from 1 "
                                "to %zu, separated by commas",
                                option, path, (int)length, at, table->columns);
        if (taken[c])
            return ad_error_set(error, AD_ERROR_ARGUMENT, "--%s: column '%.*s' is given twice", option, (int)length,
                                at);
        taken[c] = true;
        order[(*count)++] = c;
        at += length;
        if (!*at) return AD_OK;
    }
}

/* ---- What doesn't match ---------------------------------------------------------------------------------------- */

/* Names in a message: as many as there is room for, and how many more there are. */
struct list {
    char text[320];
    size_t filled, more;
};

static void list_add(struct list *list, const char *name)
{
    enum { MORE = 32 }; /* bytes for " and 123 more" */
    size_t length = strlen(name), room = sizeof list->text - MORE;
    if (list->more > 0 || list->filled + length + 4 > room) {
        list->more++;
        return;
    }
    char *to = list->text + list->filled;
    list->filled += (size_t)snprintf(to, sizeof list->text - list->filled, "%s'%s'", list->filled ? ", " : "", name);
    for (; *to; to++)
        if ((unsigned char)*to < ' ' || *to == 0x7f) *to = '?'; /* a message is one line */
}

static const char *list_end(struct list *list)
{
    if (list->filled == 0 && list->more == 0) return "none";
    if (list->more > 0)
        snprintf(list->text + list->filled, sizeof list->text - list->filled, "%s%zu more", list->filled ? " and " : "",
                 list->more);
    return list->text;
}

static ad_status mismatch(const nf_table *table, const char *path, const char *model, char *const *names, size_t count,
                          const bool *taken, const size_t *order, ad_error *error)
{
    struct list missing = {.filled = 0}, unknown = {.filled = 0};
    for (size_t i = 0; i < count; i++)
        if (order[i] == table->columns) list_add(&missing, names[i]);
    for (size_t c = 0; c < table->columns; c++)
        if (!taken[c]) list_add(&unknown, table->names[c]);
    return ad_error_set(
        error, AD_ERROR_FORMAT,
        "%s hasn't the columns that %s was trained on; missing: %s; unknown: %s; name them as there, or "
        "leave out all names to give them in the order of the training",
        path, model, list_end(&missing), list_end(&unknown));
}

ad_status columns_match(const nf_table *table, const char *path, const char *model, char *const *names, size_t count,
                        bool *taken, size_t *order, ad_error *error)
{
    size_t columns = table->columns, first = 0, found = 0;
    for (size_t i = 0; i < count; i++) {
        /* In the same order as the names, each is the first that is left. Of several columns of one name the first is
         * the first, too. */
        while (first < columns && taken[first]) first++;
        size_t c = first;
        while (c < columns && (taken[c] || strcmp(table->names[c], names[i]) != 0)) c++;
        order[i] = c;
        if (c == columns) continue;
        taken[c] = true;
        found++;
    }
    return found == count ? AD_OK : mismatch(table, path, model, names, count, taken, order, error);
}

ad_status columns_select(const nf_table *from, const size_t *order, size_t count, nf_table *to, ad_error *error)
{
    *to = (nf_table){.rows = from->rows,
                     .columns = count,
                     .dtype = from->dtype,
                     .missing = from->missing,
                     .first_row = from->first_row};
    to->values = ad_alloc(from->rows, count * sizeof *to->values);
    if (from->names) to->names = ad_alloc(count, sizeof *to->names);
    if (from->labels) to->labels = ad_alloc(count, sizeof *to->labels);
    if (!to->values || (from->names && !to->names) || (from->labels && !to->labels)) {
        nf_table_free(to);
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns of %zu rows", count, from->rows);
    }
    for (size_t i = 0; i < count; i++) {
        static char none[] = "";
        bool missing = order[i] == SIZE_MAX;
        if (from->names) to->names[i] = missing ? none : from->names[order[i]];
        if (from->labels) to->labels[i] = missing ? NULL : from->labels[order[i]];
    }
    for (size_t r = 0; r < from->rows; r++)
        for (size_t i = 0; i < count; i++)
            to->values[r * count + i] = order[i] == SIZE_MAX ? NAN : from->values[r * from->columns + order[i]];
    return AD_OK;
}
