/* The mean log-density of rows that come a part at a time, whatever the parts. */
#ifndef WEIR_COMMAND_LIKELIHOOD_H
#define WEIR_COMMAND_LIKELIHOOD_H

#include <weir/error.h>

#include <stddef.h>

struct likelihood {
    double *block; /* rows that are not in the sums yet */
    size_t filled;
    size_t rows;          /* in the sums */
    double mean, squares; /* of the distances from it */
};

ad_status likelihood_begin(struct likelihood *likelihood, ad_error *error);
void likelihood_see(struct likelihood *likelihood, const double *log_prob, size_t rows);
/* The negative mean and its standard error, NaN of a single row; releases what there is. */
void likelihood_end(struct likelihood *likelihood, double *nll, double *standard_error);

#endif
