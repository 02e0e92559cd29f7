/* The stages of a plan: what each computes before its pass, and in it, in which steps. */
#include "plan/compiler.h"
#include "plan/fuse.h"
#include "plan/lanes.h"

#include <weir/memory.h>

#include <string.h>

/* ---- Steps --------------------------------------------------------------------------------------------------- */

/* Instructions by the steps of the schedule; fused ones get their loops. */
static bool fill_steps(ad__compiler *c, const ad__schedule *schedule, bool rows, ad__instruction *instruction,
                       ad__run_step **steps, size_t *n_steps)
{
    ad_plan *plan = c->plan;
    *steps = ad__arena_alloc(&plan->arena, schedule->n_step, sizeof **steps);
    bool good = *steps != NULL;
    for (size_t i = 0; i < schedule->n_node && good; i++)
        good = ad__fill_instruction(c, schedule->node[i], &instruction[i]);
    for (size_t s = 0; s < schedule->n_step && good; s++) {
        const ad__step *step = &schedule->step[s];
        ad__run_step *last = *n_steps ? &(*steps)[*n_steps - 1] : NULL;
        if (!step->turns && last && !last->loop) {
            last->count += step->count;
            continue;
        }
        ad__run_step *to = &(*steps)[(*n_steps)++];
        *to = (ad__run_step){.first = step->first, .count = step->count};
        if (!step->turns) continue;
        to->loop = ad__arena_alloc(&plan->arena, 1, sizeof *to->loop);
        const ad__fuse_request request = {.node = c->node,
                                          .member = schedule->node + step->first,
                                          .n = step->count,
                                          .turns = step->turns,
                                          .rows = rows,
                                          .is_view = c->is_view,
                                          .escapes = c->escapes,
                                          .feature = c->feature,
                                          .shared_of = c->shared_of,
                                          .tape = c->tape,
                                          .dtype = plan->dtype,
                                          .entry = c->entry};
        good = to->loop && ad__fuse(&request, &plan->arena, &c->code, to->loop);
        if (!good) continue;
        to->loop->first_pointer = plan->n_pointer;
        plan->n_pointer += to->loop->n_place;
        if (to->loop->n_place > plan->most_pointers) plan->most_pointers = to->loop->n_place;
        const size_t bytes = to->loop->frame.bytes + (to->loop->together - 1) * to->loop->frame.scalars;
        if (bytes > plan->scratch) plan->scratch = bytes;
    }
    return good;
}

/* ---- Shared values ------------------------------------------------------------------------------------------- */

/* The wave of each shared value that stage s computes, 0 for every other node; returns the last wave. */
static int find_waves(const ad__compiler *c, int s, int *wave)
{
    int last = 0;
    for (size_t id = 0; id < c->count; id++) {
        const ad__node *node = &c->node[id];
        bool here = c->needed[id] && !node->per_row && c->level[id] == s && !ad__sums_rows(node) &&
                    !ad__is_op(node, AD_OP_param) && !ad__is_op(node, AD_OP_constant);
        wave[id] = 0;
        if (!here) continue;
        for (int j = 0; j < node->n_in; j++)
            if (wave[node->in[j]] > wave[id]) wave[id] = wave[node->in[j]];
        if (++wave[id] > last) last = wave[id];
    }
    return last;
}

/* Does some wave compute so much that several threads are worth it? */
static bool is_work(const ad__compiler *c, const int *wave, int last)
{
    enum { WORTH_A_THREAD = 8192 }; /* elements */
    bool found = false;
    size_t *work = ad_alloc((size_t)last + 1, sizeof *work);
    for (size_t id = 0; work && id < c->count; id++)
        if (wave[id]) found |= (work[wave[id]] += ad_shape_size(c->node[id].shape)) > WORTH_A_THREAD;
    ad_free(work);
    return found;
}

/* Sorted by wave, and within one as they were recorded. */
static bool sort_by_wave(const ad__compiler *c, const int *wave, int last, ad__instruction *instruction)
{
    size_t *next = ad_alloc((size_t)last + 2, sizeof *next); /* place of the next one of each wave */
    bool good = next != NULL;
    for (size_t id = 0; good && id < c->count; id++)
        if (wave[id]) next[wave[id] + 1]++;
    for (int w = 1; good && w <= last; w++) next[w + 1] += next[w];
    for (size_t id = 0; id < c->count && good; id++) {
        if (!wave[id]) continue;
        ad__instruction *to = &instruction[next[wave[id]]++];
        good = ad__fill_instruction(c, (int32_t)id, to);
        to->wave = wave[id];
    }
    ad_free(next);
    return good;
}

/* In as few steps as there can be, for one thread. */
static bool fuse_shared(ad__compiler *c, ad__stage *stage)
{
    ad__schedule schedule;
    bool good = ad__schedule_nodes(c->node, c->count, c->in_pass, c->is_view, c->tape,
                                   c->fuses ? AD_FUSE_SCALARS : AD_FUSE_NOTHING, c->plan->dtype, &schedule);
    if (good) {
        for (size_t id = 0; id < c->count; id++) c->escapes[id] = false;
        for (int i = 0; i < c->n_output; i++) c->escapes[c->output[i]] = true;
        for (size_t id = 0; id < c->count; id++)
            for (int j = 0; c->needed[id] && j < c->node[id].n_in; j++) {
                const int32_t in = c->node[id].in[j];
                c->escapes[in] |= schedule.step_of[id] < 0 || schedule.step_of[in] != schedule.step_of[id];
            }
        good = fill_steps(c, &schedule, false, stage->shared, &stage->shared_step, &stage->n_shared_step);
    }
    ad__schedule_free(&schedule);
    return good;
}

static bool add_shared(ad__compiler *c, int s, ad__stage *stage)
{
    int *wave = ad_alloc(c->count, sizeof *wave);
    if (!wave) return false;
    const int last = find_waves(c, s, wave);
    for (size_t id = 0; id < c->count; id++) {
        c->in_pass[id] = wave[id] > 0;
        c->is_view[id] = false;
        stage->n_shared += c->in_pass[id];
    }
    stage->shared = ad__arena_alloc(&c->plan->arena, stage->n_shared, sizeof *stage->shared);
    stage->shared_is_work = is_work(c, wave, last);
    const bool good =
        stage->shared && (stage->shared_is_work ? sort_by_wave(c, wave, last, stage->shared) : fuse_shared(c, stage));
    ad_free(wave);
    return good;
}

/* ---- The pass ------------------------------------------------------------------------------------------------ */

/* Mark the pass: sums that end it, per-row outputs that are first possible in it, and the per-row values behind them.
 */
static void choose_pass(const ad__compiler *c, int s)
{
    for (size_t id = 0; id < c->count; id++) {
        c->in_pass[id] = c->needed[id] && ad__sums_rows(&c->node[id]) && c->level[id] == s + 1;
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

static bool schedule_pass(const ad__compiler *c, int s, ad__schedule *schedule)
{
    choose_pass(c, s);
    ad__find_views(c->node, c->count, c->in_pass, c->tape, c->is_view);
    return ad__schedule_nodes(c->node, c->count, c->in_pass, c->is_view, c->tape,
                              c->fuses ? AD_FUSE_ROWS : AD_FUSE_NOTHING, c->plan->dtype, schedule);
}

static bool lay_out(const ad__compiler *c, const ad__schedule *schedule, ad__tile_height *height)
{
    return ad__layout_tile(c->node, c->count, c->in_pass, c->kept, c->is_view, schedule, c->tape, c->feature,
                           c->escapes, height);
}

bool ad__measure_pass(const ad__compiler *c, int s, ad__tile_height *height)
{
    ad__schedule schedule;
    const bool good = schedule_pass(c, s, &schedule) && lay_out(c, &schedule, height);
    ad__schedule_free(&schedule);
    return good;
}

/* Inputs are loaded, outputs stored. */
static bool add_transfers(const ad__compiler *c, ad__stage *stage)
{
    ad_plan *plan = c->plan;
    size_t n_load = 0;
    for (size_t id = 0; id < c->count; id++) n_load += c->in_pass[id] && ad__is_op(&c->node[id], AD_OP_input);
    stage->load = ad__arena_alloc(&plan->arena, n_load, sizeof *stage->load);
    stage->store = ad__arena_alloc(&plan->arena, (size_t)c->n_output, sizeof *stage->store);
    if (!stage->load || !stage->store) return false;
    for (size_t id = 0; id < c->count; id++)
        if (c->in_pass[id] && ad__is_op(&c->node[id], AD_OP_input))
            stage->load[stage->n_load++] = (ad__load){plan->slot_of_node[id], ad__operand_of(c, (int32_t)id)};
    for (int i = 0; i < c->n_output; i++)
        if (c->kept[c->output[i]]) stage->store[stage->n_store++] = (ad__store){i, ad__operand_of(c, c->output[i])};
    return true;
}

/* A place in the lanes for each sum. */
static bool add_sums(const ad__compiler *c, ad__stage *stage)
{
    ad_plan *plan = c->plan;
    size_t n_sum = 0;
    for (size_t i = 0; i < stage->n_row; i++) n_sum += stage->row[i].sums_rows;
    stage->sum = ad__arena_alloc(&plan->arena, n_sum, sizeof *stage->sum);
    if (!stage->sum) return false;
    for (size_t i = 0; i < stage->n_row; i++)
        if (stage->row[i].sums_rows) stage->sum[stage->n_sum++] = &stage->row[i];
    ad__place_lanes(plan, stage);
    return true;
}

static bool add_pass(ad__compiler *c, int s, ad__stage *stage)
{
    ad_plan *plan = c->plan;
    ad__schedule schedule;
    ad__tile_height height;
    bool good = schedule_pass(c, s, &schedule) && lay_out(c, &schedule, &height);
    if (good) {
        if (height.all > plan->features) plan->features = height.all;
        stage->n_row = schedule.n_node;
        stage->row = ad__arena_alloc(&plan->arena, stage->n_row, sizeof *stage->row);
        good = stage->row && add_transfers(c, stage) &&
               fill_steps(c, &schedule, true, stage->row, &stage->row_step, &stage->n_row_step) && add_sums(c, stage);
    }
    ad__schedule_free(&schedule);
    return good;
}

bool ad__add_stage(ad__compiler *c, int s, ad__stage *stage)
{
    return add_shared(c, s, stage) && add_pass(c, s, stage);
}
