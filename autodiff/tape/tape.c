/* The tape: nodes in the order they were recorded, so that arguments always come before their results. */
#include "base/broadcast.h"
#include "tape/builtin.h"
#include "tape/node.h"

#include <weir/memory.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

ad_tape *ad_tape_new(void)
{
    static atomic_uint count;
    ad_tape *tape = ad_alloc(1, sizeof *tape);
    if (tape) tape->serial = atomic_fetch_add(&count, 1) + 1;
    return tape;
}

void ad_tape_free(ad_tape *tape)
{
    if (!tape) return;
    for (size_t id = 0; id < tape->count; id++) ad_object_release(tape->node[id].object);
    ad__arena_free(tape->arena);
    ad_free(tape->node);
    ad_free(tape);
}

const ad_error *ad_tape_error(const ad_tape *tape)
{
    static const ad_error none = {AD_ERROR_MEMORY, "there is no tape: out of memory when it was to be made"};
    if (!tape) return &none;
    return tape->error.status == AD_OK ? NULL : &tape->error;
}

void ad_tape_fail(ad_tape *tape, ad_status status, const char *format, ...)
{
    if (!tape || tape->error.status != AD_OK) return;
    char message[sizeof tape->error.message] = "";
    va_list arguments;
    va_start(arguments, format);
    if (format) vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (*tape->scope)
        ad_error_set(&tape->error, status, "in %s: %.800s", tape->scope, message);
    else
        ad_error_set(&tape->error, status, "%s", message);
}

void ad_tape_enter(ad_tape *tape, const char *name)
{
    if (!tape) return;
    if (!name) name = "";
    size_t length = strlen(tape->scope), room = sizeof tape->scope - length;
    int wanted = snprintf(tape->scope + length, room, "%s%s", length ? "/" : "", name);
    if (wanted < 0 || (size_t)wanted >= room) {
        tape->scope[length] = '\0';
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "scopes are nested too deep to name: '%.40s' in '%.60s…'", name,
                     tape->scope);
    }
}

void ad_tape_leave(ad_tape *tape)
{
    if (!tape) return;
    char *slash = strrchr(tape->scope, '/');
    *(slash ? slash : tape->scope) = '\0';
}

void *ad_tape_alloc(ad_tape *tape, size_t count, size_t size)
{
    if (!tape) return NULL;
    void *memory = ad__arena_alloc(&tape->arena, count, size);
    if (!memory)
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for %zu elements of %zu bytes that live with the tape",
                     count, size);
    return memory;
}

bool ad_is_valid(ad_var v)
{
    return v.tape && v.id >= 0;
}

ad_shape ad_shape_of(ad_var v)
{
    return ad_is_valid(v) ? ad__node_of(v)->shape : AD_SCALAR;
}

bool ad_is_per_row(ad_var v)
{
    return ad_is_valid(v) && ad__node_of(v)->per_row;
}

const char *ad_name_of(ad_var v)
{
    return ad_is_valid(v) && ad__node_of(v)->name ? ad__node_of(v)->name : "";
}

static ad_var out_of_memory(ad_tape *tape)
{
    ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory while recording node %zu", tape->count);
    return (ad_var){tape, -1};
}

/* The node of a template whose pointers are the caller's: they are copied. */
static ad_var append(ad_tape *tape, ad__node node)
{
    ad__arena **arena = &tape->arena;
    if (tape->count == tape->capacity) {
        size_t capacity = tape->capacity ? 2 * tape->capacity : 64;
        ad__node *grown = capacity < INT32_MAX ? ad_realloc(tape->node, capacity, sizeof *grown) : NULL;
        if (!grown) return out_of_memory(tape);
        tape->node = grown;
        tape->capacity = capacity;
    }
    int32_t *in = ad__arena_alloc(arena, (size_t)node.n_in, sizeof *in);
    double *attribute = ad__arena_alloc(arena, node.n_attribute, sizeof *attribute);
    if (!in || !attribute) return out_of_memory(tape);
    if (node.n_in) memcpy(in, node.in, (size_t)node.n_in * sizeof *in);
    if (node.n_attribute) memcpy(attribute, node.attribute, node.n_attribute * sizeof *attribute);
    node.in = in;
    node.attribute = attribute;
    if (node.name) {
        size_t length = strlen(node.name) + 1;
        char *name = ad__arena_alloc(arena, length, 1);
        if (!name) return out_of_memory(tape);
        node.name = memcpy(name, node.name, length);
    }
    const char *last = tape->count ? tape->node[tape->count - 1].scope : "";
    if (strcmp(last, tape->scope) == 0) {
        node.scope = last;
    } else {
        size_t length = strlen(tape->scope) + 1;
        char *scope = ad__arena_alloc(arena, length, 1);
        if (!scope) return out_of_memory(tape);
        node.scope = memcpy(scope, tape->scope, length);
    }
    ad__object_retain(node.object);
    tape->node[tape->count] = node;
    return ad__var(tape, (int32_t)tape->count++);
}

static bool broadcast_shape(const ad_call *call, const ad_op *op, ad_shape *result)
{
    *result = call->n_in ? ad_shape_of(call->in[0]) : AD_SCALAR;
    for (int i = 1; i < call->n_in; i++) {
        char a[128], b[128];
        ad_shape so_far = *result, next = ad_shape_of(call->in[i]);
        if (ad__shape_broadcast(so_far, next, result)) continue;
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                     "%s: shapes %s and %s don't broadcast: aligned at the last axis, extents must be equal or 1; "
                     "reshape or transpose one of them",
                     op->name, ad_shape_text(so_far, a), ad_shape_text(next, b));
        return false;
    }
    return true;
}

ad_var ad_apply_object(const ad_op *op, const ad_var *in, int n_in, const double *attribute, size_t n_attribute,
                       ad_object *object, ad_tape *tape)
{
    enum { FEW = 8 };
    for (int i = 0; i < n_in && in && !tape; i++) tape = in[i].tape;
    const ad_var failed = {tape, -1};
    if (!tape || tape->error.status != AD_OK) return failed;
    const char *missing = !op ? "op" : !in && n_in > 0 ? "in" : !attribute && n_attribute > 0 ? "attribute" : NULL;
    if (missing) {
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "apply: %s is NULL", missing);
        return failed;
    }
    if (op->n_in >= 0 && n_in != op->n_in) {
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s takes %d arguments, got %d", op->name, op->n_in, n_in);
        return failed;
    }
    int32_t few[FEW], *id = n_in <= FEW ? few : ad_alloc((size_t)n_in, sizeof *id);
    if (!id) return out_of_memory(tape);
    bool per_row = (op->flags & AD_OP_PER_ROW) != 0, good = true;
    for (int i = 0; i < n_in && good; i++) {
        good = ad__is_of(in[i], tape);
        if (!good)
            ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s: argument %d is not a value of this tape", op->name, i + 1);
        else
            per_row |= ad_is_per_row(in[i]);
        id[i] = in[i].id;
    }
    if (op->flags & AD_OP_SUMS_ROWS) per_row = false;
    ad_var y = failed;
    ad_call call = {tape, in, n_in, attribute, n_attribute, object};
    ad_shape shape;
    if (good && (op->shape ? op->shape(&call, &shape) : broadcast_shape(&call, op, &shape))) {
        if (ad_shape_size(shape) >= INT32_MAX)
            ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s: the result would have more than 2^31 elements", op->name);
        else
            y = append(tape, (ad__node){.op = op,
                                        .in = id,
                                        .n_in = n_in,
                                        .per_row = per_row,
                                        .shape = shape,
                                        .attribute = attribute,
                                        .n_attribute = n_attribute,
                                        .object = object});
    }
    if (id != few) ad_free(id);
    return y;
}

ad_var ad_apply(const ad_op *op, const ad_var *in, int n_in, const double *attribute, size_t n_attribute, ad_tape *tape)
{
    return ad_apply_object(op, in, n_in, attribute, n_attribute, NULL, tape);
}

/* ---- Leaves -------------------------------------------------------------------------------------------------- */

static ad_var leaf(ad_tape *tape, ad__op_id op, const char *name, ad_shape shape, const double *values)
{
    char text[128];
    if (!tape || tape->error.status != AD_OK) return (ad_var){tape, -1};
    size_t size = shape.rank < 0 || shape.rank > AD_MAX_RANK ? 0 : ad_shape_size(shape);
    if (size == 0 || size >= INT32_MAX) {
        ad_tape_fail(tape, AD_ERROR_ARGUMENT,
                     "%s '%s': shape %s: every extent must be at least 1, the rank at most %d, and the number of "
                     "elements below 2^31",
                     ad__builtin(op)->name, name ? name : "",
                     shape.rank > AD_MAX_RANK ? "?" : ad_shape_text(shape, text), AD_MAX_RANK);
        return (ad_var){tape, -1};
    }
    return append(tape, (ad__node){.op = ad__builtin(op),
                                   .per_row = op == AD_OP_input,
                                   .shape = shape,
                                   .attribute = values,
                                   .n_attribute = values ? size : 0,
                                   .name = name});
}

ad_var ad_input(ad_tape *tape, const char *name, ad_shape shape)
{
    return leaf(tape, AD_OP_input, name, shape, NULL);
}

ad_var ad_param(ad_tape *tape, const char *name, ad_shape shape)
{
    return leaf(tape, AD_OP_param, name, shape, NULL);
}

ad_var ad_constant(ad_tape *tape, ad_shape shape, const double *values)
{
    if (!values) ad_tape_fail(tape, AD_ERROR_ARGUMENT, "constant: values is NULL");
    return leaf(tape, AD_OP_constant, NULL, shape, values);
}

ad_var ad_scalar(ad_tape *tape, double value)
{
    return ad_constant(tape, AD_SCALAR, &value);
}

ad_var ad_row_count(ad_tape *tape)
{
    return leaf(tape, AD_OP_row_count, NULL, AD_SCALAR, NULL);
}

/* ---- Print-out ----------------------------------------------------------------------------------------------- */

void ad__node_print(const ad__node *node, size_t id, FILE *to)
{
    char shape[128];
    fprintf(to, "%%%-5zu %-7s %-10s = %s", id, node->per_row ? "per-row" : "shared", ad_shape_text(node->shape, shape),
            node->op->name);
    if (node->name) fprintf(to, " '%s'", node->name);
    for (int i = 0; i < node->n_in; i++) fprintf(to, " %%%d", node->in[i]);
    for (size_t i = 0; i < node->n_attribute && i < 6; i++) fprintf(to, "%s%g", i ? "," : " [", node->attribute[i]);
    if (node->n_attribute) fputs(node->n_attribute > 6 ? ",…]" : "]", to);
    if (*node->scope) fprintf(to, "   # %s", node->scope);
}

void ad_tape_print(const ad_tape *tape, FILE *to)
{
    if (!tape || !to) return;
    for (size_t id = 0; id < tape->count; id++) {
        ad__node_print(&tape->node[id], id, to);
        fputc('\n', to);
    }
    if (tape->error.status != AD_OK) fprintf(to, "error: %s\n", tape->error.message);
}
