/* Moments of a column of data, for bijectors that are fitted to it. */
#include "core/internal.h"

#include <math.h>

bool nf_column_moments(const double *x, size_t rows, size_t columns, size_t column, double *mean, double *sd)
{
    const double first = rows ? x[column] : NAN;
    double sum = 0, squares = 0; /* of x - first: both are 0 without rounding where all are equal */
    for (size_t r = 0; r < rows; r++) sum += x[r * columns + column] - first;
    *mean = first + sum / (double)rows;
    for (size_t r = 0; r < rows; r++) squares += (x[r * columns + column] - *mean) * (x[r * columns + column] - *mean);
    *sd = sqrt(squares / (double)rows);
    return isfinite(*sd);
}
