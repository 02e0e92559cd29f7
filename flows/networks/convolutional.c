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

static ad_status declare_layer(nf_bijector *owner, size_t layer, size_t kernel, size_t in, size_t out, size_t context,
                               double gain, ad_error *error)
{
    char weight[32], bias[32];
    name_layer(weight, "weight", layer);
    name_layer(bias, "bias", layer);
    const double bound = gain / sqrt((double)(in * kernel * kernel + context));
    const nf_parameter_spec declared[] = {
        {.name = weight, .shape = AD_SHAPE(kernel, kernel, out, in), .init = NF_INIT_UNIFORM, .value = bound},
        {.name = bias, .shape = AD_SHAPE(out), .init = NF_INIT_UNIFORM, .value = bound},
        {.name = "context", .shape = AD_SHAPE(out, context), .init = NF_INIT_UNIFORM, .value = bound},
    };
    ad_status status = nf_declare(owner, &declared[0], error);
    if (status == AD_OK) status = nf_declare(owner, &declared[1], error);
    return status == AD_OK && context ? nf_declare(owner, &declared[2], error) : status;
}

static ad_status declare(const nf_choice *self, nf_bijector *owner, size_t inputs, size_t outputs, ad_error *error)
{
    if (owner->shape.rank != 3)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: network=conv is for images: image(height,width,channels,…) around it",
                            owner->type->name);
    const size_t pixels = owner->shape.dim[1] * owner->shape.dim[2], last = owner->n_size;
    if (inputs == 0 || inputs % pixels || outputs % pixels)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: network=conv sees no channel of the image",
                            owner->type->name);
    if (kernel_of(self, 0, last) % 2 == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: network=conv(kernel=%zu): expected an odd size, so that it has a middle",
                            owner->type->name, kernel_of(self, 0, last));
    const size_t further = sees_image(self) ? owner->context / pixels : 0;
    if (sees_image(self) && (further == 0 || owner->context % pixels))
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "%s: network=conv(context=image): expected a context of one or more channels of %zu pixels, "
            "got %zu numbers",
            owner->type->name, pixels, owner->context);
    ad_status status = AD_OK;
    for (size_t layer = 0; layer <= last && status == AD_OK; layer++)
        status = declare_layer(owner, layer, kernel_of(self, layer, last),
                               layer ? owner->size[layer - 1] : inputs / pixels + further,
                               layer == last ? outputs / pixels : owner->size[layer],
                               layer == 0 && !further ? owner->context : 0, layer == last ? 0.1 : 1, error);
    return status;
}

static ad_var apply(const nf_choice *self, const nf_scope *at, size_t layer, ad_var x)
{
    char weight[32], bias[32];
    name_layer(weight, "weight", layer);
    name_layer(bias, "bias", layer);
    ad_var added = nf_param(at, bias);
    if (layer == 0 && at->self->context && !sees_image(self))
        added = ad_add(added, ad_matmul(nf_param(at, "context"), nf_network_input(nf_context(at))));
    return ad_add(ad_conv2d(x, nf_param(at, weight)), ad_reshape(added, AD_SHAPE(ad_shape_of(added).dim[0], 1, 1)));
}

static ad_var outputs_of(const nf_choice *self, const nf_scope *at, size_t inputs, ad_var x)
{
    const nf_choice *activation = nf_argument_choice(at->self, "activation");
    const size_t height = at->self->shape.dim[1], width = at->self->shape.dim[2];
    ad_var image[] = {ad_reshape(x, AD_SHAPE(inputs / (height * width), height, width)), {x.tape, -1}};
    if (sees_image(self))
        image[1] =
            ad_reshape(nf_network_input(nf_context(at)), AD_SHAPE(at->self->context / (height * width), height, width));
    ad_var h = apply(self, at, 0, ad_concat(image, sees_image(self) ? 2 : 1, 0));
    for (size_t layer = 1; layer <= at->self->n_size; layer++) h = apply(self, at, layer, nf_activate(activation, h));
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
