/* Flows of zuko and nflows: what their tensors are, as a formula, and its parameters. */
#include "import/source.h"

#include <weir/environment.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Networks --------------------------------------------------------------------------------------------------- */

static bool is_there(const nf__source *s, const char *prefix)
{
    char name[512];
    snprintf(name, sizeof name, "%s.weight", prefix);
    return nf__safetensors_find(s->file, name) != NULL;
}

static ad_status add_layer(nf__source *s, nf__step *step, const char *prefix)
{
    if (step->layers == NF__MOST_LAYERS)
        return nf__source_fail(s, "'%s': a network of more than %d layers", prefix, NF__MOST_LAYERS);
    nf__linear *layer = &step->layer[step->layers++];
    ad_status status = nf__source_linear(s, layer, prefix);
    if (!status && step->layers > 1 && layer->in != layer[-1].out)
        status = nf__source_fail(s, "'%s.weight' has %zu columns, but the layer before it %zu units", prefix, layer->in,
                                 layer[-1].out);
    return status;
}

/* PREFIX.0, PREFIX.2, … of zuko's MLP, with activations between. */
static ad_status zuko_network(nf__source *s, nf__step *step, const char *prefix)
{
    ad_status status = AD_OK;
    char name[200];
    for (size_t i = 0; !status; i += 2) {
        snprintf(name, sizeof name, "%s.hyper.%zu", prefix, i);
        if (i > 0 && !is_there(s, name)) break;
        status = add_layer(s, step, name);
    }
    return status;
}

/* The initial layer, blocks of one layer (of MADE) or two (of ResidualNet), and the final layer. */
static ad_status nflows_network(nf__source *s, nf__step *step, const char *prefix, const char *of_block, size_t each)
{
    char name[400];
    snprintf(name, sizeof name, "%s.initial_layer", prefix);
    ad_status status = add_layer(s, step, name);
    for (size_t block = 0; !status; block++) {
        for (size_t i = 0; i < each && !status; i++) {
            if (each > 1)
                snprintf(name, sizeof name, "%s.blocks.%zu.%s.%zu", prefix, block, of_block, i);
            else
                snprintf(name, sizeof name, "%s.blocks.%zu.%s", prefix, block, of_block);
            if (i == 0 && !is_there(s, name)) goto last;
            status = add_layer(s, step, name);
        }
    }
last:
    snprintf(name, sizeof name, "%s.final_layer", prefix);
    return status ? status : add_layer(s, step, name);
}

/* ---- Parameters ------------------------------------------------------------------------------------------------- */

static ad_status check_network(nf__source *s, nf__step *step, const char *prefix, size_t features, size_t inputs)
{
    const nf__linear *first = step->layer, *last = &step->layer[step->layers - 1];
    if (step->layers < 2) return nf__source_fail(s, "'%s': its network has no hidden layer", prefix);
    if (features == 0 || last->out % features != 0)
        return nf__source_fail(s, "'%s': %zu outputs of its network for %zu features", prefix, last->out, features);
    if (first->in < inputs)
        return nf__source_fail(s, "'%s': its network has %zu inputs, but sees %zu features", prefix, first->in, inputs);
    const size_t context = first->in - inputs;
    if (s->context != context && s->context != SIZE_MAX)
        return nf__source_fail(s, "'%s': its network sees a context of %zu numbers, but others one of %zu", prefix,
                               context, s->context);
    s->context = context;
    step->parameters.count = last->out / features;
    return AD_OK;
}

/* Two parameters are of an affine map, 3K - 1 of a spline of K bins. */
static ad_status find_parameters(nf__source *s, nf__step *step, const char *prefix, bool zuko)
{
    nf__parameters *parameters = &step->parameters;
    const bool affine = parameters->count == 2;
    if (!affine && parameters->count % 3 != 2)
        return nf__source_fail(s,
                               "'%s': %zu parameters of each feature are neither those of an affine map, 2, nor of a "
                               "rational-quadratic spline (of nflows with tails=\"linear\") of K bins, 3 K - 1",
                               prefix, parameters->count);
    if (!affine && !(s->options.tail > 0))
        return ad_error_set(s->error, AD_ERROR_ARGUMENT,
                            "%s: '%s' has %zu parameters of each feature: as a spline's, whose bound isn't in the "
                            "file; the option tail says it, 5 of zuko's NSF, tail_bound of nflows",
                            s->path, prefix, parameters->count);
    const bool coupled = step->seen != NULL;
    parameters->kind = zuko      ? affine ? NF__ZUKO_AFFINE : NF__ZUKO_SPLINE
                       : !affine ? NF__NFLOWS_SPLINE
                       : coupled ? NF__NFLOWS_COUPLED_AFFINE
                                 : NF__NFLOWS_AFFINE;
    parameters->by_parameter = parameters->kind == NF__NFLOWS_COUPLED_AFFINE;
    /* nflows divides these where the network says how wide it is, as ResidualNet does and MADE doesn't. */
    parameters->factor = coupled ? 1 / sqrt((double)step->layer[0].out) : 1;
    return AD_OK;
}

/* ---- Formulas --------------------------------------------------------------------------------------------------- */

static void print_list(FILE *to, const size_t *feature, size_t count)
{
    for (size_t i = 0; i < count; i++) fprintf(to, "%s%zu", i ? "," : "", feature[i] + 1);
}

static void print_network(const nf__source *s, const nf__step *step, FILE *to)
{
    static const char *const scales[] = {"exp", "softplus", "sigmoid"};
    fprintf(to, "activation=%s,transformer=", s->options.activation);
    const size_t bins = (step->parameters.count + 1) / 3;
    if (step->parameters.kind == NF__NFLOWS_SPLINE)
        fprintf(to, "rational_quadratic(bins=%zu,tail=%.17g)", bins, s->options.tail);
    else if (step->parameters.kind == NF__ZUKO_SPLINE)
        fprintf(to, "rational_quadratic(bins=%zu,tail=%.17g,slope=%.17g)", bins, s->options.tail, s->options.slope);
    else
        fprintf(to, "scale_shift(scale=%s)", scales[step->parameters.kind]);
}

/* A masked network of Weir's begins with the last feature. */
static size_t print_masked(const nf__source *s, nf__step *step, size_t child, FILE *to)
{
    bool moved = false;
    size_t *order = ad_tape_alloc(s->memory, s->dim, sizeof *order);
    for (size_t i = 0; order && i < s->dim; i++) {
        order[i] = s->dim - 1 - step->order[i];
        moved |= order[i] != i;
    }
    if (!order) return child;
    if (moved) {
        fputs("invert(permute(order=[", to);
        print_list(to, order, s->dim);
        fputs("]))-", to);
        child++;
    }
    step->child = child++;
    fputs("autoregressive(", to);
    for (size_t l = 0; l + 1 < step->layers; l++) fprintf(to, "%zu,", step->size[l]);
    print_network(s, step, to);
    fputs(")", to);
    if (!moved) return child;
    fputs("-permute(order=[", to);
    print_list(to, order, s->dim);
    fputs("])", to);
    return child + 1;
}

static size_t print_coupling(const nf__source *s, nf__step *step, size_t child, bool residual, FILE *to)
{
    step->child = child;
    fputs("coupling(", to);
    const size_t blocks = residual ? (step->layers - 2) / 2 : step->layers - 1;
    for (size_t l = 0; l < blocks; l++) fprintf(to, "%zu,", step->layer[residual ? 0 : l].out);
    fprintf(to, "network=%s,mask=[", residual ? "residual" : "mlp");
    print_list(to, step->seen, step->n_seen);
    fputs("],", to);
    print_network(s, step, to);
    fputs(")", to);
    return child + 1;
}

/* ---- Transforms ------------------------------------------------------------------------------------------------- */

/* Whole numbers that tell features apart, each below dim; as many as there are, into *count. */
static ad_status features_of(nf__source *s, const nf__array *array, const char *name, bool all, size_t **feature)
{
    const size_t count = ad_shape_size(array->shape);
    if (all && s->dim == 0) s->dim = count;
    bool *taken = ad_tape_alloc(s->memory, s->dim, sizeof *taken), good = array->shape.rank == 1;
    *feature = ad_tape_alloc(s->memory, count, sizeof **feature);
    if (!taken || !*feature) return ad_error_set(s->error, AD_ERROR_MEMORY, "%s: out of memory", s->path);
    good &= !all || count == s->dim;
    for (size_t i = 0; i < count && good; i++) {
        good = array->value[i] >= 0 && array->value[i] < (double)s->dim && !taken[(size_t)array->value[i]];
        if (good) taken[(*feature)[i] = (size_t)array->value[i]] = true;
    }
    if (good) return AD_OK;
    return nf__source_fail(s, "'%s' is no %s of %zu features: of zuko's flows those with passes=None can be imported",
                           name, all ? "order" : "choice", s->dim);
}

static ad_status read_masked(nf__source *s, nf__step *step, const char *prefix, bool zuko)
{
    char name[200];
    snprintf(name, sizeof name, "%s.autoregressive_net", prefix);
    ad_status status = zuko ? zuko_network(s, step, prefix) : nflows_network(s, step, name, "linear", 1);
    if (!status && !zuko) {
        if (s->dim == 0) s->dim = step->layer[0].in;
        step->order = ad_tape_alloc(s->memory, s->dim, sizeof *step->order);
        for (size_t i = 0; step->order && i < s->dim; i++) step->order[i] = i;
    }
    if (!status) status = check_network(s, step, prefix, s->dim, s->dim);
    if (!status) status = find_parameters(s, step, prefix, zuko);
    return status ? status : nf__masked_layout(s, step);
}

static ad_status read_coupling(nf__source *s, nf__step *step, const char *prefix, bool zuko)
{
    char name[200];
    snprintf(name, sizeof name, "%s.transform_net", prefix);
    ad_status status = zuko ? zuko_network(s, step, prefix) : nflows_network(s, step, name, "linear_layers", 2);
    if (!status) status = check_network(s, step, prefix, s->dim - step->n_seen, step->n_seen);
    return status ? status : find_parameters(s, step, prefix, zuko);
}

/* zuko's mask: true for features that stay. */
static void seen_of_mask(nf__source *s, const nf__array *mask, nf__step *step)
{
    const size_t count = ad_shape_size(mask->shape);
    if (s->dim == 0) s->dim = count;
    step->seen = ad_tape_alloc(s->memory, count, sizeof *step->seen);
    for (size_t i = 0; step->seen && i < count; i++)
        if (mask->value[i] != 0) step->seen[step->n_seen++] = i;
}

/* One transform, if there is one of this prefix, which *found says; and its term, behind what the chain has. */
static ad_status read_transform(nf__source *s, nf__step *step, const char *prefix, bool *found)
{
    nf__array array, other;
    char name[200];
    ad_status status = AD_OK;
    *found = true;
    if (nf__source_find(s, &array, "%s.order", prefix)) {
        snprintf(name, sizeof name, "%s.order", prefix);
        status = features_of(s, &array, name, true, &step->order);
        return status ? status : read_masked(s, step, prefix, true);
    }
    if (nf__source_find(s, &array, "%s.mask", prefix)) {
        seen_of_mask(s, &array, step);
        return read_coupling(s, step, prefix, true);
    }
    if (nf__source_find(s, &array, "%s._permutation", prefix)) {
        snprintf(name, sizeof name, "%s._permutation", prefix);
        return features_of(s, &array, name, true, &step->order);
    }
    snprintf(name, sizeof name, "%s.autoregressive_net.initial_layer", prefix);
    if (is_there(s, name)) return read_masked(s, step, prefix, false);
    if (nf__source_find(s, &array, "%s.identity_features", prefix) &&
        nf__source_find(s, &other, "%s.transform_features", prefix)) {
        const size_t seen = ad_shape_size(array.shape);
        if (s->dim == 0) s->dim = seen + ad_shape_size(other.shape);
        step->n_seen = seen;
        snprintf(name, sizeof name, "%s.identity_features", prefix);
        status = features_of(s, &array, name, false, &step->seen);
        return status ? status : read_coupling(s, step, prefix, false);
    }
    *found = false;
    return AD_OK;
}

/* Terms from the base on: the last transform, which goes from x to z, comes first. */
static char *formula_of(nf__source *s, nf__step *steps, size_t count)
{
    char *text = NULL;
    size_t size, child = 0;
    FILE *to = open_memstream(&text, &size);
    for (size_t i = count; to && i-- > 0;) {
        nf__step *step = &steps[i];
        if (step->layers == 0) {
            fputs("invert(permute(order=[", to);
            print_list(to, step->order, s->dim);
            fputs("]))", to);
            child++;
        } else if (step->order) {
            child = print_masked(s, step, child, to);
        } else {
            child = print_coupling(s, step, child,
                                   step->parameters.kind != NF__ZUKO_AFFINE && step->parameters.kind != NF__ZUKO_SPLINE,
                                   to);
        }
        if (i > 0) fputc('-', to);
    }
    if (to) fclose(to);
    if (!text) ad_error_set(s->error, AD_ERROR_MEMORY, "%s: out of memory", s->path);
    return text;
}

/* ---- The whole -------------------------------------------------------------------------------------------------- */

/* What a base distribution, N(0, I), and masked layers have beside. */
static ad_status use_others(nf__source *s)
{
    size_t count;
    const nf__safetensor *all = nf__safetensors_all(s->file, &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = all[i].name, *end = strrchr(name, '.');
        const bool loc = strcmp(name, "base.loc") == 0 || strcmp(name, "base._0") == 0;
        const bool scale = strcmp(name, "base.scale") == 0 || strcmp(name, "base._1") == 0;
        for (size_t j = 0; (loc || scale) && j < ad_shape_size(all[i].shape); j++)
            if (ad_element(all[i].dtype, all[i].data, j) != (scale ? 1 : 0))
                return nf__source_fail(s, "'%s': the base distribution isn't N(0, I)", name);
        if (s->used[i] || loc || scale || strcmp(name, "_distribution._log_z") == 0) continue;
        if (end && strcmp(end, ".degrees") == 0) continue;
        return nf__source_fail(s,
                               "the tensor '%s' is of none of the transforms of zuko and nflows that can be imported, "
                               "or of a residual, normalising or context layer that Weir has no counterpart of",
                               name);
    }
    return AD_OK;
}

static ad_dtype dtype_of(const nf__source *s)
{
    size_t count;
    const nf__safetensor *all = nf__safetensors_all(s->file, &count);
    for (size_t i = 0; i < count; i++)
        if (all[i].dtype == AD_F32) return AD_F32;
    return AD_F64;
}

static ad_status read_transforms(nf__source *s, nf__step **steps, size_t *count)
{
    static const char *const prefixes[] = {"transform.transforms.%zu", "_transform._transforms.%zu", "_transforms.%zu",
                                           "_transform"};
    size_t most;
    nf__safetensors_all(s->file, &most);
    *steps = ad_tape_alloc(s->memory, most + 1, sizeof **steps);
    *count = 0;
    if (!*steps) return ad_error_set(s->error, AD_ERROR_MEMORY, "%s: out of memory", s->path);
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes && *count == 0; p++) {
        bool found = true;
        while (found && *count <= most) {
            char prefix[64], number[24];
            const char *place = strstr(prefixes[p], "%zu");
            snprintf(number, sizeof number, "%zu", *count);
            snprintf(prefix, sizeof prefix, "%.*s%s", place ? (int)(place - prefixes[p]) : 64, prefixes[p],
                     place ? number : "");
            ad_status status = read_transform(s, &(*steps)[*count], prefix, &found);
            if (status) return status;
            *count += found;
            if (!place) break;
        }
    }
    ad_status status = use_others(s);
    if (!status && *count == 0)
        status = nf__source_fail(s, "no transform of zuko's or nflows' is in it: expected are the tensors of a flow's "
                                    "state_dict(), by their names");
    return status;
}

static nf_flow *make(nf__source *s)
{
    nf__step *steps;
    size_t count;
    if (read_transforms(s, &steps, &count)) return NULL;
    char *formula = formula_of(s, steps, count);
    if (!formula) return NULL;
    const size_t context = s->context == SIZE_MAX ? 0 : s->context;
    nf_flow *flow = nf_flow_parse(formula, s->dim, context, dtype_of(s), 0, s->error);
    free(formula);
    nf_bijector *chain = nf_flow_bijector(flow);
    for (size_t i = 0; i < count && flow; i++) {
        nf_bijector *child = steps[i].layers ? chain->child[steps[i].child] : NULL;
        if (child && steps[i].order) nf__masked_fill(s, &steps[i], child);
        if (child && !steps[i].order) nf__coupling_fill(s, &steps[i], child);
    }
    nf_flow_push(flow);
    return flow;
}

nf_flow *nf_import(const char *path, const nf_import_options *options, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    ad_error own = {0};
    if (!path) return ad_error_set(error, AD_ERROR_ARGUMENT, "import: path is NULL"), NULL;
    nf__source s = {.path = path, .error = &own, .context = SIZE_MAX, .memory = ad_tape_new()};
    if (options) s.options = *options;
    if (!s.options.activation) s.options.activation = "relu";
    if (!(s.options.slope > 0)) s.options.slope = 1e-3;
    s.file = nf__safetensors_read_foreign(path, &own);
    size_t tensors = 0;
    if (s.file) nf__safetensors_all(s.file, &tensors);
    s.used = ad_tape_alloc(s.memory, tensors, sizeof *s.used);
    nf_flow *flow = s.file && s.used ? make(&s) : NULL;
    const ad_error *recorded = ad_tape_error(s.memory);
    if (own.status == AD_OK && recorded) own = *recorded;
    if (own.status != AD_OK) {
        ad_error_set(error, own.status, "%s", own.message);
        nf_flow_free(flow);
        flow = NULL;
    }
    nf__safetensors_free(s.file);
    ad_tape_free(s.memory);
    return flow;
}
