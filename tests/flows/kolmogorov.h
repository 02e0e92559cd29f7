/* For tests: do draws of one number follow a density? */
#ifndef WEIR_TESTS_KOLMOGOROV_H
#define WEIR_TESTS_KOLMOGOROV_H

#include <math.h>
#include <stdlib.h>

static inline int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The distance of Kolmogorov and Smirnov between n draws, which are put in order, and a density: log_prob is its
 * logarithm at the cells' ends, cells + 1 of them, from `low` on and `width` apart. *whole is its integral, by the
 * trapezoidal rule. Of draws that follow it one set in a thousand is further than 1.95 / sqrt(n). */
static inline double kolmogorov_distance(double *x, size_t n, const double *log_prob, size_t cells, double low,
                                         double width, double *whole)
{
    double below = 0, worst = 0;
    size_t seen = 0;
    qsort(x, n, sizeof *x, by_size);
    for (size_t i = 0; i < cells; i++) {
        below += 0.5 * width * (exp(log_prob[i]) + exp(log_prob[i + 1]));
        while (seen < n && x[seen] <= low + width * (double)(i + 1)) seen++;
        worst = fmax(worst, fabs((double)seen / (double)n - below));
    }
    *whole = below;
    return worst;
}

#endif
