/* Runs on more threads than there are lanes, and of rows that are few beside the threads.
 *
 * A per-row value's bits depend on its row alone, so tiles may be computed in pieces of any number of rows. Sums over
 * rows may not: their tiles and lanes follow from the rows. In a wide run the pieces keep what is summed; then each sum
 * is added up, tile by tile, as it would have been, but in a job of its own, and that of a large matrix in several, by
 * parts of the result. So the bits are those of any run, and how wide a run is may depend on the threads. */
#ifndef WEIR_AUTODIFF_PLAN_WIDE_H
#define WEIR_AUTODIFF_PLAN_WIDE_H

#include <stdbool.h>
#include <stddef.h>

struct ad_communicator;
struct ad_plan;
struct ad__execution;
struct ad__lanes;
struct ad__instruction;

/* Where an argument of a sum is kept, in features; `fresh`: no other sum's has kept it there already. */
typedef struct {
    size_t at;
    bool fresh;
} ad__kept;

/* What is one job for each node: several sums, or a part of one. */
typedef struct {
    size_t begin, end; /* of ad__stage.sum */
    size_t part, parts;
} ad__share;

/* What a row costs, and a tile beside its rows, in nanoseconds of some machine: all stages together. */
typedef struct {
    double row, sum, call;
    size_t features, shares; /* kept, in the stage with most of them */
    bool sums, possible;     /* possible: arguments of all sums can be kept */
    char *memory;
    size_t capacity;    /* tiles that can be kept there */
    size_t rows;        /* it suffices for runs of so many rows or fewer, */
    int threads, ranks; /* on so many threads of so many ranks */
} ad__width;

/* How a run is cut. nodes > 0: a wide one, of so many nodes of lanes at once and so many tiles of each. */
typedef struct {
    size_t piece_rows, nodes, tiles;
} ad__cut;

/* Where the arguments of sums over a piece's rows go: its first row in a tile of `rows`. */
typedef struct {
    char *data;
    size_t rows, first;
} ad__keeping;

/* Lay out what is kept of each stage; false where memory is out. */
bool ad__plan_prepare_wide(struct ad_plan *plan);
/* How a run of so many rows, in these lanes, is cut for so many threads. */
ad__cut ad__plan_cut(const struct ad_plan *plan, size_t rows, const struct ad__lanes *lanes, int threads);
/* Memory for all that runs of up to `rows` rows keep, on one of the communicator's ranks (NULL: there is one); false
 * where it is out. */
bool ad__plan_reserve_wide(struct ad_plan *plan, size_t rows, int threads, const struct ad_communicator *communicator);
/* Keep what this sum adds up, from a piece of `rows` rows that begins at `tile`. */
void ad__keep(const struct ad_plan *plan, const struct ad__instruction *sum, const char *tile, size_t rows,
              const ad__keeping *to);
/* A pass up to the sums of each node. */
void ad__run_wide(struct ad__execution *e);

#endif
