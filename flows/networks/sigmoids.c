/* What transformers that are mixtures of sigmoids share. */
#include "sigmoids.h"

ad_var nf__sigmoids_logit(ad_var log_weight, ad_var v, ad_var log_slope, ad_var *log_derivative)
{
    ad_var below = ad_neg(ad_softplus(ad_neg(v))), above = ad_neg(ad_softplus(v)); /* log sigmoid(±v) */
    ad_var log_p = ad_logsumexp_axis(ad_add(log_weight, below), 0);
    ad_var log_rest = ad_logsumexp_axis(ad_add(log_weight, above), 0);
    ad_var density = ad_logsumexp_axis(ad_add(ad_add(log_weight, log_slope), ad_add(below, above)), 0);
    *log_derivative = ad_add(*log_derivative, ad_sub(density, ad_add(log_p, log_rest)));
    return ad_sub(log_p, log_rest);
}
