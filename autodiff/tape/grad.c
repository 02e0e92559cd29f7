/* Reverse mode: one sweep over the tape, backwards from y, that appends each op's vector-Jacobian product as ordinary
 * nodes. The one place that undoes broadcasting. */
#include "tape/builtin.h"
#include "tape/node.h"
#include "tape/record.h"

#include <weir/memory.h>

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
    if (!per_row && ad_is_per_row(g)) g = ad__sum_rows_of_gradient(g);
    if (!ad_shape_equal(ad_shape_of(g), to)) g = ad_broadcast(g, to);
    if (per_row && !ad_is_per_row(g)) g = ad_to_rows(g);
    return g;
}

static ad_var zeros_like(ad_var v)
{
    return fit(ad_scalar(v.tape, 0), v);
}

/* The nodes from the first wrt up to y, each by its number from there. */
typedef struct {
    ad_tape *tape;
    int32_t first;
    bool *on_path;       /* does it depend on a wrt, if what is held depends on nothing? */
    bool *is_held;       /* nothing is pushed on from there */
    ad_var *gradient;    /* what has been pushed to it so far */
    ad_var *in, *pushed; /* room for the arguments of any */
} sweep;

static bool is_on_path(const sweep *s, int32_t id)
{
    return id >= s->first && s->on_path[id - s->first];
}

static void mark_paths(const sweep *s, int32_t y, ad_var held, const ad_var *wrt, int count)
{
    if (ad_is_valid(held) && held.id >= s->first && held.id <= y) s->is_held[held.id - s->first] = true;
    for (int i = 0; i < count; i++) {
        if (wrt[i].id > y) continue;
        s->on_path[wrt[i].id - s->first] = true;
        s->is_held[wrt[i].id - s->first] |= ad_is_valid(held);
    }
    for (int32_t id = s->first; id <= y; id++) {
        const ad__node *node = &s->tape->node[id];
        for (int j = 0; j < node->n_in && !s->is_held[id - s->first]; j++)
            s->on_path[id - s->first] |= is_on_path(s, node->in[j]);
    }
}

/* a + b. What came back through neighbouring slices, in zeros, is laid side by side instead. */
static ad_var accumulate(ad_var a, ad_var b)
{
    const ad__node *first = ad__node_of(a), *second = ad__node_of(b);
    const ad_op *pad = ad__builtin(AD_OP_pad);
    if (first->op != pad || second->op != pad || first->attribute[0] != second->attribute[0]) return ad_add(a, b);
    if (first->attribute[1] > second->attribute[1]) {
        const ad__node *later = first;
        first = second;
        second = later;
    }
    int axis = (int)first->attribute[0];
    size_t start = (size_t)first->attribute[1], size = (size_t)first->attribute[2];
    ad_var part[] = {ad__var(a.tape, first->in[0]), ad__var(a.tape, second->in[0])};
    if (start + ad_shape_of(part[0]).dim[axis] != (size_t)second->attribute[1]) return ad_add(a, b);
    return ad__pad(ad_concat(part, 2, axis), axis, start, size);
}

/* Push the gradient of node id on to its arguments. */
static void push(const sweep *s, int32_t id)
{
    const ad__node node = s->tape->node[id];
    bool leads_on = false;
    for (int j = 0; j < node.n_in; j++) {
        leads_on |= is_on_path(s, node.in[j]);
        s->in[j] = ad__var(s->tape, node.in[j]);
        s->pushed[j] = (ad_var){s->tape, -1};
    }
    if (!leads_on || !node.op->vjp) return;
    ad_call call = {s->tape, s->in, node.n_in, node.attribute, node.n_attribute, node.object};
    node.op->vjp(&call, ad__var(s->tape, id), s->gradient[id - s->first], s->pushed);
    for (int j = 0; j < node.n_in && s->tape->error.status == AD_OK; j++) {
        if (!is_on_path(s, node.in[j]) || !ad_is_valid(s->pushed[j])) continue;
        ad_var *to = &s->gradient[node.in[j] - s->first], g = fit(s->pushed[j], s->in[j]);
        *to = ad_is_valid(*to) ? accumulate(*to, g) : g;
    }
}

void ad_grad(ad_var y, const ad_var *wrt, int count, ad_var *gradient)
{
    ad_tape *tape = y.tape;
    if (count > 0 && (!wrt || !gradient)) {
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "grad: %s is NULL", wrt ? "gradient" : "wrt");
        for (int i = 0; i < count && gradient; i++) gradient[i] = (ad_var){tape, -1};
        return;
    }
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
        if (ad__is_of(wrt[i], tape)) continue;
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "grad: wrt[%d] is not a value of y's tape", i);
        return;
    }
    ad__grad_held(y, ad_scalar(tape, 1), (ad_var){tape, -1}, wrt, count, gradient);
}

void ad__grad_held(ad_var y, ad_var seed, ad_var held, const ad_var *wrt, int count, ad_var *gradient)
{
    ad_tape *tape = y.tape;
    for (int i = 0; i < count; i++) gradient[i] = (ad_var){tape, -1};
    if (tape->error.status != AD_OK) return;
    sweep s = {.tape = tape, .first = y.id};
    for (int i = 0; i < count; i++)
        if (wrt[i].id < s.first) s.first = wrt[i].id;
    size_t nodes = (size_t)(y.id - s.first) + 1, widest = 1;
    for (int32_t id = s.first; id <= y.id; id++)
        if ((size_t)tape->node[id].n_in > widest) widest = (size_t)tape->node[id].n_in;
    s.gradient = ad_alloc(nodes, sizeof *s.gradient);
    s.on_path = ad_alloc(nodes, sizeof *s.on_path);
    s.is_held = ad_alloc(nodes, sizeof *s.is_held);
    s.in = ad_alloc(widest, sizeof *s.in);
    s.pushed = ad_alloc(widest, sizeof *s.pushed);
    if (s.gradient && s.on_path && s.is_held && s.in && s.pushed) {
        for (size_t i = 0; i < nodes; i++) s.gradient[i] = (ad_var){tape, -1};
        mark_paths(&s, y.id, held, wrt, count);
        s.gradient[nodes - 1] = fit(seed, y);
        for (int32_t id = y.id; id >= s.first && tape->error.status == AD_OK; id--)
            if (is_on_path(&s, id) && !s.is_held[id - s.first] && ad_is_valid(s.gradient[id - s.first])) push(&s, id);
        for (int i = 0; i < count && tape->error.status == AD_OK; i++) {
            ad_var g = wrt[i].id <= y.id ? s.gradient[wrt[i].id - s.first] : (ad_var){tape, -1};
            gradient[i] = ad_is_valid(g) ? g : zeros_like(wrt[i]);
        }
    } else {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for the gradient of %zu nodes", nodes);
    }
    ad_free(s.pushed);
    ad_free(s.in);
    ad_free(s.is_held);
    ad_free(s.on_path);
    ad_free(s.gradient);
}

ad_var ad_grad1(ad_var y, ad_var wrt)
{
    ad_var gradient;
    ad_grad(y, &wrt, 1, &gradient);
    return gradient;
}

ad_var ad_jacobian(ad_var y, ad_var wrt)
{
    const size_t n = ad_shape_size(ad_shape_of(y)), m = ad_shape_size(ad_shape_of(wrt));
    ad_var *element = ad_alloc(n, sizeof *element), flat = ad_reshape(y, AD_SHAPE(n)), jacobian = {y.tape, -1};
    if (!element) {
        ad_tape_fail(y.tape, AD_ERROR_MEMORY, "out of memory for a Jacobian of %zu rows", n);
        return jacobian;
    }
    /* All elements first: a sweep goes through what is recorded between its ends. */
    for (size_t i = 0; i < n; i++) element[i] = ad_reshape(ad_slice(flat, 0, i, i + 1), AD_SCALAR);
    for (size_t i = 0; i < n; i++) element[i] = ad_reshape(ad_grad1(element[i], wrt), AD_SHAPE(1, m));
    jacobian = ad_concat(element, (int)n, 0);
    ad_free(element);
    return jacobian;
}
