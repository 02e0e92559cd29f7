/* The maximum along an axis of features, and logsumexp, which needs it. */
#include "ops/axis.h"
#include "ops/vector_elements.h"

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

/* Of elements of an argument, from `first` on. */
static ad__element max_element(const ad__fused_call *call, size_t first, size_t n, size_t run)
{
    ad__element max = call->in[0][first];
    for (size_t j = 1; j < n; j++) max = ad__element_maximum(call->list, call->in[0][first + j * run], max);
    return max;
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

AD_FUSED_CALL(max)
{
    const axis_view view = view_axis(&call->in_shape[0], call->attribute[0], 1);
    for (size_t i = 0; i < view.outer * view.run; i++)
        call->out[i] = max_element(call, first_of(&view, i), view.n, view.run);
}

AD_DEFINE_OP(max) = {
    .name = "max",
    .n_in = 1,
    .flags = AD_OP_INCREASING,
    .shape = max_shape,
    .evaluate[AD_DTYPE] = max_evaluate,
    AD_FUSED_BY_CALL(max, is_reduced_before),
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

AD_FUSED_CALL(logsumexp)
{
    const axis_view view = view_axis(&call->in_shape[0], call->attribute[0], 1);
    ad__elements *list = call->list;
    const ad__element zero = ad__element_constant(list, 0), infinity = ad__element_constant(list, INFINITY);
    for (size_t i = 0; i < view.outer * view.run; i++) {
        const size_t first = first_of(&view, i);
        const ad__element max = max_element(call, first, view.n, view.run);
        const ad__element shift = ad__element_choose(list, AD_LESS, ad__element_abs(list, max), infinity, max, zero);
        ad__element_sum sum = {0};
        for (size_t j = 0; j < view.n; j++) {
            const ad__element x = ad__element_sub(list, call->in[0][first + j * view.run], shift);
            ad__element_sum_add(list, &sum, ad__element_call(list, (ad__function *)AD_SLEEF(exp, u10), x));
        }
        const ad__element total = ad__element_sum_total(list, &sum);
        call->out[i] = ad__element_add(list, shift, element_of_log(list, total));
    }
}

AD_DEFINE_OP(logsumexp) = {
    .name = "logsumexp",
    .n_in = 1,
    .flags = AD_OP_INCREASING,
    .shape = logsumexp_shape,
    .evaluate[AD_DTYPE] = logsumexp_evaluate,
    AD_FUSED_BY_CALL(logsumexp, is_reduced_before),
    .vjp = logsumexp_vjp,
    AD_REDUCTION_SAMPLES,
};
