/* A compiled plan: what plan.c makes and run.c runs.
 *
 * Stage s first computes shared values (its shared instructions), then runs its pass over tiles of rows, which ends in
 * sums over rows that later stages use. A per-row value needed in several passes is computed in each: nothing per-row
 * outlives its tile. */
#ifndef WEIR_AUTODIFF_PLAN_COMPILED_H
#define WEIR_AUTODIFF_PLAN_COMPILED_H

#include "base/arena.h"
#include "plan/fused.h"
#include "plan/loops.h"
#include "plan/wide.h"

#include <weir/plan.h>

#include <stdatomic.h>

/* Where an instruction finds a value: per-row at feature `at` of the tile; shared at element `at` of shared[value]. */
typedef struct {
    bool per_row;
    int32_t value;
    size_t at, size;
    ad_shape shape;
} ad__operand;

static inline ad_tensor ad__tensor_at(const ad__operand *operand, void *data)
{
    return (ad_tensor){.data = data, .shape = operand->shape, .size = operand->size, .per_row = operand->per_row};
}

typedef struct ad__instruction {
    void (*evaluate)(const ad_tile *tile); /* op's, for the plan's dtype; NULL: by its loop */
    size_t first_run, n_run;               /* of ad__binding.run */
    const double *attribute;
    size_t n_attribute;
    int n_in;
    bool sums_rows;
    bool wide;     /* sums over rows: in a wider type than the plan's */
    size_t tensor; /* of ad__binding.tensor: the result's, then the arguments' */
    const ad_op *op;
    ad__operand *in, out;
    size_t scratch; /* bytes */
    int32_t node;   /* on the tape, for people */
    const char *scope;
    int wave;                           /* shared instructions of one wave don't depend on each other */
    size_t lane_element;                /* sums over rows: where in a lane its accumulator is, in bytes */
    size_t first_part;                  /* and the first of the parts in which its lanes are added */
    ad__kept *kept;                     /* sums over rows: each argument, in a wide run */
    ad_object *object;                  /* or NULL */
    size_t state;                       /* of ad__worker.state; 0: none */
    struct ad__instruction *next_owner; /* of plan->owner */
} ad__instruction;

typedef struct {
    int32_t slot;   /* of plan->input */
    ad__operand to; /* in the tile */
} ad__load;

typedef struct {
    int output;
    ad__operand from;
} ad__store;

/* Instructions that follow one another, of a stage's shared ones or of those for each row: run one by one, or by the
 * loop that they are fused into. */
typedef struct {
    size_t first, count;
    ad__fused_loop *loop; /* or NULL */
} ad__run_step;

typedef struct {
    ad__instruction *shared, *row;
    ad__run_step *shared_step, *row_step;
    size_t n_shared_step, n_row_step;
    ad__load *load;
    ad__store *store;
    size_t n_shared, n_row, n_load, n_store;
    bool shared_is_work;   /* some wave is worth several threads */
    ad__instruction **sum; /* those of `row` that sum over rows */
    size_t n_sum, n_part;  /* parts of all of them together */
    ad__share *share;      /* of the sums, in a wide run */
    size_t n_share;
} ad__stage;

/* Storage of a shared value. */
typedef struct {
    size_t size;
    size_t arena_offset;   /* in elements; computed values and constants */
    int32_t slot;          /* of plan->input when it is a parameter, else -1 */
    bool constant, is_sum; /* over rows */
    bool squared;          /* an output wants the sum of its squares: */
    double squares;
    void *data; /* for this run */
} ad__shared;

/* An input or parameter that the plan reads. */
typedef struct {
    const char *name;
    size_t size;
    const void *data;        /* of an array; NULL: */
    const ad_source *source; /* read through this */
    bool per_row;
} ad__slot;

typedef struct {
    ad__operand from;
    void *data;
    double *squares; /* where their sum goes, or NULL */
} ad__output;

/* Where all instructions find their values, in tiles of `rows` rows and for these `bindings` of the plan. */
typedef struct {
    size_t rows;
    unsigned bindings;
    ad_tensor *tensor;
    ad__runs *run;
    void **pointer; /* of fused loops, in their first turn */
} ad__binding;

/* Bytes that an array takes, of an output or of what is read. */
typedef struct {
    uintptr_t begin, end;
    int output;       /* its number, or -1 */
    const char *name; /* of what is read */
} ad__extent;

typedef struct {
    char *tile; /* features * tile_rows elements */
    char *scratch;
    ad__binding binding[2]; /* of whole tiles, and of the last one, which may be shorter */
    void *mask;             /* of the rows that are valid: ad__place.is_mask */
    size_t mask_rows, mask_valid;
    void **pointer; /* of a fused loop in the turn that it is at */
    size_t *step;   /* the bytes from there to the next one's */
    bool *finite;   /* which rows of the arguments are, when looking for faults */
    void **state;   /* of instructions with one; [0] is NULL */
} ad__worker;

/* What ranks send to each other: sizes, and bytes. */
typedef struct {
    size_t *size, sizes, bytes;
    char *memory;
} ad__transfer;

struct ad_plan {
    ad_dtype dtype;
    atomic_bool running;
    size_t tile_rows;
    bool halves;      /* rows that fit one tile are run as two, for two threads */
    ad__arena *arena; /* of everything the plan points to, but for the buffers below */
    ad__stage *stage;
    size_t n_stage;
    uint32_t tape_serial;  /* of the tape that was compiled */
    ad_error error;        /* the first mistake in what is bound */
    int32_t *slot_of_node; /* -1: not read */
    size_t n_node;
    ad__slot *slot;
    size_t n_slot;
    ad__shared *shared;
    size_t n_shared;
    ad__output *output;
    int n_output;
    ad__instruction *owner; /* the first of those with an object or a state */
    size_t n_state;         /* numbered from 1 */
    char *shared_arena;
    size_t features, used_features, scratch; /* largest of any pass; bytes */
    size_t n_tensor, n_run;                  /* of all instructions together */
    size_t n_pointer, most_pointers;         /* of all fused loops together, and of the one with most */
    void *code;                              /* of fused loops; NULL: there are none */
    size_t code_bytes;
    unsigned bindings; /* counts changes of what is bound */
    unsigned bound;    /* the count when shared[].data were set */
    unsigned apart;    /* the count when what is bound was found to be apart, of so many rows at most: */
    size_t rows_apart, input_rows_apart;
    bool indexed;       /* in that run */
    ad__extent *extent; /* room for those of all that is bound */
    /* One accumulator of each sum, of the stage that has most: those in the plan's dtype, and those in a wider one. */
    size_t lane_bytes, wide_bytes;
    ad__worker *worker;
    int n_worker;
    char *lanes;
    size_t accumulators;  /* that fit, of each sum */
    double *part_squares; /* of each part of a stage's sums */
    size_t n_part;        /* of the stage that has most */
    bool squares_wanted;
    ad__width width;
    ad__transfer transfer;
};

/* In fused.c: find what a loop reads and writes, in tiles of `rows` rows; run it on a tile of which `valid` are rows of
 * the run, with the instructions from `first` on that it stands for. */
void ad__bind_loop(const ad_plan *plan, const ad__fused_loop *loop, const ad__worker *worker, size_t rows,
                   void **pointer);
void ad__run_loop(const ad_plan *plan, const ad__fused_loop *loop, const ad__instruction *first, ad__worker *worker,
                  const ad__binding *binding, const ad_tile *tile, size_t accumulator);

/* In apart.c: make room for the other, false where memory is out; and see that no output is bound to memory of an input
 * or of another output, in a run. */
bool ad__plan_prepare_apart(ad_plan *plan);
ad_status ad__plan_check_apart(ad_plan *plan, const ad_run *run, ad_error *error);

/* Rows that a tile really has are rounded up to this many, so that every loop is whole vectors. */
enum { AD_ROW_QUANTUM = 16, AD_MOST_TILE_ROWS = 1 << 20 };
enum { AD__MOST_KEPT = 4 }; /* arguments of a sum */

#endif
