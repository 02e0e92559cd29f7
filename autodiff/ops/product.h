/* What products have in common: their sizes, and the parts that they are made of where there are known zeros. */
#ifndef WEIR_AUTODIFF_OPS_PRODUCT_H
#define WEIR_AUTODIFF_OPS_PRODUCT_H

#include "base/gemm.h"
#include "ops/matrix.h"
#include "tape/record.h"

#if AD_REAL_BITS == 32
#define gemm ad__gemm_f32
#else
#define gemm ad__gemm_f64
#endif

/* 64 bytes of neighbouring rows */
typedef real row_vector __attribute__((vector_size(64)));
enum { LANES = sizeof(row_vector) / sizeof(real) };

/* C (m,n) = A (m,k) B (k,n) */
typedef struct {
    size_t m, n, k;
    bool transpose_a, transpose_b;
} product;

static inline product product_of(const ad_shape *a, const ad_shape *b, const double *attribute)
{
    bool transpose_a = attribute[AD__TRANSPOSE_A] != 0, transpose_b = attribute[AD__TRANSPOSE_B] != 0;
    return (product){.m = a->dim[transpose_a ? 1 : 0],
                     .n = b->dim[transpose_b ? 0 : 1],
                     .k = a->dim[transpose_a ? 0 : 1],
                     .transpose_a = transpose_a,
                     .transpose_b = transpose_b};
}

/* The part C[i0:i1, j0:j1] = A[i0:i1, p0:p1] B[p0:p1, j0:j1] */
typedef struct {
    size_t i0, i1, j0, j1, p0, p1;
} part;

static inline size_t count_parts(const ad_tile *tile)
{
    return tile->attribute[AD__BLOCKED] == AD__NOT_BLOCKED ? 1 : (size_t)tile->attribute[AD__BLOCK_COUNT];
}

static inline part part_of(const ad_tile *tile, const product *whole, size_t b)
{
    part at = {0, whole->m, 0, whole->n, 0, whole->k};
    if (tile->attribute[AD__BLOCKED] == AD__NOT_BLOCKED) return at;
    const size_t count = count_parts(tile);
    const double *row_end = tile->attribute + AD__BLOCKS, *begin = row_end + count, *end = begin + count;
    at.i0 = b == 0 ? 0 : (size_t)row_end[b - 1];
    at.i1 = (size_t)row_end[b];
    bool of_a = tile->attribute[AD__BLOCKED] == AD__BLOCKED_A;
    *(of_a ? &at.p0 : &at.j0) = (size_t)begin[b];
    *(of_a ? &at.p1 : &at.j1) = (size_t)end[b];
    return at;
}

static inline size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Zeros where the blocks of C (m, n * rows) say that there are some, in its rows begin … end-1. */
static inline void clear_outside_blocks(const ad_tile *tile, const product *whole, size_t rows, size_t begin,
                                        size_t end)
{
    real *c = tile->out.data;
    for (size_t b = 0; b < count_parts(tile); b++) {
        const part at = part_of(tile, whole, b);
        for (size_t i = larger(at.i0, begin); i < smaller(at.i1, end); i++) {
            memset(c + i * whole->n * rows, 0, at.j0 * rows * sizeof(real));
            memset(c + (i * whole->n + at.j1) * rows, 0, (whole->n - at.j1) * rows * sizeof(real));
        }
    }
}

static inline bool product_shape(const ad_call *call, ad_shape *result)
{
    ad_shape a = ad_shape_of(call->in[0]), b = ad_shape_of(call->in[1]);
    if (a.rank == 2 && b.rank == 2) {
        product p = product_of(&a, &b, call->attribute);
        *result = AD_SHAPE(p.m, p.n);
        if (p.k == b.dim[p.transpose_b ? 1 : 0]) return true;
    }
    char a_text[128], b_text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                 "matmul: %s%s times %s%s: takes matrices, with as many columns in the first as rows in the second",
                 ad_shape_text(a, a_text), call->attribute[AD__TRANSPOSE_A] != 0 ? " transposed" : "",
                 ad_shape_text(b, b_text), call->attribute[AD__TRANSPOSE_B] != 0 ? " transposed" : "");
    return false;
}

/* ---- Samples for tests ------------------------------------------------------------------------------------------ */

#define AD_MATRICES(m, k, n)                                                                                           \
    {                                                                                                                  \
        {AD_DIMS(m, k), -2, 2},                                                                                        \
        {                                                                                                              \
            AD_DIMS(k, n), -2, 2                                                                                       \
        }                                                                                                              \
    }
/* Blocks of (5,4): row 0 is all zero, rows 1 and 2 are zero outside columns 0 and 1, and so on. */
#define AD_STAIRCASE 4, 1, 3, 4, 5, 0, 0, 0, 1, 0, 2, 3, 4

#endif
