/* Tensors of another program's file. */
#include "import/source.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

ad_status nf__source_fail(nf__source *s, const char *format, ...)
{
    char message[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return ad_error_set(s->error, AD_ERROR_FORMAT, "%s: %s", s->path, message);
}

bool nf__source_find(nf__source *s, nf__array *array, const char *format, ...)
{
    char name[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    size_t count;
    const nf__safetensor *all = nf__safetensors_all(s->file, &count), *tensor = nf__safetensors_find(s->file, name);
    if (!tensor) return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].name, name) == 0) s->used[i] = true;
    array->shape = tensor->shape;
    array->value = ad_tape_alloc(s->memory, ad_shape_size(tensor->shape), sizeof *array->value);
    if (array->value) ad_to_double(tensor->dtype, tensor->data, array->value, ad_shape_size(tensor->shape));
    return array->value != NULL;
}

ad_status nf__source_linear(nf__source *s, nf__linear *layer, const char *prefix)
{
    nf__array weight, bias, mask;
    char text[128];
    if (!nf__source_find(s, &weight, "%s.weight", prefix)) return nf__source_fail(s, "no tensor '%s.weight'", prefix);
    if (!nf__source_find(s, &bias, "%s.bias", prefix)) return nf__source_fail(s, "no tensor '%s.bias'", prefix);
    if (weight.shape.rank != 2)
        return nf__source_fail(s, "'%s.weight' is of shape %s, but a layer's has two axes", prefix,
                               ad_shape_text(weight.shape, text));
    *layer = (nf__linear){weight.shape.dim[0], weight.shape.dim[1], weight.value, bias.value, NULL};
    if (bias.shape.rank != 1 || bias.shape.dim[0] != layer->out)
        return nf__source_fail(s, "'%s.bias' is of shape %s, but '%s.weight' has %zu rows", prefix,
                               ad_shape_text(bias.shape, text), prefix, layer->out);
    if (nf__source_find(s, &mask, "%s.mask", prefix)) {
        if (!ad_shape_equal(mask.shape, weight.shape))
            return nf__source_fail(s, "'%s.mask' is of shape %s, another than the weight's", prefix,
                                   ad_shape_text(mask.shape, text));
        layer->mask = mask.value;
        for (size_t i = 0; i < layer->out * layer->in; i++)
            if (mask.value[i] == 0) weight.value[i] = 0;
    }
    return AD_OK;
}

/* Weir's parameters are 0 where the map is the identity; 1e-3 is the least slope of all of these. */
static double offset_of(const nf__parameters *of, size_t p)
{
    const double softplus = -log(expm1(1 - 1e-3)), sigmoid = 2 - log(1e3 - 1);
    const size_t bins = (of->count + 1) / 3;
    switch (of->kind) {
    case NF__NFLOWS_AFFINE:
        return p == 0 ? softplus : 0;
    case NF__NFLOWS_COUPLED_AFFINE:
        return p == 1 ? sigmoid : 0;
    case NF__NFLOWS_SPLINE:
        return p >= 2 * bins ? softplus : 0;
    case NF__ZUKO_AFFINE:
    case NF__ZUKO_SPLINE:
        break;
    }
    return 0;
}

/* A shift comes first in scale_shift. */
size_t nf__parameter_place(const nf__parameters *of, size_t p)
{
    return of->kind == NF__NFLOWS_AFFINE ? 1 - p : p;
}

void nf__parameters_apply(const nf__parameters *of, size_t p, const nf__linear *from, size_t from_row, nf__linear *to,
                          size_t to_row)
{
    const bool extent = of->kind == NF__NFLOWS_SPLINE && p < 2 * ((of->count + 1) / 3);
    const double factor = extent ? of->factor : 1;
    for (size_t i = 0; i < from->in; i++)
        to->weight[to_row * to->in + i] = factor * from->weight[from_row * from->in + i];
    to->bias[to_row] = factor * from->bias[from_row] + offset_of(of, p);
}
