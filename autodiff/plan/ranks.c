#include "plan/ranks.h"
#include "plan/tree.h"

#include <weir/memory.h>

#include <string.h>

enum { MOST_AT = 10, MOST_SENT = 2 * MOST_AT }; /* depth of nodes, and how many of them a rank sends */

/* The sums of a stage, on their way. */
typedef struct {
    ad__execution *e;
    const ad_communicator *c;
    bool few; /* bytes, so that everybody adds up everything */
    /* Where each part lies in messages, one behind the other, as nodes and as what becomes of them; with its end. */
    size_t *node_at, *whole_at;
    size_t *first_part;                        /* that a rank adds up, up to the next rank's */
    size_t *sends, (*number)[MOST_SENT];       /* of each rank: how many nodes it sends, and which */
    size_t *send, *receive, *send_at, *got_at; /* bytes, and where they are: those to a rank, and those from it */
    char *sent, *received, *whole;
} joining;

/* ---- What is whose ---------------------------------------------------------------------------------------------- */

/* By nodes where there are sums; else rows may be dealt out evenly. */
size_t ad__first_row_of_rank(const ad__execution *e, int rank)
{
    const size_t rows = e->run->rows;
    const int size = e->communicator ? e->communicator->size : 1;
    if (e->stage->n_sum == 0) return rank == size ? rows : rows * (size_t)rank / (size_t)size;
    ad__lanes lanes = e->lanes;
    ad__lanes_of_rank(&lanes, rank, size);
    const size_t first = ad__lane_begin(&lanes, ad__tree_lane(lanes.count, lanes.at, lanes.first)) * lanes.tile_rows;
    return first < rows ? first : rows;
}

static size_t in_lines(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static void place_parts(joining *j)
{
    const ad_plan *plan = j->e->plan;
    const ad__stage *stage = j->e->stage;
    for (size_t p = 0; p < stage->n_part; p++) {
        const ad__part part = ad__part_of(stage, p);
        const size_t size = ad_dtype_size(plan->dtype);
        j->node_at[p + 1] = j->node_at[p] + in_lines(part.count * (part.wide ? sizeof(double) : size));
        j->whole_at[p + 1] = j->whole_at[p] + in_lines(part.count * size + sizeof(double)); /* and of its squares */
    }
}

/* To each rank as many bytes as to every other, as far as parts can be so dealt. */
static void deal_parts(joining *j)
{
    const size_t parts = j->e->stage->n_part;
    size_t p = 0;
    for (int rank = 0; rank < j->c->size; rank++) {
        const double share = (double)j->node_at[parts] * rank / j->c->size;
        while (p < parts && (double)j->node_at[p] < share) p++;
        j->first_part[rank] = p;
    }
    j->first_part[j->c->size] = parts;
}

/* The fewest nodes that hold all lanes of a rank, in the order of these. */
static size_t nodes_of_rank(const joining *j, int rank, size_t number[static MOST_SENT])
{
    ad__lanes lanes = j->e->lanes;
    ad__lanes_of_rank(&lanes, rank, j->c->size);
    size_t count = 0, at = lanes.first, end = lanes.first + lanes.nodes;
    while (at < end) {
        int up = 0;
        while (up < lanes.at && (at >> up & 1) == 0 && at + ((size_t)2 << up) <= end) up++;
        if (ad__tree_has_lanes(lanes.count, lanes.at - up, at >> up))
            number[count++] = ad__tree_number(lanes.at - up, at >> up);
        at += (size_t)1 << up;
    }
    return count;
}

/* The bytes of a rank's parts in a node. */
static size_t node_bytes(const joining *j, int rank)
{
    return j->node_at[j->first_part[rank + 1]] - j->node_at[j->first_part[rank]];
}

/* Messages, one behind the other: of few bytes the same one to everybody. */
static void place_messages(joining *j, size_t *sent, size_t *received)
{
    const int me = j->c->rank;
    const size_t all = j->node_at[j->e->stage->n_part];
    *sent = *received = 0;
    for (int rank = 0; rank < j->c->size; rank++) {
        const bool other = rank != me;
        j->send[rank] = other && !j->few ? j->sends[me] * node_bytes(j, rank) : 0;
        j->receive[rank] = j->few ? j->sends[rank] * all : other ? j->sends[rank] * node_bytes(j, me) : 0;
        j->send_at[rank] = *sent;
        j->got_at[rank] = *received;
        *sent += j->send[rank];
        *received += j->receive[rank];
    }
}

/* Grows, so that runs like the last one allocate nothing. */
static bool have(ad__transfer *t, size_t sizes, size_t bytes)
{
    if (sizes > t->sizes) {
        size_t *size = ad_realloc(t->size, sizes, sizeof *size);
        if (!size) return false;
        t->size = size;
        t->sizes = sizes;
    }
    if (bytes > t->bytes) {
        ad_free_aligned(t->memory);
        t->bytes = 0;
        t->memory = ad_alloc_aligned(bytes, 1);
        if (!t->memory) return false;
        t->bytes = bytes;
    }
    return true;
}

static bool lay_out(joining *j)
{
    enum { FEW_BYTES = 16 << 10 };
    ad__transfer *t = &j->e->plan->transfer;
    const size_t parts = j->e->stage->n_part, ranks = (size_t)j->c->size;
    size_t sent, received;
    if (!have(t, 2 * (parts + 1) + ranks + 1 + ranks * (5 + MOST_SENT), 0)) return false;
    j->node_at = t->size;
    j->whole_at = j->node_at + parts + 1;
    j->first_part = j->whole_at + parts + 1;
    j->sends = j->first_part + ranks + 1;
    j->send = j->sends + ranks;
    j->receive = j->send + ranks;
    j->send_at = j->receive + ranks;
    j->got_at = j->send_at + ranks;
    j->number = (size_t(*)[MOST_SENT])(j->got_at + ranks);
    j->node_at[0] = j->whole_at[0] = 0;
    place_parts(j);
    j->few = j->node_at[parts] <= FEW_BYTES;
    deal_parts(j);
    for (int rank = 0; rank < j->c->size; rank++) j->sends[rank] = nodes_of_rank(j, rank, j->number[rank]);
    place_messages(j, &sent, &received);
    if (!have(t, 0, sent + received + j->whole_at[parts])) return false;
    j->sent = t->memory;
    j->received = j->sent + sent;
    j->whole = j->received + received;
    return true;
}

/* ---- Adding and sending ------------------------------------------------------------------------------------------ */

static int rank_of_part(const joining *j, size_t part)
{
    int low = 0, high = j->c->size;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        *(j->first_part[middle] <= part ? &low : &high) = middle;
    }
    return low;
}

/* Where a node's elements of a part are, among those that a rank sends. */
static size_t place_in(const joining *j, size_t node, size_t part, int adder)
{
    if (j->few) return node * j->node_at[j->e->stage->n_part] + j->node_at[part];
    return node * node_bytes(j, adder) + j->node_at[part] - j->node_at[j->first_part[adder]];
}

static size_t count_nodes(const joining *j)
{
    return ((size_t)2 << j->e->lanes.at) - 1;
}

static void pack_part(void *context, size_t number, int worker)
{
    (void)worker;
    const joining *j = context;
    const ad_plan *plan = j->e->plan;
    const int me = j->c->rank, adder = j->few ? me : rank_of_part(j, number);
    if (adder == me && !j->few) return;
    const ad__part part = ad__part_of(j->e->stage, number);
    const void *node[2 << MOST_AT];
    memset(node, 0, count_nodes(j) * sizeof *node);
    ad__list_nodes(plan, &j->e->lanes, &part, node);
    char *message = j->few ? j->received + j->got_at[me] : j->sent + j->send_at[adder];
    for (size_t k = 0; k < j->sends[me]; k++)
        ad__add_node(plan, &part, node, count_nodes(j), j->number[me][k], message + place_in(j, k, number, adder));
}

/* Where the sum is to be, and where its part begins there. */
static char *place_of_sum(const joining *j, const ad__part *part)
{
    const ad_plan *plan = j->e->plan;
    return (char *)plan->shared[part->sum->out.value].data + part->begin * ad_dtype_size(plan->dtype);
}

/* Number i of the parts that this rank adds up. */
static void add_part(void *context, size_t i, int worker)
{
    (void)worker;
    const joining *j = context;
    ad_plan *plan = j->e->plan;
    const int me = j->c->rank;
    const size_t number = j->few ? i : j->first_part[me] + i;
    const ad__part part = ad__part_of(j->e->stage, number);
    const void *node[2 << MOST_AT];
    memset(node, 0, count_nodes(j) * sizeof *node);
    for (int rank = 0; rank < j->c->size; rank++)
        for (size_t k = 0; k < j->sends[rank] && (rank != me || j->few); k++)
            node[j->number[rank][k]] = j->received + j->got_at[rank] + place_in(j, k, number, me);
    if (!j->few) ad__list_nodes(plan, &j->e->lanes, &part, node);
    char *to = j->few ? place_of_sum(j, &part) : j->whole + j->whole_at[number];
    const double squares = ad__add_whole(plan, &part, node, count_nodes(j), to);
    if (j->few)
        plan->part_squares[number] = squares;
    else
        memcpy(j->whole + j->whole_at[number + 1] - sizeof squares, &squares, sizeof squares);
}

static void unpack_part(void *context, size_t number, int worker)
{
    (void)worker;
    const joining *j = context;
    ad_plan *plan = j->e->plan;
    const ad__part part = ad__part_of(j->e->stage, number);
    memcpy(place_of_sum(j, &part), j->whole + j->whole_at[number], part.count * ad_dtype_size(plan->dtype));
    memcpy(&plan->part_squares[number], j->whole + j->whole_at[number + 1] - sizeof(double), sizeof(double));
}

static ad_status join_few(joining *j)
{
    const size_t parts = j->e->stage->n_part;
    for (size_t p = 0; p < parts; p++) pack_part(j, p, 0);
    const ad_status status = j->c->gather(j->c, j->received, j->receive, j->e->error);
    for (size_t p = 0; p < parts && !status; p++) add_part(j, p, 0);
    return status;
}

static ad_status join_many(joining *j)
{
    const size_t parts = j->e->stage->n_part;
    const int me = j->c->rank;
    ad_pool_run(j->e->pool, parts, pack_part, j);
    ad_status status = j->c->exchange(j->c, j->sent, j->send, j->received, j->receive, j->e->error);
    if (status) return status;
    ad_pool_run(j->e->pool, j->first_part[me + 1] - j->first_part[me], add_part, j);
    for (int rank = 0; rank < j->c->size; rank++)
        j->receive[rank] = j->whole_at[j->first_part[rank + 1]] - j->whole_at[j->first_part[rank]];
    status = j->c->gather(j->c, j->whole, j->receive, j->e->error);
    if (!status) ad_pool_run(j->e->pool, parts, unpack_part, j);
    return status;
}

static ad_status join_sums(ad__execution *e)
{
    joining j = {.e = e, .c = e->communicator};
    if (e->stage->n_sum == 0) return AD_OK;
    if (!lay_out(&j))
        return ad_error_set(e->error, AD_ERROR_MEMORY, "out of memory for the sums of %d ranks", j.c->size);
    const ad_status status = j.few ? join_few(&j) : join_many(&j);
    if (!status) ad__add_squares(e->plan, e->stage);
    return status;
}

/* ---- What is stored of each row ---------------------------------------------------------------------------------- */

static ad_status join_rows(ad__execution *e)
{
    const ad_communicator *c = e->communicator;
    ad_plan *plan = e->plan;
    if (!have(&plan->transfer, (size_t)c->size, 0))
        return ad_error_set(e->error, AD_ERROR_MEMORY, "out of memory for the rows of %d ranks", c->size);
    ad_status status = AD_OK;
    for (size_t i = 0; i < e->stage->n_store && !status; i++) {
        const ad__store *store = &e->stage->store[i];
        const size_t size = store->from.size * ad_dtype_size(plan->dtype);
        for (int rank = 0; rank < c->size; rank++)
            plan->transfer.size[rank] = (ad__first_row_of_rank(e, rank + 1) - ad__first_row_of_rank(e, rank)) * size;
        if (plan->output[store->output].data)
            status = c->gather(c, plan->output[store->output].data, plan->transfer.size, e->error);
    }
    return status;
}

ad_status ad__join_ranks(ad__execution *e)
{
    const ad_status status = join_sums(e);
    return status ? status : join_rows(e);
}
