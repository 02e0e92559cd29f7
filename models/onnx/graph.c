/* An ONNX graph that is being written: nodes, constants, inputs and outputs. Field numbers are those of onnx.proto,
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. */
#include "onnx/graph.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP_TYPE = 4, NODE_ATTRIBUTE = 5 };
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_I = 3, ATTRIBUTE_INTS = 8, ATTRIBUTE_TYPE = 20, TYPE_INT = 2, TYPE_INTS = 7 };
enum { TENSOR_DIMS = 1, TENSOR_DATA_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW_DATA = 9 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, VALUE_DOC = 3, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_PARAM = 2 };

enum { NAME_BYTES = 24 };

static const char *name_of(nf__value value, char name[static NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "v%d", value);
    return name;
}

/* ---- Nodes ------------------------------------------------------------------------------------------------------ */

static void append_attribute(nf__message *node, const nf__onnx_attribute *attribute)
{
    nf__message message = {0};
    nf__message_text(&message, ATTRIBUTE_NAME, attribute->name);
    if (!attribute->many) nf__message_integer(&message, ATTRIBUTE_I, attribute->one);
    for (size_t i = 0; attribute->many && i < attribute->count; i++)
        nf__message_integer(&message, ATTRIBUTE_INTS, attribute->many[i]);
    nf__message_integer(&message, ATTRIBUTE_TYPE, attribute->many ? TYPE_INTS : TYPE_INT);
    nf__message_inner(node, NODE_ATTRIBUTE, &message);
}

static void append_node(nf__onnx *g, const char *type, const char *const *in, int n_in, const char *out,
                        const nf__onnx_attribute *attribute)
{
    nf__message node = {0};
    for (int i = 0; i < n_in; i++) nf__message_text(&node, NODE_INPUT, in[i]);
    nf__message_text(&node, NODE_OUTPUT, out);
    char name[400];
    snprintf(name, sizeof name, "%s%s%s_%s", g->scope ? g->scope : "", g->scope && *g->scope ? "/" : "", type, out);
    nf__message_text(&node, NODE_NAME, name);
    nf__message_text(&node, NODE_OP_TYPE, type);
    for (; attribute && attribute->name; attribute++) append_attribute(&node, attribute);
    nf__message_inner(&g->nodes, GRAPH_NODE, &node);
}

nf__value nf__onnx_node(nf__onnx *g, const char *type, const nf__value *in, int n_in,
                        const nf__onnx_attribute *attribute)
{
    char out[NAME_BYTES], (*text)[NAME_BYTES] = ad_alloc((size_t)n_in, sizeof *text);
    const char **name = ad_alloc((size_t)n_in, sizeof *name);
    const nf__value result = g->next++;
    for (int i = 0; text && name && i < n_in; i++) name[i] = name_of(in[i], text[i]);
    if (text && name)
        append_node(g, type, name, n_in, name_of(result, out), attribute);
    else
        g->nodes.failed = true;
    ad_free(name);
    ad_free(text);
    return result;
}

nf__value nf__onnx_cast(nf__onnx *g, nf__value value, nf__onnx_type type)
{
    return NF__NODE(g, "Cast", NF__ATTRIBUTES({"to", .one = type}), value);
}

nf__onnx_type nf__onnx_type_of(const nf__onnx *g)
{
    return g->dtype == AD_F32 ? NF__ONNX_FLOAT : NF__ONNX_DOUBLE;
}

/* ---- Constants -------------------------------------------------------------------------------------------------- */

static void append_tensor(nf__onnx *g, nf__value value, nf__onnx_type type, ad_shape shape, const void *data,
                          size_t size)
{
    char name[NAME_BYTES];
    nf__message tensor = {0};
    for (int i = 0; i < shape.rank; i++) nf__message_integer(&tensor, TENSOR_DIMS, (int64_t)shape.dim[i]);
    nf__message_integer(&tensor, TENSOR_DATA_TYPE, type);
    nf__message_text(&tensor, TENSOR_NAME, name_of(value, name));
    nf__message_bytes(&tensor, TENSOR_RAW_DATA, data, size);
    nf__message_inner(&g->initializers, GRAPH_INITIALIZER, &tensor);
}

nf__value nf__onnx_integers(nf__onnx *g, const int64_t *values, size_t count)
{
    const size_t elements = count ? count : 1;
    append_tensor(g, g->next, NF__ONNX_INT64, count ? AD_SHAPE(count) : AD_SCALAR, values, elements * sizeof *values);
    return g->next++;
}

nf__value nf__onnx_number(nf__onnx *g, nf__onnx_type type, double value)
{
    const float narrow = (float)value;
    append_tensor(g, g->next, type, AD_SCALAR, type == NF__ONNX_FLOAT ? (const void *)&narrow : &value,
                  type == NF__ONNX_FLOAT ? sizeof narrow : sizeof value);
    return g->next++;
}

/* ---- Inputs and outputs ----------------------------------------------------------------------------------------- */

/* A tensor (batch, shape). */
static void append_value(nf__message *to, unsigned field, const char *name, nf__onnx_type type, ad_shape shape,
                         const char *what)
{
    nf__message value = {0}, types = {0}, tensor = {0}, shapes = {0}, dim = {0};
    nf__message_text(&dim, DIM_PARAM, "batch");
    nf__message_inner(&shapes, SHAPE_DIM, &dim);
    for (int i = 0; i < shape.rank; i++) {
        nf__message_integer(&dim, DIM_VALUE, (int64_t)shape.dim[i]);
        nf__message_inner(&shapes, SHAPE_DIM, &dim);
    }
    nf__message_integer(&tensor, TENSOR_ELEMENT, type);
    nf__message_inner(&tensor, TENSOR_SHAPE, &shapes);
    nf__message_inner(&types, TYPE_TENSOR, &tensor);
    nf__message_text(&value, VALUE_NAME, name);
    nf__message_inner(&value, VALUE_TYPE, &types);
    nf__message_text(&value, VALUE_DOC, what);
    nf__message_inner(to, field, &value);
}

nf__value nf__onnx_input(nf__onnx *g, const char *name, nf__onnx_type type, ad_shape shape, const char *what)
{
    char out[NAME_BYTES];
    const nf__value value = g->next++;
    append_value(&g->inputs, GRAPH_INPUT, name, type, shape, what);
    append_node(g, "Identity", &name, 1, name_of(value, out), NULL);
    if (g->rows < 0) g->rows = NF__NODE(g, "Shape", NF__ATTRIBUTES({"start", 0}, {"end", 1}), value);
    return value;
}

void nf__onnx_output(nf__onnx *g, const char *name, nf__onnx_type type, ad_shape shape, nf__value value,
                     const char *what)
{
    char text[NAME_BYTES];
    const char *in = name_of(value, text);
    append_value(&g->outputs, GRAPH_OUTPUT, name, type, shape, what);
    append_node(g, "Identity", &in, 1, name, NULL);
}

/* ---- Values of the tape ----------------------------------------------------------------------------------------- */

ad_var nf__onnx_var(const nf__onnx *g, int32_t id)
{
    ad_var var = g->any;
    var.id = id;
    return var;
}

nf__value nf__onnx_shared(nf__onnx *g, ad_var var)
{
    if (!ad_is_valid(var)) return -1; /* which the tape knows */
    for (size_t i = 0; i < g->n_shared; i++)
        if (g->shared[i].var.id == var.id) return g->shared[i].value;
    if (g->n_shared == g->shared_capacity) {
        const size_t capacity = g->shared_capacity ? 2 * g->shared_capacity : 64;
        nf__shared *grown = ad_realloc(g->shared, capacity, sizeof *grown);
        g->nodes.failed |= !grown;
        if (!grown) return -1;
        g->shared = grown;
        g->shared_capacity = capacity;
    }
    g->shared[g->n_shared++] = (nf__shared){var, g->next};
    return g->next++;
}

nf__value nf__onnx_operand(nf__onnx *g, int32_t id)
{
    const ad_var var = nf__onnx_var(g, id);
    return ad_is_per_row(var) ? g->value[id] : nf__onnx_shared(g, var);
}

nf__value nf__onnx_reshape(nf__onnx *g, nf__value value, ad_shape shape)
{
    int64_t extent[AD_MAX_RANK + 1] = {0}; /* 0: as it is */
    for (int i = 0; i < shape.rank; i++) extent[i + 1] = (int64_t)shape.dim[i];
    return NF__NODE(g, "Reshape", NULL, value, nf__onnx_integers(g, extent, (size_t)shape.rank + 1));
}

nf__value nf__onnx_aligned(nf__onnx *g, int32_t id, int rank)
{
    const ad_var var = nf__onnx_var(g, id);
    const nf__value value = nf__onnx_operand(g, id);
    const ad_shape shape = ad_shape_of(var);
    if (!ad_is_per_row(var) || shape.rank >= rank) return value;
    ad_shape wide = {.rank = rank};
    for (int i = 0; i < rank; i++) wide.dim[i] = i < rank - shape.rank ? 1 : shape.dim[i - (rank - shape.rank)];
    return nf__onnx_reshape(g, value, wide);
}

nf__value nf__onnx_expanded(nf__onnx *g, int32_t id, ad_shape shape)
{
    const nf__value value = nf__onnx_operand(g, id);
    if (ad_is_per_row(nf__onnx_var(g, id))) return value;
    int64_t extent[AD_MAX_RANK];
    for (int i = 0; i < shape.rank; i++) extent[i] = (int64_t)shape.dim[i];
    nf__value whole = g->rows;
    if (shape.rank > 0)
        whole = NF__NODE(g, "Concat", NF__ATTRIBUTES({"axis", 0}), g->rows,
                         nf__onnx_integers(g, extent, (size_t)shape.rank));
    return NF__NODE(g, "Expand", NULL, value, whole);
}

/* ---- What is shared --------------------------------------------------------------------------------------------- */

void nf__onnx_write_shared(nf__onnx *g, void (*bind)(const void *context, ad_plan *plan), const void *context)
{
    ad_var *outputs = ad_alloc(g->n_shared, sizeof *outputs);
    void **data = ad_alloc(g->n_shared, sizeof *data);
    ad_plan *plan = NULL;
    bool good = outputs && data;
    for (size_t i = 0; i < g->n_shared && good; i++) {
        outputs[i] = g->shared[i].var;
        data[i] = ad_alloc_aligned(ad_shape_size(ad_shape_of(outputs[i])), ad_dtype_size(g->dtype));
        good = data[i] != NULL;
    }
    if (!good)
        ad_error_set(g->error, AD_ERROR_MEMORY, "out of memory for the numbers of an ONNX graph");
    else if (g->n_shared > 0)
        plan = ad_plan_new(outputs, (int)g->n_shared, &(ad_plan_options){.dtype = g->dtype}, g->error);
    if (plan) {
        bind(context, plan);
        for (size_t i = 0; i < g->n_shared; i++) ad_plan_set_output(plan, (int)i, data[i]);
        ad_plan_run(plan, NULL, g->error);
    }
    for (size_t i = 0; i < g->n_shared && data; i++) {
        const ad_shape shape = ad_shape_of(g->shared[i].var);
        if (plan && g->error->status == AD_OK)
            append_tensor(g, g->shared[i].value, nf__onnx_type_of(g), shape, data[i],
                          ad_shape_size(shape) * ad_dtype_size(g->dtype));
        ad_free_aligned(data[i]);
    }
    ad_plan_free(plan);
    ad_free(data);
    ad_free(outputs);
}

void nf__onnx_free(nf__onnx *g)
{
    ad_free(g->nodes.data);
    ad_free(g->initializers.data);
    ad_free(g->inputs.data);
    ad_free(g->outputs.data);
    ad_free(g->value);
    ad_free(g->shared);
}
