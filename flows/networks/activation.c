#include "networks/activation.h"

#include <weir/tape.h>

/* x > 0 ? x : eˣ - 1; the exponential never sees a positive x (Clevert et al. 2016). */
static ad_var elu(ad_var x)
{
    ad_var zero = ad_scalar(x.tape, 0);
    return ad_where(ad_greater(x, zero), x, ad_expm1(ad_minimum(x, zero)));
}

/* x sigmoid(x) (Elfwing et al. 2018). */
static ad_var silu(ad_var x)
{
    return ad_mul(x, ad_sigmoid(x));
}

/* x Φ(x), with the approximation x/2 (1 + tanh u) = x sigmoid(2u), u = √(2/π) (x + 0.044715 x³) (Hendrycks & Gimpel
 * 2016). Past ±20 the sigmoid is 0 or 1, and x³ need not overflow. */
static ad_var gelu(ad_var x)
{
    const double twice_root = 1.5957691216057308; /* 2 √(2/π) */
    ad_var near = ad_maximum(ad_minimum(x, ad_scalar(x.tape, 20)), ad_scalar(x.tape, -20));
    ad_var cubic = ad_add_scalar(ad_mul_scalar(ad_square(near), 0.044715 * twice_root), twice_root);
    return ad_mul(x, ad_sigmoid(ad_mul(near, cubic)));
}

/* sin: periodic dependence (Sitzmann et al. 2020). */
ad_var nf__activation(ad_var x, size_t which)
{
    static ad_var (*const table[])(ad_var) = {ad_tanh, ad_relu, elu, silu, gelu, ad_sin};
    return table[which](x);
}
