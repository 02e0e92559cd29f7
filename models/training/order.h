/* The order of rows that are read from elsewhere in blocks: which validate, and how the others are shuffled.
 *
 * A block is rows that follow one another, and is read at once. Whole blocks validate, drawn at random; the others
 * train. An epoch takes them in random order, and lays that line of blocks out in GROUPS parts; a batch takes an equal
 * share of its rows from each. A part is gone through in windows of so many blocks, whose rows come in random order: a
 * window is all of a part that is in memory. So a row of a batch may be any of those of its window, and those of a
 * batch are of GROUPS windows with as many blocks as that, from all over the data.
 *
 * Why parts: a lane of a run takes rows that follow one another in a batch, so that each part belongs to few lanes, and
 * ranks that have other lanes read other blocks.
 *
 * All of it is arithmetic on (seed, epoch, place): there is no list of rows. */
#ifndef WEIR_MODELS_TRAINING_ORDER_H
#define WEIR_MODELS_TRAINING_ORDER_H

#include <weir/random.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NF__GROUPS = 16, NF__WINDOW_BLOCKS = 32 };

/* Batches of an epoch: the first `many` of `size` rows, and behind them `others` of `other` rows. */
typedef struct {
    size_t size, many, other, others;
} nf__batches;

static inline size_t nf__batch_begin(const nf__batches *b, size_t s)
{
    return s <= b->many ? s * b->size : b->many * b->size + (s - b->many) * b->other;
}

static inline size_t nf__batch_rows(const nf__batches *b, size_t s)
{
    return s < b->many ? b->size : b->other;
}

/* The one that a place is in. */
static inline size_t nf__batch_at(const nf__batches *b, size_t place)
{
    const size_t in_many = b->many * b->size;
    return place < in_many ? place / b->size : b->many + (place - in_many) / b->other;
}

typedef struct {
    uint64_t seed, epoch;
    size_t rows;               /* of the data */
    unsigned bits;             /* a block has 2^bits rows, but for the last, which may be shorter and always trains */
    size_t blocks, val_blocks; /* whole ones, and how many of these validate */
    size_t n_train, n_val;     /* rows */
    nf__batches batches;
} nf__order;

/* For rows of so many numbers. `fraction` of them validate, none if it is not above 0. */
nf__order nf__order_of(size_t rows, size_t numbers, double fraction, uint64_t seed);

/* Rows that lie one behind the other, from a place of the training or of the validation rows on: the first, and how
 * many of `most`. */
size_t nf__order_run(const nf__order *order, bool validation, size_t place, size_t most, size_t *row);

/* Where the rows of places in an epoch are: one of these for each run of places that are in one window. */
typedef struct {
    size_t group, window;       /* its number in its group */
    size_t first_block, blocks; /* of the epoch's line that it takes rows from */
    size_t begin, size;         /* of the window, in rows of that line */
    size_t place;               /* of the first row, in the window */
    size_t rows;                /* how many are in it */
    ad_permutation shuffled;    /* the rows of the window */
} nf__stretch;

/* That which `place` is in, of rows up to `end`. */
nf__stretch nf__order_stretch(const nf__order *order, size_t place, size_t end);
/* Row i of it, as a row of the epoch's line. */
size_t nf__order_in_line(const nf__stretch *stretch, size_t i);
/* The first row of a block of the epoch's line, in the data, and how many rows it has. */
size_t nf__order_block(const nf__order *order, size_t block, size_t *rows);
/* The windows of a group that a batch takes rows from: the first and the last of them. False: none. */
bool nf__order_windows(const nf__order *order, size_t batch, size_t group, size_t *first, size_t *last);
/* As many as the windows of a group that one batch may take rows from, and one more. */
size_t nf__order_sets(const nf__order *order);

#endif
