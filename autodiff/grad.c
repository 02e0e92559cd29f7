/* Reverse mode: one sweep over the tape, backwards from y, that appends each op's vector-Jacobian product as ordinary
 * nodes. The one place that undoes broadcasting. */
#include "internal.h"

/* Sum g over what v doesn't have, and stretch it to what v has: g of v's shape and kind. */
static ad_var fit(ad_var g, ad_var v)
{
    const ad_shape to = ad_shape_of(v);
    const bool per_row = ad_is_per_row(v);
    while (ad_shape_of(g).rank > to.rank) g = ad_sum_axis(g, 0);
    int extra = to.rank - ad_shape_of(g).rank;
    for (int i = extra; i < to.rank; i++) {
        ad_shape from = ad_shape_of(g);
        if (from.rank == 0 || to.dim[i] != 1 || from.dim[i - extra] == 1) continue;
        from.dim[i - extra] = 1;
        g = ad_reshape(ad_sum_axis(g, i - extra), from);
    }
    if (!per_row && ad_is_per_row(g)) g = ad_sum_rows(g);
    if (!ad_shape_equal(ad_shape_of(g), to)) g = ad_broadcast(g, to);
    if (per_row && !ad_is_per_row(g)) g = ad_to_rows(g);
    return g;
}

static ad_var zeros_like(ad_var v)
{
    return fit(ad_scalar(v.tape, 0), v);
}

/* Which nodes up to y depend on a wrt, if `held` depends on nothing. */
static void mark_paths(const ad_tape *tape, int32_t y, int32_t held, const ad_var *wrt, int count, bool *on_path)
{
    for (int i = 0; i < count; i++)
        if (wrt[i].id <= y) on_path[wrt[i].id] = true;
    for (int32_t id = 0; id <= y; id++)
        for (int j = 0; j < tape->node[id].n_in && id != held; j++) on_path[id] |= on_path[tape->node[id].in[j]];
}

/* Push the gradient of node id, gradient[id], on to its arguments. */
static void push(ad_tape *tape, int32_t id, const bool *on_path, ad_var *gradient, ad_var *in, ad_var *push_to)
{
    const ad_node node = tape->node[id];
    if (!node.op->vjp) return;
    for (int j = 0; j < node.n_in; j++) {
        in[j] = (ad_var){tape, node.in[j]};
        push_to[j] = (ad_var){tape, -1};
    }
    ad_call call = {tape, in, node.n_in, node.attribute, node.n_attribute, node.object};
    node.op->vjp(&call, (ad_var){tape, id}, gradient[id], push_to);
    for (int j = 0; j < node.n_in && tape->error.status == AD_OK; j++) {
        int32_t to = node.in[j];
        if (!on_path[to] || !ad_is_valid(push_to[j])) continue;
        ad_var g = fit(push_to[j], in[j]);
        gradient[to] = ad_is_valid(gradient[to]) ? ad_add(gradient[to], g) : g;
    }
}

void ad_grad(ad_var y, const ad_var *wrt, int count, ad_var *gradient)
{
    ad_tape *tape = y.tape;
    for (int i = 0; i < count && !tape; i++) tape = wrt[i].tape;
    for (int i = 0; i < count; i++) gradient[i] = (ad_var){tape, -1};
    if (!tape || tape->error.status != AD_OK) return;
    char text[128];
    if (!ad_is_valid(y)) {
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "grad: y is not a value of a tape");
        return;
    }
    if (ad_shape_of(y).rank != 0) {
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "grad: y must have shape (), got %s; sum it first",
                     ad_shape_text(ad_shape_of(y), text));
        return;
    }
    for (int i = 0; i < count; i++) {
        if (wrt[i].tape == tape && ad_is_valid(wrt[i])) continue;
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "grad: wrt[%d] is not a value of y's tape", i);
        return;
    }
    ad_grad_held(y, ad_scalar(tape, 1), (ad_var){tape, -1}, wrt, count, gradient);
}

void ad_grad_held(ad_var y, ad_var seed, ad_var held, const ad_var *wrt, int count, ad_var *gradient)
{
    ad_tape *tape = y.tape;
    for (int i = 0; i < count; i++) gradient[i] = (ad_var){tape, -1};
    if (tape->error.status != AD_OK) return;
    size_t nodes = (size_t)y.id + 1, widest = 1;
    for (size_t id = 0; id < nodes; id++)
        if ((size_t)tape->node[id].n_in > widest) widest = (size_t)tape->node[id].n_in;
    ad_var *sum = ad_alloc(nodes, sizeof *sum);
    bool *on_path = ad_alloc(nodes, sizeof *on_path);
    ad_var *in = ad_alloc(widest, sizeof *in), *push_to = ad_alloc(widest, sizeof *push_to);
    if (sum && on_path && in && push_to) {
        for (size_t id = 0; id < nodes; id++) sum[id] = (ad_var){tape, -1};
        mark_paths(tape, y.id, held.id, wrt, count, on_path);
        sum[y.id] = fit(seed, y);
        for (int32_t id = y.id; id >= 0 && tape->error.status == AD_OK; id--)
            if (on_path[id] && id != held.id && ad_is_valid(sum[id])) push(tape, id, on_path, sum, in, push_to);
        for (int i = 0; i < count && tape->error.status == AD_OK; i++)
            gradient[i] = wrt[i].id <= y.id && ad_is_valid(sum[wrt[i].id]) ? sum[wrt[i].id] : zeros_like(wrt[i]);
    } else {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for the gradient of %zu nodes", nodes);
    }
    ad_free(push_to);
    ad_free(in);
    ad_free(on_path);
    ad_free(sum);
}

ad_var ad_grad1(ad_var y, ad_var wrt)
{
    ad_var gradient;
    ad_grad(y, &wrt, 1, &gradient);
    return gradient;
}
