/* Saving and loading a flow, as safetensors. */
#include "files/json.h"
#include "files/safetensors.h"
#include "plugin/needed.h"

#include <weir/environment.h>
#include <weir/save.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char format_name[] = "weir-flow-1", format_family[] = "weir-flow-"; /* of every version */

/* ---- The checksum --------------------------------------------------------------------------------------------- */

/* FNV-1a, 64 bits. A flipped bit in the formula may give another valid formula: only this tells. */
static uint64_t hash(uint64_t state, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) state = (state ^ ((const unsigned char *)data)[i]) * 0x100000001b3;
    return state;
}

/* What the checksum is of, beside the parameters. A file that needs no plug-ins is as it was before there were any. */
enum { CHECKED = 6, CHECKED_WITHOUT_PLUGINS = 5 };
static const char *const checked[CHECKED] = {"formula", "dim", "context", "dtype", "training", "plugins"};

/* Of the metadata's values, each with the zero that ends it, and of the parameters; sixteen hexadecimal digits. */
static void checksum(const char *const value[CHECKED], const nf_flow *flow, char digits[17])
{
    uint64_t state = 0xcbf29ce484222325;
    size_t elements = nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow);
    for (size_t i = 0; i < (value[CHECKED - 1] ? CHECKED : CHECKED_WITHOUT_PLUGINS); i++)
        state = hash(state, value[i] ? value[i] : "", value[i] ? strlen(value[i]) + 1 : 1);
    state = hash(state, nf_flow_parameters(flow), elements * ad_dtype_size(nf_flow_dtype(flow)));
    snprintf(digits, 17, "%016llx", (unsigned long long)state);
}

/* ---- What a file may ask for ---------------------------------------------------------------------------------- */

/* A few bytes of formula may ask for all memory. A file's has as much room, see nf_flow_parse_within(), as flows of
 * this many parameters need, and a dimension and a context that they can be of. */
enum { ROOM = 1 << 22, DIM = 1 << 16 };

static size_t room_for(size_t elements)
{
    return ROOM + 4 * elements;
}

static size_t room_of(const nf_bijector *bijector)
{
    size_t room = bijector->n_feature + (bijector->n_child == 0 || bijector->feature ? bijector->dim : 0);
    for (size_t i = 0; i < bijector->n_parameter; i++) room += 2 * ad_shape_size(bijector->parameter[i].spec.shape);
    for (size_t i = 0; i < bijector->n_child; i++) room += room_of(bijector->child[i]);
    return room;
}

/* That nf_load() will take what is to be saved. */
static ad_status check_room(const nf_flow *flow, ad_error *error)
{
    const size_t elements = nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow);
    const size_t room = room_of(nf_flow_base(flow)) + room_of(nf_flow_bijector(flow));
    if (room <= room_for(elements) && nf_flow_dim(flow) <= DIM + elements &&
        nf_flow_context_size(flow) <= DIM + elements)
        return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "a flow of %zu features and %zu numbers in context can't be saved: its %zu parameters are too "
                        "few for so long a formula",
                        nf_flow_dim(flow), nf_flow_context_size(flow), elements);
}

/* ---- Saving -------------------------------------------------------------------------------------------------- */

typedef struct {
    nf__safetensor *tensor; /* NULL while counting */
    size_t count;
    const nf_flow *flow;
    size_t trained, fixed; /* offsets so far, in elements */
} tensor_list;

static bool add_tensor(void *context, const char *name, nf_parameter *parameter)
{
    tensor_list *list = context;
    size_t i = list->count++;
    if (!list->tensor) return true;
    size_t *offset = parameter->spec.fixed ? &list->fixed : &list->trained;
    ad_dtype dtype = nf_flow_dtype(list->flow);
    char *copy = ad_strdup(name);
    list->tensor[i] = (nf__safetensor){.name = copy,
                                       .dtype = dtype,
                                       .shape = parameter->spec.shape,
                                       .data = (char *)nf_flow_parameters(list->flow) + *offset * ad_dtype_size(dtype)};
    *offset += ad_shape_size(parameter->spec.shape);
    return copy != NULL;
}

ad_status nf_save(const nf_flow *flow, const char *record, const char *path, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !flow ? "flow" : !path ? "path" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "save: %s is NULL", missing);
    if (record && !nf__json_is_shallow(record, strlen(record)))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "the record's values are nested too deep, expected 64 levels at most");
    if (check_room(flow, error) != AD_OK) return AD_ERROR_ARGUMENT;
    tensor_list list = {.flow = flow, .fixed = nf_flow_trained_elements(flow)};
    nf_flow_each_parameter(flow, add_tensor, &list);
    size_t count = list.count;
    list.count = 0;
    list.tensor = ad_alloc(count, sizeof *list.tensor);
    char *formula = nf_flow_formula(flow, true), dim[24], context[24];
    snprintf(dim, sizeof dim, "%zu", nf_flow_dim(flow));
    snprintf(context, sizeof context, "%zu", nf_flow_context_size(flow));
    ad_status status;
    if (list.tensor && formula && nf_flow_each_parameter(flow, add_tensor, &list)) {
        const char *dtype = ad_dtype_name(nf_flow_dtype(flow));
        char digits[17], names[512];
        const char *plugins = nf__needed_plugins(formula, names, sizeof names);
        checksum((const char *[CHECKED]){formula, dim, context, dtype, record, plugins}, flow, digits);
        nf__metadata metadata[8] = {{"format", format_name}, {"formula", formula}, {"dim", dim},
                                    {"context", context},    {"dtype", dtype},     {"checksum", digits}};
        size_t filled = 6;
        if (record) metadata[filled++] = (nf__metadata){"training", record};
        if (plugins) metadata[filled++] = (nf__metadata){"plugins", plugins};
        status = nf__safetensors_write(path, list.tensor, count, metadata, filled, true, error);
    } else {
        status = ad_error_set(error, AD_ERROR_MEMORY, "%s: out of memory to save a flow", path);
    }
    for (size_t i = 0; list.tensor && i < list.count; i++) ad_free((char *)(uintptr_t)list.tensor[i].name);
    ad_free(list.tensor);
    ad_free(formula);
    return status;
}

/* ---- Loading ------------------------------------------------------------------------------------------------- */

typedef struct {
    const nf__safetensors *file;
    nf_flow *flow;
    const char *path;
    size_t trained, fixed, found;
    ad_error *error;
} loading;

static bool load_tensor(void *context, const char *name, nf_parameter *parameter)
{
    loading *l = context;
    char expected[128], got[128];
    const nf__safetensor *tensor = nf__safetensors_find(l->file, name);
    ad_dtype dtype = nf_flow_dtype(l->flow);
    if (!tensor) {
        ad_error_set(l->error, AD_ERROR_FORMAT, "%s: tensor '%s' of its formula is missing", l->path, name);
        return false;
    }
    if (tensor->dtype != dtype || !ad_shape_equal(tensor->shape, parameter->spec.shape)) {
        ad_error_set(l->error, AD_ERROR_FORMAT, "%s: tensor '%s' is %s %s, but the formula needs %s %s", l->path, name,
                     ad_dtype_name(tensor->dtype), ad_shape_text(tensor->shape, got), ad_dtype_name(dtype),
                     ad_shape_text(parameter->spec.shape, expected));
        return false;
    }
    size_t size = ad_shape_size(parameter->spec.shape), *offset = parameter->spec.fixed ? &l->fixed : &l->trained;
    for (size_t i = 0; i < size; i++) {
        double value = ad_element(dtype, tensor->data, i);
        if (isfinite(value)) continue;
        ad_error_set(l->error, AD_ERROR_FORMAT, "%s: element %zu of tensor '%s' is %s; a flow's numbers are finite",
                     l->path, i + 1, name, isnan(value) ? "NaN" : "infinite");
        return false;
    }
    memcpy((char *)nf_flow_parameters(l->flow) + *offset * ad_dtype_size(dtype), tensor->data,
           size * ad_dtype_size(dtype));
    *offset += size;
    l->found++;
    return true;
}

/* Whole numbers up to a million. */
static bool read_size(const char *text, size_t *size)
{
    /* Digits alone: strtoull takes a sign and blanks, and -18446744073709551615 for 1. */
    if (!*text || text[strspn(text, "0123456789")]) return false;
    const unsigned long long value = strtoull(text, NULL, 10);
    *size = (size_t)value;
    return value <= 1000000;
}

/* A file without a checksum is one that was written elsewhere. */
static bool agrees(const nf__safetensors *file, const nf_flow *flow, const char *path, ad_error *error)
{
    const char *value[CHECKED], *expected = nf__safetensors_metadata(file, "checksum");
    char digits[17];
    for (int i = 0; i < CHECKED; i++) value[i] = nf__safetensors_metadata(file, checked[i]);
    checksum(value, flow, digits);
    if (!expected || strcmp(expected, digits) == 0) return true;
    ad_error_set(error, AD_ERROR_FORMAT, "%s: damaged: its checksum is %.30s, but its content's is %s", path, expected,
                 digits);
    return false;
}

static size_t elements_of(const nf__safetensors *file)
{
    size_t count, elements = 0;
    const nf__safetensor *tensor = nf__safetensors_all(file, &count);
    for (size_t i = 0; i < count; i++) elements += ad_shape_size(tensor[i].shape);
    return elements;
}

static nf_flow *flow_of(const nf__safetensors *file, const char *path, ad_error *error)
{
    const char *format = nf__safetensors_metadata(file, "format"), *formula = nf__safetensors_metadata(file, "formula");
    const char *context_text = nf__safetensors_metadata(file, "context");
    const char *dim_text = nf__safetensors_metadata(file, "dim"), *dtype_text = nf__safetensors_metadata(file, "dtype");
    if (format && strncmp(format, format_family, strlen(format_family)) == 0 && strcmp(format, format_name) != 0) {
        ad_error_set(error, AD_ERROR_FORMAT,
                     "%s: its format is %.30s, and Weir %s reads %s: a newer Weir wrote it, and is needed to read it",
                     path, format, WEIR_VERSION, format_name);
        return NULL;
    }
    if (!format || strcmp(format, format_name) != 0 || !formula || !dim_text || !dtype_text) {
        ad_error_set(error, AD_ERROR_FORMAT,
                     "%s: a safetensors file, but not one of Weir's: no formula, dim and dtype in it", path);
        return NULL;
    }
    size_t dim, context = 0;
    bool f32 = strcmp(dtype_text, ad_dtype_name(AD_F32)) == 0, f64 = strcmp(dtype_text, ad_dtype_name(AD_F64)) == 0;
    if (!read_size(dim_text, &dim) || dim == 0 || (context_text && !read_size(context_text, &context)) ||
        !(f32 || f64)) {
        ad_error_set(error, AD_ERROR_FORMAT, "%s: bad metadata: dim '%.30s', dtype '%.30s'", path, dim_text,
                     dtype_text);
        return NULL;
    }
    const size_t elements = elements_of(file);
    if (dim > DIM + elements || context > DIM + elements) {
        ad_error_set(error, AD_ERROR_FORMAT, "%s: bad metadata: dim '%.30s', context '%.30s', and %zu numbers", path,
                     dim_text, context_text ? context_text : "0", elements);
        return NULL;
    }
    ad_error cause;
    char missing[64];
    nf_flow *flow = nf_flow_parse_within(formula, dim, context, f32 ? AD_F32 : AD_F64, 0, room_for(elements), &cause);
    if (!flow && nf__missing_plugin(nf__safetensors_metadata(file, "plugins"), missing))
        ad_error_set(error, AD_ERROR_FORMAT,
                     "%s: this model needs the plug-in \"%s\", which is not loaded: weir --plugin FILE …, or "
                     "nf_plugin_load()",
                     path, missing);
    else if (!flow)
        ad_error_set(error, cause.status == AD_ERROR_MEMORY ? AD_ERROR_MEMORY : AD_ERROR_FORMAT,
                     "%s: its formula can't be used: %.900s", path, cause.message);
    return flow;
}

nf_flow *nf_load(const char *path, char **record, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    if (record) *record = NULL;
    if (!path) return ad_error_set(error, AD_ERROR_ARGUMENT, "load: path is NULL"), NULL;
    nf__safetensors *file = nf__safetensors_read(path, error);
    if (!file) return NULL;
    nf_flow *flow = flow_of(file, path, error);
    size_t in_file;
    nf__safetensors_all(file, &in_file);
    bool good = flow != NULL;
    if (good) {
        loading l = {.file = file, .flow = flow, .path = path, .fixed = nf_flow_trained_elements(flow), .error = error};
        good = nf_flow_each_parameter(flow, load_tensor, &l);
        if (good && l.found != in_file) {
            ad_error_set(error, AD_ERROR_FORMAT, "%s: %zu tensors, but its formula has %zu", path, in_file, l.found);
            good = false;
        }
    }
    good = good && agrees(file, flow, path, error);
    const char *training = nf__safetensors_metadata(file, "training");
    if (good && training && !nf__json_is_shallow(training, strlen(training))) {
        ad_error_set(error, AD_ERROR_FORMAT, "%s: values of its training record are nested too deep", path);
        good = false;
    }
    if (good && training && !nf__json_is_moderate(training, strlen(training))) {
        ad_error_set(error, AD_ERROR_FORMAT, "%s: its record has more values than any that Weir makes", path);
        good = false;
    }
    if (good && record && training && !(*record = ad_strdup(training))) {
        ad_error_set(error, AD_ERROR_MEMORY, "%s: out of memory", path);
        good = false;
    }
    if (good) {
        nf_flow_pull(flow);
    } else {
        nf_flow_free(flow);
        flow = NULL;
    }
    nf__safetensors_free(file);
    return flow;
}
