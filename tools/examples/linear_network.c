/* linear_network.c: a plug-in that brings a conditioner, the network of a coupling: y = W x + b, one layer, which
 * leaves hidden sizes and activation alone.
 *
 *     cc -shared -fPIC linear_network.c $(pkg-config --cflags weir) -o linear_network.so
 *     weir --plugin ./linear_network.so check 'coupling(network=linear)' --dim 4 --context 2 */
#include <weir/models.h>

static ad_status declare(const nf_choice *self, nf_bijector *owner, size_t inputs, size_t outputs, ad_error *error)
{
    (void)self;
    return nf_layer_declare(owner, 0, inputs, outputs, 0.1, error);
}

static ad_var outputs(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x)
{
    (void)self;
    ad_var bias = nf_layer_bias(at, 0);
    return inputs ? ad_add(ad_matmul(nf_layer_weight(at, 0), x), bias) : bias;
}

static const nf_conditioner_type linear = {
    .name = "linear", .help = "y = W x + b, without hidden units", .declare = declare, .outputs = outputs};

static ad_status start(ad_error *error)
{
    return nf_register_conditioner(&linear, error);
}

WEIR_PLUGIN("linear_network", "1.0", start)
