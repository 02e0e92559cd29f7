/* The order of rows that are read in blocks. */
#include "training/order.h"
#include "training/fit.h"

#include <math.h>

/* ---- Blocks -------------------------------------------------------------------------------------------------- */

/* As many rows as 128 KiB hold in float64, so that a disk reads about as fast as it can and, of few rows, so few that
 * there is much to shuffle. A power of two: rows are divided by it all the time. */
static unsigned bits_of_block(size_t rows, size_t numbers)
{
    enum { BYTES = 128 << 10, FEWEST_BLOCKS = 64 };
    unsigned bits = 0;
    while (((size_t)2 << bits) * numbers * sizeof(double) <= BYTES && ((size_t)2 << bits) * FEWEST_BLOCKS <= rows)
        bits++;
    return bits;
}

nf__order nf__order_of(size_t rows, size_t numbers, double fraction, uint64_t seed)
{
    nf__order o = {.seed = seed, .rows = rows, .bits = bits_of_block(rows, numbers)};
    o.blocks = rows >> o.bits;
    if (fraction > 0) {
        const size_t wanted = (size_t)llround(fraction * (double)o.blocks);
        o.val_blocks = wanted > 0 ? wanted : 1;
        if (o.val_blocks >= o.blocks) o.val_blocks = o.blocks - 1;
    }
    o.n_val = o.val_blocks << o.bits;
    o.n_train = rows - o.n_val;
    return o;
}

static size_t block_rows(const nf__order *o)
{
    return (size_t)1 << o->bits;
}

/* Of the whole blocks, in the order in which they are split. */
static size_t split_block(const nf__order *o, size_t i)
{
    return (size_t)ad_random_permutation(o->seed, NF__SPLIT_STREAM, o->blocks, i);
}

size_t nf__order_run(const nf__order *o, bool validation, size_t place, size_t most, size_t *row)
{
    const size_t block = place >> o->bits, within = place & (block_rows(o) - 1);
    const size_t number = block + (validation ? 0 : o->val_blocks);
    const size_t left = block_rows(o) - within;
    *row = ((number < o->blocks ? split_block(o, number) : o->blocks) << o->bits) + within;
    return most < left ? most : left;
}

size_t nf__order_block(const nf__order *o, size_t block, size_t *rows)
{
    const size_t whole = o->blocks - o->val_blocks;
    if (block >= whole) {
        *rows = o->rows - (o->blocks << o->bits);
        return o->blocks << o->bits;
    }
    *rows = block_rows(o);
    const size_t drawn = (size_t)ad_random_permutation(o->seed, NF__SHUFFLE_STREAM + o->epoch, whole, block);
    return split_block(o, o->val_blocks + drawn) << o->bits;
}

/* ---- Groups -------------------------------------------------------------------------------------------------- */

/* Where the share of a group begins in a batch of so many rows. */
static size_t share_begin(size_t group, size_t rows)
{
    return (group * rows + NF__GROUPS - 1) / NF__GROUPS;
}

static size_t share(size_t group, size_t rows)
{
    return share_begin(group + 1, rows) - share_begin(group, rows);
}

/* Rows that the batches before number s take from a group. */
static size_t taken_before(const nf__batches *b, size_t s, size_t group)
{
    const size_t many = s < b->many ? s : b->many;
    return many * share(group, b->size) + (s - many) * share(group, b->other);
}

/* Where the group begins in the epoch's line. */
static size_t group_begin(const nf__batches *b, size_t group)
{
    return b->many * share_begin(group, b->size) + b->others * share_begin(group, b->other);
}

static size_t window_rows(const nf__order *o)
{
    return (size_t)NF__WINDOW_BLOCKS << o->bits;
}

nf__stretch nf__order_stretch(const nf__order *o, size_t place, size_t end)
{
    const nf__batches *b = &o->batches;
    const size_t s = nf__batch_at(b, place);
    const size_t rows = nf__batch_rows(b, s), at = place - nf__batch_begin(b, s), group = at * NF__GROUPS / rows;
    const size_t taken = taken_before(b, s, group) + at - share_begin(group, rows);
    const size_t all = taken_before(b, b->many + b->others, group), most = window_rows(o), window = taken / most;
    const size_t of_batch = share_begin(group + 1, rows) - at, left = all - window * most;
    nf__stretch stretch = {.group = group, .window = window, .begin = group_begin(b, group) + window * most};
    stretch.size = left < most ? left : most;
    stretch.first_block = stretch.begin >> o->bits;
    stretch.blocks = ((stretch.begin + stretch.size - 1) >> o->bits) - stretch.first_block + 1;
    stretch.place = taken - window * most;
    stretch.rows = end - place < of_batch ? end - place : of_batch;
    if (stretch.rows > stretch.size - stretch.place) stretch.rows = stretch.size - stretch.place;
    /* Apart from the streams of the split and of the blocks. */
    const uint64_t stream = (o->epoch + 1) << 36 | (uint64_t)window * NF__GROUPS | group;
    stretch.shuffled = ad_permutation_of(o->seed, stream, stretch.size);
    return stretch;
}

size_t nf__order_in_line(const nf__stretch *stretch, size_t i)
{
    return stretch->begin + (size_t)ad_permutation_image(&stretch->shuffled, stretch->place + i);
}

bool nf__order_windows(const nf__order *o, size_t batch, size_t group, size_t *first, size_t *last)
{
    const size_t rows = share(group, nf__batch_rows(&o->batches, batch));
    const size_t taken = taken_before(&o->batches, batch, group);
    if (rows == 0) return false;
    *first = taken / window_rows(o);
    *last = (taken + rows - 1) / window_rows(o);
    return true;
}

size_t nf__order_sets(const nf__order *o)
{
    const size_t rows = o->batches.size > o->batches.other ? o->batches.size : o->batches.other;
    return 2 + share(0, rows) / window_rows(o);
}
