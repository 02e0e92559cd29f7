/* Coupling layers (Dinh et al. 2017, eq. 4 to 8): some features, the seen ones, stay as they are; a network computes
 * from them, and from the context, the parameters of a transformer of the others. Both directions are one pass, and
 * log|det J| is the sum of the transformer's log-derivatives.
 *
 * Which features are seen: the first half of them (mask=half, ⌊D/2⌋), every other one from the first (alternating), a
 * random half (random, by seed), or any list, mask=[1,3,5-8]; flipped=1 swaps seen and transformed. Of D = 1 the
 * feature is transformed, and the network sees the context alone; so where the list is all of them and flipped. Of an
 * image, half are the first half of its channels, and checkerboard the pixels of an even row + column. */

#include <weir/features.h>
#include <weir/memory.h>
#include <weir/networks.h>
#include <weir/random.h>
#include <weir/transformer.h>

#include <stdlib.h>

enum { HALF, ALTERNATING, RANDOM, CHECKERBOARD };

static int ascending(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static bool is_seen(const nf_bijector *self, size_t feature)
{
    size_t dim = self->dim, place = feature;
    bool flipped = nf_argument_value(self, "flipped") != 0;
    if (self->feature) {
        bool listed = bsearch(&feature, self->feature, self->n_feature, sizeof feature, ascending) != NULL;
        return listed != flipped;
    }
    if (dim == 1) return false;
    const ad_shape image = nf_image_shape(self);
    const size_t pixels = image.dim[1] * image.dim[2];
    switch ((int)nf_argument_value(self, "mask")) {
    case CHECKERBOARD:
        return ((feature % pixels / image.dim[2] + feature % image.dim[2]) % 2 == 0) != flipped;
    case HALF:
        place = feature / pixels;
        dim = image.dim[0];
        break;
    case ALTERNATING:
        return (feature % 2 == 0) != flipped;
    case RANDOM:
        place = (size_t)ad_random_permutation((uint64_t)nf_argument_value(self, "seed"), 0, dim, feature);
    }
    return (place < dim / 2) != flipped;
}

static size_t count_seen(const nf_bijector *self)
{
    size_t n = 0;
    for (size_t i = 0; i < self->dim; i++) n += is_seen(self, i);
    return n;
}

static const nf_conditioner_type *conditioner_of(const nf_bijector *self)
{
    return nf_argument_choice(self, "network")->descriptor;
}

static size_t parameters_of(const nf_choice *transformer)
{
    return ((const nf_transformer_type *)transformer->descriptor)->parameters(transformer);
}

/* Does its network go by images, and has it to see all of one, since the features that are seen are no whole channels?
 */
static bool sees_whole(const nf_bijector *self)
{
    if (!conditioner_of(self)->of_images) return false;
    const size_t pixels = self->dim / nf_image_shape(self).dim[0];
    for (size_t i = 0; i < self->dim; i++)
        if (is_seen(self, i) != is_seen(self, i / pixels * pixels)) return true;
    return false;
}

static ad_status check_mask(const nf_bijector *self, size_t seen, ad_error *error)
{
    const bool by_channels = (int)nf_argument_value(self, "mask") == HALF;
    if (by_channels && nf_image_shape(self).dim[0] == 1 && self->dim > 1)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: an image of one channel has no half of its channels: mask=checkerboard, or squeeze(…) "
                            "around it",
                            self->type->name);
    if (seen == self->dim)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: all %zu features are to stay, and none is left to map",
                            self->type->name, seen);
    return AD_OK;
}

static ad_status build(nf_bijector *self, ad_error *error)
{
    if (self->feature) qsort(self->feature, self->n_feature, sizeof *self->feature, ascending); /* a set */
    const nf_choice transformer = nf_transformer_of(self);
    const size_t sees = nf_transformer_sees(&transformer), parameters = parameters_of(&transformer);
    const size_t seen = count_seen(self);
    if (check_mask(self, seen, error) != AD_OK) return AD_ERROR_ARGUMENT;
    if (conditioner_of(self)->of_images && sees > 1)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: a network of images sees no angles", self->type->name);
    const bool whole = sees_whole(self);
    return conditioner_of(self)->declare(nf_argument_choice(self, "network"), self, whole ? self->dim : seen * sees,
                                         parameters * (whole ? self->dim : self->dim - seen), error);
}

/* Of parameters (count, dim) those of the features in order[], (count, moved). */
static ad_var choose(ad_var outputs, size_t count, size_t dim, const size_t *order, size_t moved)
{
    size_t *index = ad_alloc(count, moved * sizeof *index);
    if (!index) {
        ad_tape_fail(outputs.tape, AD_ERROR_MEMORY, "out of memory for a mask of %zu features", dim);
        return outputs;
    }
    for (size_t i = 0; i < count * moved; i++) index[i] = i / moved * dim + order[i % moved];
    ad_var chosen = ad_gather(outputs, index, count * moved);
    ad_free(index);
    return chosen;
}

/* order: the seen features, then the transformed ones; place: where each feature is in it. */
static ad_var map_parts(const nf_scope *at, const size_t *order, const size_t *place, size_t seen, ad_var v,
                        bool inverse, ad_var *log_det)
{
    const nf_choice transformer = nf_transformer_of(at->self), *network = nf_argument_choice(at->self, "network");
    const size_t dim = at->self->dim, moved = dim - seen, count = parameters_of(&transformer);
    const bool whole = sees_whole(at->self);
    ad_var part[] = {seen ? nf_take(v, order, seen) : (ad_var){v.tape, -1}, nf_take(v, order + seen, moved)};
    ad_var input = seen ? nf_transformer_seen(&transformer, part[0]) : part[0];
    if (whole) input = ad_scatter(input, order, seen, dim);
    const size_t inputs = whole ? dim : seen * nf_transformer_sees(&transformer);
    ad_var outputs = conditioner_of(at->self)->outputs(network, at, inputs, input), log_derivative;
    if (whole) outputs = choose(outputs, count, dim, order + seen, moved);
    ad_var parameters = ad_reshape(outputs, AD_SHAPE(count, moved));
    part[1] = nf_apply_transformer(&transformer, inverse, part[1], parameters, &log_derivative);
    *log_det = ad_sum(log_derivative);
    return seen ? nf_take(ad_concat(part, 2, 0), place, dim) : part[1];
}

static ad_var map(const nf_scope *at, ad_var v, bool inverse, ad_var *log_det)
{
    size_t dim = at->self->dim, seen = count_seen(at->self),
           next[] = {seen, 0}; /* places of a transformed and a seen feature */
    size_t *order = ad_alloc(2 * dim, sizeof *order), *place = order + dim;
    if (!order) {
        ad_tape_fail(v.tape, AD_ERROR_MEMORY, "out of memory for a mask of %zu features", dim);
        return (ad_var){v.tape, -1};
    }
    for (size_t i = 0; i < dim; i++) order[place[i] = next[is_seen(at->self, i)]++] = i;
    ad_var out = map_parts(at, order, place, seen, v, inverse, log_det);
    ad_free(order);
    return out;
}

static ad_var forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return map(at, z, false, log_det);
}

static ad_var inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return map(at, x, true, log_det);
}

/* ---- The type, and short names of some ------------------------------------------------------------------------- */

#define MASK_ARGUMENTS                                                                                                 \
    {"mask",                                                                                                           \
     NF_FEATURES,                                                                                                      \
     0,                                                                                                                \
     0,                                                                                                                \
     0,                                                                                                                \
     "half|alternating|random|checkerboard",                                                                           \
     "the features that stay, and that the network sees"},                                                             \
        {"flipped", NF_COUNT, 0, 0, 1, NULL, "1: the other features stay, and are seen"},                              \
    {                                                                                                                  \
        "seed", NF_COUNT, 0, 0, 9007199254740992, NULL, "of a random mask"                                             \
    }

#define COUPLING(own_name, own_help, fixed, ...)                                                                       \
    {                                                                                                                  \
        .name = own_name, .help = own_help,                                                                            \
        .argument =                                                                                                    \
            (const nf_argument[]){NF_ACTIVATION_ARGUMENT, __VA_ARGS__, NF_NETWORK_ARGUMENT, MASK_ARGUMENTS, {0}},      \
        .positional = "hidden units", .sizes = (const size_t[]){64, 64, 0}, .build = build, .forward = forward,        \
        .inverse = inverse, .data = fixed                                                                              \
    }

const nf_bijector_type nf__type_coupling =
    COUPLING("coupling", "some features stay; the others: x = transformer(z), its parameters from those that stay",
             NULL, NF_TRANSFORMER_ARGUMENT);

/* Dinh et al. 2017, eq. 7 and 8. */
const nf_bijector_type nf__type_realnvp =
    COUPLING("realnvp", "some features stay; the others: x = mu + exp(alpha) z, mu and alpha from those that stay",
             &nf_transformer_affine, NF_AFFINE_ARGUMENTS);

/* Durkan et al. 2019, section 3.2. */
const nf_bijector_type nf__type_rqs =
    COUPLING("rqs", "some features stay; the others: z = spline(x), a rational-quadratic one from those that stay",
             &nf_transformer_rational_quadratic, NF_RATIONAL_QUADRATIC_ARGUMENTS, NF_SLOPE_ARGUMENT);
