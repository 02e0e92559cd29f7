/* The activations, and what makes others known. */
#include <weir/networks.h>

#define PLAIN(name, record)                                                                                            \
    static ad_var name(const nf_choice *self, ad_var x)                                                                \
    {                                                                                                                  \
        (void)self;                                                                                                    \
        return record(x);                                                                                              \
    }
PLAIN(tangent, ad_tanh)
PLAIN(rectified, ad_relu)
PLAIN(sine, ad_sin)

/* x > 0 ? x : eˣ - 1; the exponential never sees a positive x (Clevert et al. 2016). */
static ad_var elu(const nf_choice *self, ad_var x)
{
    (void)self;
    ad_var zero = ad_scalar(x.tape, 0);
    return ad_where(ad_greater(x, zero), x, ad_expm1(ad_minimum(x, zero)));
}

/* x sigmoid(x) (Elfwing et al. 2018). */
static ad_var silu(const nf_choice *self, ad_var x)
{
    (void)self;
    return ad_mul(x, ad_sigmoid(x));
}

/* x Φ(x), with the approximation x/2 (1 + tanh u) = x sigmoid(2u), u = √(2/π) (x + 0.044715 x³) (Hendrycks & Gimpel
 * 2016). Past ±20 the sigmoid is 0 or 1, and x³ need not overflow. */
static ad_var gelu(const nf_choice *self, ad_var x)
{
    (void)self;
    const double twice_root = 1.5957691216057308; /* 2 √(2/π) */
    ad_var near = ad_maximum(ad_minimum(x, ad_scalar(x.tape, 20)), ad_scalar(x.tape, -20));
    ad_var cubic = ad_add_scalar(ad_mul_scalar(ad_square(near), 0.044715 * twice_root), twice_root);
    return ad_mul(x, ad_sigmoid(ad_mul(near, cubic)));
}

enum { MOST = 256 };

static const nf_activation_type *types[MOST + 1] = {
    &(const nf_activation_type){"tanh", "tanh x", .apply = tangent},
    &(const nf_activation_type){"relu", "max(x, 0)", .apply = rectified},
    &(const nf_activation_type){"elu", "x > 0 ? x : eˣ - 1", .apply = elu},
    &(const nf_activation_type){"silu", "x sigmoid(x)", .apply = silu},
    &(const nf_activation_type){"gelu", "x Φ(x), approximately", .apply = gelu},
    &(const nf_activation_type){"sin", "sin x: periodic dependence (Sitzmann et al. 2020)", .apply = sine},
};
const nf_registry nf_activations = {"activation", types, MOST};

const nf_activation_type *const *nf_activation_types(void)
{
    return types;
}

ad_status nf_register_activation(const nf_activation_type *type, ad_error *error)
{
    if (type && type->name && !type->apply)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the activation '%.60s': it has no apply",
                            type->name);
    return nf_registry_add(&nf_activations, type, error);
}

ad_var nf_activate(const nf_choice *activation, ad_var x)
{
    const nf_activation_type *type = activation ? activation->descriptor : NULL;
    if (type) return type->apply(activation, x);
    ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "expected an activation, got NULL: has the type such an argument?");
    return (ad_var){x.tape, -1};
}
