/* Rows of unusually low density, beside those that the flow was fitted to. */
#ifndef WEIR_COMMAND_OUTLIERS_H
#define WEIR_COMMAND_OUTLIERS_H

#include "command.h"

/* For the record of a fit: quantiles of the log-densities of so many rows that it was fitted to, which are sorted. NULL
 * where there are none. */
json_t *outliers_quantiles(double *log_prob, size_t rows);

/* The rows of lowest density, the lowest first, of those that were seen. */
struct outliers {
    size_t most, count;
    struct outlier {
        size_t row;
        double log_prob;
    } * found;
};

/* Of `most` rows; seeing more takes no more memory. */
ad_status outliers_begin(struct outliers *outliers, size_t most, ad_error *error);
void outliers_end(struct outliers *outliers);
/* log p of rows first … first + rows - 1, counted from 0. */
void outliers_see(struct outliers *outliers, const double *log_prob, size_t first, size_t rows);

/* [{"row": from 1, "log_prob": nats, "percentile": how many of 100 rows of the fit have less}]. quantiles: those on the
 * model's record; NULL: none, and no percentiles. */
json_t *outliers_lowest(const struct outliers *outliers, const json_t *quantiles);

/* What outliers_lowest() found, as a table. */
void outliers_print(const json_t *lowest, FILE *to);

#endif
