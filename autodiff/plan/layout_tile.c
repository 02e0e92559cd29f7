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
    for (size_t id = 0; id < count; id++) of[id] = (life){INT32_MAX, -1};
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

typedef struct {
    size_t begin, end;
    int32_t last;
} block;

/* Best fit among the gaps between live blocks, which are kept sorted by address. */
static size_t insert_block(block *live, size_t *n_live, size_t size, int32_t last)
{
    size_t best = *n_live, best_gap = SIZE_MAX, end = 0;
    for (size_t i = 0; i < *n_live; i++) {
        size_t gap = live[i].begin - end;
        if (gap >= size && gap < best_gap) {
            best_gap = gap;
            best = i;
        }
        end = live[i].end;
    }
    size_t begin = best ? live[best - 1].end : 0;
    memmove(&live[best + 1], &live[best], (*n_live - best) * sizeof *live);
    live[best] = (block){begin, begin + size, last};
    ++*n_live;
    return begin;
}

static void drop_dead(block *live, size_t *n_live, int32_t now)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n_live; i++)
        if (live[i].last > now) live[kept++] = live[i];
    *n_live = kept;
}

typedef struct {
    block *live;
    size_t n_live, height;
} buffer;

static void give_room(const ad__node *node, int32_t id, const place *at, const life *of, size_t *feature, buffer *b)
{
    int32_t root = at[id].root;
    if (!node[id].per_row || feature[root] != SIZE_MAX) return;
    for (int j = 0; j < node[id].n_in; j++) {
        int32_t in = node[id].in[j];
        if (!node[in].per_row || !takes_over(node, id, in, at, of)) continue;
        feature[root] = feature[at[in].root];
        for (size_t k = 0; k < b->n_live; k++)
            if (b->live[k].begin == feature[root]) b->live[k].last = of[root].last;
        return;
    }
    feature[root] = insert_block(b->live, &b->n_live, size_of(&node[root]), of[root].last);
    if (b->live[b->n_live - 1].end > b->height) b->height = b->live[b->n_live - 1].end;
}

static size_t allocate(const ad__node *node, size_t count, const bool *in_pass, const place *at, const life *of,
                       size_t *feature, block *live)
{
    buffer b = {.live = live};
    size_t *root_feature = feature; /* a root's entry is its own until the last loop */
    for (size_t i = 0; i < count; i++) root_feature[i] = SIZE_MAX;
    for (size_t i = 0; i < count; i++) /* inputs are loaded before anything runs */
        if (in_pass[i] && node[i].op == ad__builtin(AD_OP_input)) give_room(node, (int32_t)i, at, of, root_feature, &b);
    for (size_t i = 0; i < count; i++) {
        if (!in_pass[i]) continue;
        give_room(node, (int32_t)i, at, of, root_feature, &b);
        drop_dead(b.live, &b.n_live, (int32_t)i);
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
    block *live = ad_alloc(count + 1, sizeof *live);
    if (at && of && live) {
        for (size_t id = 0; id < count; id++) {
            size_t offset;
            at[id] = (place){(int32_t)id, 0, false};
            is_view[id] = in_pass[id] && view_of(&node[id], node, tape, &offset);
        }
        place_concats(node, count, in_pass, is_view, at);
        resolve_views(node, count, in_pass, is_view, tape, at);
        find_lives(node, count, in_pass, kept, at, of);
        height = allocate(node, count, in_pass, at, of, feature, live);
    }
    ad_free(live);
    ad_free(of);
    ad_free(at);
    return height;
}
