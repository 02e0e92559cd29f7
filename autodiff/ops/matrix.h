/* What ops on matrices share. */
#ifndef WEIR_AUTODIFF_OPS_MATRIX_H
#define WEIR_AUTODIFF_OPS_MATRIX_H

#include "ops/kernels.h"

typedef real quad __attribute__((vector_size(4 * sizeof(real))));

static inline void transpose_quads(quad row[4])
{
    const quad low_02 = __builtin_shufflevector(row[0], row[2], 0, 4, 1, 5);
    const quad high_02 = __builtin_shufflevector(row[0], row[2], 2, 6, 3, 7);
    const quad low_13 = __builtin_shufflevector(row[1], row[3], 0, 4, 1, 5);
    const quad high_13 = __builtin_shufflevector(row[1], row[3], 2, 6, 3, 7);
    row[0] = __builtin_shufflevector(low_02, low_13, 0, 4, 1, 5);
    row[1] = __builtin_shufflevector(low_02, low_13, 2, 6, 3, 7);
    row[2] = __builtin_shufflevector(high_02, high_13, 0, 4, 1, 5);
    row[3] = __builtin_shufflevector(high_02, high_13, 2, 6, 3, 7);
}

static inline void transpose_4x4(const real *in, size_t ld_in, real *out, size_t ld_out)
{
    quad row[4];
    for (size_t i = 0; i < 4; i++) memcpy(&row[i], in + i * ld_in, sizeof(quad));
    transpose_quads(row);
    for (size_t i = 0; i < 4; i++) memcpy(out + i * ld_out, &row[i], sizeof(quad));
}

#if defined __AVX512F__ && AD_REAL_BITS == 32
/* Numbers `step` apart, four from each place. */
static inline __m512 load_quads(const float *in, size_t step)
{
    const __m512 two = _mm512_insertf32x4(_mm512_castps128_ps512(_mm_loadu_ps(in)), _mm_loadu_ps(in + step), 1);
    return _mm512_insertf32x4(_mm512_insertf32x4(two, _mm_loadu_ps(in + 2 * step), 2), _mm_loadu_ps(in + 3 * step), 3);
}

/* As transpose_4x4(), of four blocks at once, one below the other. */
static inline void transpose_16x4(const float *in, size_t ld_in, float *out, size_t ld_out)
{
    __m512 row[4];
    for (size_t i = 0; i < 4; i++) row[i] = load_quads(in + i * ld_in, 4 * ld_in);
    const __m512 low_02 = _mm512_unpacklo_ps(row[0], row[2]), high_02 = _mm512_unpackhi_ps(row[0], row[2]);
    const __m512 low_13 = _mm512_unpacklo_ps(row[1], row[3]), high_13 = _mm512_unpackhi_ps(row[1], row[3]);
    _mm512_storeu_ps(out, _mm512_unpacklo_ps(low_02, low_13));
    _mm512_storeu_ps(out + ld_out, _mm512_unpackhi_ps(low_02, low_13));
    _mm512_storeu_ps(out + 2 * ld_out, _mm512_unpacklo_ps(high_02, high_13));
    _mm512_storeu_ps(out + 3 * ld_out, _mm512_unpackhi_ps(high_02, high_13));
}
#else
static inline void transpose_16x4(const real *in, size_t ld_in, real *out, size_t ld_out)
{
    for (size_t i = 0; i < 16; i += 4) transpose_4x4(in + i * ld_in, ld_in, out + i, ld_out);
}
#endif

/* (n,m) out = transpose of (m,n) in, both row-major with rows ld_in and ld_out apart; by blocks, for the caches. */
static inline void transpose_matrix(size_t m, size_t n, const real *in, size_t ld_in, real *out, size_t ld_out)
{
    enum { BLOCK = 16 };
    for (size_t i0 = 0; i0 < m; i0 += BLOCK)
        for (size_t j0 = 0; j0 < n; j0 += BLOCK) {
            size_t i1 = i0 + BLOCK < m ? i0 + BLOCK : m, j1 = j0 + BLOCK < n ? j0 + BLOCK : n;
            size_t i4 = i1 - (i1 - i0) % 4, j4 = j1 - (j1 - j0) % 4;
            for (size_t j = j0; j < j4; j += 4)
                if (i1 - i0 == BLOCK)
                    transpose_16x4(in + i0 * ld_in + j, ld_in, out + j * ld_out + i0, ld_out);
                else
                    for (size_t i = i0; i < i4; i += 4)
                        transpose_4x4(in + i * ld_in + j, ld_in, out + j * ld_out + i, ld_out);
            for (size_t j = j0; j < j1; j++)
                for (size_t i = j < j4 ? i4 : i0; i < i1; i++) out[j * ld_out + i] = in[i * ld_in + j];
        }
}

/* The shape of A^-1 b. */
static inline bool system_shape(const ad_call *call, const char *op, ad_shape *result)
{
    ad_shape a = ad_shape_of(call->in[0]), b = ad_shape_of(call->in[1]);
    *result = b;
    if (a.rank == 2 && a.dim[0] == a.dim[1] && b.rank >= 1 && b.rank <= 2 && b.dim[0] == a.dim[0]) return true;
    char a_text[128], b_text[128];
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "%s: matrix %s, right-hand side %s: takes (n,n) and (n) or (n,m)", op,
                 ad_shape_text(a, a_text), ad_shape_text(b, b_text));
    return false;
}

/* y (columns, rows) -= a x, where a is one number or one for each row. */
static inline void subtract_product(size_t columns, size_t rows, const real *a, bool a_per_row, const real *x, real *y)
{
    const real one_a = *a;
    if (a_per_row)
        for (size_t c = 0; c < columns; c++)
            AD_SIMD for (size_t r = 0; r < rows; r++) y[c * rows + r] -= a[r] * x[c * rows + r];
    else
        AD_SIMD for (size_t r = 0; r < columns * rows; r++) y[r] -= one_a * x[r];
}

/* y (columns, rows) /= a */
static inline void divide(size_t columns, size_t rows, const real *a, bool a_per_row, real *y)
{
    const real one_a = *a;
    if (a_per_row)
        for (size_t c = 0; c < columns; c++) AD_SIMD for (size_t r = 0; r < rows; r++) y[c * rows + r] /= a[r];
    else
        AD_SIMD for (size_t r = 0; r < columns * rows; r++) y[r] /= one_a;
}

#endif
