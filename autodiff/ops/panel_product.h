/* Products C (n,m) = W (n,k) X (k,m) whose last axis is made of whole vectors: of rows of a tile, above all. They take
 * any k and a W of any strides, so that known zeros of W cost nothing: a staircase of them is made of blocks that each
 * have their own k, for each of which a library that generates code would make a kernel of its own. */
#ifndef WEIR_AUTODIFF_OPS_PANEL_PRODUCT_H
#define WEIR_AUTODIFF_OPS_PANEL_PRODUCT_H

#include "ops/kernels.h"

/* Numbers of a vector: a multiple of them is m, whose rows need not be aligned. */
#if defined __AVX512F__
enum { PANEL_VECTOR = 64 / sizeof(real) };
#elif defined __AVX2__
enum { PANEL_VECTOR = 32 / sizeof(real) };
#else
enum { PANEL_VECTOR = 16 / sizeof(real) };
#endif

/* W's elements (i,q) are i step_n + q step_k numbers apart. adds: C is what there is, to which the product is added.
 * Each element of C is added up in the order of k. */
typedef struct {
    size_t n, k;
    const real *w;
    size_t step_n, step_k;
    const real *x;
    size_t ldx;
    real *c;
    size_t ldc;
    bool adds;
} panel_product;

/* Lines of a matrix that are needed soon. They are fetched from the further caches while others are multiplied, some at
 * a time: all at once would keep the products waiting. at_once: with the product of 6 rows of W, or about as many. */
typedef struct {
    const real *at;
    size_t ld, lines, width, at_once;
} upcoming;

/* Compute it; `soon` are two kinds of lines, of which those that were fetched are taken away. */
#define multiply_panels AD_NAME(ad__multiply_panels)
void multiply_panels(const panel_product *product, size_t m, upcoming soon[2]);

#endif
