/* Matrices of linear maps. */
#include "core/internal.h"

#include <weir/memory.h>
#include <weir/tape.h>

static ad_var out_of_memory(ad_tape *tape, size_t n)
{
    ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a matrix of %zu x %zu", n, n);
    return (ad_var){tape, -1};
}

ad_var nf_identity(ad_tape *tape, size_t n)
{
    double *one = ad_alloc(n, n * sizeof *one);
    if (!one) return out_of_memory(tape, n);
    for (size_t i = 0; i < n; i++) one[i * (n + 1)] = 1;
    ad_var identity = ad_constant(tape, AD_SHAPE(n, n), one);
    ad_free(one);
    return identity;
}

ad_var nf_diagonal(ad_var a)
{
    size_t n = ad_shape_of(a).dim[0], *index = ad_alloc(n, sizeof *index);
    if (!index) return out_of_memory(a.tape, n);
    for (size_t i = 0; i < n; i++) index[i] = i * (n + 1);
    ad_var diagonal = ad_gather(ad_reshape(a, AD_SHAPE(n * n)), index, n);
    ad_free(index);
    return diagonal;
}
