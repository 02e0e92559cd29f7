/* mish.c: a plug-in that brings an activation of networks, x tanh(softplus x) (Misra 2019, "Mish: a self regularized
 * non-monotonic activation function").
 *
 *     cc -shared -fPIC mish.c $(pkg-config --cflags weir) -o mish.so
 *     weir --plugin ./mish.so check 'realnvp(16,activation=mish)' */
#include <weir/models.h>

static ad_var apply(const nf_choice *self, ad_var x)
{
    (void)self;
    return ad_mul(x, ad_tanh(ad_softplus(x)));
}

static const nf_activation_type mish = {.name = "mish", .help = "x tanh(softplus x)", .apply = apply};

static ad_status start(ad_error *error)
{
    return nf_register_activation(&mish, error);
}

WEIR_PLUGIN("mish", "1.0", start)
