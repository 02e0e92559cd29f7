/* One number of several partial sums: in one order, wherever it is done, so that sums have the same bits. */
#ifndef WEIR_AUTODIFF_BASE_FOLD_H
#define WEIR_AUTODIFF_BASE_FOLD_H

#include <stddef.h>

/* The upper half is added to the lower one, until one is left; n is a power of two. x is overwritten. */
static inline double ad__fold(double *x, size_t n)
{
    for (size_t half = n / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++) x[i] += x[i + half];
    return x[0];
}

#endif
