/* Reverse mode: one sweep over the tape, backwards from y, that appends each op's vector-Jacobian product as ordinary
 * nodes. The one place that undoes broadcasting. */
#include "tape/builtin.h"
#include "tape/node.h"
#include "tape/record.h"

#include <weir/memory.h>

#include <stdlib.h>

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

/* A node of a sweep, and what was said of an outer sweep there. */
typedef struct {
    int32_t id;
    size_t outer;
} visit;

/* What y depends on, down to the first wrt and to what is held, in ascending order: so a sweep takes as long as what it
 * goes through, however long the tape is. A node says where it may be in the list, which holds if it is there; sweeps
 * that an op's gradient makes for itself give it back as it was. */
typedef struct {
    ad_tape *tape;
    int32_t first;
    visit *node;
    size_t count, capacity;
    bool *on_path;       /* does it depend on a wrt, if what is held depends on nothing? */
    bool *is_held;       /* nothing is pushed on from there */
    ad_var *gradient;    /* what has been pushed to it so far */
    ad_var *in, *pushed; /* room for the arguments of any */
} sweep;

/* Where it is in the list; `count` if it isn't. */
static size_t find(const sweep *s, int32_t id)
{
    const size_t at = s->tape->node[id].visit;
    return at < s->count && s->node[at].id == id ? at : s->count;
}

static bool add(sweep *s, int32_t id)
{
    if (id < s->first || find(s, id) < s->count) return true;
    if (s->count == s->capacity) {
        const size_t capacity = 2 * s->capacity + 64;
        visit *larger = ad_realloc(s->node, capacity, sizeof *larger);
        if (!larger) return false;
        s->node = larger;
        s->capacity = capacity;
    }
    size_t *at = &s->tape->node[id].visit;
    s->node[s->count] = (visit){id, *at};
    *at = s->count++;
    return true;
}

static int by_id(const void *a, const void *b)
{
    const visit *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Lists the nodes; false where memory is out. */
static bool list_nodes(sweep *s, ad_var y, ad_var held, const ad_var *wrt, int count)
{
    bool good = true;
    for (int i = 0; i < count && good; i++) good = wrt[i].id > y.id || add(s, wrt[i].id);
    if (ad_is_valid(held) && held.id <= y.id) good = good && add(s, held.id);
    size_t at = ad_is_valid(held) ? s->count : 0;
    for (good = good && add(s, y.id); at < s->count && good; at++) {
        const ad__node *node = &s->tape->node[s->node[at].id];
        for (int j = 0; j < node->n_in && good; j++) good = add(s, node->in[j]);
    }
    if (!good) return false;
    qsort(s->node, s->count, sizeof *s->node, by_id);
    for (size_t i = 0; i < s->count; i++) s->tape->node[s->node[i].id].visit = i;
    return true;
}

static bool is_on_path(const sweep *s, int32_t id)
{
    const size_t at = find(s, id);
    return at < s->count && s->on_path[at];
}

static void mark_paths(const sweep *s, int32_t y, ad_var held, const ad_var *wrt, int count)
{
    if (ad_is_valid(held) && held.id >= s->first && held.id <= y) s->is_held[find(s, held.id)] = true;
    for (int i = 0; i < count; i++) {
        if (wrt[i].id > y) continue;
        s->on_path[find(s, wrt[i].id)] = true;
        s->is_held[find(s, wrt[i].id)] |= ad_is_valid(held);
    }
    for (size_t i = 0; i < s->count; i++) {
        const ad__node *node = &s->tape->node[s->node[i].id];
        for (int j = 0; j < node->n_in && !s->is_held[i]; j++) s->on_path[i] |= is_on_path(s, node->in[j]);
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

/* Push the gradient of number i on to its arguments. */
static void push(const sweep *s, size_t i)
{
    const int32_t id = s->node[i].id;
    const ad__node node = s->tape->node[id];
    bool leads_on = false;
    for (int j = 0; j < node.n_in; j++) {
        leads_on |= is_on_path(s, node.in[j]);
        s->in[j] = ad__var(s->tape, node.in[j]);
        s->pushed[j] = (ad_var){s->tape, -1};
    }
    if (!leads_on || !node.op->vjp) return;
    ad_call call = {s->tape, s->in, node.n_in, node.attribute, node.n_attribute, node.object};
    node.op->vjp(&call, ad__var(s->tape, id), s->gradient[i], s->pushed);
    for (int j = 0; j < node.n_in && s->tape->error.status == AD_OK; j++) {
        if (!is_on_path(s, node.in[j]) || !ad_is_valid(s->pushed[j])) continue;
        ad_var *to = &s->gradient[find(s, node.in[j])], g = fit(s->pushed[j], s->in[j]);
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
    const bool listed = list_nodes(&s, y, held, wrt, count);
    size_t widest = 1;
    for (size_t i = 0; i < s.count; i++)
        if ((size_t)tape->node[s.node[i].id].n_in > widest) widest = (size_t)tape->node[s.node[i].id].n_in;
    s.gradient = ad_alloc(s.count, sizeof *s.gradient);
    s.on_path = ad_alloc(s.count, sizeof *s.on_path);
    s.is_held = ad_alloc(s.count, sizeof *s.is_held);
    s.in = ad_alloc(widest, sizeof *s.in);
    s.pushed = ad_alloc(widest, sizeof *s.pushed);
    if (listed && s.gradient && s.on_path && s.is_held && s.in && s.pushed) {
        for (size_t i = 0; i < s.count; i++) s.gradient[i] = (ad_var){tape, -1};
        mark_paths(&s, y.id, held, wrt, count);
        s.gradient[s.count - 1] = fit(seed, y);
        for (size_t i = s.count; i-- > 0 && tape->error.status == AD_OK;)
            if (s.on_path[i] && !s.is_held[i] && ad_is_valid(s.gradient[i])) push(&s, i);
        for (int i = 0; i < count && tape->error.status == AD_OK; i++) {
            ad_var g = wrt[i].id <= y.id ? s.gradient[find(&s, wrt[i].id)] : (ad_var){tape, -1};
            gradient[i] = ad_is_valid(g) ? g : zeros_like(wrt[i]);
        }
    } else {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for the gradient of %zu nodes", s.count);
    }
    for (size_t i = 0; i < s.count; i++) tape->node[s.node[i].id].visit = s.node[i].outer;
    ad_free(s.pushed);
    ad_free(s.in);
    ad_free(s.is_held);
    ad_free(s.on_path);
    ad_free(s.gradient);
    ad_free(s.node);
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
