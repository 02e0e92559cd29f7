/* uniform: on the cube (low, high)^D. log p(z) = -D log(high - low) inside, -inf outside, which begins a few units of
 * rounding beyond an end: a draw that has gone through other maps and back may come to lie there. */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    double low = nf_argument_value(self, "low"), high = nf_argument_value(self, "high");
    if (low < high) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "uniform: expected low < high, got %g and %g", low, high);
}

static ad_var log_prob(const nf_scope *at, ad_var z)
{
    double low = nf_argument_value(at->self, "low"), high = nf_argument_value(at->self, "high");
    ad_var beyond = ad_maximum(ad_sub(ad_scalar(z.tape, low), z), ad_add_scalar(z, -high)); /* how far outside */
    ad_var rounding = ad_mul_scalar(nf_epsilon(z.tape), 16 * fmax(fabs(low), fabs(high)));
    ad_var farthest = ad_max(beyond), outside = ad_greater(farthest, rounding);
    ad_var inside = ad_scalar(z.tape, -(double)at->self->dim * log(high - low));
    ad_var is_number = ad_greater(farthest, ad_scalar(z.tape, -INFINITY));
    return ad_where(outside, ad_scalar(z.tape, -INFINITY), ad_where(is_number, inside, farthest));
}

static ad_var sample(const nf_scope *at)
{
    double low = nf_argument_value(at->self, "low"), high = nf_argument_value(at->self, "high");
    return ad_add_scalar(ad_mul_scalar(ad_uniform(at->tape, AD_SHAPE(at->self->dim), 0), high - low), low);
}

static const nf_argument arguments[] = {
    {"low", NF_NUMBER, 0, -1e6, 1e6, NULL, "end of the interval"},
    {"high", NF_NUMBER, 1, -1e6, 1e6, NULL, "end of the interval"},
    {0},
};

const nf_bijector_type nf__type_uniform = {
    .name = "uniform",
    .help = "uniform on (low, high) in each feature",
    .argument = arguments,
    .build = build,
    .log_prob = log_prob,
    .sample = sample,
};
