/* Triangular matrices. */
#include "internal.h"

ad_var nf_triangular_log_det(ad_var a)
{
    size_t n = ad_shape_of(a).dim[0], *diagonal = ad_alloc(n, sizeof *diagonal);
    if (!diagonal) {
        ad_tape_fail(a.tape, AD_ERROR_MEMORY, "out of memory for a diagonal of %zu", n);
        return (ad_var){a.tape, -1};
    }
    for (size_t i = 0; i < n; i++) diagonal[i] = i * (n + 1);
    ad_var log_det = ad_sum(ad_log(ad_gather(ad_reshape(a, AD_SHAPE(n * n)), diagonal, n)));
    ad_free(diagonal);
    return log_det;
}
