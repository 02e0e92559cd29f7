/* Rows whose context is nearest to one. */
#include "nearest.h"

#include <weir/autodiff.h>

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Adds to each row's distance what feature f has of it, squared. */
static void add_feature(const double *contexts, size_t rows, size_t size, size_t f, double given, double *distances)
{
    double mean = 0, variance = 0;
    for (size_t r = 0; r < rows; r++) mean += contexts[r * size + f] / (double)rows;
    for (size_t r = 0; r < rows; r++) {
        double deviation = contexts[r * size + f] - mean;
        variance += deviation * deviation / (double)rows;
    }
    if (!(variance > 0)) return;
    for (size_t r = 0; r < rows; r++) {
        double difference = contexts[r * size + f] - given;
        distances[r] += difference * difference / variance;
    }
}

ad_status nearest_rows(const double *contexts, size_t rows, size_t size, const double *given, size_t *chosen,
                       size_t *count, ad_error *error)
{
    enum { LEAST = 100, PART = 20 };
    double *distances = ad_alloc(rows, 2 * sizeof *distances), *sorted = distances ? distances + rows : NULL;
    if (!distances) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the distances of %zu rows", rows);
    for (size_t r = 0; r < rows; r++) distances[r] = 0;
    for (size_t f = 0; f < size; f++) add_feature(contexts, rows, size, f, given[f], distances);
    for (size_t r = 0; r < rows; r++) sorted[r] = distances[r];
    qsort(sorted, rows, sizeof *sorted, ascending);
    size_t wanted = rows / PART > LEAST ? rows / PART : rows < LEAST ? rows : LEAST;
    *count = 0;
    for (size_t r = 0; r < rows; r++)
        if (distances[r] <= sorted[wanted - 1]) chosen[(*count)++] = r;
    ad_free(distances);
    return AD_OK;
}
