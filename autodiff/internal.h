/* What the files of autodiff/ share. */
#ifndef WEIR_AUTODIFF_INTERNAL_H
#define WEIR_AUTODIFF_INTERNAL_H

#include "autodiff.h"
#include "ops.h"

/* ---- Ops by name --------------------------------------------------------------------------------------------- */

#define AD_OP_ENUM(name) AD_OP_##name,
typedef enum { AD_ALL_OPS(AD_OP_ENUM) AD_OP_COUNT } ad_op_id;
#undef AD_OP_ENUM

/* The op with the kernels of this CPU. */
const ad_op *ad_builtin(ad_op_id id);

/* Op files are compiled once for each instruction set and dtype, with -DAD_ISA=avx512 -DAD_DTYPE=AD_F32 and the like;
 * each compilation defines its own copy of the descriptors, of which only .evaluate[AD_DTYPE] differs. table.c picks.
 */

/* ---- Memory and shapes ------------------------------------------------------------------------------------------ */

bool ad_size_product(size_t a, size_t b, size_t *product); /* false when it overflows */

/* Small blocks that are freed together; grows as needed. */
typedef struct ad_arena ad_arena;
void *ad_arena_alloc(ad_arena **arena, size_t count, size_t size);
void ad_arena_free(ad_arena *arena);

void ad_object_retain(ad_object *object); /* NULL: nothing */

/* NumPy's rule; false when the shapes don't broadcast. */
bool ad_shape_broadcast(ad_shape a, ad_shape b, ad_shape *result);

/* ---- Tape ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const ad_op *op;
    const int32_t *in; /* n_in ids, all smaller than this node's own */
    int n_in;
    bool per_row;
    ad_shape shape;
    const double *attribute; /* constants: their values */
    size_t n_attribute;
    ad_object *object; /* or NULL */
    const char *name;  /* of an input or parameter, else NULL */
    const char *scope; /* "maf[0]/net"; "" outside any */
} ad_node;

struct ad_tape {
    ad_node *node;
    size_t count, capacity;
    ad_error error;
    char scope[256];
    ad_arena *arena; /* what nodes point to */
};

/* A node's line in a print-out, without its end. */
void ad_node_print(const ad_node *node, size_t id, FILE *to);

static inline const ad_node *ad_node_of(ad_var v)
{
    return &v.tape->node[v.id];
}

/* ---- Recording ops that have no public name ------------------------------------------------------------------ */

/* y > 0 ? g : slope * g, the gradient of relu and leaky_relu. */
ad_var ad_gate(ad_var g, ad_var y, double slope);
/* g (1 - y²): the gradient of y = tanh(x). */
ad_var ad_tanh_slope(ad_var g, ad_var y);

/* ad_grad() of Σ seed_i y_i, for a y of any shape, as if `held` (or an invalid value) depended on nothing. */
void ad_grad_held(ad_var y, ad_var seed, ad_var held, const ad_var *wrt, int count, ad_var *gradient);

/* Axis ops see their argument as (outer, n, inner); slice's vjp: put x at [start, start + its extent) of `size` zeros.
 */
ad_var ad_pad(ad_var x, int axis, size_t start, size_t size);

/* C = op(A) op(B), op transposing its (stored) matrix if asked. A and B have rank 2. A ('a') or C ('c') may have known
 * zeros: `blocks` describe the matrix named `blocked`, A as it is stored; NULL for none. sum_rows: the product is
 * summed over rows, by the GEMM itself where both are per-row. */
ad_var ad_matmul_general(ad_var a, ad_var b, bool transpose_a, bool transpose_b, char blocked, const ad_blocks *blocks,
                         bool sum_rows);

/* ---- Matrix products ----------------------------------------------------------------------------------------- */

/* C (m,n) = beta * C + A (m,k) B (k,n), beta 0 or 1, column-major: element (i,j) of A at a[i + j * lda], likewise B and
 * C, or b[j + i * ldb] where transpose_b. If m is a multiple of 16, as with rows of a tile, each element of C has bits
 * that depend on its own row of A and column of B alone, not on m or n or its position. Returns nothing, allocates
 * nothing after a warm-up, never fails. */
void ad_gemm_f32(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb, bool transpose_b,
                 float beta, float *c, size_t ldc);
void ad_gemm_f64(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b, size_t ldb,
                 bool transpose_b, double beta, double *c, size_t ldc);
/* Initialise the libraries behind it; AD_ERROR_MEMORY where they have none. Once, before the first product. */
ad_status ad_gemm_start(ad_error *error);

/* ---- The CPU ------------------------------------------------------------------------------------------------- */

typedef enum { AD_ISA_portable, AD_ISA_avx2, AD_ISA_avx512, AD_ISA_COUNT } ad_isa;
ad_isa ad_isa_of_cpu(void); /* after WEIR_ISA */
size_t ad_l2_bytes(void);   /* a core's L2 cache */

#endif
