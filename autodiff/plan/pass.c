/* Passes: tiles of rows, as jobs for threads, and what ranks have to tell each other of them. */
#include "plan/execution.h"
#include "plan/ranks.h"

typedef ad__execution execution;

/* The tiles of a lane, which are to be in this accumulator. */
static void run_lane(execution *e, size_t lane, size_t accumulator, ad__worker *worker)
{
    const size_t rows = e->lanes.tile_rows, begin = ad__lane_begin(&e->lanes, lane);
    for (size_t t = begin; t < ad__lane_begin(&e->lanes, lane + 1); t++) {
        const size_t rest = e->run->rows - t * rows;
        ad__run_rows(e, t * rows, rest < rows ? rest : rows, accumulator, t > begin, NULL, worker);
    }
}

static void run_node(void *context, size_t node, int worker)
{
    execution *e = context;
    const ad__lanes *lanes = &e->lanes;
    for (size_t leaf = 0; leaf < ad__leaves(lanes); leaf++) {
        const size_t lane = ad__lane_of_leaf(lanes, node, leaf);
        if (lane < lanes->count)
            run_lane(e, lane, ad__accumulator_of_leaf(lanes, node, leaf), &e->plan->worker[worker]);
        ad__add_leaf(e->plan, e->stage, lanes, node, leaf);
    }
}

static void run_piece(void *context, size_t i, int worker)
{
    execution *e = context;
    const size_t at = i * e->cut.piece_rows, rest = e->rows - at;
    ad__run_rows(e, e->first_row + at, rest < e->cut.piece_rows ? rest : e->cut.piece_rows, 0, false, NULL,
                 &e->plan->worker[worker]);
}

static void run_rows_of_rank(execution *e)
{
    const int rank = e->communicator ? e->communicator->rank : 0;
    e->first_row = ad__first_row_of_rank(e, rank);
    e->rows = ad__first_row_of_rank(e, rank + 1) - e->first_row;
    if (e->stage->n_sum == 0)
        ad_pool_run(e->pool, (e->rows + e->cut.piece_rows - 1) / e->cut.piece_rows, run_piece, e);
    else if (e->cut.nodes > 0)
        ad__run_wide(e);
    else
        ad_pool_run(e->pool, e->lanes.nodes, run_node, e);
}

void ad__run_pass(execution *e)
{
    const ad__stage *stage = e->stage;
    if (stage->n_row + stage->n_store == 0) return;
    e->sums_faults = false;
    run_rows_of_rank(e);
    if (e->unread) e->status = e->why;
    if (e->status) return;
    if (e->communicator)
        e->status = ad__join_ranks(e);
    else if (stage->n_sum > 0)
        ad__add_lanes(e->plan, stage, &e->lanes, e->pool);
}
