/* One number of several partial sums: in one order, wherever it is done, so that sums have the same bits. */
#ifndef WEIR_AUTODIFF_BASE_FOLD_H
#define WEIR_AUTODIFF_BASE_FOLD_H

#include <stddef.h>

/* Of 4, 8 or 16 numbers, the upper half is added to the lower one, until one is left: two by two, in registers. */
static inline double ad__fold(const double *x, size_t n)
{
    typedef double two __attribute__((vector_size(16), aligned(8), may_alias));
    const two *v = (const two *)x;
    two half[2] = {v[0], v[1]};
    if (n == 8)
        for (int i = 0; i < 2; i++) half[i] = v[i] + v[i + 2];
    if (n == 16)
        for (int i = 0; i < 2; i++) half[i] = (v[i] + v[i + 4]) + (v[i + 2] + v[i + 6]);
    const two sum = half[0] + half[1];
    return sum[0] + sum[1];
}

/* The same of 8 or 16 float32, which are float64 from the last four on. */
static inline double ad__fold_floats(const float *x, size_t n)
{
    typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
    const four *v = (const four *)x;
    const four sum = n == 16 ? (v[0] + v[2]) + (v[1] + v[3]) : v[0] + v[1];
    return ((double)sum[0] + (double)sum[2]) + ((double)sum[1] + (double)sum[3]);
}

#endif
