/* Each op of the step says what it computes; this says what its arguments are, and what becomes of its results. */
#include "plan/fuse.h"
#include "tape/builtin.h"
#include "tape/record.h"

#include <weir/memory.h>

#include <string.h>

/* A value as its elements, in this loop. */
typedef struct {
    int32_t node;
    bool varies, computed; /* computed: by this loop */
    ad__element *element;
    size_t count;
} entry;

typedef struct {
    ad__place *place;
    size_t count, capacity;
} places;

typedef struct {
    const ad__fuse_request *request;
    ad__elements list;
    ad__arena *arena; /* of the entries' elements */
    entry *entry;
    size_t n_entry, entry_capacity;
    places rows, scalars; /* of numbers of each row, and of such that serve all */
    ad__row_sum *sum;
    size_t n_sum, sum_capacity, sum_vectors;
    ad__element valid; /* the mask of the tile's rows */
    bool failed;
} fuser;

/* One more in an array that grows; NULL where memory is out. */
static void *append(void **array, size_t *count, size_t *capacity, size_t size)
{
    if (*count == *capacity) {
        const size_t more = *capacity ? 2 * *capacity : 16;
        void *grown = ad_realloc(*array, more, size);
        if (!grown) return NULL;
        *array = grown;
        *capacity = more;
    }
    return (char *)*array + (*count)++ * size;
}

/* Returns its number. */
static size_t add_place(fuser *f, places *to, ad__place place)
{
    void *array = to->place;
    ad__place *added = append(&array, &to->count, &to->capacity, sizeof place);
    to->place = array;
    if (added)
        *added = place;
    else
        f->failed = true;
    return to->count - 1;
}

static entry *add_entry(fuser *f, int32_t node, bool varies, bool computed, size_t count)
{
    ad__element *element = ad__arena_alloc(&f->arena, count, sizeof *element);
    void *array = f->entry;
    entry *to = element ? append(&array, &f->n_entry, &f->entry_capacity, sizeof *to) : NULL;
    f->entry = array;
    if (!to) {
        f->failed = true;
        return NULL;
    }
    *to = (entry){node, varies, computed, element, count};
    f->request->entry[node] = (int32_t)f->n_entry;
    return to;
}

/* ---- Arguments ----------------------------------------------------------------------------------------------- */

static bool is_inside(const fuser *f, int32_t id)
{
    const int32_t known = f->request->entry[id];
    return known > 0 && f->entry[known - 1].computed;
}

/* Numbers that are in memory when the loop begins. */
static const ad__element *load(fuser *f, int32_t id, bool varies, size_t count)
{
    const ad__fuse_request *r = f->request;
    const ad__node *node = &r->node[id];
    const bool per_row = node->per_row && r->rows;
    entry *to = add_entry(f, id, varies, false, count);
    for (size_t e = 0; to && e < count; e++) {
        const ad__place place = {.per_row = per_row,
                                 .value = r->shared_of[id],
                                 .at = (per_row ? r->feature[id] : 0) + e * (varies ? r->turns : 1),
                                 .step = varies ? 1 : 0};
        ad__element_operation operation = {.kind = AD_ELEMENT_LOAD};
        if (per_row) {
            operation.at = add_place(f, &f->rows, place);
        } else if (node->op == ad__builtin(AD_OP_constant) && (!varies || r->turns == 1)) {
            to->element[e] = ad__element_constant(&f->list, node->attribute[e]);
            continue;
        } else {
            operation = (ad__element_operation){.kind = AD_ELEMENT_SCALAR, .at = add_place(f, &f->scalars, place)};
        }
        to->element[e] = ad__element_append(&f->list, operation);
    }
    return to ? to->element : NULL;
}

/* The elements of node `id`, as an argument that is met so. A view of a value of this loop has some of its elements. */
static const ad__element *elements_of(fuser *f, int32_t id, const ad__view_of_argument *view)
{
    const ad__fuse_request *r = f->request;
    const size_t count = ad_shape_size(view->lead);
    const int32_t known = r->entry[id];
    if (known > 0 && f->entry[known - 1].varies == view->varies && f->entry[known - 1].count == count)
        return f->entry[known - 1].element;
    size_t offset;
    const int32_t base = ad__behind_views(r->node, r->is_view, r->tape, id, &offset);
    if (base != id && is_inside(f, base)) return f->entry[r->entry[base] - 1].element + offset / r->turns;
    return load(f, id, view->varies, count);
}

/* ---- Ops ----------------------------------------------------------------------------------------------------- */

static ad__element append_unary(fuser *f, ad__element_kind kind, ad__element in, size_t at)
{
    return ad__element_append(&f->list, (ad__element_operation){.kind = kind, .n_in = 1, .in = {in}, .at = at});
}

/* Rows that are not valid add zeros. */
static void sum_over_rows(fuser *f, size_t member, bool wide, const ad__element *in, size_t count)
{
    for (size_t e = 0; e < count; e++) {
        void *array = f->sum;
        ad__row_sum *sum = append(&array, &f->n_sum, &f->sum_capacity, sizeof *sum);
        f->sum = array;
        if (!sum) {
            f->failed = true;
            return;
        }
        *sum = (ad__row_sum){member, e * f->request->turns, f->sum_vectors, wide};
        f->sum_vectors += wide ? 2 : 1;
        const ad__element x = ad__element_append(
            &f->list, (ad__element_operation){.kind = AD_ELEMENT_AND, .n_in = 2, .in = {in[e], f->valid}});
        if (wide) {
            append_unary(f, AD_ELEMENT_SUM_HALF, append_unary(f, AD_ELEMENT_LOW, x, 0), sum->vector);
            append_unary(f, AD_ELEMENT_SUM_HALF, append_unary(f, AD_ELEMENT_HIGH, x, 0), sum->vector + 1);
        } else {
            append_unary(f, AD_ELEMENT_SUM_ROWS, x, sum->vector);
        }
    }
}

static void fuse_elementwise(fuser *f, const ad__node *node, const ad_shape *lead, const ad_shape *shape,
                             const ad__element *const *in, ad__element *out, size_t count)
{
    for (size_t e = 0; e < count; e++) {
        ad__element argument[AD_MAX_LOOP_ARGUMENTS];
        for (int j = 0; j < node->n_in; j++) argument[j] = in[j][ad__stretched(lead, &shape[j], e)];
        out[e] = node->op->fusing[f->request->dtype]->element(&f->list, argument, node->attribute);
    }
}

static void fuse_node(fuser *f, size_t member)
{
    const ad__fuse_request *r = f->request;
    const int32_t id = r->member[member];
    const ad__node *node = &r->node[id];
    const int lead_rank = ad__lead_of(&node->shape, r->turns);
    const size_t n_in = (size_t)node->n_in;
    ad_shape *shape = ad_alloc(n_in + 1, sizeof *shape), lead = node->shape;
    const ad__element **in = ad_alloc(n_in + 1, sizeof *in);
    lead.rank = lead_rank;
    for (size_t j = 0; shape && in && j < n_in; j++) {
        ad__view_of_argument view;
        ad__view_argument(node, &r->node[node->in[j]].shape, lead_rank, r->turns, &view);
        shape[j] = view.lead;
        in[j] = elements_of(f, node->in[j], &view);
        f->failed |= !in[j];
    }
    f->failed |= !shape || !in;
    const size_t count = ad_shape_size(lead);
    if (!f->failed && node->op == ad__builtin(AD_OP_sum_rows)) {
        const bool wide = r->dtype == AD_F32 && !ad__sums_in_dtype(node->n_attribute);
        sum_over_rows(f, member, wide, in[0], count);
    } else if (!f->failed) {
        entry *to = add_entry(f, id, true, true, count);
        if (to && node->op->fusing[f->request->dtype]->element)
            fuse_elementwise(f, node, &lead, shape, in, to->element, count);
        else if (to)
            node->op->fusing[f->request->dtype]->call(&(ad__fused_call){.list = &f->list,
                                                                        .n_in = node->n_in,
                                                                        .in_shape = shape,
                                                                        .in = in,
                                                                        .out_shape = lead,
                                                                        .out = to->element,
                                                                        .attribute = node->attribute,
                                                                        .n_attribute = node->n_attribute});
    }
    ad_free(in);
    ad_free(shape);
}

/* ---- Results ------------------------------------------------------------------------------------------------- */

static bool is_at(const ad__place *a, const ad__place *b)
{
    return a->per_row == b->per_row && a->value == b->value && a->at == b->at && !a->is_mask;
}

/* What is loaded from there must be so before it is overwritten. */
static void load_at_once(fuser *f, const ad__place *place)
{
    for (size_t i = 0; i < f->list.count; i++) {
        ad__element_operation *operation = &f->list.operation[i];
        if (operation->kind == AD_ELEMENT_LOAD && is_at(&f->rows.place[operation->at], place))
            operation->at_once = true;
    }
}

static bool is_there(const fuser *f, ad__element element, const ad__place *place)
{
    const ad__element_operation *operation = &f->list.operation[element];
    return operation->kind == AD_ELEMENT_LOAD && is_at(&f->rows.place[operation->at], place) &&
           (f->rows.place[operation->at].step == place->step || f->request->turns == 1);
}

static void store_results(fuser *f)
{
    const ad__fuse_request *r = f->request;
    for (size_t i = 0; i < r->n && !f->failed && !f->list.failed; i++) {
        const int32_t id = r->member[i];
        if (!r->escapes[id] || !is_inside(f, id)) continue;
        const entry result = f->entry[r->entry[id] - 1];
        for (size_t e = 0; e < result.count && !f->failed && !f->list.failed; e++) {
            const ad__place place = {.per_row = r->rows,
                                     .value = r->shared_of[id],
                                     .at = (r->rows ? r->feature[id] : 0) + e * r->turns,
                                     .step = 1};
            if (is_there(f, result.element[e], &place)) continue;
            if (r->rows) load_at_once(f, &place);
            ad__element_append(&f->list, (ad__element_operation){.kind = AD_ELEMENT_STORE,
                                                                 .n_in = 1,
                                                                 .in = {result.element[e]},
                                                                 .at = add_place(f, &f->rows, place)});
        }
    }
}

/* ---- The loop ------------------------------------------------------------------------------------------------ */

/* Where there are sums, those of as many turns as the L1 cache easily holds. */
static size_t turns_together(const ad__fused_loop *loop)
{
    enum { BYTES = 8192 };
    const size_t most = loop->n_sum ? BYTES / loop->frame.scalars + 1 : loop->turns;
    return most < loop->turns ? most : loop->turns;
}

static bool finish(fuser *f, ad__arena **arena, ad__assembler *code, ad__fused_loop *loop)
{
    const ad__fuse_request *r = f->request;
    /* Scalars are numbered behind what is there for each row. */
    for (size_t i = 0; i < f->list.count; i++)
        if (f->list.operation[i].kind == AD_ELEMENT_SCALAR) f->list.operation[i].at += f->rows.count;
    *loop = (ad__fused_loop){.turns = r->turns,
                             .place = ad__arena_alloc(arena, f->rows.count + f->scalars.count, sizeof *loop->place),
                             .n_place = f->rows.count + f->scalars.count,
                             .sum = ad__arena_alloc(arena, f->n_sum, sizeof *loop->sum),
                             .n_sum = f->n_sum,
                             .code_at = code->size};
    if (!loop->place || !loop->sum) return false;
    if (f->rows.count) memcpy(loop->place, f->rows.place, f->rows.count * sizeof *loop->place);
    if (f->scalars.count) memcpy(loop->place + f->rows.count, f->scalars.place, f->scalars.count * sizeof *loop->place);
    if (f->n_sum) memcpy(loop->sum, f->sum, f->n_sum * sizeof *loop->sum);
    void *constants;
    bool good = ad__assemble_elements(code, &f->list, f->rows.count, f->scalars.count, f->sum_vectors, r->rows,
                                      r->turns > 1, &constants, &loop->frame);
    if (good) loop->together = turns_together(loop);
    const size_t bytes = good ? loop->frame.constants_bytes : 0;
    loop->constants = ad__arena_alloc(arena, bytes + 1, 1);
    if (good && loop->constants) memcpy(loop->constants, constants, bytes);
    good = good && loop->constants;
    ad_free(constants);
    return good;
}

bool ad__fuse(const ad__fuse_request *request, ad__arena **arena, ad__assembler *code, ad__fused_loop *loop)
{
    fuser f = {.request = request, .list = {.dtype = request->dtype}};
    if (request->rows)
        f.valid = ad__element_append(
            &f.list,
            (ad__element_operation){.kind = AD_ELEMENT_LOAD,
                                    .at = add_place(&f, &f.rows, (ad__place){.per_row = true, .is_mask = true})});
    for (size_t i = 0; i < request->n && !f.failed; i++) fuse_node(&f, i);
    if (!f.failed) store_results(&f);
    const bool good = !f.failed && !f.list.failed && finish(&f, arena, code, loop);
    for (size_t i = 0; i < f.n_entry; i++) request->entry[f.entry[i].node] = 0;
    ad_free(f.sum);
    ad_free(f.scalars.place);
    ad_free(f.rows.place);
    ad_free(f.entry);
    ad__arena_free(f.arena);
    ad_free(f.list.operation);
    return good;
}
