/* The context's columns beside those of samples. */
#include "beside.h"
#include "columns.h"

#include <string.h>

/* place[c]: where column c of the samples, and behind them of the context, goes. */
static ad_status find_places(const nf_table *samples, const struct context *context, const struct model *model,
                             size_t *place, ad_error *error)
{
    size_t size = context->table.columns, columns = samples->columns + size, count = 0;
    const char *text = json_string_value(json_object_get(model->record, "context"));
    for (size_t c = 0; c < columns; c++) place[c] = c;
    if (samples->names || !text || samples->columns < nf_columns_count(model->features)) return AD_OK;
    bool *taken = ad_alloc(columns, sizeof *taken);
    if (!taken) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", columns);
    const nf_table all = {.columns = columns};
    ad_status status =
        columns_parse(text, "context", model->path, &all, place + samples->columns, taken, &count, error);
    for (size_t c = 0, at = 0; c < columns && !status; c++)
        if (!taken[c]) place[at++] = c;
    ad_free(taken);
    return status;
}

static char *name_of(const nf_table *table, size_t c)
{
    static char none[] = "";
    return table->names ? table->names[c] : none;
}

/* first: the column of place that is the first of these. row: of them, the one that is first, and the others follow in
 * turn. */
static void fill(const nf_table *from, size_t first, size_t row, const size_t *place, nf_table *to)
{
    for (size_t c = 0; c < from->columns; c++) {
        size_t at = place[first + c];
        if (to->names) to->names[at] = name_of(from, c);
        to->labels[at] = from->labels ? from->labels[c] : NULL;
        for (size_t r = 0; r < to->rows; r++)
            to->values[r * to->columns + at] = from->values[(row + r) % from->rows * from->columns + c];
    }
}

ad_status put_beside(const nf_table *samples, size_t first, const struct context *context, const struct model *model,
                     nf_table *both, ad_error *error)
{
    size_t columns = samples->columns + context->table.columns;
    *both = (nf_table){.rows = samples->rows, .columns = columns, .dtype = AD_F64, .missing = true};
    size_t *place = ad_alloc(columns, sizeof *place);
    both->values = ad_alloc(samples->rows, columns * sizeof *both->values);
    both->labels = ad_alloc(columns, sizeof *both->labels);
    if (samples->names) both->names = ad_alloc(columns, sizeof *both->names);
    bool memory = place && both->values && both->labels && (!samples->names || both->names);
    ad_status status = memory ? find_places(samples, context, model, place, error)
                              : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", columns);
    if (!status) {
        fill(samples, 0, 0, place, both);
        if (samples->dtype == AD_F32) write_briefly(both->values, both->rows * both->columns);
        fill(&context->table, samples->columns, first, place, both);
    }
    ad_free(place);
    if (status) nf_table_free(both);
    return status;
}
