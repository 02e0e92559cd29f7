/* Lifetimes and offsets of a pass's per-row values in the tile's buffer. */
#include "plan/layout_tile.h"
#include "tape/builtin.h"

#include <weir/memory.h>

#include <string.h>

/* A value lives at an offset within a root: itself, the concat it is a part of, or what it is a view of. */
typedef struct {
    int32_t root;
    size_t offset; /* within the root, in features */
    bool placed;   /* inside a concat */
} place;

/* A root's extent in the buffer while it lives. */
typedef struct {
    int32_t first, last; /* node ids between which the root is in use */
    int32_t next;        /* another root that is last used by the same node, or -1 */
    bool taken;          /* its buffer went to that node's result */
} life;

static size_t size_of(const ad__node *node)
{
    return ad_shape_size(node->shape);
}

static bool view_of(const ad__node *node, const ad__node *all, ad_tape *tape, size_t *offset)
{
    if (!node->op->view || node->n_in == 0 || !node->per_row || !all[node->in[0]].per_row) return false;
    ad_var in = ad__var(tape, node->in[0]);
    ad_call call = {tape, &in, 1, node->attribute, node->n_attribute, node->object};
    return node->op->view(&call, offset);
}

/* What a reshaped value is of; else the value itself. */
static int32_t behind_reshapes(const ad__node *node, int32_t id, const bool *is_view)
{
    while (is_view[id] && size_of(&node[id]) == size_of(&node[node[id].in[0]])) id = node[id].in[0];
    return id;
}

/* Outermost concats first, so that parts of parts nest. */
static void place_concats(const ad__node *node, size_t count, const bool *in_pass, const bool *is_view, place *at)
{
    for (size_t id = count; id-- > 0;) {
        if (!in_pass[id] || node[id].op != ad__builtin(AD_OP_concat) || node[id].attribute[0] != 0) continue;
        size_t offset = 0;
        for (int j = 0; j < node[id].n_in; j++) {
            int32_t part = behind_reshapes(node, node[id].in[j], is_view);
            if (node[part].per_row && !is_view[part] && !at[part].placed)
                at[part] = (place){at[id].root, at[id].offset + offset, true};
            offset += size_of(&node[part]);
        }
    }
}

/* Parts that were placed before their concat itself was moved into another one point at the outermost by construction;
 * views follow what they view. */
static void resolve_views(const ad__node *node, size_t count, const bool *in_pass, const bool *is_view, ad_tape *tape,
                          place *at)
{
    for (size_t id = 0; id < count; id++) {
        size_t offset = 0;
        if (!in_pass[id] || !is_view[id]) continue;
        view_of(&node[id], node, tape, &offset);
        const place *from = &at[node[id].in[0]];
        at[id] = (place){from->root, from->offset + offset, false};
    }
}

static void find_lives(const ad__node *node, size_t count, const bool *in_pass, const bool *kept, const place *at,
                       life *of)
{
    for (size_t id = 0; id < count; id++) of[id] = (life){.first = INT32_MAX, .last = -1};
    for (size_t id = 0; id < count; id++) {
        if (!in_pass[id]) continue;
        for (int j = 0; j < node[id].n_in; j++)
            if (in_pass[node[id].in[j]]) of[at[node[id].in[j]].root].last = (int32_t)id;
        if (!node[id].per_row) continue;
        life *own = &of[at[id].root];
        if ((int32_t)id < own->first) own->first = (int32_t)id;
        if ((int32_t)id > own->last) own->last = (int32_t)id;
    }
    for (size_t id = 0; id < count; id++)
        if (in_pass[id] && kept[id]) of[at[id].root].last = INT32_MAX;
}

/* May elementwise node id take over the buffer of its argument? Every argument in that root must be the very elements
 * that the result replaces. */
static bool takes_over(const ad__node *node, int32_t id, int32_t argument, const place *at, const life *of)
{
    const ad__node *n = &node[id];
    int32_t root = at[argument].root;
    if (!(n->op->flags & AD_OP_ELEMENTWISE) || at[id].root != id || of[id].first != id) return false;
    if (of[root].last != id || size_of(&node[root]) != size_of(n)) return false;
    for (int j = 0; j < n->n_in; j++) {
        int32_t in = n->in[j];
        if (node[in].per_row && at[in].root == root &&
            (at[in].offset != 0 || !ad_shape_equal(node[in].shape, n->shape)))
            return false;
    }
    return true;
}

/* The tile's buffer up to `top` is in use, but for the gaps, which are sorted by address and touch neither each other
 * nor the top. There are few of them, however much is in use: what is freed joins its neighbours. */
typedef struct {
    size_t begin, end;
} gap;

typedef struct {
    gap *gap;
    size_t n_gap, top, height; /* height: the highest that the top has been */
} buffer;

/* Best fit. */
static size_t take(buffer *b, size_t size)
{
    size_t best = b->n_gap, best_size = SIZE_MAX;
    for (size_t i = 0; i < b->n_gap; i++) {
        size_t room = b->gap[i].end - b->gap[i].begin;
        if (room < size || room >= best_size) continue;
        best_size = room;
        best = i;
    }
    if (best == b->n_gap) {
        b->top += size;
        if (b->top > b->height) b->height = b->top;
        return b->top - size;
    }
    gap *from = &b->gap[best];
    size_t begin = from->begin;
    from->begin += size;
    if (from->begin == from->end) memmove(from, from + 1, (--b->n_gap - best) * sizeof *from);
    return begin;
}

static void give_back(buffer *b, size_t begin, size_t end)
{
    size_t i = b->n_gap; /* gaps from i on are above */
    while (i > 0 && b->gap[i - 1].begin > begin) i--;
    if (i < b->n_gap && b->gap[i].begin == end) {
        end = b->gap[i].end;
        memmove(&b->gap[i], &b->gap[i + 1], (--b->n_gap - i) * sizeof *b->gap);
    }
    if (i > 0 && b->gap[i - 1].end == begin) {
        begin = b->gap[--i].begin;
        memmove(&b->gap[i], &b->gap[i + 1], (--b->n_gap - i) * sizeof *b->gap);
    }
    if (end == b->top) {
        b->top = begin;
        return;
    }
    memmove(&b->gap[i + 1], &b->gap[i], (b->n_gap++ - i) * sizeof *b->gap);
    b->gap[i] = (gap){begin, end};
}

static void give_room(const ad__node *node, int32_t id, const place *at, life *of, size_t *feature, buffer *b)
{
    int32_t root = at[id].root;
    if (!node[id].per_row || feature[root] != SIZE_MAX) return;
    for (int j = 0; j < node[id].n_in; j++) {
        int32_t in = node[id].in[j];
        if (!node[in].per_row || !takes_over(node, id, in, at, of)) continue;
        feature[root] = feature[at[in].root];
        of[at[in].root].taken = true;
        return;
    }
    feature[root] = take(b, size_of(&node[root]));
}

/* Chain the roots that are last used by the same node: head[id] is the first of node id's, or -1. */
static void chain_ends(const ad__node *node, size_t count, const bool *in_pass, const place *at, life *of,
                       int32_t *head)
{
    memset(head, -1, count * sizeof *head);
    for (size_t id = 0; id < count; id++) {
        if (!in_pass[id] || !node[id].per_row || at[id].root != (int32_t)id || of[id].last == INT32_MAX) continue;
        of[id].next = head[of[id].last];
        head[of[id].last] = (int32_t)id;
    }
}

static size_t allocate(const ad__node *node, size_t count, const bool *in_pass, const place *at, life *of,
                       const int32_t *head, size_t *feature, gap *room)
{
    buffer b = {.gap = room};
    size_t *root_feature = feature; /* a root's entry is its own until the last loop */
    for (size_t i = 0; i < count; i++) root_feature[i] = SIZE_MAX;
    for (size_t i = 0; i < count; i++) /* inputs are loaded before anything runs */
        if (in_pass[i] && node[i].op == ad__builtin(AD_OP_input)) give_room(node, (int32_t)i, at, of, root_feature, &b);
    for (size_t i = 0; i < count; i++) {
        if (!in_pass[i]) continue;
        give_room(node, (int32_t)i, at, of, root_feature, &b);
        for (int32_t root = head[i]; root >= 0; root = of[root].next)
            if (!of[root].taken) give_back(&b, root_feature[root], root_feature[root] + size_of(&node[root]));
    }
    for (size_t i = count;
         i-- > 0;) /* roots of views come before them, roots of parts behind: neither is its own root */
        if (in_pass[i] && node[i].per_row && at[i].root != (int32_t)i)
            feature[i] = root_feature[at[i].root] + at[i].offset;
    return b.height;
}

size_t ad__layout_tile(const ad__node *node, size_t count, const bool *in_pass, const bool *kept, ad_tape *tape,
                       size_t *feature, bool *is_view)
{
    size_t height = SIZE_MAX;
    place *at = ad_alloc(count, sizeof *at);
    life *of = ad_alloc(count, sizeof *of);
    gap *room = ad_alloc(count + 1, sizeof *room);
    int32_t *head = ad_alloc(count, sizeof *head);
    if (at && of && room && head) {
        for (size_t id = 0; id < count; id++) {
            size_t offset;
            at[id] = (place){(int32_t)id, 0, false};
            is_view[id] = in_pass[id] && view_of(&node[id], node, tape, &offset);
        }
        place_concats(node, count, in_pass, is_view, at);
        resolve_views(node, count, in_pass, is_view, tape, at);
        find_lives(node, count, in_pass, kept, at, of);
        chain_ends(node, count, in_pass, at, of, head);
        height = allocate(node, count, in_pass, at, of, head, feature, room);
    }
    ad_free(head);
    ad_free(room);
    ad_free(of);
    ad_free(at);
    return height;
}
