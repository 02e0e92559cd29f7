/* What a table has in one column. */
#include "columns/learn.h"
#include "columns/values.h"

#include <weir/memory.h>

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void count_values(nf__sample *sample)
{
    const double most = ldexp(1, 40); /* x + u, and its map, keep enough digits to tell x from x + 1 */
    sample->whole = sample->labels == NULL;
    for (size_t i = 0; i < sample->present; i++) {
        double value = sample->sorted[i];
        if (value != floor(value) || fabs(value) > most) sample->whole = false;
        if (i == 0 || value != sample->sorted[i - 1]) sample->value[sample->distinct++] = value;
        sample->count[sample->distinct - 1]++;
    }
}

ad_status nf__sample_take(const nf_columns *columns, const nf_table *table, size_t column, nf__sample *sample,
                          ad_error *error)
{
    char text[160];
    *sample = (nf__sample){.columns = columns, .table = table, .column = column};
    ad_status status = nf__check_indices(columns, table, column, error);
    if (status) return status;
    if (table->labels) sample->labels = (const char *const *)table->labels[column];
    sample->sorted = ad_alloc(table->rows + 1, sizeof *sample->sorted);
    sample->value = ad_alloc(table->rows + 1, sizeof *sample->value);
    sample->count = ad_alloc(table->rows + 1, sizeof *sample->count);
    if (!sample->sorted || !sample->value || !sample->count)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a column of %zu rows", table->rows);
    for (size_t r = 0; r < table->rows; r++) {
        double value = nf__table_value(table, r, column);
        if (isinf(value))
            return ad_error_set(error, AD_ERROR_FORMAT, "row %zu, %s: %g is no value; mend or remove the row", r + 1,
                                nf__column_text(columns, column, text), value);
        if (!isnan(value)) sample->sorted[sample->present++] = value + 0.0; /* -0 is 0 */
    }
    qsort(sample->sorted, sample->present, sizeof *sample->sorted, ascending);
    count_values(sample);
    return AD_OK;
}

void nf__sample_free(nf__sample *sample)
{
    ad_free(sample->sorted);
    ad_free(sample->value);
    ad_free(sample->count);
}
