/* The tape: recording values, ops on them, and their gradients.
 *
 * A tape, and every var of it, is one thread's at a time; several threads may record on tapes of their own at once. So
 * it is with every function here. Recording with a var that is not valid gives one that is not valid. */
#ifndef WEIR_TAPE_H
#define WEIR_TAPE_H

#include <weir/error.h>
#include <weir/shape.h>

WEIR_BEGIN_DECLARATIONS

/* ---- The tape --------------------------------------------------------------------------------------------------- */
typedef struct ad_tape ad_tape;

/* A value on a tape; a small handle, passed by value. Vars come from the functions below; {tape, -1} is none. */
typedef struct {
    ad_tape *tape;
    int32_t id;
    uint32_t
        serial; /* the tape's own number, by which a var is known when its tape is freed and the address used again */
} ad_var;

/* A new, empty tape; NULL when memory is out. NULL may be recorded on like any tape: nothing is, and every var is none.
 */
ad_tape *ad_tape_new(void);
void ad_tape_free(ad_tape *tape);
/* The first error recorded, or NULL. The pointer lives as long as the tape; of a NULL tape, it says that there is none.
 */
const ad_error *ad_tape_error(const ad_tape *tape);
/* Stick an error to the tape (only the first one stays), with the scope in front. For those who record, and for ops
 * written outside. */
void ad_tape_fail(ad_tape *tape, ad_status status, const char *format, ...) AD_PRINTF(3, 4);
/* Names for what is recorded between enter and leave, joined by '/': they appear in print-outs and in error messages.
 * The name is copied; NULL is an empty one. */
void ad_tape_enter(ad_tape *tape, const char *name);
void ad_tape_leave(ad_tape *tape);
/* Zeroed memory for `count` elements of `size` bytes, 16-byte aligned, that is freed with the tape: for what a
 * recording keeps beside its nodes. NULL when memory is out, which sticks to the tape, and for a NULL tape. A tape that
 * has failed gives memory too. */
void *ad_tape_alloc(ad_tape *tape, size_t count, size_t size);
/* One line per node: id, kind, shape, op, arguments, scope. */
void ad_tape_print(const ad_tape *tape, FILE *to);

/* Whether v is a value. What failed to record is none; it reads as shared, of shape (), without a name. */
bool ad_is_valid(ad_var v);
ad_shape ad_shape_of(ad_var v);
bool ad_is_per_row(ad_var v);
/* The name of an input or parameter; "" for anything else. Lives as long as the tape. */
const char *ad_name_of(ad_var v);

/* ---- Leaves ----------------------------------------------------------------------------------------------------- */
/* Names are copied, for messages and for ad_name_of(); NULL: none. */
ad_var ad_input(ad_tape *tape, const char *name, ad_shape shape);        /* per-row, bound with ad_plan_set_input() */
ad_var ad_param(ad_tape *tape, const char *name, ad_shape shape);        /* shared, bound with ad_plan_set_input() */
ad_var ad_constant(ad_tape *tape, ad_shape shape, const double *values); /* shared; values are copied */
ad_var ad_scalar(ad_tape *tape, double value);                           /* shared constant of shape () */
ad_var ad_row_count(ad_tape *tape);                                      /* shared, (): how many rows this run has */
/* Per-row noise: independent standard normals, or uniforms on (0, 1). Counter-based: an element is a function of the
 * run's seed and step, of its row's number, and of `stream` (0 … 4095), which tells noise sources apart. */
ad_var ad_normal(ad_tape *tape, ad_shape shape, unsigned stream);
ad_var ad_uniform(ad_tape *tape, ad_shape shape, unsigned stream);
/* From here on each source is recorded with a stream higher by `by` than it asks for, which is 0 at first: so that
 * parts that know nothing of each other draw noise of their own. Returns what it was before. */
unsigned ad_tape_shift_streams(ad_tape *tape, unsigned by);

/* ---- Elementwise ops -------------------------------------------------------------------------------------------- */
/* Arguments broadcast against each other as in NumPy: shapes are aligned at the last axis, extents of 1 stretch. */

ad_var ad_add(ad_var a, ad_var b);
ad_var ad_sub(ad_var a, ad_var b);
ad_var ad_mul(ad_var a, ad_var b);
ad_var ad_div(ad_var a, ad_var b);
ad_var ad_maximum(ad_var a, ad_var b); /* NaN if either is NaN; at a tie the gradient goes half to each */
ad_var ad_minimum(ad_var a, ad_var b);
/* x; where that isn't within the open interval (low, high), the nearest number of the plan's dtype that is, which next
 * to an end at 0 is the smallest normal one. NaN stays NaN, ends may be infinite. It is for what reaches an end by
 * rounding or overflow alone, so the gradient is that of x everywhere. */
ad_var ad_inside(ad_var x, double low, double high);
ad_var ad_greater(ad_var a, ad_var b);       /* a > b: 1 or 0; gradient 0 */
ad_var ad_greater_equal(ad_var a, ad_var b); /* a >= b */
ad_var ad_equal(ad_var a, ad_var b);         /* a == b */
/* condition != 0 ? a : b. The side not taken must still be finite there, or its gradient may be NaN: clamp before. */
ad_var ad_where(ad_var condition, ad_var a, ad_var b);

ad_var ad_pow(ad_var a, ad_var b);   /* a^b as C's pow: NaN for a < 0 unless b is whole; 0^0 = 1 */
ad_var ad_atan2(ad_var y, ad_var x); /* the angle of (x, y), in (-π, π] */
ad_var ad_lbeta(ad_var a, ad_var b); /* log B(a, b), of a, b >= 0, without cancellation where they are large */

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
ad_var ad_floor(ad_var x); /* gradient 0 */

/* Special functions, named as in SciPy, with its values at poles and infinities. What is hard to get right in float32
 * is computed in double in either dtype: the normal's functions but ndtr, polygamma, lbeta. */
ad_var ad_erf(ad_var x);
ad_var ad_erfc(ad_var x);                 /* 1 - erf(x), small where x is large */
ad_var ad_erfinv(ad_var x);               /* of x in [-1, 1] */
ad_var ad_ndtr(ad_var x);                 /* Φ(x), the distribution function of N(0, 1) */
ad_var ad_log_ndtr(ad_var x);             /* log Φ(x), exact in both tails, as its first two derivatives are */
ad_var ad_ndtri(ad_var p);                /* Φ^-1(p), of p in [0, 1] */
ad_var ad_ndtri_exp(ad_var x);            /* Φ^-1(e^x), of x <= 0 */
ad_var ad_lgamma(ad_var x);               /* log |Γ(x)| */
ad_var ad_digamma(ad_var x);              /* ψ(x), its derivative */
ad_var ad_trigamma(ad_var x);             /* ψ'(x) */
ad_var ad_polygamma(ad_var x, int order); /* the derivative of ψ of an order, 0 to 60 */

/* The same value; no gradient passes. */
ad_var ad_stop_gradient(ad_var x);

/* x + c and x * c, with a number c. */
ad_var ad_add_scalar(ad_var x, double c);
ad_var ad_mul_scalar(ad_var x, double c);

/* ---- Reductions over features ----------------------------------------------------------------------------------- */
/* All elements are reduced to a scalar; or, with _axis, those along one axis, which disappears. Sums accumulate in
 * float64. */

ad_var ad_sum(ad_var x);
ad_var ad_mean(ad_var x);
ad_var ad_max(ad_var x);       /* gradient shared equally among ties */
ad_var ad_logsumexp(ad_var x); /* gradient 0 where all are -inf */
ad_var ad_sum_axis(ad_var x, int axis);
ad_var ad_max_axis(ad_var x, int axis);
ad_var ad_logsumexp_axis(ad_var x, int axis);
/* y_i = Σ_{j<=i} x_j along an axis; reverse: Σ_{j>=i}. */
ad_var ad_cumsum(ad_var x, int axis, bool reverse);

/* ---- Across rows ------------------------------------------------------------------------------------------------ */
/* Σ over the rows of the run: a shared value of the same shape. Accumulated in float64, in an order that does not
 * depend on the number of threads. */
ad_var ad_sum_rows(ad_var x);
/* The same value for every row: shared to per-row. Ops do this by themselves; it is for outputs. */
ad_var ad_to_rows(ad_var x);

/* ---- Layout ----------------------------------------------------------------------------------------------------- */
ad_var ad_reshape(ad_var x, ad_shape shape);                    /* row-major order of elements is kept */
ad_var ad_transpose(ad_var x);                                  /* (m,n) to (n,m) */
ad_var ad_broadcast(ad_var x, ad_shape shape);                  /* as NumPy's broadcast_to */
ad_var ad_slice(ad_var x, int axis, size_t start, size_t stop); /* elements start … stop-1 of an axis */
ad_var ad_concat(const ad_var *parts, int count, int axis);
/* y_i = x_index[i] along axis 0. Indices may repeat. Repeated or not, the gradient is a scatter-add. */
ad_var ad_gather(ad_var x, const size_t *index, size_t count);
/* y of `size` elements along axis 0, zero but for y_index[i] += x_i. */
ad_var ad_scatter(ad_var x, const size_t *index, size_t count, size_t size);

/* ---- Linear algebra --------------------------------------------------------------------------------------------- */
/* (m,k)(k,n) -> (m,n), and (m,k)(k) -> (m). Either argument may be shared or per-row. */
ad_var ad_matmul(ad_var a, ad_var b);

/* The block structure of a matrix with zeros in known places: the rows up to row_end[b] (from row_end[b-1], or 0) are
 * zero outside columns column_begin[b] … column_end[b]-1. The last row_end is the number of rows. */
typedef struct {
    size_t count;
    const size_t *row_end, *column_begin, *column_end;
} ad_blocks;

/* As ad_matmul(), with a shared `a` that is taken as zero outside `blocks`, whatever is there: those products are
 * skipped, and so are they in its gradients, but for some near the blocks' edges, where a zero is multiplied. */
ad_var ad_matmul_blocks(ad_var a, ad_var b, const ad_blocks *blocks);

/* Solve A x = b for a triangular A (n,n), b (n) or (n,m). Only the named triangle is read. For Aᵀ x = b give
 * ad_transpose(a) and the other triangle; for x A = b that and ad_transpose(b), and transpose what comes out. */
typedef enum { AD_LOWER = 0, AD_UPPER = 1, AD_UNIT_DIAGONAL = 2 } ad_triangle; /* or-ed: AD_UPPER | AD_UNIT_DIAGONAL */
ad_var ad_solve_triangular(ad_var a, ad_var b, unsigned triangle);

/* By LU factorisation with partial pivoting, either argument shared or per-row: solve A x = b for A (n,n), b (n) or
 * (n,m), not finite where A is singular; and log|det A| for A (n,n), -inf where it is singular. */
ad_var ad_solve(ad_var a, ad_var b);
ad_var ad_log_abs_det(ad_var a);

/* The lower triangular L with L Lᵀ = A, of a symmetric positive definite A (n,n), shared or per-row. Only A's lower
 * triangle is read, and it alone gets a gradient; above its diagonal L is 0. Where A is not positive definite, in the
 * plan's dtype, L has NaN. */
ad_var ad_cholesky(ad_var a);
/* Of that L: A^-1 b for b (n) or (n,m), and log det A. */
ad_var ad_cholesky_solve(ad_var l, ad_var b);
ad_var ad_cholesky_log_det(ad_var l);
/* The diagonal (n) of a matrix (n,n). */
ad_var ad_diagonal(ad_var a);

/* ---- Convolutions ----------------------------------------------------------------------------------------------- */
/* An image x (C,H,W) with a kernel of odd sizes A and B, weight (A,B,O,C), zeros around it, to (O,H,W):
 *
 *     y[o,i,j] = Σ_(a,b,c) weight[a,b,o,c] x[c, i + a - ⌊A/2⌋, j + b - ⌊B/2⌋],
 *
 * a cross-correlation, as deep learning calls it: PyTorch's conv2d(padding='same'), whose weight is (O,C,A,B). Either
 * argument may be shared or per-row. */
ad_var ad_conv2d(ad_var x, ad_var weight);

/* ---- Roots ------------------------------------------------------------------------------------------------------ */
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
 * gradients of gradients are exact too. captured may be NULL where n_captured is 0, and context may be. */
ad_var ad_root(ad_var x, const ad_var *captured, int n_captured, ad_root_kind kind, const size_t *order,
               ad_var (*f)(void *context, ad_tape *inner, ad_var z, const ad_var *captured), void *context);

/* ---- Differential equations ------------------------------------------------------------------------------------- */
/* Zero means the default; new members go at the end. */
typedef struct {
    double rtol, atol; /* of each step's error, relative to the size of z and absolute: the root of the mean over z's
                        * elements of (error / (atol + rtol |z|))² is at most 1. rtol 0: 1e-5 in float32, 1e-12 in
                        * float64; it is at least 1e-6 and 1e-14. atol 0: as rtol */
    size_t max_steps;  /* 1000: steps tried, of a row; one that would need more becomes NaN */
} ad_ode_options;

/* z(t1) of dz/dt = f(t, z) from z(t0) = z0, row by row, for z0 (D), and t0 and t1 (), each shared or per-row, t1 before
 * t0 too. By an explicit Runge-Kutta method of Dormand & Prince, of order 5(4), or 8(5,3) where rtol is below 1e-7,
 * in steps that each row chooses for itself: its bits depend on that row alone. A row whose f stops being finite, or
 * changes too fast for max_steps (stiff equations), becomes NaN.
 *
 * f is recorded and captures as ad_root() says. The gradient, with respect to z0, t0, t1 and what is captured, goes
 * back through the steps: it is that of the discrete solution, exact to rounding for the steps that were taken, as
 * parts of t1 - t0. The other way, solving the adjoint equation backwards, has an error of its own that only a smaller
 * tolerance bounds, and needs the trajectory backwards, which is not stable where rows come together. Where stability
 * limits steps, and not accuracy (a stiff equation at a loose tolerance), the gradient may be far from the solution's:
 * there it takes a smaller rtol. Each thread keeps the steps of its last tile for the gradient, D + 2 numbers for each
 * step of each row, and what is captured, until tape and plans are freed; where memory is out, the gradient is NaN. No
 * second derivatives: an error of the tape. captured may be NULL if n_captured is 0, options (defaults) and context. */
ad_var ad_ode(ad_var z0, ad_var t0, ad_var t1, const ad_var *captured, int n_captured, const ad_ode_options *options,
              ad_var (*f)(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured), void *context);

/* ---- Gradients -------------------------------------------------------------------------------------------------- */
/* d y / d wrt[i] into gradient[i], as nodes on the same tape, of wrt[i]'s shape and kind. y has shape (). A per-row y
 * stands for its sum over rows, so the gradient with respect to a per-row value is each row's own. Gradients can be
 * differentiated again. What y doesn't depend on gets zeros. wrt and gradient may be NULL
 * where count is 0. */
void ad_grad(ad_var y, const ad_var *wrt, int count, ad_var *gradient);
ad_var ad_grad1(ad_var y, ad_var wrt);
/* (n, m), row i the gradient of element i of y with respect to wrt, of n and m elements: n sweeps. */
ad_var ad_jacobian(ad_var y, ad_var wrt);

/* ---- Structure -------------------------------------------------------------------------------------------------- */
/* Which elements of y depend on which of x, as far as the tape shows it for any values of its inputs and parameters:
 * depends[i * size(x) + j] says whether element i of y may depend on element j of x (of the same row). Never false
 * where it does. Zeros of constants count, so a product with W * mask, or one by ad_matmul_blocks(), depends on what
 * the mask leaves alone; constants are taken in float64. Where ops from outside don't say more by their flags, each
 * element of the result depends on all arguments. depends holds size(y) * size(x). */
ad_status ad_dependence(ad_var y, ad_var x, bool *depends, ad_error *error);

WEIR_END_DECLARATIONS

#endif
