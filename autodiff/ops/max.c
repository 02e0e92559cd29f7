/* The maximum along an axis of features, and logsumexp, which needs it. */
#include "ops/axis.h"
#include "ops/vector_math.h"

enum { CHUNK = 64 }; /* numbers of a run reduced at a time */

/* ---- max ----------------------------------------------------------------------------------------------------- */

/* max_r = the largest of x_r, x_(run + r), … (n of them), NaN if there is one. */
static inline void max_of(const real *x, size_t n, size_t run, size_t count, real *max)
{
    for (size_t r = 0; r < count; r++) max[r] = x[r];
    for (size_t j = 1; j < n; j++) {
        const real *next = x + j * run;
        AD_SIMD for (size_t r = 0; r < count; r++) max[r] = next[r] > max[r] || next[r] != next[r] ? next[r] : max[r];
    }
}

static bool max_shape(const ad_call *call, ad_shape *result)
{
    return reduced_shape(call, "max", result);
}

static void max_evaluate(const ad_tile *tile)
{
    axis_view view = axis_of(tile);
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    for (size_t i = 0; i < view.outer; i++)
        max_of(in + i * view.n * view.run, view.n, view.run, view.run, out + i * view.run);
}

static void max_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    ad_var largest = ad_equal(call->in[0], restore_axis(call, y));
    ad_var ties = ad_sum_axis(largest, (int)call->attribute[0]);
    gradient[0] = ad_mul(largest, restore_axis(call, ad_div(g, ties)));
}

AD_DEFINE_OP(max) = {
    .name = "max",
    .n_in = 1,
    .flags = AD_OP_INCREASING,
    .shape = max_shape,
    .evaluate[AD_DTYPE] = max_evaluate,
    .vjp = max_vjp,
    AD_REDUCTION_SAMPLES,
};

/* ---- logsumexp ----------------------------------------------------------------------------------------------- */

/* shift + log Σ exp(x - shift) with the maximum as shift; where that is infinite or NaN, 0 gives the right result. */
static bool logsumexp_shape(const ad_call *call, ad_shape *result)
{
    return reduced_shape(call, "logsumexp", result);
}

static void logsumexp_evaluate(const ad_tile *tile)
{
    axis_view view = axis_of(tile);
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    for (size_t i = 0; i < view.outer; i++, in += view.n * view.run, out += view.run)
        for (size_t begin = 0; begin < view.run; begin += CHUNK) {
            size_t count = view.run - begin < CHUNK ? view.run - begin : CHUNK;
            real shift[CHUNK], term[CHUNK];
            double sum[CHUNK] = {0};
            max_of(in + begin, view.n, view.run, count, shift);
            AD_SIMD for (size_t r = 0; r < count; r++) shift[r] = fabs(shift[r]) < (real)INFINITY ? shift[r] : (real)0;
            for (size_t j = 0; j < view.n; j++) {
                const real *x = in + j * view.run + begin;
                AD_SIMD for (size_t r = 0; r < count; r++) term[r] = x[r] - shift[r];
                vector_exp(count, term, term);
                AD_SIMD for (size_t r = 0; r < count; r++) sum[r] += (double)term[r];
            }
            for (size_t r = 0; r < count; r++) term[r] = (real)sum[r];
            vector_log(count, term, term);
            AD_SIMD for (size_t r = 0; r < count; r++) out[begin + r] = shift[r] + term[r];
        }
}

static void logsumexp_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    ad_var lowest = ad_scalar(call->tape, -INFINITY), zero = ad_scalar(call->tape, 0);
    ad_var shift = ad_where(ad_equal(y, lowest), zero, y); /* -inf - -inf would be NaN */
    ad_var softmax = ad_exp(ad_sub(call->in[0], restore_axis(call, shift)));
    gradient[0] = ad_mul(restore_axis(call, g), softmax);
}

AD_DEFINE_OP(logsumexp) = {
    .name = "logsumexp",
    .n_in = 1,
    .flags = AD_OP_INCREASING,
    .shape = logsumexp_shape,
    .evaluate[AD_DTYPE] = logsumexp_evaluate,
    .vjp = logsumexp_vjp,
    AD_REDUCTION_SAMPLES,
};
