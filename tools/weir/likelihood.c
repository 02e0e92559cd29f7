/* The mean log-density of rows that come a part at a time. */
#include "likelihood.h"

#include <weir/memory.h>

#include <math.h>

enum { BLOCK = 1 << 16 };

ad_status likelihood_begin(struct likelihood *likelihood, ad_error *error)
{
    *likelihood = (struct likelihood){.block = ad_alloc(BLOCK, sizeof *likelihood->block)};
    return likelihood->block ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %d log-densities", BLOCK);
}

/* Put two means together: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance". */
static void merge(struct likelihood *to, double mean, double squares, size_t rows)
{
    const double all = (double)(to->rows + rows), distance = mean - to->mean;
    if (to->rows == 0) {
        to->mean = mean;
        to->squares = squares;
    } else if (isfinite(distance)) {
        to->mean += distance * ((double)rows / all);
        to->squares += squares + distance * distance * ((double)to->rows * (double)rows / all);
    } else { /* rows of density 0 */
        to->mean += mean;
        to->squares = NAN;
    }
    to->rows += rows;
}

static void fold(struct likelihood *likelihood)
{
    double sum = 0, squares = 0;
    const size_t rows = likelihood->filled;
    for (size_t r = 0; r < rows; r++) sum += likelihood->block[r];
    const double mean = sum / (double)rows;
    for (size_t r = 0; r < rows; r++) squares += (likelihood->block[r] - mean) * (likelihood->block[r] - mean);
    if (rows > 0) merge(likelihood, mean, squares, rows);
    likelihood->filled = 0;
}

void likelihood_see(struct likelihood *likelihood, const double *log_prob, size_t rows)
{
    for (size_t r = 0; r < rows; r++) {
        likelihood->block[likelihood->filled++] = log_prob[r];
        if (likelihood->filled == BLOCK) fold(likelihood);
    }
}

void likelihood_end(struct likelihood *likelihood, double *nll, double *standard_error)
{
    if (likelihood->block) fold(likelihood);
    const double rows = (double)likelihood->rows;
    *nll = -likelihood->mean;
    *standard_error = rows > 1 ? sqrt(likelihood->squares / (rows - 1) / rows) : NAN;
    ad_free(likelihood->block);
    *likelihood = (struct likelihood){0};
}
