/* The lanes in which a run keeps its sums over rows. */
#include "base/cpu.h"
#include "ops/lanes.h"
#include "plan/lanes.h"
#include "plan/tree.h"
#include "plan/worker.h"

enum { PART = 8192, WIDE_PART = 2048 }; /* elements that are added at a time; wide ones on a stack */
enum { DEEPEST = 4, SHALLOWEST = 2 };   /* depth of the nodes of one rank that are jobs */

#define DECLARE(isa) extern ad__lane_adder ad__add_lanes_##isa##_f32, ad__add_lanes_##isa##_f64;
AD_ISAS(DECLARE)

#define ADDERS(isa) [AD_ISA_##isa] = {[AD_F32] = ad__add_lanes_##isa##_f32, [AD_F64] = ad__add_lanes_##isa##_f64},
static ad__lane_adder *const adder[AD_ISA_COUNT][2] = {AD_ISAS(ADDERS)};

static size_t elements_at_once(bool wide)
{
    return wide ? WIDE_PART : PART;
}

static size_t count_parts(const ad__instruction *sum)
{
    const size_t part = elements_at_once(sum->wide);
    return (sum->out.size + part - 1) / part;
}

void ad__place_lanes(ad_plan *plan, ad__stage *stage)
{
    size_t bytes[2] = {0}; /* of the plan's dtype, and wide */
    for (size_t i = 0; i < stage->n_sum; i++) {
        ad__instruction *sum = stage->sum[i];
        const bool wide = sum->op->flags & AD_OP_SUMS_IN_F64 && plan->dtype != AD_F64;
        const size_t size = wide ? sizeof(double) : ad_dtype_size(plan->dtype);
        sum->wide = wide;
        sum->lane_element = bytes[wide];
        sum->first_part = stage->n_part;
        bytes[wide] += (sum->out.size * size + 63) & ~(size_t)63;
        stage->n_part += count_parts(sum);
        plan->shared[sum->out.value].is_sum = true;
    }
    if (bytes[0] > plan->lane_bytes) plan->lane_bytes = bytes[0];
    if (bytes[1] > plan->wide_bytes) plan->wide_bytes = bytes[1];
    if (stage->n_part > plan->n_part) plan->n_part = stage->n_part;
}

/* An accumulator of each sum, one behind the other: [accumulators][size]; the wide ones come first. */
size_t ad__accumulator_bytes(const ad_plan *plan, size_t accumulators)
{
    return accumulators * plan->wide_bytes + (accumulators - 1) * plan->lane_bytes;
}

/* ---- Which lanes there are ------------------------------------------------------------------------------------- */

void ad__lanes_of_rank(ad__lanes *lanes, int rank, int size)
{
    const size_t all = (size_t)1 << lanes->at;
    lanes->first = all * (size_t)rank / (size_t)size;
    lanes->nodes = all * ((size_t)rank + 1) / (size_t)size - lanes->first;
}

ad__lanes ad__plan_lanes(const ad_plan *plan, size_t rows, const ad_communicator *communicator)
{
    enum { MOST = 1024, TILES = 4 };
    const size_t budget = (size_t)64 << 20, tile_rows = ad__plan_tile_of(plan, rows);
    const int size = communicator ? communicator->size : 1;
    ad__lanes l = {.tile_rows = tile_rows, .tiles = (rows + tile_rows - 1) / tile_rows};
    int at = DEEPEST;
    while (at > SHALLOWEST && plan->lane_bytes << at > budget) at--;
    const size_t few = (size_t)1 << at, many = l.tiles / TILES < MOST ? l.tiles / TILES : MOST;
    l.count = many > few ? many : l.tiles < few ? l.tiles : few;
    l.depth = ad__tree_depth(l.count);
    at += ad__tree_depth((size_t)size);
    l.at = at < l.depth ? at : l.depth;
    ad__lanes_of_rank(&l, communicator ? communicator->rank : 0, size);
    return l;
}

/* Number `node` of this rank's, at a depth below its own: the first of so many times two nodes. */
static size_t below(const ad__lanes *lanes, size_t node, int levels)
{
    return (lanes->first + node) << levels;
}

size_t ad__lane_of_leaf(const ad__lanes *lanes, size_t node, size_t leaf)
{
    const size_t at = below(lanes, node, lanes->depth - lanes->at) + leaf;
    return ad__tree_has_lanes(lanes->count, lanes->depth, at) ? ad__tree_lane(lanes->count, lanes->depth, at)
                                                              : lanes->count;
}

/* What comes before a leaf are nodes, one for each bit of its number, of as many leaves as the bit tells. How many of
 * these have lanes? */
static size_t waiting_before(const ad__lanes *lanes, size_t node, size_t leaf)
{
    size_t count = 0;
    const int levels = lanes->depth - lanes->at;
    for (int b = 0; b < levels; b++)
        count += leaf >> b & 1 &&
                 ad__tree_has_lanes(lanes->count, lanes->depth - b, below(lanes, node, levels - b) + (leaf >> b) - 1);
    return count;
}

static size_t accumulators_of_node(const ad__lanes *lanes)
{
    return (size_t)(lanes->depth - lanes->at) + 1;
}

size_t ad__accumulator_of_leaf(const ad__lanes *lanes, size_t node, size_t leaf)
{
    return node * accumulators_of_node(lanes) + waiting_before(lanes, node, leaf);
}

size_t ad__accumulators(const ad__lanes *lanes)
{
    return lanes->nodes * accumulators_of_node(lanes);
}

/* ---- Adding them ------------------------------------------------------------------------------------------------ */

/* To float32, once it is whole; returns its square. */
static double narrow(double total, float *to)
{
    *to = (float)total;
    return (double)*to * (double)*to;
}

/* The same of several; returns the sum of their squares. */
static double narrow_all(const double *total, size_t count, float *to)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) squares += narrow(total[i], to + i);
    return squares;
}

/* How a sum's nodes are added. */
static ad__lane_adder *adder_of(const ad_plan *plan, bool wide)
{
    return adder[ad__isa_of_cpu()][wide ? AD_F64 : plan->dtype];
}

static void add_right_to_left(const ad_plan *plan, const ad__stage *stage, size_t left)
{
    for (size_t i = 0; i < stage->n_sum; i++) {
        const ad__instruction *sum = stage->sum[i];
        void *to = ad__accumulator_at(plan, sum, left);
        adder_of(plan, sum->wide)(to, (const void *[]){NULL, to, ad__accumulator_at(plan, sum, left + 1)}, 3, 0,
                                  sum->out.size);
    }
}

void ad__add_leaf(const ad_plan *plan, const ad__stage *stage, const ad__lanes *lanes, size_t node, size_t leaf)
{
    const int levels = lanes->depth - lanes->at;
    for (int b = 0; leaf >> b & 1; b++) {
        const size_t right = below(lanes, node, levels - b) + (leaf >> b);
        if (!ad__tree_has_lanes(lanes->count, lanes->depth - b, right)) continue;
        if (!ad__tree_has_lanes(lanes->count, lanes->depth - b, right - 1)) continue;
        add_right_to_left(plan, stage, ad__accumulator_of_leaf(lanes, node, leaf >> (b + 1) << (b + 1)));
    }
}

/* Their first parts ascend. */
static const ad__instruction *sum_of_part(const ad__stage *stage, size_t part)
{
    size_t low = 0, high = stage->n_sum;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        *(stage->sum[middle]->first_part <= part ? &low : &high) = middle;
    }
    return stage->sum[low];
}

static ad__part part_of_sum(const ad__instruction *sum, size_t k)
{
    const size_t most = elements_at_once(sum->wide), begin = k * most, rest = sum->out.size - begin;
    return (ad__part){sum, begin, rest < most ? rest : most, sum->wide};
}

ad__part ad__part_of(const ad__stage *stage, size_t part)
{
    const ad__instruction *sum = sum_of_part(stage, part);
    return part_of_sum(sum, part - sum->first_part);
}

static size_t element_size(const ad_plan *plan, const ad__part *part)
{
    return part->wide ? sizeof(double) : ad_dtype_size(plan->dtype);
}

void ad__list_nodes(const ad_plan *plan, const ad__lanes *lanes, const ad__part *part, const void **node)
{
    for (size_t n = 0; n < lanes->nodes; n++)
        if (ad__tree_has_lanes(lanes->count, lanes->at, lanes->first + n))
            node[ad__tree_number(lanes->at, lanes->first + n)] =
                (char *)ad__accumulator_at(plan, part->sum, n * accumulators_of_node(lanes)) +
                part->begin * element_size(plan, part);
}

void ad__add_node(const ad_plan *plan, const ad__part *part, const void *const *node, size_t nodes, size_t root,
                  void *to)
{
    adder_of(plan, part->wide)(to, node, nodes, root, part->count);
}

double ad__add_whole(const ad_plan *plan, const ad__part *part, const void *const *node, size_t nodes, void *to)
{
    if (!part->wide) return adder_of(plan, false)(to, node, nodes, 0, part->count);
    double total[WIDE_PART];
    adder_of(plan, true)(total, node, nodes, 0, part->count);
    return narrow_all(total, part->count, to);
}

typedef struct {
    ad_plan *plan;
    const ad__stage *stage;
    const ad__lanes *lanes;
} addition;

/* As ad__add_whole(), without its tables, for what are single numbers most of the time. A node without lanes counts as
 * -0, to which nothing adds any bit. */
static double add_wide(const addition *a, const ad__part *part, float *to)
{
    const size_t nodes = a->lanes->nodes, step = accumulators_of_node(a->lanes) * part->sum->out.size;
    const double *first = ad__accumulator_at(a->plan, part->sum, 0);
    if (nodes <= 1) return narrow_all(first + part->begin, part->count, to);
    double squares = 0;
    for (size_t i = 0; i < part->count; i++) {
        double total[1 << DEEPEST];
        for (size_t n = 0; n < nodes; n++)
            total[n] = ad__tree_has_lanes(a->lanes->count, a->lanes->at, n) ? first[n * step + part->begin + i] : -0.0;
        for (size_t left = nodes / 2; left > 0; left /= 2)
            for (size_t n = 0; n < left; n++) total[n] = total[2 * n] + total[2 * n + 1];
        squares += narrow(total[0], to + i);
    }
    return squares;
}

static void add_part(const addition *a, const ad__part *part, size_t number)
{
    ad_plan *plan = a->plan;
    const ad__shared *value = &plan->shared[part->sum->out.value];
    void *to = (char *)value->data + part->begin * ad_dtype_size(plan->dtype);
    if (part->wide) {
        plan->part_squares[number] = add_wide(a, part, to);
    } else if (a->lanes->count > 1 || value->squared) {
        const void *node[2 << DEEPEST] = {NULL};
        ad__list_nodes(plan, a->lanes, part, node);
        plan->part_squares[number] = ad__add_whole(plan, part, node, ((size_t)2 << a->lanes->at) - 1, to);
    }
}

static void add_part_of_stage(void *context, size_t number, int worker)
{
    (void)worker;
    const addition *a = context;
    const ad__part part = ad__part_of(a->stage, number);
    add_part(a, &part, number);
}

void ad__add_squares(ad_plan *plan, const ad__stage *stage)
{
    for (size_t i = 0; i < stage->n_sum && plan->squares_wanted; i++) {
        const ad__instruction *sum = stage->sum[i];
        const double *squares = &plan->part_squares[sum->first_part];
        ad__shared *value = &plan->shared[sum->out.value];
        value->squares = 0;
        for (size_t k = 0; k < count_parts(sum); k++) value->squares += squares[k];
    }
}

void ad__add_lanes(ad_plan *plan, const ad__stage *stage, const ad__lanes *lanes, ad_pool *pool)
{
    enum { WORTH_A_THREAD = 4096 }; /* bytes */
    addition a = {plan, stage, lanes};
    if (pool && plan->lane_bytes > WORTH_A_THREAD && (lanes->count > 1 || plan->squares_wanted))
        ad_pool_run(pool, stage->n_part, add_part_of_stage, &a);
    else
        for (size_t i = 0; i < stage->n_sum; i++) {
            const ad__instruction *sum = stage->sum[i];
            /* Where there is one lane nothing is added: a chain of small layers has many small sums, to which tables of
             * parts and nodes would be most of the work. */
            if (lanes->count == 1 && sum->wide && sum->out.size <= WIDE_PART) {
                plan->part_squares[sum->first_part] =
                    narrow_all(ad__accumulator_at(plan, sum, 0), sum->out.size, plan->shared[sum->out.value].data);
                continue;
            }
            for (size_t k = 0; k < count_parts(sum); k++) {
                const ad__part part = part_of_sum(sum, k);
                add_part(&a, &part, sum->first_part + k);
            }
        }
    ad__add_squares(plan, stage);
}

/* Of a value that is no sum itself, but made of some. */
static void square_output(void *context, size_t i, int worker)
{
    (void)worker;
    const ad_plan *plan = context;
    const ad__output *output = &plan->output[i];
    if (!output->squares) return;
    const ad__shared *value = &plan->shared[output->from.value];
    double squares = value->is_sum ? value->squares : 0;
    for (size_t begin = 0; begin < value->size && !value->is_sum; begin += PART) {
        const size_t rest = value->size - begin;
        const void *from = (char *)value->data + begin * ad_dtype_size(plan->dtype);
        squares += adder_of(plan, false)(NULL, &from, 1, 0, rest < PART ? rest : PART);
    }
    *output->squares = squares;
}

void ad__give_squares(ad_plan *plan, ad_pool *pool)
{
    if (!plan->squares_wanted) return;
    bool is_work = false;
    for (int i = 0; i < plan->n_output && !is_work; i++)
        is_work = plan->output[i].squares && !plan->shared[plan->output[i].from.value].is_sum &&
                  plan->output[i].from.size > PART;
    ad_pool_run(is_work ? pool : NULL, (size_t)plan->n_output, square_output, plan);
}
