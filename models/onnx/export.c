/* Flows in ONNX: recording one, walking its tape, and the file. */
#include "onnx/graph.h"
#include "onnx/maps.h"

#include <weir/environment.h>
#include <weir/file.h>
#include <weir/onnx.h>

#include <limits.h>
#include <string.h>

enum { MODEL_IR_VERSION = 1, MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_GRAPH = 7, MODEL_OPSETS = 8 };
enum { MODEL_METADATA = 14, GRAPH_NAME = 2, OPSET_VERSION = 2, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { IR_VERSION = 8, OPSET = 18 }; /* of ONNX 1.13, in which reductions take their axes as an input */

static const char *const function_names[] = {[NF_ONNX_LOG_PROB] = "log_prob", [NF_ONNX_SAMPLE] = "sample"};

/* ---- The graph -------------------------------------------------------------------------------------------------- */

/* What is recorded: x is an input for a log_prob, and an output of a sample. */
typedef struct {
    nf_flow_scope at;
    ad_var x, log_prob, context;
} recording;

static recording record(const nf_flow *flow, nf_onnx_function function, ad_tape *tape)
{
    recording r = {.at = nf_flow_bind(flow, tape)};
    r.context = nf_context(r.at.bijector);
    if (function == NF_ONNX_LOG_PROB) {
        r.x = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(flow)));
        r.log_prob = nf_flow_record_log_prob(&r.at, r.x);
    } else {
        r.x = ad_to_rows(nf_flow_record_sample(&r.at, &r.log_prob));
    }
    r.log_prob = ad_to_rows(r.log_prob);
    return r;
}

/* A source of noise that was written: it is the same again wherever it is recorded. */
static nf__value same_noise(const nf__onnx *g, const ad_node *node)
{
    if (!(node->op->flags & AD_OP_PER_ROW) || node->n_in > 0) return -1;
    for (size_t i = 0; i < g->walked; i++) {
        ad_node other;
        ad_tape_node(g->tape, i, &other);
        if (g->value[i] >= 0 && other.op == node->op && other.n_attribute == node->n_attribute &&
            memcmp(other.attribute, node->attribute, node->n_attribute * sizeof *node->attribute) == 0)
            return g->value[i];
    }
    return -1;
}

static void write_node(nf__onnx *g, size_t id, const ad_node *node)
{
    const bool meets = node->op->flags & AD_OP_SUMS_ROWS || strcmp(node->op->name, "row_count") == 0;
    if (!(node->per_row || meets)) return;
    g->value[id] = meets ? nf__onnx_refuse(g, node, "rows meet in it") : same_noise(g, node);
    if (g->value[id] < 0) nf__onnx_write(g, id, node);
}

/* Write every per-row node that the output needs: each after its arguments, from the first on. The tape's own order
 * depends on the compiler, since C leaves open which argument of a call is evaluated first. On the stack ids decrease,
 * as those of arguments do. */
static void walk(nf__onnx *g, ad_var output, bool *done, int32_t *stack)
{
    size_t depth = 0;
    if (!done[output.id]) stack[depth++] = output.id;
    while (depth > 0 && g->error->status == AD_OK) {
        const int32_t id = stack[depth - 1];
        ad_node node;
        ad_tape_node(g->tape, (size_t)id, &node);
        int i = 0;
        while (i < node.n_in && done[node.in[i]]) i++;
        if (i < node.n_in) {
            stack[depth++] = node.in[i];
            continue;
        }
        write_node(g, (size_t)id, &node);
        done[id] = true;
        depth--;
    }
    g->scope = NULL;
}

static void bind(const void *context, ad_plan *plan)
{
    nf_flow_bind_plan(context, plan);
}

/* What the flow is conditioned on. */
static void write_context(nf__onnx *g, const recording *r, const nf_columns *columns)
{
    if (!ad_is_valid(r->context) || nf_flow_context_size(r->at.flow) == 0) return;
    const bool mapped = nf__maps_needed(columns);
    nf__mapped_values values = {-1, -1, -1};
    values.x = nf__onnx_input(g, "context", mapped ? NF__ONNX_DOUBLE : nf__onnx_type_of(g), ad_shape_of(r->context),
                              "what each row is conditioned on");
    g->value[r->context.id] = mapped ? nf__maps_to(g, columns, &values) : values.x;
}

static void write_graph(nf__onnx *g, const recording *r, const nf_columns *columns, const nf_columns *context,
                        nf_onnx_function function)
{
    const ad_shape shape = ad_shape_of(r->x);
    const bool mapped = nf__maps_needed(columns);
    const nf__onnx_type own = nf__onnx_type_of(g), type = mapped ? NF__ONNX_DOUBLE : own;
    bool *done = ad_alloc(g->walked, sizeof *done);
    int32_t *stack = ad_alloc(g->walked, sizeof *stack);
    g->value = ad_alloc(g->walked, sizeof *g->value);
    if (!done || !stack || !g->value) {
        ad_error_set(g->error, AD_ERROR_MEMORY, "out of memory for an ONNX graph of %zu nodes", g->walked);
        ad_free(done);
        ad_free(stack);
        return;
    }
    for (size_t id = 0; id < g->walked; id++) g->value[id] = -1;
    nf__mapped_values values = {-1, -1, -1};
    if (function == NF_ONNX_LOG_PROB) {
        values.x = nf__onnx_input(g, "x", type, shape, "rows of data");
        values.features = mapped ? nf__maps_to(g, columns, &values) : values.x;
        g->value[r->x.id] = values.features;
    }
    write_context(g, r, context);
    for (size_t id = 0; id < g->walked; id++) done[id] = g->value[id] >= 0;
    walk(g, r->x, done, stack);
    walk(g, r->log_prob, done, stack);
    ad_free(done);
    ad_free(stack);
    if (g->error->status != AD_OK) return;
    nf__value log_prob = nf__onnx_operand(g, r->log_prob.id);
    if (function == NF_ONNX_SAMPLE) {
        values.features = nf__onnx_operand(g, r->x.id);
        values.x = mapped ? nf__maps_from(g, columns, &values) : values.features;
        nf__onnx_output(g, "x", type, shape, values.x, "draws");
    }
    if (mapped) log_prob = nf__maps_log_prob(g, &values, log_prob);
    nf__onnx_output(g, "log_prob", type, AD_SCALAR, log_prob, "the log-density of each row, in nats");
    const ad_error *recorded = ad_tape_error(g->tape);
    if (recorded) ad_error_set(g->error, recorded->status, "%s", recorded->message);
    if (g->error->status == AD_OK) nf__onnx_write_shared(g, bind, &r->at);
}

/* ---- The file --------------------------------------------------------------------------------------------------- */

static void append_metadata(nf__message *model, const char *key, const char *value)
{
    nf__message entry = {0};
    nf__message_text(&entry, ENTRY_KEY, key);
    nf__message_text(&entry, ENTRY_VALUE, value);
    nf__message_inner(model, MODEL_METADATA, &entry);
}

/* A GraphProto is what was gathered of its fields, in any order. */
static ad_status write_file(nf__onnx *g, const char *formula, nf_onnx_function function, const char *path,
                            ad_error *error)
{
    nf__message model = {0}, opset = {0}, name = {0};
    nf__message_text(&name, GRAPH_NAME, function_names[function]);
    const nf__message *const parts[] = {&name, &g->nodes, &g->initializers, &g->inputs, &g->outputs};
    size_t size = 0;
    bool failed = false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size += parts[i]->size;
        failed |= parts[i]->failed;
    }
    nf__message_integer(&model, MODEL_IR_VERSION, IR_VERSION);
    nf__message_text(&model, MODEL_PRODUCER, "Weir");
    nf__message_text(&model, MODEL_PRODUCER_VERSION, WEIR_VERSION);
    nf__message_integer(&opset, OPSET_VERSION, OPSET);
    nf__message_inner(&model, MODEL_OPSETS, &opset);
    append_metadata(&model, "formula", formula);
    append_metadata(&model, "function", function_names[function]);
    nf__message_length(&model, MODEL_GRAPH, size);
    nf_file *file;
    ad_status status = AD_OK;
    if (failed || model.failed)
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for an ONNX graph");
    else if (size > INT_MAX - model.size)
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "%s: the graph takes %zu bytes, but an ONNX file ends at 2 GiB",
                              path, size);
    else if (!(status = nf_file_create(path, &file, error))) {
        nf_file_write(file, model.data, model.size);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) nf_file_write(file, parts[i]->data, parts[i]->size);
        status = nf_file_commit(file, error);
    }
    ad_free(model.data);
    ad_free(name.data);
    return status;
}

static ad_status check_columns(const nf_columns *columns, size_t features, const char *of, ad_error *error)
{
    if (!columns) return AD_OK;
    if (nf_columns_features(columns) != features)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "export: the columns of the %s have %zu features, but it has %zu",
                            of, nf_columns_features(columns), features);
    return nf__maps_check(columns, error);
}

static ad_status check(const nf_flow *flow, nf_onnx_function function, const char *path, ad_error *error)
{
    if (!flow || !path) return ad_error_set(error, AD_ERROR_ARGUMENT, "export: %s is NULL", flow ? "path" : "flow");
    if ((unsigned)function >= sizeof function_names / sizeof *function_names)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "export: there is no function number %d", (int)function);
    return AD_OK;
}

ad_status nf_export_onnx(const nf_flow *flow, const nf_columns *columns, const nf_columns *context,
                         nf_onnx_function function, const char *path, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    ad_error own = {0};
    ad_status status = check(flow, function, path, error);
    if (!status) status = check_columns(columns, nf_flow_dim(flow), "flow", error);
    if (!status) status = check_columns(context, nf_flow_context_size(flow), "context", error);
    if (status) return status;
    ad_tape *tape = ad_tape_new();
    const recording r = record(flow, function, tape);
    const ad_error *recorded = ad_tape_error(tape);
    if (recorded) {
        status = ad_error_set(error, recorded->status, "%s", recorded->message);
        ad_tape_free(tape);
        return status;
    }
    nf__onnx g = {.tape = tape,
                  .dtype = nf_flow_dtype(flow),
                  .any = r.log_prob,
                  .walked = ad_tape_size(tape),
                  .rows = -1,
                  .error = &own};
    write_graph(&g, &r, columns, context, function);
    char *formula = nf_flow_formula(flow, true);
    if (own.status != AD_OK)
        status = ad_error_set(error, own.status, "%s", own.message);
    else if (!formula)
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a formula");
    else
        status = write_file(&g, formula, function, path, error);
    ad_free(formula);
    nf__onnx_free(&g);
    ad_tape_free(tape);
    return status;
}
