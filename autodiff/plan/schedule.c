/* Which ops are fused: those that follow one another and turn over the same last axes.
 *
 * Nodes are taken in the order of the tape. One that can be fused joins a loop that is still open, or opens one; the
 * others are computed where they stand, before the loops that are open, unless they need something of these, which are
 * closed then. */
#include "plan/elements.h"
#include "plan/schedule.h"
#include "tape/builtin.h"

#include <weir/memory.h>

#include <string.h>

enum {
    MOST_OPEN = 4,
    MOST_ELEMENTS = 64,   /* of a value, that are written out */
    MOST_OPERATIONS = 40, /* of a loop, as large as an op each: so that the CPU has several of its rounds at hand */
    MOST_DEPTH = 24,      /* of a loop, so that these rounds hide how one operation waits for another; in arithmetic */
    FUNCTION_DEPTH = 16,  /* of exp, tanh and the like, in the same measure */
    MOST_SCALARS = 16,    /* of a shared value */
    FEW = 3,              /* elements that are written out rather than turned over */
};

int ad__lead_of(const ad_shape *shape, size_t turns)
{
    size_t product = 1;
    for (int lead = shape->rank; lead >= 0; lead--) {
        if (product == turns) return lead;
        if (lead > 0) product *= shape->dim[lead - 1];
    }
    return -1;
}

static bool reshapes(const ad__node *node)
{
    return node->op == ad__builtin(AD_OP_reshape) || node->op == ad__builtin(AD_OP_stop_gradient);
}

bool ad__view_argument(const ad__node *node, const ad_shape *in, int lead, size_t turns, ad__view_of_argument *view)
{
    int own = in->rank - (node->shape.rank - lead);
    if (reshapes(node)) own = ad__lead_of(in, turns);
    view->varies = own >= 0;
    bool stretched = true;
    for (int i = in->rank; i-- > (own > 0 ? own : 0);) {
        const int out = i + node->shape.rank - in->rank;
        view->varies &= reshapes(node) || in->dim[i] == node->shape.dim[out];
        stretched &= in->dim[i] == 1;
    }
    if (turns == 1) view->varies = own >= 0;
    if (!view->varies && (!stretched || reshapes(node))) return false;
    view->lead = *in;
    view->lead.rank = own > 0 ? own : 0;
    return true;
}

int32_t ad__base_of_view(const ad__node *node, const bool *is_view, int32_t id)
{
    while (is_view[id]) id = node[id].in[0];
    return id;
}

int32_t ad__behind_views(const ad__node *node, const bool *is_view, ad_tape *tape, int32_t id, size_t *offset)
{
    *offset = 0;
    for (; is_view[id]; id = node[id].in[0]) {
        ad_var in = ad__var(tape, node[id].in[0]);
        size_t more = 0;
        node[id].op->view(&(ad_call){tape, &in, 1, node[id].attribute, node[id].n_attribute, node[id].object}, &more);
        *offset += more;
    }
    return id;
}

/* ---- Loops that are open -------------------------------------------------------------------------------------- */

typedef struct {
    bool open;
    size_t turns, operations;
    unsigned needs;      /* loops that are open, of which it needs a value */
    int32_t first, last; /* a list by scheduler.next */
} loop;

typedef struct {
    const ad__node *node;
    const bool *is_view;
    ad_tape *tape;
    ad__fuse_what what;
    ad_dtype dtype;
    loop loop[MOST_OPEN];
    int32_t *next;
    int8_t *in_loop; /* the open loop that computes a node, or -1 */
    int32_t *depth;  /* of operations that wait for one another there, up to that node's */
    ad__schedule *to;
} scheduler;

static unsigned bit(int i)
{
    return 1u << i;
}

/* Those that these need, and theirs. */
static unsigned closure(const scheduler *s, unsigned set)
{
    for (unsigned before = 0; before != set;) {
        before = set;
        for (int i = 0; i < MOST_OPEN; i++)
            if (set & bit(i)) set |= s->loop[i].needs;
    }
    return set;
}

static unsigned needed_by(const scheduler *s, const ad__node *node)
{
    unsigned set = 0;
    for (int j = 0; j < node->n_in; j++) {
        const int in = s->in_loop[ad__base_of_view(s->node, s->is_view, node->in[j])];
        if (in >= 0) set |= bit(in);
    }
    return set;
}

static void add_step(scheduler *s, size_t turns)
{
    s->to->step[s->to->n_step++] = (ad__step){.first = s->to->n_node, .turns = turns};
}

static void add_node(scheduler *s, int32_t id)
{
    ad__step *step = &s->to->step[s->to->n_step - 1];
    s->to->node[s->to->n_node++] = id;
    step->count++;
    s->to->step_of[id] = (int32_t)s->to->n_step - 1;
}

/* After those that it needs. */
static void close_loop(scheduler *s, int which)
{
    loop *l = &s->loop[which];
    if (!l->open) return;
    l->open = false;
    for (int i = 0; i < MOST_OPEN; i++)
        if (l->needs & bit(i)) close_loop(s, i);
    add_step(s, l->turns);
    for (int32_t id = l->first; id >= 0; id = s->next[id]) {
        add_node(s, id);
        s->in_loop[id] = -1;
    }
    for (int i = 0; i < MOST_OPEN; i++) s->loop[i].needs &= ~bit(which);
}

static void close_loops(scheduler *s, unsigned set)
{
    for (int i = 0; i < MOST_OPEN; i++)
        if (set & bit(i)) close_loop(s, i);
}

/* ---- Which loop ---------------------------------------------------------------------------------------------- */

static size_t size_of_lead(const ad_shape *shape, int lead)
{
    size_t size = 1;
    for (int i = 0; i < lead; i++) size *= shape->dim[i];
    return size;
}

static bool sums_rows(const ad__node *node)
{
    return node->op == ad__builtin(AD_OP_sum_rows);
}

/* Operations on elements that it takes in a loop of so many turns; 0: it can't be in one. */
static size_t operations_in(const scheduler *s, const ad__node *node, size_t turns)
{
    if (!node->op->fusing[s->dtype] && !sums_rows(node)) return 0;
    const int lead = ad__lead_of(&node->shape, turns);
    if (lead < 0) return 0;
    size_t operations = size_of_lead(&node->shape, lead);
    for (int j = 0; j < node->n_in; j++) {
        ad__view_of_argument view;
        if (!ad__view_argument(node, &s->node[node->in[j]].shape, lead, turns, &view)) return 0;
        const size_t size = ad_shape_size(view.lead);
        if (size > operations) operations = size;
    }
    if (operations > (s->what == AD_FUSE_ROWS ? MOST_ELEMENTS : MOST_SCALARS)) return 0;
    if (sums_rows(node) || !node->op->fusing[s->dtype]->accepts) return operations;
    return node->op->fusing[s->dtype]->accepts(node->attribute, lead) ? operations : 0;
}

/* How deep a node would be in a loop. */
static int32_t depth_in(const scheduler *s, const ad__node *node, int which)
{
    int32_t before = 0;
    for (int j = 0; j < node->n_in; j++) {
        const int32_t in = ad__base_of_view(s->node, s->is_view, node->in[j]);
        if (s->in_loop[in] == which && s->depth[in] > before) before = s->depth[in];
    }
    const bool is_function = !sums_rows(node) && node->op->fusing[s->dtype]->is_function;
    return before + (is_function ? FUNCTION_DEPTH : 1);
}

/* The turns of a loop that a node opens: over the last axis, but for a few features; all of it where the axes before
 * are too many to be written out; 0: none. */
static size_t turns_of(const scheduler *s, const ad__node *node)
{
    const ad_shape *shape = &node->shape;
    const size_t size = ad_shape_size(*shape), last = shape->rank ? shape->dim[shape->rank - 1] : 1;
    const size_t choice[] = {size <= FEW || s->what == AD_FUSE_SCALARS ? 1 : last, size, 1};
    const size_t choices = s->what == AD_FUSE_NOTHING ? 0 : s->what == AD_FUSE_SCALARS ? 1 : 3;
    for (size_t i = 0; i < choices; i++)
        if (operations_in(s, node, choice[i])) return choice[i];
    return 0;
}

/* Can it have its arguments that an open loop computes from turn to turn? Views of them must begin with a turn. */
static bool meets(const scheduler *s, const ad__node *node, int which)
{
    const size_t turns = s->loop[which].turns;
    const int lead = ad__lead_of(&node->shape, turns);
    for (int j = 0; j < node->n_in && lead >= 0; j++) {
        ad__view_of_argument view;
        size_t offset;
        if (s->in_loop[ad__behind_views(s->node, s->is_view, s->tape, node->in[j], &offset)] != which) continue;
        if (!ad__view_argument(node, &s->node[node->in[j]].shape, lead, turns, &view) || !view.varies) return false;
        if (offset % turns != 0) return false;
    }
    return lead >= 0;
}

/* A loop that is open and would go on to be computed at once with the node in it: one that the node needs, else any. */
static int find_loop(const scheduler *s, const ad__node *node, unsigned needs)
{
    int found = -1;
    for (int i = 0; i < MOST_OPEN; i++) {
        const loop *l = &s->loop[i];
        if (!l->open || (found >= 0 && !(needs & bit(i)))) continue;
        const unsigned others = closure(s, needs & ~bit(i));
        const size_t operations = meets(s, node, i) ? operations_in(s, node, l->turns) : 0;
        const bool fits = operations && l->operations + operations <= MOST_OPERATIONS &&
                          (s->what == AD_FUSE_SCALARS || depth_in(s, node, i) <= MOST_DEPTH);
        if (!(others & bit(i)) && fits) found = i;
    }
    return found;
}

static int open_loop(scheduler *s, size_t turns)
{
    int which = 0;
    while (which < MOST_OPEN && s->loop[which].open) which++;
    if (which == MOST_OPEN) {
        which = 0;
        close_loops(s, closure(s, bit(0)));
    }
    s->loop[which] = (loop){.open = true, .turns = turns, .first = -1, .last = -1};
    return which;
}

static void join(scheduler *s, int which, int32_t id, unsigned needs)
{
    loop *l = &s->loop[which];
    l->needs |= needs & ~bit(which);
    l->operations += operations_in(s, &s->node[id], l->turns);
    s->depth[id] = depth_in(s, &s->node[id], which);
    s->next[id] = -1;
    if (l->last >= 0)
        s->next[l->last] = id;
    else
        l->first = id;
    l->last = id;
    s->in_loop[id] = (int8_t)which;
}

static void schedule_node(scheduler *s, int32_t id)
{
    const ad__node *node = &s->node[id];
    unsigned needs = needed_by(s, node);
    int which = s->what == AD_FUSE_NOTHING ? -1 : find_loop(s, node, needs);
    if (which < 0) {
        const size_t turns = turns_of(s, node);
        if (turns) {
            which = open_loop(s, turns);
            needs = needed_by(s, node); /* some may have been closed */
        }
    }
    if (which >= 0) {
        join(s, which, id, needs);
        return;
    }
    close_loops(s, closure(s, needs));
    add_step(s, 0);
    add_node(s, id);
}

bool ad__schedule_nodes(const ad__node *node, size_t count, const bool *wanted, const bool *is_view, ad_tape *tape,
                        ad__fuse_what what, ad_dtype dtype, ad__schedule *schedule)
{
    *schedule = (ad__schedule){.node = ad_alloc(count, sizeof *schedule->node),
                               .step = ad_alloc(count, sizeof *schedule->step),
                               .step_of = ad_alloc(count, sizeof *schedule->step_of)};
    scheduler s = {.node = node,
                   .is_view = is_view,
                   .tape = tape,
                   .what = what,
                   .dtype = dtype,
                   .next = ad_alloc(count, sizeof *s.next),
                   .in_loop = ad_alloc(count, sizeof *s.in_loop),
                   .depth = ad_alloc(count, sizeof *s.depth),
                   .to = schedule};
    const bool good = schedule->node && schedule->step && schedule->step_of && s.next && s.in_loop && s.depth;
    if (good) {
        memset(schedule->step_of, -1, count * sizeof *schedule->step_of);
        memset(s.in_loop, -1, count);
        for (size_t id = 0; id < count; id++)
            if (wanted[id] && !is_view[id] && node[id].op != ad__builtin(AD_OP_input)) schedule_node(&s, (int32_t)id);
        close_loops(&s, bit(MOST_OPEN) - 1);
    }
    ad_free(s.depth);
    ad_free(s.in_loop);
    ad_free(s.next);
    return good;
}

void ad__schedule_free(ad__schedule *schedule)
{
    ad_free(schedule->step_of);
    ad_free(schedule->step);
    ad_free(schedule->node);
}
