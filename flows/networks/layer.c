#include <weir/networks.h>

#include <weir/bijector.h>

#include <math.h>

typedef struct {
    char weight[24], bias[24];
} names;

static names names_of(size_t layer)
{
    names n;
    snprintf(n.weight, sizeof n.weight, "weight%zu", layer);
    snprintf(n.bias, sizeof n.bias, "bias%zu", layer);
    return n;
}

ad_status nf_layer_declare(nf_bijector *self, size_t layer, size_t in, size_t out, double gain, ad_error *error)
{
    if (!self) return ad_error_set(error, AD_ERROR_ARGUMENT, "layer: self is NULL");
    if (out == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: layer %zu of its network has no outputs: does its map need no parameters?",
                            self->type->name, layer);
    names n = names_of(layer);
    size_t context = layer == 0 ? self->context : 0, inputs = in + context;
    double bound = gain / sqrt((double)(inputs ? inputs : 1));
    const nf_parameter_spec declared[] = {
        {.name = n.weight, .shape = AD_SHAPE(out, in), .init = NF_INIT_UNIFORM, .value = bound},
        {.name = n.bias, .shape = AD_SHAPE(out), .init = NF_INIT_UNIFORM, .value = bound},
        {.name = "context", .shape = AD_SHAPE(out, context), .init = NF_INIT_UNIFORM, .value = bound},
    };
    ad_status status = in ? nf_declare(self, &declared[0], error) : AD_OK;
    if (status == AD_OK) status = nf_declare(self, &declared[1], error);
    return status == AD_OK && context ? nf_declare(self, &declared[2], error) : status;
}

ad_var nf_layer_weight(const nf_scope *at, size_t layer)
{
    return nf_param(at, names_of(layer).weight);
}

ad_var nf_network_input(ad_var v)
{
    return ad_inside(v, -1e15, 1e15);
}

ad_var nf_layer_bias(const nf_scope *at, size_t layer)
{
    ad_var bias = nf_param(at, names_of(layer).bias);
    if (!at || layer > 0 || at->self->context == 0) return bias;
    return ad_add(ad_matmul(nf_param(at, "context"), nf_network_input(nf_context(at))), bias);
}
