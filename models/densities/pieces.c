/* Pieces that log-densities of targets are made of. */
#include <weir/densities.h>

ad_var nf_element(ad_var v, size_t i)
{
    return ad_reshape(ad_slice(v, 0, i, i + 1), AD_SCALAR);
}

ad_var nf_log_add_exp(ad_var a, ad_var b)
{
    return ad_add(a, ad_softplus(ad_sub(b, a)));
}

ad_var nf_log_mixture(ad_var log_weight, ad_var log_density)
{
    const int rank = ad_shape_of(log_density).rank;
    if (rank == 1 || rank == 2) return ad_sum(ad_logsumexp_axis(ad_add(log_weight, log_density), rank - 1));
    char text[128];
    ad_tape_fail(log_density.tape, AD_ERROR_ARGUMENT, "nf_log_mixture: log_density %s: takes (K) or (N,K)",
                 ad_shape_text(ad_shape_of(log_density), text));
    return (ad_var){log_density.tape, -1};
}
