/* From a tape to a plan: simplify, split into stages, lay out buffers. */
#include "base/cpu.h"
#include "base/gemm.h"
#include "plan/check.h"
#include "plan/compiled.h"
#include "plan/layout_tile.h"
#include "plan/worker.h"
#include "tape/builtin.h"
#include "tape/simplify.h"

#include <weir/environment.h>
#include <weir/memory.h>

#include <string.h>

/* What compilation knows of the tape; node[] is a copy that simplify rewrites. */
typedef struct {
    ad_tape *tape;
    ad__node *node;
    size_t count;
    int32_t *output; /* node of each output, after simplification */
    int n_output;
    bool *needed;
    int32_t *same, *level, *shared_of; /* shared_of: index in plan->shared, or -1 */
    bool *in_pass, *kept, *is_view;
    size_t *feature;
    ad_plan *plan;
} compiler;

static bool sums_rows(const ad__node *node)
{
    return (node->op->flags & AD_OP_SUMS_ROWS) != 0;
}

static bool is_op(const ad__node *node, ad__op_id id)
{
    return node->op == ad__builtin(id);
}

static bool is_bound(const ad__node *node)
{
    return is_op(node, AD_OP_input) || is_op(node, AD_OP_param);
}

/* A shared value at level s is computed before pass s; a per-row value at level s can be computed in pass s. */
static void find_levels(const compiler *c)
{
    for (size_t id = 0; id < c->count; id++) {
        const ad__node *node = &c->node[id];
        c->level[id] = 0;
        if (!c->needed[id]) continue;
        for (int j = 0; j < node->n_in; j++)
            if (c->level[node->in[j]] > c->level[id]) c->level[id] = c->level[node->in[j]];
        if (sums_rows(node)) c->level[id]++;
    }
}

static int32_t slot_for(const compiler *c, int32_t id)
{
    ad_plan *plan = c->plan;
    if (plan->slot_of_node[id] >= 0) return plan->slot_of_node[id];
    const ad__node *node = &c->node[id];
    ad__slot *slot = &plan->slot[plan->n_slot];
    size_t length = strlen(node->name ? node->name : "") + 1;
    char *name = ad__arena_alloc(&plan->arena, length, 1);
    if (!name) return -1;
    memcpy(name, node->name ? node->name : "", length);
    *slot = (ad__slot){.name = name, .size = ad_shape_size(node->shape)};
    return plan->slot_of_node[id] = (int32_t)plan->n_slot++;
}

/* Storage for every shared value; constants are filled in once. */
static bool place_shared(const compiler *c)
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
        if (is_op(node, AD_OP_param)) {
            value->slot = slot_for(c, (int32_t)id);
        } else {
            value->constant = is_op(node, AD_OP_constant);
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

static ad__operand operand_of(const compiler *c, int32_t id)
{
    const ad__node *node = &c->node[id];
    return (ad__operand){.per_row = node->per_row,
                         .value = c->shared_of[id],
                         .at = node->per_row ? c->feature[id] : 0,
                         .size = ad_shape_size(node->shape),
                         .shape = node->shape};
}

static void count_runs(ad_plan *plan, ad__instruction *instruction)
{
    const ad_tensor out = ad__tensor_at(&instruction->out, NULL);
    ad_tensor in[AD_MAX_LOOP_ARGUMENTS];
    for (int j = 0; j < instruction->n_in; j++) in[j] = ad__tensor_at(&instruction->in[j], NULL);
    instruction->first_run = plan->n_run;
    instruction->n_run =
        ad__find_runs(&out, in, instruction->n_in, AD_ROW_QUANTUM, ad_dtype_size(plan->dtype), NULL, NULL, NULL);
    plan->n_run += instruction->n_run;
}

static bool fill_instruction(const compiler *c, int32_t id, ad__instruction *to)
{
    const ad__node *node = &c->node[id];
    ad_plan *plan = c->plan;
    ad__operand *in = ad__arena_alloc(&plan->arena, (size_t)node->n_in, sizeof *in);
    double *attribute = ad__arena_alloc(&plan->arena, node->n_attribute, sizeof *attribute);
    size_t length = strlen(node->scope) + 1;
    char *scope = ad__arena_alloc(&plan->arena, length, 1);
    ad_var *var = ad_alloc((size_t)node->n_in, sizeof *var);
    if (!in || !attribute || !scope || !var) {
        ad_free(var);
        return false;
    }
    for (int j = 0; j < node->n_in; j++) {
        in[j] = operand_of(c, node->in[j]);
        var[j] = ad__var(c->tape, node->in[j]);
    }
    if (node->n_attribute) memcpy(attribute, node->attribute, node->n_attribute * sizeof *attribute);
    *to = (ad__instruction){.evaluate = node->op->evaluate[plan->dtype],
                            .attribute = attribute,
                            .n_attribute = node->n_attribute,
                            .object = node->object,
                            .n_in = node->n_in,
                            .sums_rows = sums_rows(node),
                            .tensor = plan->n_tensor,
                            .op = node->op,
                            .in = in,
                            .out = operand_of(c, id),
                            .node = id,
                            .scope = memcpy(scope, node->scope, length)};
    if (node->object || node->op->open) {
        ad__object_retain(node->object);
        to->state = ++plan->n_state;
        to->next_owner = plan->owner;
        plan->owner = to;
    }
    if (node->op->scratch) {
        ad_call call = {c->tape, var, node->n_in, attribute, node->n_attribute, node->object};
        bool tiled = node->per_row || sums_rows(node);
        to->scratch = node->op->scratch(&call, tiled ? plan->tile_rows : 1, plan->dtype);
        if (to->scratch > plan->scratch) plan->scratch = to->scratch;
    }
    plan->n_tensor += 1 + (size_t)node->n_in;
    if (!to->evaluate) count_runs(plan, to);
    ad_free(var);
    return true;
}

/* Does some wave compute so much that several threads are worth it? */
static bool shared_is_work(const ad__stage *stage)
{
    enum { WORTH_A_THREAD = 8192 }; /* elements */
    size_t work = 0;
    for (size_t i = 0; i < stage->n_shared && work <= WORTH_A_THREAD; i++)
        work = (i > 0 && stage->shared[i].wave == stage->shared[i - 1].wave ? work : 0) + stage->shared[i].out.size;
    return work > WORTH_A_THREAD;
}

/* The wave of each shared value that stage s computes, 0 for every other node; returns the last wave. */
static int find_waves(const compiler *c, int s, int *wave)
{
    int last = 0;
    for (size_t id = 0; id < c->count; id++) {
        const ad__node *node = &c->node[id];
        bool here = c->needed[id] && !node->per_row && c->level[id] == s && !sums_rows(node) &&
                    !is_op(node, AD_OP_param) && !is_op(node, AD_OP_constant);
        wave[id] = 0;
        if (!here) continue;
        for (int j = 0; j < node->n_in; j++)
            if (wave[node->in[j]] > wave[id]) wave[id] = wave[node->in[j]];
        if (++wave[id] > last) last = wave[id];
    }
    return last;
}

/* Sorted by wave, and within one as they were recorded. */
static bool add_shared(const compiler *c, int s, ad__stage *stage)
{
    int *wave = ad_alloc(c->count, sizeof *wave);
    if (!wave) return false;
    int last = find_waves(c, s, wave);
    size_t *next = ad_alloc((size_t)last + 2, sizeof *next); /* place of the next one of each wave */
    for (size_t id = 0; next && id < c->count; id++)
        if (wave[id]) next[wave[id] + 1]++;
    for (int w = 1; next && w <= last; w++) next[w + 1] += next[w];
    if (next) stage->n_shared = next[last + 1];
    stage->shared = next ? ad__arena_alloc(&c->plan->arena, stage->n_shared, sizeof *stage->shared) : NULL;
    bool good = stage->shared != NULL;
    for (size_t id = 0; id < c->count && good; id++) {
        if (!wave[id]) continue;
        ad__instruction *to = &stage->shared[next[wave[id]]++];
        good = fill_instruction(c, (int32_t)id, to);
        to->wave = wave[id];
    }
    ad_free(next);
    ad_free(wave);
    stage->shared_is_work = good && shared_is_work(stage);
    return good;
}

/* Mark the pass: sums that end it, per-row outputs that are first possible in it, and the per-row values behind them.
 */
static void choose_pass(const compiler *c, int s)
{
    for (size_t id = 0; id < c->count; id++) {
        c->in_pass[id] = c->needed[id] && sums_rows(&c->node[id]) && c->level[id] == s + 1;
        c->kept[id] = false;
    }
    for (int i = 0; i < c->n_output; i++) {
        int32_t id = c->output[i];
        if (c->node[id].per_row && c->level[id] == s) c->in_pass[id] = c->kept[id] = true;
    }
    for (size_t id = c->count; id-- > 0;)
        for (int j = 0; c->in_pass[id] && j < c->node[id].n_in; j++)
            if (c->node[c->node[id].in[j]].per_row) c->in_pass[c->node[id].in[j]] = true;
}

static bool add_pass(const compiler *c, int s, ad__stage *stage)
{
    ad_plan *plan = c->plan;
    choose_pass(c, s);
    stage->features = ad__layout_tile(c->node, c->count, c->in_pass, c->kept, c->tape, c->feature, c->is_view);
    if (stage->features == SIZE_MAX) return false;
    if (stage->features > plan->features) plan->features = stage->features;
    size_t n_row = 0, n_load = 0, n_sum = 0;
    for (size_t id = 0; id < c->count; id++) {
        if (!c->in_pass[id] || c->is_view[id]) continue;
        *(is_op(&c->node[id], AD_OP_input) ? &n_load : &n_row) += 1;
        n_sum += sums_rows(&c->node[id]);
    }
    stage->row = ad__arena_alloc(&plan->arena, n_row, sizeof *stage->row);
    stage->load = ad__arena_alloc(&plan->arena, n_load, sizeof *stage->load);
    stage->sum = ad__arena_alloc(&plan->arena, n_sum, sizeof *stage->sum);
    stage->store = ad__arena_alloc(&plan->arena, (size_t)c->n_output, sizeof *stage->store);
    if (!stage->row || !stage->load || !stage->store || !stage->sum) return false;
    size_t lane = 0;
    for (size_t id = 0; id < c->count; id++) {
        const ad__node *node = &c->node[id];
        if (!c->in_pass[id] || c->is_view[id]) continue;
        if (is_op(node, AD_OP_input)) {
            stage->load[stage->n_load++] = (ad__load){slot_for(c, (int32_t)id), operand_of(c, (int32_t)id)};
            continue;
        }
        ad__instruction *instruction = &stage->row[stage->n_row++];
        if (!fill_instruction(c, (int32_t)id, instruction)) return false;
        if (!sums_rows(node)) continue;
        instruction->lane_element = lane;
        size_t size = node->op->flags & AD_OP_SUMS_IN_F64 ? sizeof(double) : ad_dtype_size(plan->dtype);
        lane += (instruction->out.size * size + 63) & ~(size_t)63;
        stage->sum[stage->n_sum++] = instruction;
    }
    if (lane > plan->lane_bytes) plan->lane_bytes = lane;
    for (int i = 0; i < c->n_output; i++)
        if (c->kept[c->output[i]]) stage->store[stage->n_store++] = (ad__store){i, operand_of(c, c->output[i])};
    return true;
}

/* The largest tile whose buffer takes at most half the L2 cache: the other half is for weights and the stack. Half a
 * tile is worth a thread if it is so many numbers. */
static void choose_tile(ad_plan *plan, size_t features)
{
    enum { SMALLEST = 128, LARGEST = 256, WORTH_A_THREAD = 32768 };
    size_t bytes = ad_dtype_size(plan->dtype) * features, rows = LARGEST;
    while (rows > SMALLEST && rows * bytes > ad__l2_bytes() / 2) rows /= 2;
    plan->tile_rows = rows;
    plan->halves = rows / 2 * features >= WORTH_A_THREAD;
}

static bool compile(const compiler *c, const ad_plan_options *options)
{
    ad_plan *plan = c->plan;
    int last = 0;
    find_levels(c);
    for (size_t id = 0; id < c->count; id++)
        if (c->needed[id] && c->level[id] > last) last = c->level[id];
    plan->n_stage = (size_t)last + 1;
    plan->stage = ad__arena_alloc(&plan->arena, plan->n_stage, sizeof *plan->stage);
    if (!plan->stage || !place_shared(c)) return false;

    size_t features = 0;
    for (int s = 0; s <= last; s++) {
        choose_pass(c, s);
        size_t height = ad__layout_tile(c->node, c->count, c->in_pass, c->kept, c->tape, c->feature, c->is_view);
        if (height == SIZE_MAX) return false;
        if (height > features) features = height;
    }
    plan->tile_rows = options->tile_rows;
    if (!plan->tile_rows) choose_tile(plan, features);
    for (int s = 0; s <= last; s++)
        if (!add_shared(c, s, &plan->stage[s]) || !add_pass(c, s, &plan->stage[s])) return false;
    for (int i = 0; i < c->n_output; i++) plan->output[i].from = operand_of(c, c->output[i]);
    return true;
}

static bool allocate(compiler *c)
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
    c->feature = ad_alloc(n, sizeof *c->feature);
    plan->slot_of_node = ad__arena_alloc(&plan->arena, n, sizeof *plan->slot_of_node);
    plan->slot = ad__arena_alloc(&plan->arena, n, sizeof *plan->slot);
    plan->shared = ad__arena_alloc(&plan->arena, n, sizeof *plan->shared);
    plan->output = ad__arena_alloc(&plan->arena, n_output, sizeof *plan->output);
    return c->node && c->output && c->needed && c->same && c->level && c->shared_of && c->in_pass && c->kept &&
           c->is_view && c->feature && plan->slot_of_node && plan->slot && plan->shared && plan->output;
}

static void release(compiler *c)
{
    ad_free(c->feature);
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
    compiler c = {.tape = tape, .count = tape->count, .n_output = count, .plan = ad_alloc(1, sizeof(ad_plan))};
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
        good = known && compile(&c, options) && ad__plan_prepare_apart(c.plan) &&
               ad__plan_prepare_wide(c.plan);
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
    ad_free_aligned(plan->shared_arena);
    ad__arena_free(plan->arena);
    ad_free(plan);
}

size_t ad_plan_tile_rows(const ad_plan *plan)
{
    return plan ? plan->tile_rows : 0;
}
