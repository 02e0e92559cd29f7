/* Recording ops that have no public name. */
#ifndef WEIR_AUTODIFF_TAPE_RECORD_H
#define WEIR_AUTODIFF_TAPE_RECORD_H

#include <weir/op.h>

/* y > 0 ? g : slope * g, the gradient of relu and leaky_relu. */
ad_var ad__gate(ad_var g, ad_var y, double slope);
/* g (1 - y²): the gradient of y = tanh(x). */
ad_var ad__tanh_slope(ad_var g, ad_var y);

/* The derivative of log Φ of an order: from 0, log Φ(x), and 1, φ(x)/Φ(x), to AD__MOST_LOG_NDTR. */
enum { AD__MOST_LOG_NDTR = 12 };
ad_var ad__log_ndtr(ad_var x, int order);
/* ψ(a) - ψ(a + b): the gradient of log B(a, b) with respect to a. */
ad_var ad__lbeta_slope(ad_var a, ad_var b);
/* Of digamma. */
enum { AD__MOST_POLYGAMMA = 60 };

/* ad_grad() of Σ seed_i y_i, for a y of any shape, as if `held` and each wrt depended on nothing; `held`
 * invalid: with all that they depend on. */
void ad__grad_held(ad_var y, ad_var seed, ad_var held, const ad_var *wrt, int count, ad_var *gradient);

/* Axis ops see their argument as (outer, n, inner); slice's vjp: put x at [start, start + its extent) of `size` zeros.
 */
ad_var ad__pad(ad_var x, int axis, size_t start, size_t size);

/* C = op(A) op(B), op transposing its (stored) matrix if asked. A and B have rank 2. A ('a') or C ('c') may have known
 * zeros: `blocks` describe the matrix named `blocked`, A as it is stored; NULL for none. sum_rows: the product is
 * summed over rows, by the GEMM itself where both are per-row. */
ad_var ad__matmul_general(ad_var a, ad_var b, bool transpose_a, bool transpose_b, char blocked, const ad_blocks *blocks,
                          bool sum_rows);
/* The attribute of such a product: whether A and B come transposed, and which matrix has known zeros; then, unless
 * AD__NOT_BLOCKED, the number of blocks and all their row_end, column_begin, column_end: of A as it is multiplied,
 * after it is transposed. */
enum { AD__TRANSPOSE_A, AD__TRANSPOSE_B, AD__BLOCKED, AD__BLOCK_COUNT, AD__BLOCKS };
enum { AD__NOT_BLOCKED, AD__BLOCKED_A, AD__BLOCKED_C };
/* ad_sum_rows() of a gradient. A tile's rows are added up in the plan's dtype, as many partial sums as a vector has
 * numbers, as the products do that sum gradients of weights over rows; tiles, as ever, in float64. In float32 that is
 * off by about one rounding of what is added more, and takes a third of the instructions. The op has an attribute
 * then. */
ad_var ad__sum_rows_of_gradient(ad_var g);
static inline bool ad__sums_in_dtype(size_t n_attribute)
{
    return n_attribute > 0;
}
/* As ad_op.vjp, of all products. */
void ad__conv2d_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient);
void ad__conv2d_weight_vjp(const ad_call *call, ad_var y, ad_var h, ad_var *gradient);
void ad__matmul_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient);

#endif
