#include "tape/inner.h"

#include "tape/builtin.h"
#include "tape/simplify.h"

#include <weir/memory.h>

ad_var ad__stand_in(ad_tape *inner, ad_var value)
{
    return (ad_is_per_row(value) ? ad_input : ad_param)(inner, ad_name_of(value), ad_shape_of(value));
}

void ad__check_inner_ops(ad_var result)
{
    ad_tape *tape = result.tape;
    bool *needed = ad_alloc(tape->count, sizeof *needed);
    if (!needed) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for an inner program of %zu nodes", tape->count);
        return;
    }
    needed[result.id] = true;
    ad__mark_needed(tape->node, tape->count, needed);
    for (size_t id = 0; id < tape->count && tape->error.status == AD_OK; id++) {
        const ad_op *op = tape->node[id].op;
        bool noise = op->flags & AD_OP_PER_ROW && tape->node[id].n_in == 0;
        if (needed[id] && (noise || op->flags & AD_OP_SUMS_ROWS || op == ad__builtin(AD_OP_row_count)))
            ad_tape_fail(
                tape, AD_ERROR_ARGUMENT,
                "f may not use '%s', which sees more than its own row: record it outside and capture its value",
                op->name);
    }
    ad_free(needed);
}

bool ad__check_inner_result(ad_var result, ad_tape *inner, ad_shape shape)
{
    char expected[128], got[128];
    if (ad_tape_error(inner)) return false;
    const bool is_inner = ad_is_valid(result) && result.tape == inner;
    if (is_inner && ad_shape_equal(ad_shape_of(result), shape)) return true;
    ad_tape_fail(inner, AD_ERROR_ARGUMENT, "f must give a value of the inner tape, of shape %s; got %s",
                 ad_shape_text(shape, expected), is_inner ? ad_shape_text(ad_shape_of(result), got) : "none");
    return false;
}

/* Room for each node up to the last one, and for the arguments of any. */
typedef struct {
    size_t nodes;
    ad_var *copy, *in;
    bool *needed;
} room;

static bool open_room(room *r, ad_var result, const ad_var *input, int n_input)
{
    size_t last = (size_t)result.id, widest = 1;
    for (int i = 0; i < n_input; i++)
        if ((size_t)input[i].id > last) last = (size_t)input[i].id; /* f may give an input that comes before others */
    for (size_t id = 0; id <= last; id++)
        if ((size_t)result.tape->node[id].n_in > widest) widest = (size_t)result.tape->node[id].n_in;
    *r = (room){last + 1, ad_alloc(last + 1, sizeof *r->copy), ad_alloc(widest, sizeof *r->in),
                ad_alloc(last + 1, sizeof *r->needed)};
    return r->copy && r->in && r->needed;
}

static void close_room(room *r)
{
    ad_free(r->needed);
    ad_free(r->in);
    ad_free(r->copy);
}

ad_var ad__replay(ad_var result, const ad_var *input, int n_input, ad_tape *to, const ad_var *given)
{
    ad_var image = {to, -1};
    if (!ad_is_valid(result)) return image;
    const ad_tape *from = result.tape;
    room r;
    if (open_room(&r, result, input, n_input)) {
        r.needed[result.id] = true;
        ad__mark_needed(from->node, r.nodes, r.needed);
        for (size_t id = 0; id < r.nodes; id++) r.copy[id] = image;
        for (int i = 0; i < n_input; i++) r.copy[input[i].id] = given[i];
        for (size_t id = 0; id <= (size_t)result.id; id++) {
            const ad__node node = from->node[id]; /* a copy: recording on the same tape moves them */
            if (!r.needed[id] || ad_is_valid(r.copy[id])) continue;
            if (node.op == ad__builtin(AD_OP_constant)) {
                r.copy[id] = ad_constant(to, node.shape, node.attribute);
                continue;
            }
            for (int j = 0; j < node.n_in; j++) r.in[j] = r.copy[node.in[j]];
            r.copy[id] = ad_apply_object(node.op, r.in, node.n_in, node.attribute, node.n_attribute, node.object, to);
        }
        image = r.copy[result.id];
    } else {
        ad_tape_fail(to, AD_ERROR_MEMORY, "out of memory to record %zu nodes again", r.nodes);
    }
    close_room(&r);
    return image;
}
