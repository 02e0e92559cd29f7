/* The conditioners, and what makes others known. With activation a and layers L_i:
 *
 *   mlp        h_1 = a(L_0 x),  h_(i+1) = a(L_i h_i),                          output L_n h_n
 *   residual   h_1 = L_0 x,     h_(i+1) = h_i + L_(2i) a(L_(2i-1) a(h_i)),     output L_(2n+1) h_(n+1)
 *
 * and conv, of images, in a file of its own. The second has n blocks, all of one width (He et al. 2016, "Identity mappings in deep residual networks"; ResidualNet
 * in nflows). The last layer of a network starts at a tenth of the others' size and the last one of a block within
 * 1e-3, so that outputs start near 0 and blocks near the identity. */
#include <weir/networks.h>

#include <math.h>

/* A network that sees nothing is what its last layer adds. */
static bool sees_nothing(const nf_bijector *owner, size_t inputs)
{
    return inputs + owner->context == 0;
}

/* What layer 0 makes of x, or of the context alone. */
static ad_var enter(const nf_scope *at, size_t inputs, ad_var x)
{
    ad_var bias = nf_layer_bias(at, 0);
    return inputs ? ad_add(ad_matmul(nf_layer_weight(at, 0), x), bias) : bias;
}

static ad_var apply(const nf_scope *at, size_t layer, ad_var x)
{
    return ad_add(ad_matmul(nf_layer_weight(at, layer), x), nf_layer_bias(at, layer));
}

/* ---- mlp --------------------------------------------------------------------------------------------------------- */

static ad_status declare_mlp(const nf_choice *self, nf_bijector *owner, size_t inputs, size_t outputs, ad_error *error)
{
    (void)self;
    const size_t last = owner->n_size;
    if (sees_nothing(owner, inputs)) return nf_layer_declare(owner, last, 0, outputs, 0.1, error);
    ad_status status = AD_OK;
    for (size_t layer = 0; layer <= last && status == AD_OK; layer++)
        status = nf_layer_declare(owner, layer, layer ? owner->size[layer - 1] : inputs,
                                  layer == last ? outputs : owner->size[layer], layer == last ? 0.1 : 1, error);
    return status;
}

static ad_var mlp_outputs(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x)
{
    (void)self;
    const size_t last = at->self->n_size;
    const nf_choice *activation = nf_argument_choice(at->self, "activation");
    if (last == 0 || sees_nothing(at->self, inputs)) return nf_layer_bias(at, last);
    ad_var h = enter(at, inputs, x);
    for (size_t layer = 1; layer <= last; layer++) h = apply(at, layer, nf_activate(activation, h));
    return h;
}

/* ---- residual ---------------------------------------------------------------------------------------------------- */

static ad_status declare_residual(const nf_choice *self, nf_bijector *owner, size_t inputs, size_t outputs,
                                  ad_error *error)
{
    (void)self;
    const size_t last = 2 * owner->n_size + 1, width = owner->size[0];
    for (size_t i = 1; i < owner->n_size; i++)
        if (owner->size[i] != width)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "%s: the blocks of a residual network are all of one width, got %zu and %zu",
                                owner->type->name, width, owner->size[i]);
    if (sees_nothing(owner, inputs)) return nf_layer_declare(owner, last, 0, outputs, 0.1, error);
    ad_status status = nf_layer_declare(owner, 0, inputs, width, 1, error);
    for (size_t layer = 1; layer < last && status == AD_OK; layer++)
        status = nf_layer_declare(owner, layer, width, width, layer % 2 ? 1 : 1e-3 * sqrt((double)width), error);
    return status == AD_OK ? nf_layer_declare(owner, last, width, outputs, 0.1, error) : status;
}

static ad_var residual_outputs(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x)
{
    (void)self;
    const size_t last = 2 * at->self->n_size + 1;
    const nf_choice *activation = nf_argument_choice(at->self, "activation");
    if (sees_nothing(at->self, inputs)) return nf_layer_bias(at, last);
    ad_var h = enter(at, inputs, x);
    for (size_t layer = 1; layer < last; layer += 2) {
        ad_var inside = apply(at, layer, nf_activate(activation, h));
        h = ad_add(h, apply(at, layer + 1, nf_activate(activation, inside)));
    }
    return apply(at, last, h);
}

/* ---- The list ---------------------------------------------------------------------------------------------------- */

extern const nf_conditioner_type nf__conditioner_conv;

enum { MOST = 256 };

static const nf_conditioner_type *types[MOST + 1] = {
    &(const nf_conditioner_type){"mlp", "a layer for each hidden size", .declare = declare_mlp, .outputs = mlp_outputs},
    &(const nf_conditioner_type){"residual", "a block of two layers for each hidden size, all of one width",
                                 .declare = declare_residual, .outputs = residual_outputs},
    &nf__conditioner_conv,
};
const nf_registry nf_conditioners = {"conditioner", types, MOST};

const nf_conditioner_type *const *nf_conditioner_types(void)
{
    return types;
}

ad_status nf_register_conditioner(const nf_conditioner_type *type, ad_error *error)
{
    if (type && type->name && !(type->declare && type->outputs))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering the conditioner '%.60s': it needs declare and outputs", type->name);
    return nf_registry_add(&nf_conditioners, type, error);
}
