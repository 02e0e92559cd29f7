/* For tests of columns: tables in one line. */
#ifndef WEIR_TESTS_COLUMN_TOOLS_H
#define WEIR_TESTS_COLUMN_TOOLS_H

#include "flows/flow_tools.h"

#include <weir/models.h>

#include <math.h>

enum { MOST_ROWS = 4000, MOST_COLUMNS = 8 };

/* A table whose cells are made by functions of the row, one for each column. */
typedef struct {
    nf_table table;
    double values[MOST_ROWS * MOST_COLUMNS];
    char *names[MOST_COLUMNS];
    char **labels[MOST_COLUMNS];
} made_table;

typedef double (*cell_function)(size_t row);

static made_table made; /* of one test at a time, which runs in a process of its own */

static inline nf_table *make_table(size_t rows, size_t columns, const cell_function *cell)
{
    static char text[MOST_COLUMNS][8];
    made.table = (nf_table){.rows = rows, .columns = columns, .values = made.values, .names = made.names};
    for (size_t c = 0; c < columns; c++) {
        snprintf(text[c], sizeof text[c], "c%zu", c + 1);
        made.names[c] = text[c];
        for (size_t r = 0; r < rows; r++) made.values[r * columns + c] = cell[c](r);
    }
    return &made.table;
}

/* A column of the table holds indices of these texts. */
static inline void set_labels(size_t column, char **labels)
{
    made.labels[column] = labels;
    made.table.labels = made.labels;
}

static inline nf_table *one_column(size_t rows, cell_function cell)
{
    return make_table(rows, 1, &cell);
}

static inline nf_columns *learned(const nf_table *table, const char *given)
{
    nf_columns *columns = nf_columns_learn(table, given, NULL, &error);
    ck_assert_msg(columns != NULL, "%s", error.message);
    return columns;
}

static inline nf_columns *learned_context(const nf_table *table, const char *given)
{
    nf_columns *columns = nf_columns_learn(table, given, &(nf_columns_options){.context = true}, &error);
    ck_assert_msg(columns != NULL, "%s", error.message);
    return columns;
}

static inline void assert_not_learned(const nf_table *table, const char *given, ad_status status, const char *part)
{
    error.status = AD_OK;
    ck_assert_ptr_null(nf_columns_learn(table, given, NULL, &error));
    ASSERT_FAILS(error.status, status, part);
    ck_assert_ptr_null(nf_columns_learn(table, given, NULL, NULL));
}

static inline const nf_column *face(const nf_columns *columns, size_t c)
{
    const nf_column *column = nf_columns_column(columns, c);
    ck_assert_ptr_nonnull(column);
    return column;
}

/* ---- Densities ----------------------------------------------------------------------------------------------------
 */

/* A flow that is N(0, 1) for each feature: no layers that do anything. */
static inline nf_flow *identity_flow(size_t dim)
{
    nf_flow *flow = nf_flow_parse("permute", dim, 0, AD_F64, 1, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

/* From the mean over draws of noise. */
static inline void log_prob_of(const nf_columns *columns, const nf_flow *flow, nf_table *table, size_t draws,
                               double *log_prob)
{
    ASSERT_OK(nf_columns_log_prob(columns, flow, NULL, table, draws, 7, log_prob, NULL, &error));
}

/* ---- Cells --------------------------------------------------------------------------------------------------------
 */

static inline double normal_cell(size_t r)
{
    return ad_random_normal(11, 0, r);
}
static inline double other_normal(size_t r)
{
    return ad_random_normal(11, 1, r);
}
static inline double uniform_cell(size_t r)
{
    return ad_random_uniform(11, 2, r);
}
static inline double log_normal(size_t r)
{
    return exp(1.5 * normal_cell(r) + 2);
}
static inline double exponential(size_t r)
{
    return -log(uniform_cell(r));
}
/* Poisson with mean 2, by its distribution function. */
static inline double poisson(size_t r)
{
    double u = ad_random_uniform(11, 3, r), p = exp(-2), below = p, k = 0;
    while (u > below) p *= 2 / ++k, below += p;
    return k;
}
static inline double three(size_t r)
{
    return floor(3 * pow(ad_random_uniform(11, 4, r), 1.5));
}
static inline double degrees(size_t r)
{
    return fmod(720 + 40 * ad_random_normal(11, 5, r), 360);
}
static inline double amount(size_t r)
{
    return ad_random_uniform(11, 6, r) < 0.3 ? 0 : log_normal(r);
}
static inline double sometimes(size_t r)
{
    return ad_random_uniform(11, 7, r) < 0.2 ? NAN : normal_cell(r);
}
static inline double sometimes_poisson(size_t r)
{
    return ad_random_uniform(11, 7, r) < 0.2 ? NAN : poisson(r);
}
static inline double timestamp(size_t r)
{
    return 1.7e9 + 86400 * uniform_cell(r);
}
static inline double wide_count(size_t r)
{
    return floor(log_normal(r) * 100);
}
static inline double share(size_t r)
{
    return 1 / (1 + exp(-1.5 * other_normal(r)));
}
static inline double seven(size_t r)
{
    (void)r;
    return 7;
}

#endif
