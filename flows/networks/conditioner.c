#include "networks/activation.h"
#include "networks/conditioner.h"
#include "networks/layer.h"

#include <math.h>

static bool is_residual(const nf_bijector *self)
{
    return nf_argument_value(self, "network") != 0;
}

static size_t last_layer(const nf_bijector *self)
{
    return is_residual(self) ? 2 * self->n_size + 1 : self->n_size;
}

/* A network that sees nothing is what its last layer adds. */
static size_t first_layer(const nf_bijector *self, size_t inputs)
{
    return inputs + self->context == 0 ? last_layer(self) : 0;
}

static ad_status check_blocks(const nf_bijector *self, ad_error *error)
{
    for (size_t i = 1; i < self->n_size && is_residual(self); i++)
        if (self->size[i] != self->size[0])
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "%s: the blocks of a residual network are all of one width, got %zu and %zu",
                                self->type->name, self->size[0], self->size[i]);
    return AD_OK;
}

ad_status nf__conditioner_declare(nf_bijector *self, size_t inputs, size_t outputs, ad_error *error)
{
    ad_status status = check_blocks(self, error);
    size_t last = last_layer(self);
    for (size_t layer = first_layer(self, inputs); layer <= last && status == AD_OK; layer++) {
        bool sees_nothing = layer > 0 && inputs + self->context == 0;
        bool ends_block = is_residual(self) && layer > 0 && layer < last && layer % 2 == 0;
        size_t width = self->size[is_residual(self) || layer == 0 ? 0 : layer - 1];
        size_t in = sees_nothing ? 0 : layer == 0 ? inputs : width;
        size_t out = layer == last ? outputs : self->size[is_residual(self) ? 0 : layer];
        double gain = layer == last ? 0.1 : ends_block ? 1e-3 * sqrt((double)in) : 1;
        status = nf__layer_declare(self, layer, in, out, gain, error);
    }
    return status;
}

/* What layer 0 makes of x, or of the context alone. */
static ad_var enter(const nf_scope *at, size_t inputs, ad_var x)
{
    ad_var bias = nf__layer_bias(at, 0);
    return inputs ? ad_add(ad_matmul(nf__layer_weight(at, 0), x), bias) : bias;
}

static ad_var apply(const nf_scope *at, size_t layer, ad_var x)
{
    return ad_add(ad_matmul(nf__layer_weight(at, layer), x), nf__layer_bias(at, layer));
}

ad_var nf__conditioner_outputs(const nf_scope *at, size_t inputs, ad_var x)
{
    size_t last = last_layer(at->self), activation = (size_t)nf_argument_value(at->self, "activation");
    if (first_layer(at->self, inputs) == last) return nf__layer_bias(at, last);
    ad_var h = enter(at, inputs, x);
    if (is_residual(at->self)) {
        for (size_t layer = 1; layer < last; layer += 2) {
            ad_var inside = apply(at, layer, nf__activation(h, activation));
            h = ad_add(h, apply(at, layer + 1, nf__activation(inside, activation)));
        }
        return apply(at, last, h);
    }
    for (size_t layer = 1; layer <= last; layer++) h = apply(at, layer, nf__activation(h, activation));
    return h;
}
