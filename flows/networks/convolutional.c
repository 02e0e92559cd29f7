/* conv: a network of convolutions (Kingma & Dhariwal 2018, "Glow", section 3.3; ConvNet2d in normflows). The first and
 * the last layer have the kernel's size, those between them see each pixel alone,
 *
 *     h_1 = a(L_0 x + C c),  h_(i+1) = a(L_i h_i),  output L_n h_n,
 *
 * L a convolution with zeros around the image, and a bias for each channel. The context's part is the same for all
 * pixels; or, with context=image, it is an image of the same height and width, whose channels are further ones of x.
 * Parameters weight0 (kernel, kernel, outputs, inputs), bias0 (outputs), weight1 … and context. */
#include <weir/networks.h>

#include <math.h>

static size_t kernel_of(const nf_choice *self, size_t layer, size_t last)
{
    return layer == 0 || layer == last ? (size_t)nf_choice_value(self, "kernel") : 1;
}

static void name_layer(char name[32], const char *what, size_t layer)
{
    snprintf(name, 32, "%s%zu", what, layer);
}

static bool sees_image(const nf_choice *self)
{
    return nf_choice_value(self, "context") != 0;
}

/* What it sees: the channels of its input, to which those of a context that is an image belong, and the numbers of one
 * that isn't. */
typedef struct {
    size_t channels, context;
} seen;

static seen seen_by(const nf_choice *self, const nf_bijector *owner, size_t inputs)
{
    const ad_shape image = nf_image_shape(owner);
    const size_t pixels = image.dim[1] * image.dim[2];
    if (!sees_image(self)) return (seen){inputs / pixels, owner->context};
    return (seen){inputs / pixels + owner->context / pixels, 0};
}

static ad_status declare_layer(nf_bijector *owner, size_t layer, size_t kernel, seen in, size_t out, double gain,
                               ad_error *error)
{
    char weight[32], bias[32];
    name_layer(weight, "weight", layer);
    name_layer(bias, "bias", layer);
    const size_t inputs = in.channels * kernel * kernel + in.context;
    const double bound = gain / sqrt((double)(inputs ? inputs : 1));
    const nf_parameter_spec declared[] = {
        {.name = weight, .shape = AD_SHAPE(kernel, kernel, out, in.channels), .init = NF_INIT_UNIFORM, .value = bound},
        {.name = bias, .shape = AD_SHAPE(out), .init = NF_INIT_UNIFORM, .value = bound},
        {.name = "context", .shape = AD_SHAPE(out, in.context), .init = NF_INIT_UNIFORM, .value = bound},
    };
    ad_status status = in.channels ? nf_declare(owner, &declared[0], error) : AD_OK;
    if (status == AD_OK) status = nf_declare(owner, &declared[1], error);
    return status == AD_OK && in.context ? nf_declare(owner, &declared[2], error) : status;
}

static ad_status check(const nf_choice *self, const nf_bijector *owner, ad_error *error)
{
    const ad_shape image = nf_image_shape(owner);
    const size_t pixels = image.dim[1] * image.dim[2], kernel = (size_t)nf_choice_value(self, "kernel");
    if (kernel % 2 == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: network=conv(kernel=%zu): expected an odd size, so that it has a middle",
                            owner->type->name, kernel);
    if (sees_image(self) && owner->context % pixels)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: network=conv(context=image): expected a context of channels of %zu pixels, got %zu "
                            "numbers",
                            owner->type->name, pixels, owner->context);
    return AD_OK;
}

static ad_status declare(const nf_choice *self, nf_bijector *owner, size_t inputs, size_t outputs, ad_error *error)
{
    const ad_shape image = nf_image_shape(owner);
    const size_t pixels = image.dim[1] * image.dim[2], last = owner->n_size;
    const seen first = seen_by(self, owner, inputs);
    ad_status status = check(self, owner, error);
    /* Which sees nothing is what its last layer adds. */
    for (size_t layer = first.channels + first.context ? 0 : last; layer <= last && status == AD_OK; layer++) {
        const seen in = layer ? (seen){first.channels + first.context ? owner->size[layer - 1] : 0, 0} : first;
        status = declare_layer(owner, layer, kernel_of(self, layer, last), in,
                               layer == last ? outputs / pixels : owner->size[layer], layer == last ? 0.1 : 1, error);
    }
    return status;
}

/* x: (channels, height, width), or none where there are no channels. */
static ad_var apply(const nf_scope *at, size_t layer, seen in, ad_var x)
{
    char weight[32], bias[32];
    name_layer(weight, "weight", layer);
    name_layer(bias, "bias", layer);
    const ad_shape image = nf_image_shape(at->self);
    ad_var added = nf_param(at, bias);
    if (in.context) added = ad_add(added, ad_matmul(nf_param(at, "context"), nf_network_input(nf_context(at))));
    const size_t channels = ad_shape_of(added).dim[0];
    added = ad_reshape(added, AD_SHAPE(channels, 1, 1));
    if (in.channels == 0) return ad_broadcast(added, AD_SHAPE(channels, image.dim[1], image.dim[2]));
    return ad_add(ad_conv2d(x, nf_param(at, weight)), added);
}

/* The channels of the input, and those of the context behind them. */
static ad_var gather_channels(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x)
{
    const ad_shape image = nf_image_shape(at->self);
    const size_t height = image.dim[1], width = image.dim[2], pixels = height * width;
    ad_var part[2];
    int count = 0;
    if (inputs) part[count++] = ad_reshape(x, AD_SHAPE(inputs / pixels, height, width));
    if (sees_image(self) && at->self->context)
        part[count++] =
            ad_reshape(nf_network_input(nf_context(at)), AD_SHAPE(at->self->context / pixels, height, width));
    return count ? ad_concat(part, count, 0) : x;
}

static ad_var outputs_of(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x)
{
    const nf_choice *activation = nf_argument_choice(at->self, "activation");
    const size_t last = at->self->n_size;
    const seen first = seen_by(self, at->self, inputs);
    const bool sees = first.channels + first.context > 0;
    ad_var h = sees ? apply(at, 0, first, gather_channels(self, at, inputs, x)) : apply(at, last, (seen){0, 0}, x);
    for (size_t layer = 1; sees && layer <= last; layer++)
        h = apply(at, layer, (seen){at->self->size[layer - 1], 0}, nf_activate(activation, h));
    return ad_reshape(h, AD_SHAPE(ad_shape_size(ad_shape_of(h))));
}

const nf_conditioner_type nf__conditioner_conv = {
    .name = "conv",
    .help = "of images: a convolution for each hidden size, of so many channels, and one more",
    .argument = (const nf_argument[]){{"kernel", NF_COUNT, 3, 1, 99, NULL, "size of the first and last, odd"},
                                      {"context", NF_CHOICE, 0, 0, 0, "vector|image",
                                       "image: further channels of the image, as many as it has numbers for"},
                                      {0}},
    .declare = declare,
    .outputs = outputs_of,
    .of_images = true,
};
