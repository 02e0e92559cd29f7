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

/* A root's extent in the buffer while it lives: from step to step, or from node to node of the schedule where it stays
 * inside a fused loop. */
typedef struct {
    int32_t first, last;
    int32_t next;  /* another root that is last used by the same, or -1 */
    bool inside;   /* of one loop */
    bool taken;    /* its buffer went to a result of its last step */
    int32_t read;  /* which node of that step reads it last, from 1 on */
    bool in_turns; /* all that do read one number in each turn */
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

typedef struct {
    const ad__node *node;
    size_t count;
    const bool *in_pass, *kept, *is_view;
    const ad__schedule *schedule;
    place *at;
    life *of;
    int32_t *position;              /* in the schedule */
    int32_t *step_end, *inside_end; /* chains of roots by what uses them last: steps, nodes of the schedule */
    size_t *feature;
    bool *escapes;
} layout;

/* Values that a fused loop computes and another step, or nobody but the caller, uses. */
static void find_escapes(const layout *l)
{
    const ad__schedule *schedule = l->schedule;
    for (size_t id = 0; id < l->count; id++) l->escapes[id] = false;
    for (size_t id = 0; id < l->count; id++)
        if (l->in_pass[id] && l->kept[id]) l->escapes[ad__base_of_view(l->node, l->is_view, (int32_t)id)] = true;
    for (size_t i = 0; i < schedule->n_node; i++) {
        const ad__node *node = &l->node[schedule->node[i]];
        for (int j = 0; j < node->n_in; j++) {
            const int32_t in = ad__base_of_view(l->node, l->is_view, node->in[j]);
            if (schedule->step_of[in] != schedule->step_of[schedule->node[i]]) l->escapes[in] = true;
        }
    }
}

static void use(life *root, int32_t when)
{
    if (when < root->first) root->first = when;
    if (when > root->last) root->last = when;
}

static void find_lives(const layout *l)
{
    const ad__schedule *schedule = l->schedule;
    for (size_t id = 0; id < l->count; id++) l->of[id] = (life){.first = INT32_MAX, .last = -1, .inside = true};
    for (size_t id = 0; id < l->count; id++) {
        if (!l->in_pass[id] || !l->node[id].per_row || l->is_view[id]) continue;
        const int32_t step = schedule->step_of[id];
        if (step < 0 || schedule->step[step].turns == 0 || l->escapes[id]) l->of[l->at[id].root].inside = false;
    }
    for (size_t id = 0; id < l->count; id++)
        if (l->in_pass[id] && l->node[id].op == ad__builtin(AD_OP_input)) l->of[id].first = -1;
    for (size_t i = 0; i < schedule->n_node; i++) {
        const int32_t id = schedule->node[i], step = schedule->step_of[id];
        const ad__node *node = &l->node[id];
        for (int j = 0; j < node->n_in; j++) {
            life *root = &l->of[l->at[node->in[j]].root];
            if (l->node[node->in[j]].per_row) use(root, root->inside ? (int32_t)i : step);
        }
        life *own = &l->of[l->at[id].root];
        if (node->per_row) use(own, own->inside ? (int32_t)i : step);
    }
    for (size_t id = 0; id < l->count; id++)
        if (l->in_pass[id] && l->kept[id]) l->of[l->at[id].root].last = INT32_MAX;
}

/* ---- Taking over a buffer ------------------------------------------------------------------------------------ */

/* May elementwise node id take over the buffer of its argument? Every argument in that root must be the very elements
 * that the result replaces. */
static bool takes_over(const layout *l, int32_t id, int32_t argument)
{
    const ad__node *n = &l->node[id];
    const int32_t root = l->at[argument].root, step = l->schedule->step_of[id];
    if (!(n->op->flags & AD_OP_ELEMENTWISE) || l->at[id].root != id || l->of[id].first != step) return false;
    if (l->of[root].inside || l->of[root].last != step || size_of(&l->node[root]) != size_of(n)) return false;
    for (int j = 0; j < n->n_in; j++) {
        int32_t in = n->in[j];
        if (l->node[in].per_row && l->at[in].root == root &&
            (l->at[in].offset != 0 || !ad_shape_equal(l->node[in].shape, n->shape)))
            return false;
    }
    return true;
}

/* How the roots that end with a fused loop are read in it. */
static void find_reads(const layout *l, const ad__step *step)
{
    for (size_t i = 0; i < step->count; i++) {
        const ad__node *node = &l->node[l->schedule->node[step->first + i]];
        for (int j = 0; j < node->n_in; j++) l->of[l->at[node->in[j]].root].read = 0;
    }
    for (size_t i = 0; i < step->count; i++) {
        const ad__node *node = &l->node[l->schedule->node[step->first + i]];
        const int lead = ad__lead_of(&node->shape, step->turns);
        for (int j = 0; j < node->n_in; j++) {
            const int32_t in = node->in[j];
            life *root = &l->of[l->at[in].root];
            ad__view_of_argument view;
            const bool in_turns = l->at[in].offset == 0 && size_of(&l->node[in]) == step->turns &&
                                  ad__view_argument(node, &l->node[in].shape, lead, step->turns, &view) && view.varies;
            root->in_turns = in_turns && (root->in_turns || root->read == 0);
            root->read = (int32_t)i + 1;
        }
    }
}

/* A result of a fused loop, one number in each turn, may have the place of an argument that is so too, and that no op
 * behind it reads. */
static int32_t taken_over_in_loop(const layout *l, int32_t id, int32_t step)
{
    const ad__step *loop = &l->schedule->step[step];
    const int32_t when = l->position[id] - (int32_t)loop->first + 1;
    if (l->at[id].root != id || l->of[id].first != step || size_of(&l->node[id]) != loop->turns) return -1;
    for (int32_t root = l->step_end[step]; root >= 0; root = l->of[root].next) {
        const life *from = &l->of[root];
        if (from->first < step && !from->taken && from->in_turns && from->read <= when &&
            size_of(&l->node[root]) == loop->turns && (from->read < when || takes_over(l, id, root)))
            return root;
    }
    return -1;
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

static void give_room(const layout *l, int32_t id, buffer *b)
{
    const int32_t root = l->at[id].root, step = l->schedule->step_of[id];
    const ad__node *node = &l->node[id];
    if (!node->per_row || l->feature[root] != SIZE_MAX) return;
    int32_t from = -1;
    if (step >= 0 && !l->of[root].inside && l->schedule->step[step].turns) {
        from = taken_over_in_loop(l, id, step);
    } else {
        for (int j = 0; j < node->n_in && from < 0 && !l->of[root].inside; j++)
            if (l->node[node->in[j]].per_row && takes_over(l, id, node->in[j])) from = l->at[node->in[j]].root;
    }
    if (from >= 0) {
        l->feature[root] = l->feature[from];
        l->of[from].taken = true;
    } else {
        l->feature[root] = take(b, size_of(&l->node[root]));
    }
}

static void give_back_all(const layout *l, int32_t root, buffer *b)
{
    for (; root >= 0; root = l->of[root].next)
        if (!l->of[root].taken) give_back(b, l->feature[root], l->feature[root] + size_of(&l->node[root]));
}

/* Chain the roots that the same uses last. */
static void chain_ends(const layout *l)
{
    memset(l->step_end, -1, l->count * sizeof *l->step_end);
    memset(l->inside_end, -1, l->count * sizeof *l->inside_end);
    for (size_t id = 0; id < l->count; id++) {
        life *own = &l->of[id];
        if (!l->in_pass[id] || !l->node[id].per_row || l->at[id].root != (int32_t)id) continue;
        if (own->last == INT32_MAX || own->last < 0) continue;
        int32_t *head = own->inside ? &l->inside_end[own->last] : &l->step_end[own->last];
        own->next = *head;
        *head = (int32_t)id;
    }
}

static void allocate(const layout *l, buffer *used, buffer *inside)
{
    const ad__schedule *schedule = l->schedule;
    for (size_t i = 0; i < l->count; i++) l->feature[i] = SIZE_MAX; /* a root's entry is its own until the last loop */
    for (size_t i = 0; i < l->count; i++)                           /* inputs are loaded before anything runs */
        if (l->in_pass[i] && l->node[i].op == ad__builtin(AD_OP_input)) give_room(l, (int32_t)i, used);
    for (size_t s = 0; s < schedule->n_step; s++) {
        const ad__step *step = &schedule->step[s];
        if (step->turns) find_reads(l, step);
        for (size_t i = step->first; i < step->first + step->count; i++) {
            const int32_t id = schedule->node[i];
            give_room(l, id, l->of[l->at[id].root].inside ? inside : used);
            give_back_all(l, l->inside_end[i], inside);
        }
        give_back_all(l, l->step_end[s], used);
    }
    /* What is inside of loops comes above the rest. Roots of views come before them, roots of parts behind: neither is
     * its own root. */
    for (size_t i = 0; i < l->count; i++)
        if (l->in_pass[i] && l->node[i].per_row && l->at[i].root == (int32_t)i && l->of[i].inside)
            l->feature[i] += used->height;
    for (size_t i = l->count; i-- > 0;)
        if (l->in_pass[i] && l->node[i].per_row && l->at[i].root != (int32_t)i)
            l->feature[i] = l->feature[l->at[i].root] + l->at[i].offset;
}

void ad__find_views(const ad__node *node, size_t count, const bool *in_pass, ad_tape *tape, bool *is_view)
{
    size_t offset;
    for (size_t id = 0; id < count; id++) is_view[id] = in_pass[id] && view_of(&node[id], node, tape, &offset);
}

bool ad__layout_tile(const ad__node *node, size_t count, const bool *in_pass, const bool *kept, const bool *is_view,
                     const ad__schedule *schedule, ad_tape *tape, size_t *feature, bool *escapes,
                     ad__tile_height *height)
{
    layout l = {.node = node,
                .count = count,
                .in_pass = in_pass,
                .kept = kept,
                .is_view = is_view,
                .schedule = schedule,
                .at = ad_alloc(count, sizeof *l.at),
                .of = ad_alloc(count, sizeof *l.of),
                .position = ad_alloc(count, sizeof *l.position),
                .step_end = ad_alloc(count, sizeof *l.step_end),
                .inside_end = ad_alloc(count, sizeof *l.inside_end),
                .feature = feature,
                .escapes = escapes};
    buffer used = {.gap = ad_alloc(count + 1, sizeof *used.gap)}, inside = {.gap = ad_alloc(count + 1, sizeof(gap))};
    const bool good = l.at && l.of && l.position && l.step_end && l.inside_end && used.gap && inside.gap;
    if (good) {
        for (size_t id = 0; id < count; id++) l.at[id] = (place){(int32_t)id, 0, false};
        for (size_t i = 0; i < schedule->n_node; i++) l.position[schedule->node[i]] = (int32_t)i;
        place_concats(node, count, in_pass, is_view, l.at);
        resolve_views(node, count, in_pass, is_view, tape, l.at);
        find_escapes(&l);
        find_lives(&l);
        chain_ends(&l);
        allocate(&l, &used, &inside);
        *height = (ad__tile_height){used.height, used.height + inside.height};
    }
    ad_free(inside.gap);
    ad_free(used.gap);
    ad_free(l.inside_end);
    ad_free(l.step_end);
    ad_free(l.position);
    ad_free(l.of);
    ad_free(l.at);
    return good;
}
