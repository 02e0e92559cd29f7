/* The table that a target is of: its columns, one after the other, as numbers and as groups. */
#include "targets/target_table.h"

#include <weir/environment.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *name;
    double *number; /* (rows); NULL: not all are finite numbers */
    size_t *group;  /* (rows), from 0; NULL: some are missing */
    size_t groups;
} column;

struct nf_target_table {
    size_t rows, columns;
    column *column;
};

/* ---- What is wrong with a table ---------------------------------------------------------------------------------- */

enum { LISTED = 300 };

static const char *list_needed(const nf_target_type *type, char buffer[static LISTED])
{
    size_t filled = 0;
    buffer[0] = '\0';
    for (const nf_target_column_type *c = type->column; c->name && filled < LISTED; c++)
        filled += (size_t)snprintf(buffer + filled, LISTED - filled, "%s'%s'", c == type->column ? "" : ", ", c->name);
    return buffer;
}

static const char *list_present(const nf_table *table, char buffer[static LISTED])
{
    size_t filled = 0;
    buffer[0] = '\0';
    for (size_t c = 0; c < table->columns && filled < LISTED; c++)
        filled += (size_t)snprintf(buffer + filled, LISTED - filled, "%s'%s'", c ? ", " : "", table->names[c]);
    return buffer;
}

static ad_status check_table(const nf_target_type *type, const nf_table *table, ad_error *error)
{
    char needed[LISTED], present[LISTED];
    list_needed(type, needed);
    const char *columns = *needed ? " with the columns " : "";
    if (!table || table->rows == 0)
        return ad_error_set(error, table ? AD_ERROR_FORMAT : AD_ERROR_ARGUMENT, "target '%s' needs data: a table%s%s",
                            type->name, columns, needed);
    if (!table->names)
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "target '%s' finds columns by their names, and the table has none: it needs a table%s%s",
                            type->name, columns, needed);
    for (const nf_target_column_type *need = type->column; need->name; need++) {
        size_t c = 0;
        while (c < table->columns && strcmp(table->names[c], need->name) != 0) c++;
        if (c == table->columns)
            return ad_error_set(error, AD_ERROR_FORMAT, "target '%s' needs a column '%s', and the table has %s",
                                type->name, need->name, list_present(table, present));
    }
    return AD_OK;
}

/* Of the column that a family needs, the first entry that it can't take. */
static ad_status check_column(const nf_target_type *type, const nf_target_column_type *need, const nf_table *table,
                              size_t c, const column *made, ad_error *error)
{
    if (need->groups ? made->group != NULL : made->number != NULL) return AD_OK;
    char *const *labels = table->labels ? table->labels[c] : NULL;
    for (size_t r = 0; r < table->rows; r++) {
        const double x = table->values[r * table->columns + c];
        char *end;
        if (isnan(x))
            return ad_error_set(error, AD_ERROR_FORMAT,
                                "target '%s' needs all of column '%s', and row %zu has no value", type->name,
                                need->name, r + 1);
        if (!labels && isinf(x))
            return ad_error_set(error, AD_ERROR_FORMAT, "target '%s': column '%s' is infinite in row %zu", type->name,
                                need->name, r + 1);
        if (!labels || need->groups) continue;
        const char *text = labels[(size_t)x];
        if (strtod(text, &end), *end || end == text)
            return ad_error_set(error, AD_ERROR_FORMAT,
                                "target '%s' takes column '%s' as numbers, and row %zu has '%.100s'", type->name,
                                need->name, r + 1, text);
    }
    return ad_error_set(error, AD_ERROR_FORMAT, "target '%s' takes column '%s' as numbers, and it holds text",
                        type->name, need->name);
}

/* ---- Reading one ---------------------------------------------------------------------------------------------------
 */

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Each distinct number, or text, is a group; those of texts are in their order already. False: memory is out. */
static bool number_groups(column *c, const double *value, size_t rows)
{
    double *distinct = ad_alloc(rows, sizeof *distinct);
    c->group = ad_alloc(rows, sizeof *c->group);
    if (!distinct || !c->group) {
        ad_free(distinct);
        return false;
    }
    memcpy(distinct, value, rows * sizeof *distinct);
    qsort(distinct, rows, sizeof *distinct, compare);
    for (size_t r = 0; r < rows; r++)
        if (r == 0 || distinct[r] != distinct[c->groups - 1]) distinct[c->groups++] = distinct[r];
    for (size_t r = 0; r < rows; r++)
        c->group[r] = (size_t)((double *)bsearch(&value[r], distinct, c->groups, sizeof *distinct, compare) - distinct);
    ad_free(distinct);
    return true;
}

/* False: memory is out. */
static bool read_column(column *made, const nf_table *table, size_t c)
{
    const bool labels = table->labels && table->labels[c];
    bool complete = true, finite = !labels;
    double *value = ad_alloc(table->rows, sizeof *value);
    made->name = ad_alloc(strlen(table->names[c]) + 1, 1);
    if (made->name) strcpy(made->name, table->names[c]);
    for (size_t r = 0; value && r < table->rows; r++) {
        value[r] = table->values[r * table->columns + c];
        complete = complete && !isnan(value[r]);
        finite = finite && isfinite(value[r]);
    }
    bool done = value && made->name && (!complete || number_groups(made, value, table->rows));
    if (finite)
        made->number = value;
    else
        ad_free(value);
    return done;
}

struct nf_target_table *nf__target_table_new(const nf_target_type *type, const nf_table *table, ad_error *error)
{
    if (check_table(type, table, error)) return NULL;
    struct nf_target_table *made = ad_alloc(1, sizeof *made);
    column *columns = ad_alloc(table->columns, sizeof *columns);
    bool done = made && columns;
    if (made) *made = (struct nf_target_table){table->rows, columns ? table->columns : 0, columns};
    for (size_t c = 0; c < table->columns && done; c++) done = read_column(&columns[c], table, c);
    ad_status status = done ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a target's table");
    for (const nf_target_column_type *need = type->column; need->name && !status; need++)
        for (size_t c = 0; c < table->columns && !status; c++)
            if (strcmp(columns[c].name, need->name) == 0)
                status = check_column(type, need, table, c, &columns[c], error);
    if (!status) return made;
    if (made)
        nf__target_table_free(made);
    else
        ad_free(columns);
    return NULL;
}

void nf__target_table_free(const struct nf_target_table *table)
{
    for (size_t c = 0; table && c < table->columns; c++) {
        ad_free(table->column[c].name);
        ad_free(table->column[c].number);
        ad_free(table->column[c].group);
    }
    if (table) ad_free(table->column);
    ad_free((void *)(uintptr_t)table);
}

/* ---- What a target's functions see
 * ----------------------------------------------------------------------------------- */

size_t nf_target_rows(const nf_target *target)
{
    return target && target->table ? target->table->rows : 0;
}

const char *nf_target_column_name(const nf_target *target, size_t i)
{
    return target && target->table && i < target->table->columns ? target->table->column[i].name : NULL;
}

static const column *find(const nf_target *target, const char *name)
{
    for (size_t c = 0; target && target->table && name && c < target->table->columns; c++)
        if (strcmp(target->table->column[c].name, name) == 0) return &target->table->column[c];
    return NULL;
}

const double *nf_target_column(const nf_target *target, const char *name)
{
    const column *found = find(target, name);
    return found ? found->number : NULL;
}

const size_t *nf_target_groups(const nf_target *target, const char *name, size_t *count)
{
    const column *found = find(target, name);
    if (count) *count = found ? found->groups : 0;
    return found ? found->group : NULL;
}
