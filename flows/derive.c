/* What the author of a bijector leaves out. */
#include "internal.h"

ad_var nf_derive_log_det(ad_var out, ad_var in)
{
    (void)in;
    ad_tape_fail(out.tape, AD_ERROR_ARGUMENT, "this direction gave no log_det of shape ()");
    return (ad_var){out.tape, -1};
}

ad_var nf_derive_inverse(const nf_bijector *self, nf_map *map, ad_var v, ad_var *log_det)
{
    (void)self, (void)map, (void)log_det;
    ad_tape_fail(v.tape, AD_ERROR_ARGUMENT, "this bijector has no inverse");
    return (ad_var){v.tape, -1};
}
