/* leaky: a leaky ReLU with a learned slope s > 0, x = z where z > 0, else s z; log|det J| = Σ log s where z <= 0. One
 * slope for all features, as in ProbFlow's chains of affine maps, or one for each.
 *
 * s = softplus(ρ), 1 at the start: the identity. At the kink value, gradient and log-det are those of the left side.
 *
 * The density jumps by the factor s at a kink, so the likelihood of rows jumps as the kink moves past them, and its
 * gradient between the jumps doesn't say which way the kink should go. That of the expected likelihood does: it has the
 * term log s p(0), p the density of the rows at the kink. So in training the derivative of the step [z <= 0] is -k(z),
 * not 0, with a kernel k that estimates p(0) (Epanechnikov's: 3/4 (1 - (z/b)²)/b for |z| < b, b the bandwidth). Values
 * stay as they are. */
#include <weir/bijector.h>

enum { ONE, EACH };

static ad_status build(nf_bijector *self, ad_error *error)
{
    size_t count = nf_argument_value(self, "slopes") == EACH ? self->dim : 1;
    nf_parameter_spec slope = {.name = "slope", .shape = AD_SHAPE(count), .value = 1, .constraint = NF_POSITIVE};
    return nf_declare(self, &slope, error);
}

/* 0, with the derivative -k(v). */
static ad_var jump(const nf_bijector *self, ad_var v)
{
    double b = nf_argument_value(self, "bandwidth");
    ad_var still = ad_stop_gradient(v), square = ad_square(ad_mul_scalar(still, 1 / b));
    ad_var kernel = ad_mul_scalar(ad_relu(ad_sub(ad_scalar(v.tape, 1), square)), 0.75 / b);
    return ad_mul(kernel, ad_sub(still, v));
}

/* v where it is positive, else factor v. */
static ad_var bend(const nf_scope *at, ad_var v, ad_var factor, ad_var *log_det)
{
    ad_var zero = ad_scalar(v.tape, 0), above = ad_greater(v, zero), log_factor = ad_log(factor);
    ad_var each = ad_where(above, zero, log_factor);
    if (at->training && nf_argument_value(at->self, "bandwidth") > 0)
        each = ad_add(each, ad_mul(log_factor, jump(at->self, v)));
    *log_det = ad_sum(each);
    return ad_where(above, v, ad_mul(factor, v));
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return bend(at, z, nf_param(at, "slope"), log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return bend(at, x, ad_div(ad_scalar(x.tape, 1), nf_param(at, "slope")), log_det);
}

static const nf_argument arguments[] = {
    {"slopes", NF_CHOICE, ONE, 0, 0, "one|each", "one slope for all features, or one for each"},
    {"bandwidth", NF_NUMBER, 0.2, 0, 1000, NULL,
     "around the kink, of the estimate that tells training where it should be; 0: none"},
    {0},
};

const nf_bijector_type nf__type_leaky = {
    .name = "leaky",
    .help = "x = z where z > 0, else slope * z",
    .argument = arguments,
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
