/* The base distribution N(0, I). */
#include "internal.h"

ad_var nf_normal_log_prob(ad_var z)
{
    const double log_two_pi = 1.8378770664093454836;
    double dim = (double)ad_shape_size(ad_shape_of(z));
    return ad_add_scalar(ad_mul_scalar(ad_sum(ad_square(z)), -0.5), -0.5 * dim * log_two_pi);
}
