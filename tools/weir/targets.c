/* Distributions to try a flow on. */
#include <weir/memory.h>
#include "targets.h"

/* Room for the rows. */
static ad_status make_table(size_t rows, char *first, char *second, nf_table *table, ad_error *error)
{
    *table = (nf_table){.rows = rows, .columns = 2, .dtype = AD_F64};
    table->values = ad_alloc(rows, 2 * sizeof *table->values);
    table->names = ad_alloc(2, sizeof *table->names);
    if (!table->values || !table->names) {
        nf_table_free(table);
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", rows);
    }
    table->names[0] = first;
    table->names[1] = second;
    return AD_OK;
}

ad_status draw_moons(size_t rows, double noise, uint64_t seed, nf_table *table, ad_error *error)
{
    static char x[] = "x", y[] = "y";
    if (make_table(rows, x, y, table, error)) return error->status;
    nf_moons(rows, noise, seed, table->values, NULL);
    return AD_OK;
}

ad_status draw_banana(size_t rows, uint64_t seed, nf_table *table, ad_error *error)
{
    static char x1[] = "x1", x2[] = "x2";
    if (make_table(rows, x1, x2, table, error)) return error->status;
    nf_banana(rows, seed, table->values);
    return AD_OK;
}
