/* planar: x = z + û tanh(wᵀz + b) (Rezende & Mohamed 2015, eq. 10), with, as in PyMC3 and their appendix A.1,
 *
 *     û = u + (m(wᵀu) - wᵀu) w / (‖w‖² + ε),      m(a) = softplus(a) - 1 > -1,      ε = 1e-10,
 *
 * so that the map is increasing along w. Its slope there, where the tanh is steepest, is 1 + wᵀû = softplus(wᵀu) + c ε,
 * c being the factor of -w in û. Where c ε, which is negative for wᵀu < -1.3, would take away more than a millionth of
 * that, and at last make it negative, ε is left out: w isn't 0 there. With t the tanh (eq. 12, without cancellation)
 *
 *     log|det J| = log(1 + (1 - t²) wᵀû) = log(t² + (1 - t²)(1 + wᵀû)).
 *
 * Inverse: a = wᵀz + b is the root of the increasing a + wᵀû tanh(a) = wᵀx + b.
 *
 * Starts with w_i ~ N(0, 1/D), u_i ~ N(0, 0.01²), b = 0: a tanh of about wᵀz that draws z together along w by
 * softplus(0) = 0.69. (PyMC3 has all of them normal with standard deviation `jitter`: 0.001, in NFVI 1.) */
#include <weir/bijector.h>
#include <weir/features.h>

#include <math.h>

static ad_status build(nf_bijector *self, ad_error *error)
{
    ad_shape features = AD_SHAPE(self->dim);
    double width = 1 / sqrt((double)self->dim);
    nf_parameter_spec u = {.name = "u", .shape = features, .init = NF_INIT_NORMAL, .value = 0.01};
    nf_parameter_spec w = {.name = "w", .shape = features, .init = NF_INIT_NORMAL, .value = width};
    ad_status status = nf_declare(self, &u, error);
    if (status == AD_OK) status = nf_declare(self, &w, error);
    return status == AD_OK ? nf_declare(self, &(nf_parameter_spec){.name = "b", .shape = AD_SCALAR}, error) : status;
}

typedef struct {
    ad_var u_hat, w, b, slope; /* slope: 1 + wᵀû > 0 */
} layer;

static layer layer_of(const nf_scope *at)
{
    const double least = 1e-30;
    ad_var u = nf_param(at, "u"), w = nf_param(at, "w"), epsilon = ad_scalar(u.tape, 1e-10);
    ad_var wu = ad_sum(ad_mul(w, u)), grown = ad_softplus(wu);
    ad_var excess = ad_add_scalar(ad_sub(wu, grown), 1), square = ad_add(ad_sum(ad_square(w)), epsilon);
    ad_var too_much = ad_greater(ad_mul_scalar(ad_neg(excess), 1e-4), ad_mul(grown, square));
    square = ad_where(too_much, ad_maximum(ad_sum(ad_square(w)), ad_scalar(u.tape, least)), square);
    ad_var c = ad_div(excess, square);
    ad_var slope = ad_add(grown, ad_mul(c, ad_where(too_much, ad_scalar(u.tape, 0), epsilon)));
    return (layer){.u_hat = ad_sub(u, ad_mul(c, w)),
                   .w = w,
                   .b = nf_param(at, "b"),
                   .slope = ad_maximum(slope, ad_scalar(u.tape, least))};
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    layer l = layer_of(at);
    ad_var t = ad_tanh(ad_add(ad_sum(ad_mul(l.w, z)), l.b));
    *log_det = ad_log(nf_residual_tanh_slope(t, l.slope));
    return ad_add(z, ad_mul(l.u_hat, t));
}

/* a + wᵀû tanh(a) of one element */
static ad_var along_w(void *context, ad_tape *inner, ad_var a, const ad_var *slope)
{
    (void)context;
    return ad_add(a, ad_mul(ad_sub(*slope, ad_scalar(inner, 1)), ad_tanh(a)));
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    layer l = layer_of(at);
    ad_var y = ad_reshape(ad_add(ad_sum(ad_mul(l.w, x)), l.b), AD_SHAPE(1));
    ad_var t = ad_tanh(ad_root(y, &l.slope, 1, AD_ROOT_ELEMENTWISE, NULL, along_w, NULL));
    *log_det = ad_neg(ad_sum(ad_log(nf_residual_tanh_slope(t, l.slope))));
    return ad_sub(x, ad_mul(l.u_hat, t));
}

const nf_bijector_type nf__type_planar = {
    .name = "planar",
    .help = "x = z + u tanh(w'z + b), invertible by a constraint on u",
    .build = build,
    .forward = forward,
    .inverse = inverse,
};
