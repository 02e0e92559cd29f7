/* Weir autodiff: tensors on a tape, reverse-mode gradients, and plans that run them over rows.
 *
 * Everything is written for ONE row (one event, one sample); the engine maps it over many. A value on a tape is
 *
 *   per-row   it exists once for each row: data, noise, activations. Its shape leaves the row axis out;
 *   shared    it exists once: parameters, constants, and what is computed from them alone.
 *
 * An op on shared values gives a shared value; any per-row argument makes the result per-row. Rows meet in one op
 * only, ad_sum_rows(), which turns a per-row value into a shared one.
 *
 *     ad_tape *tape = ad_tape_new();
 *     ad_var x = ad_input(tape, "x", AD_SHAPE(3));               // per-row, 3 features
 *     ad_var w = ad_param(tape, "w", AD_SHAPE(3));               // shared
 *     ad_var y = ad_sum_rows(ad_square(ad_sum(ad_mul(w, x))));   // Σ_rows (w·x)²
 *     ad_var dw = ad_grad1(y, w);                                // its gradient: ordinary nodes on the same tape
 *
 *     ad_error error;
 *     ad_plan *plan = ad_plan_new((ad_var[]){y, dw}, 2, &(ad_plan_options){.dtype = AD_F64}, &error);
 *     ad_plan_set_input(plan, x, data);                          // double data[rows][3]
 *     ad_plan_set_input(plan, w, weights);                       // double weights[3]
 *     ad_plan_set_output(plan, 0, &loss);
 *     ad_plan_set_output(plan, 1, gradient);
 *     ad_plan_run(plan, &(ad_run){.rows = 1000}, &error);
 *
 * No function here aborts, exits or prints. Recording never fails visibly: the first mistake sticks to the tape, later
 * ops on it do nothing, and ad_plan_new() reports it (or ad_tape_error(), at any time). The same goes for what is
 * recorded on NULL, a tape that could not be made.
 */
#ifndef WEIR_AUTODIFF_H
#define WEIR_AUTODIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define AD_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define AD_PRINTF(text, first)
#endif

/* ---- Errors -------------------------------------------------------------------------------------------------- */

typedef enum {
    AD_OK = 0,
    AD_ERROR_ARGUMENT,    /* the caller's mistake: a shape, an option, a formula */
    AD_ERROR_MEMORY,      /* an allocation failed */
    AD_ERROR_IO,          /* the operating system refused to read or write */
    AD_ERROR_FORMAT,      /* a file is not what it should be */
    AD_ERROR_NUMERIC,     /* a NaN, a divergence, a solve that did not converge */
    AD_ERROR_INTERRUPTED, /* stopped on request */
} ad_status;

typedef struct {
    ad_status status;
    char message[1024]; /* one sentence: what was wrong, what was given, what was expected, what to do */
} ad_error;

/* Write status and message into *error (which may be NULL); returns the status. */
ad_status ad_error_set(ad_error *error, ad_status status, const char *format, ...) AD_PRINTF(3, 4);

/* ---- Memory -------------------------------------------------------------------------------------------------- */

/* All memory of the library comes through these three; set them before the first other call. NULL restores malloc's. */
typedef struct {
    void *(*allocate)(size_t bytes);
    void *(*reallocate)(void *old, size_t bytes);
    void (*release)(void *memory);
} ad_allocator;

void ad_set_allocator(const ad_allocator *allocator);

/* Zeroed, 64-byte aligned; NULL when count * size overflows or memory is out. Release with ad_free_aligned(). */
void *ad_alloc_aligned(size_t count, size_t size);
void ad_free_aligned(void *memory);

/* Zeroed array; NULL when count * size overflows or memory is out. Release with ad_free(). */
void *ad_alloc(size_t count, size_t size);
/* Grow or shrink to count elements (new ones are not zeroed); on failure NULL, and the old array stays valid. */
void *ad_realloc(void *memory, size_t count, size_t size);
void ad_free(void *memory);
char *ad_strdup(const char *text);

/* ---- Shapes -------------------------------------------------------------------------------------------------- */

#define AD_MAX_RANK 4

typedef struct {
    int rank; /* 0: a scalar */
    size_t dim[AD_MAX_RANK];
} ad_shape;

#define AD_SHAPE(...)                                                                                                  \
    ((ad_shape){.rank = (int)(sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t)), .dim = {__VA_ARGS__}})
#define AD_SCALAR ((ad_shape){.rank = 0})

typedef enum { AD_F32, AD_F64 } ad_dtype;

size_t ad_dtype_size(ad_dtype dtype);
const char *ad_dtype_name(ad_dtype dtype); /* "float32", "float64" */

/* Number of elements; 1 for a scalar. SIZE_MAX if the product overflows. */
size_t ad_shape_size(ad_shape shape);
bool ad_shape_equal(ad_shape a, ad_shape b);
/* "()" "(3)" "(3,4)" into 128 bytes of buffer; returns it. */
const char *ad_shape_text(ad_shape shape, char *buffer);

/* ---- The tape ------------------------------------------------------------------------------------------------ */

typedef struct ad_tape ad_tape;

/* A value on a tape; a small handle, passed by value. */
typedef struct {
    ad_tape *tape;
    int32_t id;
} ad_var;

/* A new, empty tape; NULL when memory is out. */
ad_tape *ad_tape_new(void);
void ad_tape_free(ad_tape *tape);
/* The first error recorded, or NULL. The pointer lives as long as the tape. */
const ad_error *ad_tape_error(const ad_tape *tape);
/* Stick an error to the tape (only the first one stays). For bijectors and ops written outside. */
void ad_tape_fail(ad_tape *tape, ad_status status, const char *format, ...) AD_PRINTF(3, 4);
/* Names for what is recorded between enter and leave, joined by '/': they appear in print-outs and in error messages.
 */
void ad_tape_enter(ad_tape *tape, const char *name);
void ad_tape_leave(ad_tape *tape);
/* One line per node: id, kind, shape, op, arguments, scope. */
void ad_tape_print(const ad_tape *tape, FILE *to);

/* A var that failed to record has tape but id < 0; shape () then. */
bool ad_is_valid(ad_var v);
ad_shape ad_shape_of(ad_var v);
bool ad_is_per_row(ad_var v);
/* Of an input or parameter; "" of anything else. Lives as long as the tape. */
const char *ad_name_of(ad_var v);

/* ---- Leaves -------------------------------------------------------------------------------------------------- */

ad_var ad_input(ad_tape *tape, const char *name, ad_shape shape);        /* per-row, bound with ad_plan_set_input() */
ad_var ad_param(ad_tape *tape, const char *name, ad_shape shape);        /* shared, bound with ad_plan_set_input() */
ad_var ad_constant(ad_tape *tape, ad_shape shape, const double *values); /* shared; values are copied */
ad_var ad_scalar(ad_tape *tape, double value);                           /* shared constant of shape () */
ad_var ad_row_count(ad_tape *tape);                                      /* shared, (): how many rows this run has */
/* Per-row noise: independent standard normals, or uniforms on (0, 1). Counter-based: an element is a function of the
 * run's seed and step, of its row's number, and of `stream` (0 … 4095), which tells noise sources apart. */
ad_var ad_normal(ad_tape *tape, ad_shape shape, unsigned stream);
ad_var ad_uniform(ad_tape *tape, ad_shape shape, unsigned stream);

/* ---- Elementwise ops ----------------------------------------------------------------------------------------- */
/* Arguments broadcast against each other as in NumPy: shapes are aligned at the last axis, extents of 1 stretch. */

ad_var ad_add(ad_var a, ad_var b);
ad_var ad_sub(ad_var a, ad_var b);
ad_var ad_mul(ad_var a, ad_var b);
ad_var ad_div(ad_var a, ad_var b);
ad_var ad_maximum(ad_var a, ad_var b); /* NaN if either is NaN; at a tie the gradient goes half to each */
ad_var ad_minimum(ad_var a, ad_var b);
ad_var ad_greater(ad_var a, ad_var b);       /* a > b: 1 or 0; gradient 0 */
ad_var ad_greater_equal(ad_var a, ad_var b); /* a >= b */
ad_var ad_equal(ad_var a, ad_var b);         /* a == b */
/* condition != 0 ? a : b. The side not taken must still be finite there, or its gradient may be NaN: clamp before. */
ad_var ad_where(ad_var condition, ad_var a, ad_var b);

ad_var ad_neg(ad_var x);
ad_var ad_exp(ad_var x);
ad_var ad_log(ad_var x);
ad_var ad_log1p(ad_var x);
ad_var ad_expm1(ad_var x);
ad_var ad_tanh(ad_var x);
ad_var ad_sigmoid(ad_var x);                  /* 1 / (1 + e^-x) */
ad_var ad_softplus(ad_var x);                 /* log(1 + e^x), without overflow */
ad_var ad_relu(ad_var x);                     /* max(x, 0); gradient 0 at 0 */
ad_var ad_leaky_relu(ad_var x, double slope); /* x > 0 ? x : slope * x; gradient `slope` at 0 */
ad_var ad_sqrt(ad_var x);
ad_var ad_square(ad_var x);
ad_var ad_abs(ad_var x);  /* gradient 0 at 0 */
ad_var ad_sign(ad_var x); /* -1, 0, 1; gradient 0 */
ad_var ad_sin(ad_var x);
ad_var ad_cos(ad_var x);

/* The same value; no gradient passes. */
ad_var ad_stop_gradient(ad_var x);

/* With a number: x + c, x * c. */
ad_var ad_add_scalar(ad_var x, double c);
ad_var ad_mul_scalar(ad_var x, double c);

/* ---- Reductions over features -------------------------------------------------------------------------------- */
/* Of all elements, to a scalar; or, with _axis, along one axis, which disappears. Sums accumulate in float64. */

ad_var ad_sum(ad_var x);
ad_var ad_mean(ad_var x);
ad_var ad_max(ad_var x);       /* gradient shared equally among ties */
ad_var ad_logsumexp(ad_var x); /* gradient 0 where all are -inf */
ad_var ad_sum_axis(ad_var x, int axis);
ad_var ad_max_axis(ad_var x, int axis);
ad_var ad_logsumexp_axis(ad_var x, int axis);
/* y_i = Σ_{j<=i} x_j along an axis; reverse: Σ_{j>=i}. */
ad_var ad_cumsum(ad_var x, int axis, bool reverse);

/* ---- Across rows --------------------------------------------------------------------------------------------- */

/* Σ over the rows of the run: a shared value of the same shape. Accumulated in float64, in an order that does not
 * depend on the number of threads. */
ad_var ad_sum_rows(ad_var x);
/* The same value for every row: shared to per-row. Ops do this by themselves; it is for outputs. */
ad_var ad_to_rows(ad_var x);

/* ---- Layout -------------------------------------------------------------------------------------------------- */

ad_var ad_reshape(ad_var x, ad_shape shape);                    /* row-major order of elements is kept */
ad_var ad_transpose(ad_var x);                                  /* (m,n) to (n,m) */
ad_var ad_broadcast(ad_var x, ad_shape shape);                  /* as NumPy's broadcast_to */
ad_var ad_slice(ad_var x, int axis, size_t start, size_t stop); /* elements start … stop-1 of an axis */
ad_var ad_concat(const ad_var *parts, int count, int axis);
/* y_i = x_index[i] along axis 0. Indices may repeat. Repeated or not, the gradient is a scatter-add. */
ad_var ad_gather(ad_var x, const size_t *index, size_t count);
/* y of `size` elements along axis 0, zero but for y_index[i] += x_i. */
ad_var ad_scatter(ad_var x, const size_t *index, size_t count, size_t size);

/* ---- Linear algebra ------------------------------------------------------------------------------------------ */

/* (m,k)(k,n) -> (m,n), and (m,k)(k) -> (m). Either argument may be shared or per-row. */
ad_var ad_matmul(ad_var a, ad_var b);

/* The block structure of a matrix with zeros in known places: the rows up to row_end[b] (from row_end[b-1], or 0) are
 * zero outside columns column_begin[b] … column_end[b]-1. The last row_end is the number of rows. */
typedef struct {
    size_t count;
    const size_t *row_end, *column_begin, *column_end;
} ad_blocks;

/* As ad_matmul(), with a shared `a` that is taken as zero outside `blocks`: those products are skipped, and so are
 * they in its gradients. */
ad_var ad_matmul_blocks(ad_var a, ad_var b, const ad_blocks *blocks);

/* Solve A x = b for a triangular A (n,n), b (n) or (n,m). Only the named triangle is read. */
typedef enum { AD_LOWER = 0, AD_UPPER = 1, AD_UNIT_DIAGONAL = 2 } ad_triangle; /* or-ed: AD_UPPER | AD_UNIT_DIAGONAL */
ad_var ad_solve_triangular(ad_var a, ad_var b, unsigned triangle);

/* By LU factorisation with partial pivoting, either argument shared or per-row: solve A x = b for A (n,n), b (n) or
 * (n,m), not finite where A is singular; and log|det A| for A (n,n), -inf where it is singular. */
ad_var ad_solve(ad_var a, ad_var b);
ad_var ad_log_abs_det(ad_var a);

/* ---- Roots --------------------------------------------------------------------------------------------------- */

/* What f's Jacobian is known to be, and the way of solving: */
typedef enum {
    AD_ROOT_ELEMENTWISE, /* diagonal: element i of f(z) depends on z_i alone. All elements at once, by bracketing */
    AD_ROOT_TRIANGULAR,  /* element order[k] depends on z_order[0] … z_order[k] alone. One by one, in that order */
    AD_ROOT_GENERAL,     /* anything, of D unknowns at once: damped Newton steps, the Jacobian by D gradients */
} ad_root_kind;

/* z with f(z) = x, row by row, for x (D) and f from (D) to (D), to the last few units of rounding of the plan's dtype.
 *
 * f records f(z) on a tape of its own, `inner`, and is called once, here; context need not outlive the call. Values of
 * x's tape that f needs, parameters or a row's own, are passed through `captured`: f finds their stand-ins on the inner
 * tape, in the same order. It may not mix rows (ad_sum_rows) nor draw noise.
 *
 * Elementwise and triangular: each element must increase or decrease strictly in its own unknown; no derivative is
 * taken. `order` (D), of triangular ones, may be NULL for 0 … D-1. General: f must be smooth with a Jacobian that is
 * nowhere singular; it starts from z = x. A row without a root, or where none is found, becomes NaN.
 *
 * The gradient is the implicit function theorem's, dz = J(z)^-1 (dx - df/dθ dθ), with J = df/dz and θ what f captures;
 * gradients of gradients are exact too. */
ad_var ad_root(ad_var x, const ad_var *captured, int n_captured, ad_root_kind kind, const size_t *order,
               ad_var (*f)(void *context, ad_tape *inner, ad_var z, const ad_var *captured), void *context);

/* ---- Gradients ----------------------------------------------------------------------------------------------- */

/* d y / d wrt[i] into gradient[i], as nodes on the same tape, of wrt[i]'s shape and kind. y has shape (). A per-row y
 * stands for its sum over rows, so the gradient with respect to a per-row value is each row's own. Gradients can be
 * differentiated again. What y doesn't depend on gets zeros. */
void ad_grad(ad_var y, const ad_var *wrt, int count, ad_var *gradient);
ad_var ad_grad1(ad_var y, ad_var wrt);
/* (n, m), row i the gradient of element i of y with respect to wrt, of n and m elements: n sweeps. */
ad_var ad_jacobian(ad_var y, ad_var wrt);

/* ---- Structure ----------------------------------------------------------------------------------------------- */

/* Which elements of y depend on which of x, as far as the tape shows it for any values of its inputs and parameters:
 * depends[i * size(x) + j] says whether element i of y may depend on element j of x (of the same row). Never false
 * where it does. Zeros of constants count, so a product with W * mask, or one by ad_matmul_blocks(), depends on what
 * the mask leaves alone; constants are taken in float64. Where ops from outside don't say more by their flags, each
 * element of the result depends on all arguments. depends holds size(y) * size(x). */
ad_status ad_dependence(ad_var y, ad_var x, bool *depends, ad_error *error);

/* ---- Threads ------------------------------------------------------------------------------------------------- */

typedef struct ad_pool ad_pool;

/* threads - 1 workers beside the caller; 0 means one for each core that this process may use. */
ad_pool *ad_pool_new(int threads, ad_error *error);
void ad_pool_free(ad_pool *pool);
int ad_pool_threads(const ad_pool *pool); /* 1 for NULL */
/* Call job(context, i, worker) for i = 0 … jobs-1, on all threads, in no particular order; worker < threads. Returns
 * when all are done. A NULL pool runs them here. One caller at a time. */
void ad_pool_run(ad_pool *pool, size_t jobs, void (*job)(void *context, size_t i, int worker), void *context);

/* ---- Plans --------------------------------------------------------------------------------------------------- */

typedef struct ad_plan ad_plan;

typedef struct {
    ad_dtype dtype;   /* of every value in the plan and of every bound array */
    size_t tile_rows; /* rows in a tile, a multiple of 16; 0: chosen so that a tile's intermediates fit the L2 cache */
} ad_plan_options;

/* Compile what the outputs need: dead nodes dropped, equal ones merged, split into stages where rows are summed,
 * buffers laid out. The tape may be freed afterwards; but vars in the calls below are those of this tape. NULL with
 * *error on failure. */
ad_plan *ad_plan_new(const ad_var *outputs, int count, const ad_plan_options *options, ad_error *error);
void ad_plan_free(ad_plan *plan);
/* Stages, instructions, buffer offsets and sizes, the tile. */
void ad_plan_print(const ad_plan *plan, FILE *to);
size_t ad_plan_tile_rows(const ad_plan *plan);

/* Bind an array to an input (dtype data[rows][size], row-major) or a parameter (dtype data[size]). It is not copied and
 * must outlive the runs. Binding an input that the outputs don't depend on is no error, and does nothing. */
void ad_plan_set_input(ad_plan *plan, ad_var input, const void *data);
/* Where output number i goes: [rows][size] when per-row, [size] when shared. NULL: not wanted. */
void ad_plan_set_output(ad_plan *plan, int i, void *data);

typedef struct {
    size_t rows;
    const uint32_t *index; /* not NULL: row r reads row index[r] of every per-row input (a shuffled mini-batch) */
    uint64_t seed, step;   /* of noise; step < 2^32 */
    uint64_t first_row;    /* number of the first row, for noise */
    ad_pool *pool;         /* NULL: this thread only */
    bool find_nan; /* report the first NaN or infinity that is bound, or made from finite arguments, with name or op,
                    * scope and row; slow */
} ad_run;

/* Allocates nothing after the first run with this pool size and these rows or fewer. Results are the same bits for any
 * number of threads; a per-row output's bits depend on its own row alone. */
ad_status ad_plan_run(ad_plan *plan, const ad_run *run, ad_error *error);

/* ---- Ops from outside ---------------------------------------------------------------------------------------- */

/* What a node may own besides numbers: a table, an inner program. It is counted, and destroyed with the last tape or
 * plan that refers to it. */
typedef struct ad_object ad_object;

/* One reference, the caller's, to be released; NULL when memory is out. destroy may be called from any thread; NULL:
 * data is not the object's. */
ad_object *ad_object_new(void *data, void (*destroy)(void *data));
void ad_object_release(ad_object *object);
void *ad_object_data(const ad_object *object); /* NULL of NULL */

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
} ad_tile;

enum {
    AD_OP_ELEMENTWISE = 1, /* arguments broadcast; out element i depends on elements i alone; may run in place */
    AD_OP_SUMS_ROWS = 2,   /* shared result from per-row arguments */
    AD_OP_PER_ROW = 4,     /* per-row result whatever the arguments (noise) */
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
    /* Evaluate one tile: [AD_F32] and [AD_F64]. */
    void (*evaluate[2])(const ad_tile *tile);
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
} ad_op;

/* Record an op; the attribute numbers are copied, the op must outlive its plans. */
ad_var ad_apply(const ad_op *op, const ad_var *in, int n_in, const double *attribute, size_t n_attribute,
                ad_tape *tape);
/* The same with an object (or NULL), to which the tape holds a reference of its own. */
ad_var ad_apply_object(const ad_op *op, const ad_var *in, int n_in, const double *attribute, size_t n_attribute,
                       ad_object *object, ad_tape *tape);

/* Weir's own ops, ended by NULL: for tests and for the curious. */
const ad_op *const *ad_all_ops(void);

/* "avx512", "avx2" or "portable": the instruction set in use. The environment variable WEIR_ISA can lower it. */
const char *ad_isa_name(void);
/* "libxsmm+blis" or "blis": what multiplies matrices. */
const char *ad_gemm_name(void);

/* ---- Checking gradients -------------------------------------------------------------------------------------- */

typedef struct {
    size_t rows;      /* default 3 */
    uint64_t seed;    /* of directions and noise */
    double step;      /* largest of the finite difference, relative to max(1, |x|); default 1e-3 */
    double tolerance; /* default 1e-8 */
} ad_gradcheck_options;

typedef struct {
    double worst; /* largest error found: |finite difference − g·u| / Σ|g_j u_j| (or over 1 where that is smaller) */
    int wrt;      /* for which argument */
    size_t element;  /* at which element: the one with the largest disagreement of its own */
    double expected; /* by finite difference, of that element */
    double got;      /* by the tape */
} ad_gradcheck_report;

/* Compare the tape's gradient of Σ_rows Σ_i c_i y_i (c random) with respect to each wrt with the 4-point central
 * difference [f(x−2h) − 8f(x−h) + 8f(x+h) − f(x+2h)] / 12h along random directions u, in float64; h shrinks up to
 * 10⁴-fold until no kink (of a relu, say) is between. inputs/values: every input and parameter of the tape that y
 * depends on, with its point: double[rows][size] or double[size]. wrt must be among inputs. AD_ERROR_NUMERIC when worst
 * > tolerance, with the place in *error. */
ad_status ad_gradcheck(ad_var y, const ad_var *wrt, int n_wrt, const ad_var *inputs, const double *const *values,
                       int n_inputs, const ad_gradcheck_options *options, ad_gradcheck_report *report, ad_error *error);

/* ---- Random numbers ------------------------------------------------------------------------------------------ */

/* Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): a function of its arguments. */
void ad_random_bits(uint64_t seed, uint64_t stream, uint64_t index, uint32_t bits[4]);
double ad_random_uniform(uint64_t seed, uint64_t stream, uint64_t index); /* on (0, 1), 53 bits */
double ad_random_normal(uint64_t seed, uint64_t stream, uint64_t index);  /* Box-Muller */
/* Image of i under a pseudo-random permutation of 0 … n-1: a Feistel network keyed by (seed, stream), walked until
 * inside. */
uint64_t ad_random_permutation(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i);

#ifdef __cplusplus
}
#endif
#endif
