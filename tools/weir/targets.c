/* Distributions to try a flow on. */
#include <weir/memory.h>
#include "targets.h"

ad_status draw_toy(const nf_toy *toy, size_t rows, double noise, uint64_t seed, nf_table *table, ad_error *error)
{
    static char x[] = "x", y[] = "y";
    *table = (nf_table){.rows = rows, .columns = 2, .dtype = AD_F64};
    table->values = ad_alloc(rows, 2 * sizeof *table->values);
    table->names = ad_alloc(2, sizeof *table->names);
    if (!table->values || !table->names) {
        nf_table_free(table);
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", rows);
    }
    table->names[0] = x;
    table->names[1] = y;
    nf_toy_draw(toy, rows, noise, seed, table->values, NULL);
    return AD_OK;
}
