/* Sums along an axis of features, and over rows. They accumulate in float64. */
#include "base/broadcast.h"
#include "base/fold.h"
#include "ops/axis.h"
#include "ops/vector_math.h"
#include "tape/record.h"

/* ---- sum ----------------------------------------------------------------------------------------------------- */

typedef real eight_reals __attribute__((vector_size(8 * sizeof(real))));
typedef double eight_doubles __attribute__((vector_size(8 * sizeof(double))));

#if defined __AVX512F__ && AD_REAL_BITS == 32 /* where GCC would convert by halves */
#define widen  (eight_doubles) _mm512_cvtps_pd
#define narrow (eight_reals) _mm512_cvtpd_ps
#else
#define widen(eight)  __builtin_convertvector(eight, eight_doubles)
#define narrow(eight) __builtin_convertvector(eight, eight_reals)
#endif

static inline eight_doubles load_eight(const real *x)
{
    eight_reals eight;
    memcpy(&eight, x, sizeof eight);
    return widen(eight);
}

/* Sums begin with -0, to which any number may be added and stays what it is: fused ones begin with their first term. */
static const eight_doubles none = {-0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0, -0.0};

/* The sum of n numbers, in an order that depends on n alone: one after another where so few may be fused. */
static double sum_of(const real *x, size_t n)
{
    enum { VECTORS = 4, FEW = 16 };
    eight_doubles sum[VECTORS] = {none, none, none, none};
    double rest = -0.0;
    size_t i = 0;
    for (; i + 8 * VECTORS <= n; i += 8 * VECTORS)
        for (size_t v = 0; v < VECTORS; v++) sum[v] += load_eight(x + i + 8 * v);
    for (; n > FEW && i + 8 <= n; i += 8) sum[0] += load_eight(x + i);
    for (; i < n; i++) rest += (double)x[i];
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    const double *lane = (const double *)&sum[0];
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7])) + rest;
}

/* out_r = x_r + x_(run + r) + … (n of them), for r = 0 … run-1 */
static void sum_runs(const real *x, size_t n, size_t run, real *out)
{
    enum { VECTORS = 2 };
    size_t r = 0;
    for (; r + 8 * VECTORS <= run; r += 8 * VECTORS) {
        eight_doubles sum[VECTORS] = {none, none};
        for (size_t j = 0; j < n; j++)
            for (size_t v = 0; v < VECTORS; v++) sum[v] += load_eight(x + j * run + r + 8 * v);
        for (size_t v = 0; v < VECTORS; v++) {
            const eight_reals eight = narrow(sum[v]);
            memcpy(out + r + 8 * v, &eight, sizeof eight);
        }
    }
    for (; r < run; r++) {
        double sum = -0.0;
        for (size_t j = 0; j < n; j++) sum += (double)x[j * run + r];
        out[r] = (real)sum;
    }
}

static bool sum_shape(const ad_call *call, ad_shape *result)
{
    return reduced_shape(call, "sum", result);
}

static void sum_evaluate(const ad_tile *tile)
{
    axis_view view = axis_of(tile);
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    for (size_t i = 0; i < view.outer; i++, in += view.n * view.run, out += view.run)
        if (view.run == 1)
            *out = (real)sum_of(in, view.n);
        else
            sum_runs(in, view.n, view.run, out);
}

static void sum_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = restore_axis(call, g);
}

AD_FUSED_CALL(sum)
{
    const axis_view view = view_axis(&call->in_shape[0], call->attribute[0], 1);
    for (size_t i = 0; i < view.outer * view.run; i++) {
        const ad__element *x = call->in[0] + first_of(&view, i);
        ad__element_sum sum = {0};
        for (size_t j = 0; j < view.n; j++) ad__element_sum_add(call->list, &sum, x[j * view.run]);
        call->out[i] = ad__element_sum_total(call->list, &sum);
    }
}

AD_DEFINE_OP(sum) = {
    .name = "sum",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = sum_shape,
    .evaluate[AD_DTYPE] = sum_evaluate,
    AD_FUSED_BY_CALL(sum, is_reduced_before),
    .vjp = sum_vjp,
    AD_REDUCTION_SAMPLES,
};

/* ---- mul_sum ------------------------------------------------------------------------------------------------- */

/* The shape of a b, before the sum. */
static bool shape_of_product(ad_shape a, ad_shape b, double axis, ad_shape *product)
{
    return ad__shape_broadcast(a, b, product) && axis >= 0 && axis < product->rank;
}

static bool mul_sum_shape(const ad_call *call, ad_shape *result)
{
    const ad_shape a = ad_shape_of(call->in[0]), b = ad_shape_of(call->in[1]);
    ad_shape product;
    if (shape_of_product(a, b, call->attribute[0], &product)) {
        *result = without_axis(product, (int)call->attribute[0]);
        return true;
    }
    char a_text[128], b_text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "mul_sum: %s times %s along axis %g: they don't broadcast to that",
                 ad_shape_text(a, a_text), ad_shape_text(b, b_text), call->attribute[0]);
    return false;
}

/* One of the factors, and how far apart in it are neighbours along each axis of the product: 0 where it stretches. */
typedef struct {
    const real *data;
    size_t step[AD_MAX_RANK];
    bool per_row;
} factor;

static factor factor_of(const ad_tile *tile, int i, const ad_shape *product)
{
    const ad_tensor *in = &tile->in[i];
    const int missing = product->rank - in->shape.rank;
    factor f = {.data = in->data, .per_row = in->per_row};
    size_t step = rows_of(in, tile);
    for (int axis = in->shape.rank; axis-- > 0;) {
        f.step[missing + axis] = in->shape.dim[axis] == 1 ? 0 : step;
        step *= in->shape.dim[axis];
    }
    return f;
}

/* Eight rows from x on, or the number there eight times. */
static inline eight_reals eight_of(const real *x, bool per_row)
{
    eight_reals eight;
    if (!per_row) return *x - (eight_reals){0};
    memcpy(&eight, x, sizeof eight);
    return eight;
}

/* Σ_j a_j b_j for each of so many rows, a multiple of 16. */
static inline void sum_products(size_t n, size_t rows, const real *a, size_t step_a, bool a_per_row, const real *b,
                                size_t step_b, bool b_per_row, real *out)
{
    for (size_t r = 0; r < rows; r += 16) {
        eight_doubles sum[2] = {none, none};
        for (size_t j = 0; j < n; j++)
            for (size_t v = 0; v < 2; v++) {
                const real *x = a + j * step_a + (a_per_row ? r + 8 * v : 0);
                const real *y = b + j * step_b + (b_per_row ? r + 8 * v : 0);
                sum[v] += widen(eight_of(x, a_per_row) * eight_of(y, b_per_row));
            }
        for (size_t v = 0; v < 2; v++) {
            const eight_reals eight = narrow(sum[v]);
            memcpy(out + r + 8 * v, &eight, sizeof eight);
        }
    }
}

/* Σ_j a_j b_j of shared numbers. */
static double dot(size_t n, const real *a, size_t step_a, const real *b, size_t step_b)
{
    double sum = -0.0;
    for (size_t j = 0; j < n; j++) sum += (double)(a[j * step_a] * b[j * step_b]);
    return sum;
}

static void mul_sum_evaluate(const ad_tile *tile)
{
    ad_shape product;
    const int axis = (int)tile->attribute[0];
    if (!shape_of_product(tile->in[0].shape, tile->in[1].shape, axis, &product)) return; /* was recorded: never */
    const factor a = factor_of(tile, 0, &product), b = factor_of(tile, 1, &product);
    const size_t n = product.dim[axis], step_a = a.step[axis], step_b = b.step[axis];
    real *out = tile->out.data;
    for (size_t i = 0; i < tile->out.size; i++) {
        const real *x = a.data, *y = b.data;
        for (int d = product.rank, rest = (int)i; d-- > 0;) {
            if (d == axis) continue;
            const int at = rest % (int)product.dim[d];
            x += (size_t)at * a.step[d];
            y += (size_t)at * b.step[d];
            rest /= (int)product.dim[d];
        }
        if (a.per_row && b.per_row) {
            sum_products(n, tile->rows, x, step_a, true, y, step_b, true, out + i * tile->rows);
        } else if (a.per_row) {
            sum_products(n, tile->rows, x, step_a, true, y, step_b, false, out + i * tile->rows);
        } else if (b.per_row) {
            sum_products(n, tile->rows, x, step_a, false, y, step_b, true, out + i * tile->rows);
        } else {
            out[i] = (real)dot(n, x, step_a, y, step_b);
        }
    }
}

static void mul_sum_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    ad_shape product;
    shape_of_product(ad_shape_of(call->in[0]), ad_shape_of(call->in[1]), call->attribute[0], &product);
    product.dim[(int)call->attribute[0]] = 1;
    g = ad_reshape(g, product);
    gradient[0] = ad_mul(g, call->in[1]);
    gradient[1] = ad_mul(g, call->in[0]);
}

/* Σ a b along an axis, which is the attribute. */
AD_FUSED_CALL(mul_sum)
{
    ad_shape product;
    const int axis = (int)call->attribute[0];
    shape_of_product(call->in_shape[0], call->in_shape[1], call->attribute[0], &product);
    const axis_view view = view_axis(&product, axis, 1);
    for (size_t i = 0; i < view.outer * view.run; i++) {
        ad__element_sum sum = {0};
        for (size_t j = 0; j < view.n; j++) {
            const size_t at = (i / view.run * view.n + j) * view.run + i % view.run;
            const ad__element a = call->in[0][ad__stretched(&product, &call->in_shape[0], at)];
            const ad__element b = call->in[1][ad__stretched(&product, &call->in_shape[1], at)];
            ad__element_sum_add(call->list, &sum, ad__element_mul(call->list, a, b));
        }
        call->out[i] = ad__element_sum_total(call->list, &sum);
    }
}

AD_DEFINE_OP(mul_sum) = {
    .name = "mul_sum",
    .n_in = 2,
    .flags = AD_OP_BILINEAR,
    .shape = mul_sum_shape,
    .evaluate[AD_DTYPE] = mul_sum_evaluate,
    AD_FUSED_BY_CALL(mul_sum, is_reduced_before),
    .vjp = mul_sum_vjp,
    AD_SAMPLES({.n_in = 2, .in = {{AD_DIMS(5), -2, 2}, {AD_DIMS(5), -2, 2}}, AD_ATTRIBUTES(0)},
               {.n_in = 2, .in = {{AD_DIMS(3, 4), -2, 2}, {AD_DIMS(2, 3, 4), -2, 2}}, AD_ATTRIBUTES(1)},
               {.n_in = 2, .in = {{AD_DIMS(2, 3, 1), -2, 2}, {AD_DIMS(3, 4), -2, 2}}, AD_ATTRIBUTES(0)},
               {.n_in = 2, .in = {{AD_DIMS(3, 1), -2, 2}, {AD_DIMS(1, 4), -2, 2}}, AD_ATTRIBUTES(1)}),
};

/* ---- cumsum -------------------------------------------------------------------------------------------------- */

enum { CHUNK = 64 }; /* numbers of a run reduced at a time */

/* attribute: the axis; whether to sum from its end. */
static bool cumsum_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    return check_axis(call, "cumsum");
}

static void cumsum_evaluate(const ad_tile *tile)
{
    axis_view view = axis_of(tile);
    const bool reverse = tile->attribute[1] != 0;
    const real *in = real_in(tile, 0);
    real *out = tile->out.data;
    for (size_t i = 0; i < view.outer; i++, in += view.n * view.run, out += view.n * view.run)
        for (size_t begin = 0; begin < view.run; begin += CHUNK) {
            size_t count = view.run - begin < CHUNK ? view.run - begin : CHUNK;
            double sum[CHUNK];
            for (size_t r = 0; r < count; r++) sum[r] = -0.0;
            for (size_t j = 0; j < view.n; j++) {
                size_t at = (reverse ? view.n - 1 - j : j) * view.run + begin;
                AD_SIMD for (size_t r = 0; r < count; r++)
                {
                    sum[r] += (double)in[at + r];
                    out[at + r] = (real)sum[r];
                }
            }
        }
}

static void cumsum_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y;
    gradient[0] = ad_cumsum(g, (int)call->attribute[0], call->attribute[1] == 0);
}

AD_FUSED_CALL(cumsum)
{
    const axis_view view = view_axis(&call->in_shape[0], call->attribute[0], 1);
    const bool reverse = call->attribute[1] != 0;
    for (size_t i = 0; i < view.outer * view.run; i++) {
        const size_t first = first_of(&view, i);
        ad__element_sum sum = {0};
        for (size_t j = 0; j < view.n; j++) {
            const size_t at = first + (reverse ? view.n - 1 - j : j) * view.run;
            ad__element_sum_add(call->list, &sum, call->in[0][at]);
            call->out[at] = ad__element_sum_total(call->list, &sum);
        }
    }
}

AD_DEFINE_OP(cumsum) = {
    .name = "cumsum",
    .n_in = 1,
    .flags = AD_OP_LINEAR,
    .shape = cumsum_shape,
    .evaluate[AD_DTYPE] = cumsum_evaluate,
    AD_FUSED_BY_CALL(cumsum, is_written_out),
    .vjp = cumsum_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}, AD_ATTRIBUTES(0, 0)},
               {.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}, AD_ATTRIBUTES(0, 1)},
               {.n_in = 1, .in = {{AD_DIMS(3, 4), -2, 2}}, AD_ATTRIBUTES(0, 0)},
               {.n_in = 1, .in = {{AD_DIMS(2, 3, 2), -2, 2}}, AD_ATTRIBUTES(1, 1)}),
};

/* ---- Across rows --------------------------------------------------------------------------------------------- */

/* Of a shared value ad_sum_rows() records a multiple instead. */
static bool sum_rows_shape(const ad_call *call, ad_shape *result)
{
    *result = ad_shape_of(call->in[0]);
    if (ad_is_per_row(call->in[0])) return true;
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "sum_rows: takes a per-row value; use ad_sum_rows() for any");
    return false;
}

/* The sum of n numbers: as many sums as a vector has numbers, which are then folded up. It is the order in which a
 * fused loop adds up rows; where there are none, vectors are short, and several at once hide what an addition takes. */
enum { LENGTH = sizeof(sleef_vector) < 32 ? 8 : AD_LANES };
#define AD_SUM_BY_VECTORS(name, number, fold)                                                                          \
    static double name(const real *x, size_t n)                                                                        \
    {                                                                                                                  \
        number sum[LENGTH] = {0};                                                                                      \
        size_t i = 0;                                                                                                  \
        for (; i + LENGTH <= n; i += LENGTH) AD_SIMD for (size_t l = 0; l < LENGTH; l++) sum[l] += (number)x[i + l];   \
        for (size_t l = 0; i + l < n; l++) sum[l] += (number)x[i + l];                                                 \
        return fold(sum, LENGTH);                                                                                      \
    }
AD_SUM_BY_VECTORS(sum_in_f64, double, ad__fold)
#if AD_REAL_BITS == 32
AD_SUM_BY_VECTORS(sum_in_dtype, real, ad__fold_floats)
#else
#define sum_in_dtype sum_in_f64
#endif

static void sum_rows_evaluate(const ad_tile *tile)
{
    const real *in = real_in(tile, 0);
    double *out = tile->out.data;
    double (*const sum_of_tile)(const real *, size_t) =
        ad__sums_in_dtype(tile->n_attribute) ? sum_in_dtype : sum_in_f64;
    for (size_t feature = 0; feature < tile->out.size; feature++) {
        const double sum = sum_of_tile(in + feature * tile->rows, tile->valid);
        out[feature] = tile->accumulate ? out[feature] + sum : sum;
    }
}

static void sum_rows_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)call, (void)y;
    gradient[0] = g;
}

AD_DEFINE_OP(sum_rows) = {
    .name = "sum_rows",
    .n_in = 1,
    .flags = AD_OP_SUMS_ROWS | AD_OP_SUMS_IN_F64,
    .shape = sum_rows_shape,
    .evaluate[AD_DTYPE] = sum_rows_evaluate,
    .vjp = sum_rows_vjp,
    AD_SAMPLES({.n_in = 1, .in = {{AD_DIMS(5), -2, 2}}}, {.n_in = 1, .in = {{AD_DIMS(2, 3), -2, 2}}},
               {.n_in = 1, .in = {{AD_NO_DIMS, -2, 2}}}, {.n_in = 1, .in = {{AD_DIMS(2, 3), -2, 2}}, AD_ATTRIBUTES(1)}),
};
