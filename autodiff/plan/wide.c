#include "plan/execution.h"
#include "tape/builtin.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

/* ---- What there is to do, and to keep ------------------------------------------------------------------------- */

/* The multiplications of a product C (m,n) = A (m,k) B (k,n), from the sizes of all three. */
static double products_in(const ad__instruction *instruction)
{
    const double c = (double)instruction->out.size;
    return c * sqrt((double)instruction->in[0].size * (double)instruction->in[1].size / c);
}

static bool is_product(const ad__instruction *instruction)
{
    return instruction->op == ad__builtin(AD_OP_matmul) || instruction->op == ad__builtin(AD_OP_matmul_rows);
}

/* Nanoseconds a row; they need not be right to better than a factor of two. */
static double cost_of(const ad__instruction *instruction)
{
    const double of_product = 0.04, of_element = 0.4;
    double size = (double)instruction->out.size;
    if (is_product(instruction)) return of_product * products_in(instruction);
    for (int j = 0; j < instruction->n_in; j++) size = fmax(size, (double)instruction->in[j].size);
    return of_element * size;
}

static bool overlap(const ad__operand *a, const ad__operand *b)
{
    return a->per_row && b->per_row && a->at < b->at + b->size && b->at < a->at + a->size;
}

/* The place where a sum shortly before number i has kept this argument, which nothing has changed since. */
static const ad__kept *kept_already(const ad__stage *stage, size_t i, const ad__operand *argument)
{
    enum { NEAR = 32 };
    for (size_t back = 1; back <= NEAR && back <= i; back++) {
        const ad__instruction *before = &stage->row[i - back];
        if (!before->sums_rows && overlap(&before->out, argument)) return NULL;
        for (int j = 0; before->sums_rows && j < before->n_in; j++)
            if (before->in[j].per_row && before->in[j].at == argument->at && before->in[j].size == argument->size)
                return &before->kept[j];
    }
    return NULL;
}

/* Where each argument of the stage's sums is kept; returns how many features are. */
static size_t place_arguments(const ad__stage *stage)
{
    size_t features = 0;
    for (size_t i = 0; i < stage->n_row; i++) {
        ad__instruction *sum = &stage->row[i];
        for (int j = 0; sum->sums_rows && j < sum->n_in; j++) {
            if (!sum->in[j].per_row) continue;
            const ad__kept *already = kept_already(stage, i, &sum->in[j]);
            sum->kept[j] = (ad__kept){already ? already->at : features, !already};
            if (!already) features += sum->in[j].size;
        }
    }
    return features;
}

/* Jobs that are worth a thread: small sums are put together, large ones are cut. Returns their number, and lists them
 * unless share is NULL. */
static size_t share_out(const ad_plan *plan, const ad__stage *stage, ad__share *share)
{
    enum { WORTH_A_JOB = 48000, FEWEST_ROWS = 64 }; /* ns of a tile; of a matrix */
    size_t n = 0, begin = 0;
    double together = 0;
    for (size_t i = 0; i < stage->n_sum; i++) {
        const ad__instruction *sum = stage->sum[i];
        const double cost = cost_of(sum) * (double)plan->tile_rows;
        size_t parts = 1;
        if (sum->op->flags & AD_OP_IN_PARTS && sum->out.shape.rank > 0)
            parts = (size_t)fmin(cost / WORTH_A_JOB, (double)(sum->out.shape.dim[0] / FEWEST_ROWS));
        if (begin < i && (parts > 1 || together + cost > WORTH_A_JOB)) {
            if (share) share[n] = (ad__share){begin, i, 0, 1};
            n++;
            begin = i;
            together = 0;
        }
        together += cost;
        if (parts <= 1) continue;
        for (size_t p = 0; share && p < parts; p++) share[n + p] = (ad__share){i, i + 1, p, parts};
        n += parts;
        begin = i + 1;
        together = 0;
    }
    if (begin == stage->n_sum) return n;
    if (share) share[n] = (ad__share){begin, stage->n_sum, 0, 1};
    return n + 1;
}

static bool prepare_stage(ad_plan *plan, ad__stage *stage)
{
    ad__width *width = &plan->width;
    for (size_t i = 0; i < stage->n_row; i++) {
        ad__instruction *instruction = &stage->row[i];
        *(instruction->sums_rows ? &width->sum : &width->row) += cost_of(instruction);
        if (!instruction->sums_rows) continue;
        width->possible &= instruction->evaluate && instruction->n_in <= AD__MOST_KEPT;
        instruction->kept = ad__arena_alloc(&plan->arena, (size_t)instruction->n_in, sizeof *instruction->kept);
        if (!instruction->kept) return false;
    }
    width->sums |= stage->n_sum > 0;
    const size_t features = place_arguments(stage);
    if (features > width->features) width->features = features;
    stage->n_share = share_out(plan, stage, NULL);
    stage->share = ad__arena_alloc(&plan->arena, stage->n_share, sizeof *stage->share);
    if (!stage->share) return false;
    share_out(plan, stage, stage->share);
    if (stage->n_share > width->shares) width->shares = stage->n_share;
    return true;
}

bool ad__plan_prepare_wide(ad_plan *plan)
{
    const double of_call = 40;
    plan->width.possible = true;
    for (size_t s = 0; s < plan->n_stage; s++) {
        if (!prepare_stage(plan, &plan->stage[s])) return false;
        plan->width.call += of_call * (double)plan->stage[s].n_row;
    }
    return true;
}

/* ---- How a run is cut ---------------------------------------------------------------------------------------- */

static size_t in_units(size_t count, size_t unit)
{
    return (count + unit - 1) / unit;
}

/* Rows whose time is lost at the ends of a piece, in products above all. */
static const double rows_lost = 8;

/* Of so many tiles in pieces of so many rows: the time until all threads are done. */
static double time_of_pieces(const ad_plan *plan, size_t tile_rows, size_t tiles, size_t rows, int threads)
{
    const ad__width *width = &plan->width;
    const double keeping = 0.5 * (double)width->features;
    const size_t turns = in_units(tiles * in_units(tile_rows, rows), (size_t)threads);
    return (double)turns * (((double)rows + rows_lost) * width->row + (double)rows * keeping + width->call);
}

static size_t best_piece(const ad_plan *plan, size_t tile_rows, size_t tiles, int threads)
{
    enum { MOST = 256 };
    size_t best = tile_rows;
    double least = time_of_pieces(plan, tile_rows, tiles, best, threads);
    for (size_t rows = MOST < tile_rows ? MOST : tile_rows; rows >= AD_ROW_QUANTUM; rows -= AD_ROW_QUANTUM) {
        const double time = time_of_pieces(plan, tile_rows, tiles, rows, threads);
        if (time >= least) continue;
        least = time;
        best = rows;
    }
    return best;
}

static size_t kept_bytes(const ad_plan *plan)
{
    return plan->tile_rows * plan->width.features * ad_dtype_size(plan->dtype);
}

ad__cut ad__plan_cut(const ad_plan *plan, size_t rows, const ad__lanes *lanes, int threads)
{
    const double barrier = 400, gain = 0.8; /* barrier: nanoseconds for each thread */
    const size_t budget = (size_t)96 << 20;
    const ad__width *width = &plan->width;
    const size_t tile_rows = lanes->tile_rows, nodes = lanes->nodes, leaves = ad__leaves(lanes);
    const ad__cut plain = {.piece_rows = tile_rows};
    if (threads == 1 || rows == 0 || nodes == 0) return plain;
    if (!width->sums) {
        const size_t tiles = in_units(lanes->tiles * nodes, (size_t)1 << lanes->at);
        return (ad__cut){.piece_rows = best_piece(plan, tile_rows, tiles, threads)};
    }
    const size_t most = budget / (kept_bytes(plan) + 1);
    if (!width->possible || most == 0) return plain;

    const size_t of_lane = in_units(lanes->tiles, lanes->count), at_once = in_units(nodes, in_units(nodes, most));
    ad__cut cut = {.nodes = at_once, .tiles = in_units(of_lane, in_units(of_lane, most / at_once))};
    const size_t together = at_once * cut.tiles;
    const size_t rounds = in_units(nodes, at_once) * leaves * in_units(of_lane, cut.tiles);
    cut.piece_rows = best_piece(plan, tile_rows, together, threads);
    const size_t adders = at_once * width->shares < (size_t)threads ? at_once * width->shares : (size_t)threads;
    const double wide =
        (double)rounds * (time_of_pieces(plan, tile_rows, together, cut.piece_rows, threads) +
                          1.2 * (double)(together * tile_rows) * width->sum / (double)adders + 2 * barrier * threads);
    const double by_nodes = (double)(in_units(nodes, (size_t)threads) * leaves * of_lane) *
                            ((double)tile_rows * (width->row + width->sum) + width->call);
    return wide < gain * by_nodes ? cut : plain;
}

/* A run of fewer rows may be wide where one of more isn't. */
bool ad__plan_reserve_wide(ad_plan *plan, size_t rows, int threads, const ad_communicator *communicator)
{
    enum { FEW_LANES = 16 };
    ad__width *width = &plan->width;
    const int ranks = communicator ? communicator->size : 1;
    if (threads == 1 || !width->sums || (rows <= width->rows && threads == width->threads && ranks == width->ranks))
        return true;
    /* Tiles are whole but for a first half; with more of them than `enough`, threads have several lanes' each. */
    const size_t enough = plan->tile_rows * 4 * ((size_t)threads + FEW_LANES) * (size_t)ranks;
    size_t most = 0, at = plan->tile_rows / 2;
    for (bool last = false; !last; at = at < plan->tile_rows ? plan->tile_rows : at + plan->tile_rows) {
        last = at >= rows || at >= enough;
        const size_t some = at >= enough ? rows : at;
        const ad__lanes lanes = ad__plan_lanes(plan, some, communicator);
        const ad__cut cut = ad__plan_cut(plan, some, &lanes, threads);
        if (cut.nodes * cut.tiles > most) most = cut.nodes * cut.tiles;
    }
    if (most > width->capacity) {
        char *memory = ad_alloc_aligned(most, kept_bytes(plan));
        if (!memory) return false;
        ad_free_aligned(width->memory);
        width->memory = memory;
        width->capacity = most;
    }
    width->rows = rows;
    width->threads = threads;
    width->ranks = ranks;
    return true;
}

/* ---- Running ------------------------------------------------------------------------------------------------- */

void ad__keep(const ad_plan *plan, const ad__instruction *sum, const char *tile, size_t rows, const ad__keeping *to)
{
    const size_t size = ad_dtype_size(plan->dtype);
    for (int j = 0; j < sum->n_in; j++) {
        if (!sum->in[j].per_row || !sum->kept[j].fresh) continue;
        const char *from = tile + sum->in[j].at * rows * size;
        char *kept = to->data + (sum->kept[j].at * to->rows + to->first) * size;
        for (size_t f = 0; f < sum->in[j].size; f++)
            memcpy(kept + f * to->rows * size, from + f * rows * size, rows * size);
    }
}

typedef struct {
    size_t accumulator, first, valid, rows; /* rows: with padding */
    char *kept;
    bool exists, begins; /* begins: it's the lane's first */
} wide_tile;

/* Number i of a round, node by node. */
static wide_tile tile_of_round(const ad__execution *e, size_t i)
{
    const ad__lanes *lanes = &e->lanes;
    const size_t node = e->first_node + i / e->cut.tiles;
    if (node >= lanes->nodes) return (wide_tile){.exists = false};
    const size_t lane = ad__lane_of_leaf(lanes, node, e->leaf);
    if (lane == lanes->count) return (wide_tile){.exists = false};
    const size_t begin = ad__lane_begin(lanes, lane), number = begin + e->first_tile + i % e->cut.tiles;
    wide_tile tile = {.exists = number < ad__lane_begin(lanes, lane + 1), .begins = number == begin};
    if (!tile.exists) return tile;
    tile.accumulator = ad__accumulator_of_leaf(lanes, node, e->leaf);
    tile.first = number * lanes->tile_rows;
    tile.valid = e->run->rows - tile.first < lanes->tile_rows ? e->run->rows - tile.first : lanes->tile_rows;
    tile.rows = in_units(tile.valid, AD_ROW_QUANTUM) * AD_ROW_QUANTUM;
    tile.kept = e->plan->width.memory + i * kept_bytes(e->plan);
    return tile;
}

static void run_piece(void *context, size_t i, int worker)
{
    ad__execution *e = context;
    const size_t pieces = in_units(e->lanes.tile_rows, e->cut.piece_rows);
    const wide_tile tile = tile_of_round(e, i / pieces);
    const size_t first = i % pieces * e->cut.piece_rows;
    if (!tile.exists || first >= tile.valid) return;
    const size_t rest = tile.valid - first, valid = rest < e->cut.piece_rows ? rest : e->cut.piece_rows;
    const ad__keeping keeping = {tile.kept, tile.rows, first};
    ad__run_rows(e, tile.first + first, valid, 0, false, &keeping, &e->plan->worker[worker]);
}

static void add_tile(const ad__execution *e, const ad__instruction *sum, const ad__share *share, const wide_tile *at,
                     const ad__worker *worker)
{
    const ad_plan *plan = e->plan;
    ad_tensor in[AD__MOST_KEPT];
    for (int j = 0; j < sum->n_in; j++)
        in[j] = ad__tensor_at(&sum->in[j], sum->in[j].per_row
                                               ? at->kept + sum->kept[j].at * at->rows * ad_dtype_size(plan->dtype)
                                               : plan->shared[sum->in[j].value].data);
    const ad_tile tile = {
        .in = in,
        .out = {.data = ad__accumulator_at(plan, sum, at->accumulator), .shape = sum->out.shape, .size = sum->out.size},
        .n_in = sum->n_in,
        .rows = at->rows,
        .valid = at->valid,
        .attribute = sum->attribute,
        .n_attribute = sum->n_attribute,
        .object = sum->object,
        .state = worker->state[sum->state],
        .scratch = worker->scratch,
        .seed = e->run->seed,
        .step = e->run->step,
        .first_row = e->run->first_row + at->first,
        .total_rows = e->run->rows,
        .accumulate = !at->begins,
        .part = share->part,
        .parts = share->parts};
    sum->evaluate(&tile);
}

static void run_share(void *context, size_t i, int worker)
{
    ad__execution *e = context;
    const ad__share *share = &e->stage->share[i % e->stage->n_share];
    const size_t node = i / e->stage->n_share;
    for (size_t s = share->begin; s < share->end; s++)
        for (size_t t = 0; t < e->cut.tiles; t++) {
            const wide_tile tile = tile_of_round(e, node * e->cut.tiles + t);
            if (tile.exists) add_tile(e, e->stage->sum[s], share, &tile, &e->plan->worker[worker]);
        }
}

static void add_leaf(void *context, size_t i, int worker)
{
    (void)worker;
    const ad__execution *e = context;
    if (e->first_node + i < e->lanes.nodes) ad__add_leaf(e->plan, e->stage, &e->lanes, e->first_node + i, e->leaf);
}

/* The tiles of the lanes that some nodes have at a leaf. */
static void run_leaf(ad__execution *e)
{
    const size_t pieces = in_units(e->lanes.tile_rows, e->cut.piece_rows);
    const size_t of_lane = in_units(e->lanes.tiles, e->lanes.count);
    for (e->first_tile = 0; e->first_tile < of_lane; e->first_tile += e->cut.tiles) {
        ad_pool_run(e->pool, e->cut.nodes * e->cut.tiles * pieces, run_piece, e);
        ad_pool_run(e->pool, e->cut.nodes * e->stage->n_share, run_share, e);
    }
    if (e->leaf > 0) ad_pool_run(e->pool, e->cut.nodes, add_leaf, e);
}

void ad__run_wide(ad__execution *e)
{
    for (e->first_node = 0; e->first_node < e->lanes.nodes; e->first_node += e->cut.nodes)
        for (e->leaf = 0; e->leaf < ad__leaves(&e->lanes); e->leaf++) run_leaf(e);
}
