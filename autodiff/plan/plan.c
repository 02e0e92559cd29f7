/* From a tape to a plan: simplify, split into stages, lay out buffers. */
#include "base/cpu.h"
#include "base/executable.h"
#include "base/gemm.h"
#include "plan/check.h"
#include "plan/compiler.h"
#include "plan/worker.h"
#include "tape/simplify.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <string.h>

static bool is_bound(const ad__node *node)
{
    return ad__is_op(node, AD_OP_input) || ad__is_op(node, AD_OP_param);
}

/* A shared value at level s is computed before pass s; a per-row value at level s can be computed in pass s. */
static void find_levels(const ad__compiler *c)
{
    for (size_t id = 0; id < c->count; id++) {
        const ad__node *node = &c->node[id];
        c->level[id] = 0;
        if (!c->needed[id]) continue;
        for (int j = 0; j < node->n_in; j++)
            if (c->level[node->in[j]] > c->level[id]) c->level[id] = c->level[node->in[j]];
        if (ad__sums_rows(node)) c->level[id]++;
    }
}

static int32_t slot_for(const ad__compiler *c, int32_t id)
{
    ad_plan *plan = c->plan;
    if (plan->slot_of_node[id] >= 0) return plan->slot_of_node[id];
    const ad__node *node = &c->node[id];
    ad__slot *slot = &plan->slot[plan->n_slot];
    size_t length = strlen(node->name ? node->name : "") + 1;
    char *name = ad__arena_alloc(&plan->arena, length, 1);
    if (!name) return -1;
    memcpy(name, node->name ? node->name : "", length);
    *slot = (ad__slot){.name = name, .size = ad_shape_size(node->shape), .per_row = node->per_row};
    return plan->slot_of_node[id] = (int32_t)plan->n_slot++;
}

/* Storage for every shared value; constants are filled in once. */
static bool place_shared(const ad__compiler *c)
{
    ad_plan *plan = c->plan;
    size_t elements = 0;
    for (size_t id = 0; id < c->count; id++) {
        const ad__node *node = &c->node[id];
        c->shared_of[id] = -1;
        if (!c->needed[id]) continue;
        if (is_bound(node) && slot_for(c, (int32_t)id) < 0) return false;
        if (node->per_row) continue;
        c->shared_of[id] = (int32_t)plan->n_shared;
        ad__shared *value = &plan->shared[plan->n_shared++];
        *value = (ad__shared){.size = ad_shape_size(node->shape), .slot = -1, .arena_offset = elements};
        if (ad__is_op(node, AD_OP_param)) {
            value->slot = slot_for(c, (int32_t)id);
        } else {
            value->constant = ad__is_op(node, AD_OP_constant);
            elements += (value->size + 15) & ~(size_t)15;
        }
    }
    size_t size = ad_dtype_size(plan->dtype);
    plan->shared_arena = ad_alloc_aligned(elements, size);
    if (!plan->shared_arena) return false;
    for (size_t id = 0; id < c->count; id++) {
        if (c->shared_of[id] < 0 || !plan->shared[c->shared_of[id]].constant) continue;
        const ad__shared *value = &plan->shared[c->shared_of[id]];
        char *to = plan->shared_arena + value->arena_offset * size;
        for (size_t i = 0; i < value->size; i++)
            if (plan->dtype == AD_F32)
                ((float *)to)[i] = (float)c->node[id].attribute[i];
            else
                ((double *)to)[i] = c->node[id].attribute[i];
    }
    return true;
}

/* Solving for a row takes so long that few rows are worth a thread, whatever the size of the tile's own buffer. */
static bool solves(const ad__compiler *c)
{
    static const ad__op_id long_ones[] = {AD_OP_ode, AD_OP_ode_rows, AD_OP_ode_shared};
    for (size_t id = 0; id < c->count; id++)
        for (size_t i = 0; i < sizeof long_ones / sizeof *long_ones && c->needed[id]; i++)
            if (c->node[id].op == ad__builtin(long_ones[i])) return true;
    return false;
}

/* The largest tile whose buffer takes at most half the L2 cache: the other half is for weights and the stack. Half a
 * tile is worth a thread if it is so many numbers. */
static void choose_tile(ad_plan *plan, size_t features, bool solving)
{
    enum { SMALLEST = 128, LARGEST = 256, SOLVING = 64, WORTH_A_THREAD = 32768 };
    size_t bytes = ad_dtype_size(plan->dtype) * features, rows = LARGEST;
    while (rows > SMALLEST && rows * bytes > ad__l2_bytes() / 2) rows /= 2;
    plan->tile_rows = solving ? SOLVING : rows;
    plan->halves = solving || rows / 2 * features >= WORTH_A_THREAD;
}

static void find_step_code(const ad_plan *plan, ad__run_step *step, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const void *code = step[i].loop ? (const char *)plan->code + step[i].loop->code_at : NULL;
        if (code) memcpy(&step[i].loop->code, &code, sizeof code);
    }
}

/* Where the system lets no memory of ours be run, ops are run one by one. */
static void find_code(const ad__compiler *c)
{
    ad_plan *plan = c->plan;
    plan->code_bytes = c->code.size;
    if (c->code.size) plan->code = ad__executable_new(c->code.code, c->code.size);
    for (size_t s = 0; plan->code && s < plan->n_stage; s++) {
        find_step_code(plan, plan->stage[s].shared_step, plan->stage[s].n_shared_step);
        find_step_code(plan, plan->stage[s].row_step, plan->stage[s].n_row_step);
    }
}

static bool compile(ad__compiler *c, const ad_plan_options *options)
{
    ad_plan *plan = c->plan;
    int last = 0;
    find_levels(c);
    for (size_t id = 0; id < c->count; id++)
        if (c->needed[id] && c->level[id] > last) last = c->level[id];
    plan->n_stage = (size_t)last + 1;
    plan->stage = ad__arena_alloc(&plan->arena, plan->n_stage, sizeof *plan->stage);
    if (!plan->stage || !place_shared(c)) return false;

    for (int s = 0; s <= last; s++) {
        ad__tile_height height;
        if (!ad__measure_pass(c, s, &height)) return false;
        if (height.used > plan->used_features) plan->used_features = height.used;
    }
    plan->tile_rows = options->tile_rows;
    if (!plan->tile_rows) choose_tile(plan, plan->used_features, solves(c));
    for (int s = 0; s <= last; s++)
        if (!ad__add_stage(c, s, &plan->stage[s])) return false;
    find_code(c);
    for (int i = 0; i < c->n_output; i++) plan->output[i].from = ad__operand_of(c, c->output[i]);
    plan->part_squares = ad__arena_alloc(&plan->arena, plan->n_part, sizeof *plan->part_squares);
    return plan->part_squares != NULL;
}

static bool allocate(ad__compiler *c)
{
    size_t n = c->count, n_output = (size_t)c->n_output;
    ad_plan *plan = c->plan;
    c->node = ad_alloc(n, sizeof *c->node);
    c->output = ad_alloc(n_output, sizeof *c->output);
    c->needed = ad_alloc(n, sizeof *c->needed);
    c->same = ad_alloc(n, sizeof *c->same);
    c->level = ad_alloc(n, sizeof *c->level);
    c->shared_of = ad_alloc(n, sizeof *c->shared_of);
    c->in_pass = ad_alloc(n, sizeof *c->in_pass);
    c->kept = ad_alloc(n, sizeof *c->kept);
    c->is_view = ad_alloc(n, sizeof *c->is_view);
    c->escapes = ad_alloc(n, sizeof *c->escapes);
    c->feature = ad_alloc(n, sizeof *c->feature);
    c->entry = ad_alloc(n, sizeof *c->entry);
    c->fuses = ad__isa_of_cpu() >= AD_ISA_avx2;
    plan->slot_of_node = ad__arena_alloc(&plan->arena, n, sizeof *plan->slot_of_node);
    plan->slot = ad__arena_alloc(&plan->arena, n, sizeof *plan->slot);
    plan->shared = ad__arena_alloc(&plan->arena, n, sizeof *plan->shared);
    plan->output = ad__arena_alloc(&plan->arena, n_output, sizeof *plan->output);
    return c->node && c->output && c->needed && c->same && c->level && c->shared_of && c->in_pass && c->kept &&
           c->is_view && c->escapes && c->feature && c->entry && plan->slot_of_node && plan->slot && plan->shared &&
           plan->output;
}

static void release(ad__compiler *c)
{
    ad_free(c->code.code);
    ad_free(c->entry);
    ad_free(c->feature);
    ad_free(c->escapes);
    ad_free(c->is_view);
    ad_free(c->kept);
    ad_free(c->in_pass);
    ad_free(c->shared_of);
    ad_free(c->level);
    ad_free(c->same);
    ad_free(c->needed);
    ad_free(c->output);
    ad_free(c->node);
}

ad_plan *ad_plan_new(const ad_var *outputs, int count, const ad_plan_options *options, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    static const ad_plan_options defaults = {.dtype = AD_F32};
    if (!options) options = &defaults;
    if (!ad__check_outputs(outputs, count, options, error) || ad__gemm_start(error) != AD_OK) return NULL;
    ad_tape *tape = outputs[0].tape;
    ad__compiler c = {.tape = tape, .count = tape->count, .n_output = count, .plan = ad_alloc(1, sizeof(ad_plan))};
    ad__arena *arena = NULL;
    bool good = c.plan && allocate(&c);
    if (good) {
        c.plan->dtype = options->dtype;
        c.plan->n_node = c.count;
        c.plan->n_output = count;
        c.plan->bindings = 1;
        c.plan->tape_serial = tape->serial;
        memcpy(c.node, tape->node, c.count * sizeof *c.node);
        memset(c.plan->slot_of_node, -1, c.count * sizeof *c.plan->slot_of_node);
        for (int i = 0; i < count; i++) c.needed[outputs[i].id] = true;
        ad__mark_needed(c.node, c.count, c.needed);
        good = ad__simplify(c.node, c.count, c.needed, c.same, &arena);
    }
    bool known = true;
    if (good) {
        memset(c.needed, 0, c.count * sizeof *c.needed);
        for (int i = 0; i < count; i++) c.needed[c.output[i] = c.same[outputs[i].id]] = true;
        ad__mark_needed(c.node, c.count, c.needed);
        known = ad__check_ops(c.node, c.count, c.needed, options->dtype, error);
        good = known && compile(&c, options) && ad__plan_prepare_apart(c.plan) && ad__plan_prepare_wide(c.plan);
    }
    release(&c);
    ad__arena_free(arena);
    if (good) return c.plan;
    ad_plan_free(c.plan);
    if (!known) return NULL;
    ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a plan of %zu nodes", tape->count);
    return NULL;
}

void ad_plan_free(ad_plan *plan)
{
    if (!plan) return;
    for (int i = 0; i < plan->n_worker; i++) ad__worker_free(plan, &plan->worker[i]);
    for (const ad__instruction *owner = plan->owner; owner; owner = owner->next_owner) ad_object_release(owner->object);
    ad_free(plan->worker);
    ad_free_aligned(plan->lanes);
    ad_free_aligned(plan->width.memory);
    ad_free_aligned(plan->transfer.memory);
    ad_free(plan->transfer.size);
    ad_free_aligned(plan->shared_arena);
    ad__executable_free(plan->code, plan->code_bytes);
    ad__arena_free(plan->arena);
    ad_free(plan);
}

size_t ad_plan_tile_rows(const ad_plan *plan)
{
    return plan ? plan->tile_rows : 0;
}
