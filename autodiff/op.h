/* Ops: the descriptor that each is, Weir's own and those from outside, and recording one.
 *
 * Recording is for one thread at a time on a tape, as in <weir/tape.h>; the rest may be called from several threads at
 * once. What an op's descriptor points to is called in this way: shape, vjp, scratch and view where a tape is recorded
 * on or compiled, evaluate in any of a run's threads and in several at once, open and close in the thread that runs or
 * frees the plan. */
#ifndef WEIR_OP_H
#define WEIR_OP_H

#include <weir/memory.h>
#include <weir/tape.h>

WEIR_BEGIN_DECLARATIONS

/* One recorded application of an op. */
typedef struct {
    ad_tape *tape;
    const ad_var *in;
    int n_in;
    const double *attribute; /* the numbers that parameterise it: an axis, indices, a slope */
    size_t n_attribute;
    ad_object *object; /* or NULL */
} ad_call;

/* An argument or result while a tile runs. Feature-major: element (feature f, row r) is at data[f * rows + r]; a shared
 * value is data[f]. */
typedef struct {
    void *data;
    ad_shape shape;
    size_t size; /* number of features */
    bool per_row;
} ad_tensor;

/* One evaluation on one tile. Rows valid … rows-1 are padding: they hold copies of a valid row, and what an op writes
 * there is ignored; only ops that mix rows need to leave them out. */
typedef struct {
    const ad_tensor *in;
    ad_tensor out;
    int n_in;
    size_t rows;  /* a multiple of 16, or 1 where everything is shared */
    size_t valid; /* <= rows */
    const double *attribute;
    size_t n_attribute;
    const ad_object *object;        /* the node's, or NULL */
    void *state;                    /* what ad_op.open() returned to this thread */
    void *scratch;                  /* ad_op.scratch bytes, 64-byte aligned */
    uint64_t seed, step, first_row; /* of this tile, for noise */
    size_t total_rows;              /* of the run */
    bool accumulate;                /* ops with AD_OP_SUMS_ROWS: add to out, which another tile has begun */
    size_t part, parts;             /* ops with AD_OP_IN_PARTS: which part of the result, of so many; parts 0: all */
} ad_tile;

/* n numbers of out, from as many of each argument: float or double by the plan's dtype. An argument's stride is 1, or 0
 * where one number serves all; at least one argument's is 1. out may be an argument of stride 1. */
typedef void ad_loop(size_t n, const void *const in[], const size_t stride[], void *out, const double *attribute);
enum { AD_MAX_LOOP_ARGUMENTS = 3 };

enum {
    AD_OP_ELEMENTWISE = 1, /* arguments broadcast; out element i depends on elements i alone; may run in place */
    AD_OP_SUMS_ROWS = 2,   /* shared result from per-row arguments */
    AD_OP_PER_ROW = 4,     /* per-row result whatever the arguments (noise) */
    AD_OP_IN_PARTS = 512,  /* with AD_OP_SUMS_ROWS: may be evaluated in parts of the result, of the same bits */
    AD_OP_SUMS_IN_F64 = 8, /* with AD_OP_SUMS_ROWS: out.data is double[] in a float32 plan too */

    /* For ad_dependence(), at most one: */
    AD_OP_LINEAR = 16,          /* in all arguments together; unless elementwise, with no coefficient below 0 */
    AD_OP_BILINEAR = 32,        /* in each of two arguments, with no coefficient below 0 */
    AD_OP_LINEAR_IN_FIRST = 64, /* elementwise ops, as a / b in a */
    AD_OP_SELECTS = 128,        /* elementwise: the first argument alone says which of the others is taken */
    AD_OP_INCREASING = 256,     /* an element grows if one of the elements that it depends on grows from 0 to 1 */
};

/* Arguments for an op's tests: drawn uniformly from [low, high]; of a matrix, with a number added to its diagonal. */
typedef struct {
    int n_in;
    struct {
        ad_shape shape;
        double low, high, diagonal;
    } in[3];
    const double *attribute;
    size_t n_attribute;
} ad_sample;

typedef struct ad_op {
    const char *name;
    int n_in; /* -1: any number */
    unsigned flags;
    /* The result's shape. NULL: the arguments broadcast. On a mistake call ad_tape_fail(call->tape, …), return false.
     */
    bool (*shape)(const ad_call *call, ad_shape *result);
    /* Evaluate one tile: [AD_F32] and [AD_F64]. NULL: by .loop. */
    void (*evaluate[2])(const ad_tile *tile);
    /* Of an op of at most AD_MAX_LOOP_ARGUMENTS arguments whose result's element i depends on their elements i alone,
     * instead of evaluate: [AD_F32] and [AD_F64]. The plan finds how they broadcast, once. */
    ad_loop *loop[2];
    /* Vector-Jacobian product: given y = op(in…) and gradient g of y's shape and kind, record gradient[i] (leave
     * untouched what has none). It may have y's kind and any shape that broadcasts from in[i]'s: the sweep sums it
     * down. NULL: no gradient passes. */
    void (*vjp)(const ad_call *call, ad_var y, ad_var g, ad_var *gradient);
    /* Bytes of scratch for a tile of `rows`. NULL: none. */
    size_t (*scratch)(const ad_call *call, size_t rows, ad_dtype dtype);
    /* What each thread keeps, from tile to tile, to evaluate one node: made before its first tile, and closed with the
     * plan. `rows`: of the largest tile. NULL with *error on failure. NULL: there is none. */
    void *(*open)(const ad_object *object, ad_dtype dtype, size_t rows, ad_error *error);
    void (*close)(void *state);
    /* True: the result is in[0]'s features from *offset on, so that nothing need be copied. NULL: never. */
    bool (*view)(const ad_call *call, size_t *offset);
    const ad_sample *sample;
    size_t n_sample;
    /* Of Weir's own ops: how they are computed in one pass with others, [AD_F32] and [AD_F64]. NULL: alone. */
    const struct ad__fusing *fusing[2];
} ad_op;

/* Record an op; the attribute numbers are copied, the op must outlive its tapes and plans. tape may be NULL: it is then
 * that of the first argument. in may be NULL where n_in is 0, attribute where n_attribute is 0. */
ad_var ad_apply(const ad_op *op, const ad_var *in, int n_in, const double *attribute, size_t n_attribute,
                ad_tape *tape);
/* The same with an object (or NULL), to which the tape holds a reference of its own. */
ad_var ad_apply_object(const ad_op *op, const ad_var *in, int n_in, const double *attribute, size_t n_attribute,
                       ad_object *object, ad_tape *tape);

/* Weir's own ops, ended by NULL: for tests and for the curious. */
const ad_op *const *ad_all_ops(void);

/* "avx512", "avx2", "neon" or "portable": the instruction set in use, the best of this CPU. The environment variable
 * WEIR_ISA, as it is when the library is first used, can lower it; where it names one that this CPU doesn't have, plans
 * can't be made. */
const char *ad_isa_name(void);
/* "libxsmm" or "blis": what multiplies matrices that are there once, and the channels of images. */
const char *ad_gemm_name(void);

WEIR_END_DECLARATIONS

#endif
