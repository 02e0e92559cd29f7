/* Products of panels: some vectors of X's columns times some rows of W, whose sums stay in registers for all of k. Each
 * fused multiply-add takes one of these vectors and one number of W, which are loaded once for all sums that need them:
 * of 4 vectors and 6 rows, 10 loads for 24 of them. (Goto, van de Geijn: Anatomy of high-performance matrix
 * multiplication, ACM TOMS 34(3), 2008, section 6.) */
#include "ops/panel_product.h"

#if defined AD_NEON
#include <arm_neon.h>
#endif

/* As many sums at once as there are registers for, of so many vectors and so many rows of W at most. Of fewer vectors
 * more rows are taken, and of few rows more vectors: adding to a sum takes some cycles, in which there must be others
 * to add to. */
#if defined __AVX512F__ || defined __aarch64__
enum { VECTORS = 4, MANY_VECTORS = 8, FEW_ROWS = 3, MOST_ROWS = 16 };
static const size_t most_rows[MANY_VECTORS + 1] = {0, 16, 8, 8, 6, [MANY_VECTORS] = FEW_ROWS};
#define SHAPES(of) ROWS_16(of, 1) ROWS_8(of, 2) ROWS_8(of, 3) ROWS_6(of, 4) ROWS_3(of, 8)
#else
enum { VECTORS = 2, MANY_VECTORS = 4, FEW_ROWS = 2, MOST_ROWS = 8 };
static const size_t most_rows[MANY_VECTORS + 1] = {0, 8, 6, [MANY_VECTORS] = FEW_ROWS};
#define SHAPES(of) ROWS_8(of, 1) ROWS_6(of, 2) of(4, 1) of(4, 2)
#endif
#define ROWS_3(of, vectors) of(vectors, 1) of(vectors, 2) of(vectors, 3)
#define ROWS_6(of, vectors) ROWS_3(of, vectors) of(vectors, 4) of(vectors, 5) of(vectors, 6)
#define ROWS_8(of, vectors) ROWS_6(of, vectors) of(vectors, 7) of(vectors, 8)
#define ROWS_16(of, vectors)                                                                                           \
    ROWS_8(of, vectors)                                                                                                \
    of(vectors, 9) of(vectors, 10) of(vectors, 11) of(vectors, 12) of(vectors, 13) of(vectors, 14) of(vectors, 15)     \
        of(vectors, 16)

typedef real vector __attribute__((vector_size(PANEL_VECTOR * sizeof(real))));

static inline vector multiply_add(vector x, real w, vector sum)
{
#if defined __AVX512F__ && AD_REAL_BITS == 32
    return (vector)_mm512_fmadd_ps((__m512)x, _mm512_set1_ps(w), (__m512)sum);
#elif defined __AVX512F__
    return (vector)_mm512_fmadd_pd((__m512d)x, _mm512_set1_pd(w), (__m512d)sum);
#elif defined __AVX2__ && AD_REAL_BITS == 32
    return (vector)_mm256_fmadd_ps((__m256)x, _mm256_set1_ps(w), (__m256)sum);
#elif defined __AVX2__
    return (vector)_mm256_fmadd_pd((__m256d)x, _mm256_set1_pd(w), (__m256d)sum);
#elif defined AD_NEON && AD_REAL_BITS == 32
    return (vector)vfmaq_n_f32((float32x4_t)sum, (float32x4_t)x, w);
#elif defined AD_NEON
    return (vector)vfmaq_n_f64((float64x2_t)sum, (float64x2_t)x, w);
#else
    return sum + x * w;
#endif
}

/* All loops over `vectors` and `rows` must be unrolled, or the sums would be kept in memory. */
#if defined __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

/* From vector v of X and row i of W on. */
static inline __attribute__((always_inline)) void multiply(const size_t vectors, const size_t rows,
                                                           const panel_product *p, size_t v, size_t i)
{
    const real *x = p->x + v * PANEL_VECTOR, *w = p->w + i * p->step_n;
    real *c = p->c + i * p->ldc + v * PANEL_VECTOR;
    const size_t k = p->k, ldx = p->ldx, ldc = p->ldc, step_n = p->step_n, step_k = p->step_k;
    vector sum[MOST_ROWS][MANY_VECTORS], at[MANY_VECTORS];
    if (p->adds) {
        UNROLLED for (size_t r = 0; r < rows; r++)
        {
            UNROLLED for (size_t u = 0; u < vectors; u++)
                memcpy(&sum[r][u], c + r * ldc + u * PANEL_VECTOR, sizeof(vector));
        }
    } else {
        UNROLLED for (size_t r = 0; r < rows; r++)
        {
            UNROLLED for (size_t u = 0; u < vectors; u++)
            {
                __builtin_prefetch(c + r * ldc + u * PANEL_VECTOR, 1);
                sum[r][u] = (vector){0};
            }
        }
    }
    const real *four[MOST_ROWS / 4]; /* where four rows of W begin: apart, or each row would have a register */
    UNROLLED for (size_t g = 0; g < (rows + 3) / 4; g++)
    {
        four[g] = w + 4 * g * step_n;
        __asm__("" : "+r"(four[g]));
    }
    for (size_t q = 0; q < k; q++, x += ldx) {
        UNROLLED for (size_t u = 0; u < vectors; u++) memcpy(&at[u], x + u * PANEL_VECTOR, sizeof(vector));
        UNROLLED for (size_t r = 0; r < rows; r++)
        {
            UNROLLED for (size_t u = 0; u < vectors; u++) sum[r][u] =
                multiply_add(at[u], four[r / 4][r % 4 * step_n], sum[r][u]);
        }
        UNROLLED for (size_t g = 0; g < (rows + 3) / 4; g++) four[g] += step_k;
    }
    UNROLLED for (size_t r = 0; r < rows; r++)
    {
        UNROLLED for (size_t u = 0; u < vectors; u++)
            memcpy(c + r * ldc + u * PANEL_VECTOR, &sum[r][u], sizeof(vector));
    }
}

#define DEFINE(vectors, rows)                                                                                          \
    static __attribute__((noinline)) void multiply_##vectors##_##rows(const panel_product *p, size_t v, size_t i)      \
    {                                                                                                                  \
        multiply(vectors, rows, p, v, i);                                                                              \
    }
SHAPES(DEFINE)

#define ENTRY(vectors, rows) [vectors][rows] = multiply_##vectors##_##rows,
static void (*const kernel[MANY_VECTORS + 1][MOST_ROWS + 1])(const panel_product *p, size_t v,
                                                             size_t i) = {SHAPES(ENTRY)};

static void fetch(upcoming *soon)
{
    for (size_t l = 0; l < soon->at_once && soon->lines > 0; l++, soon->lines--, soon->at += soon->ld)
        for (size_t i = 0; i < soon->width; i += 64 / sizeof(real)) __builtin_prefetch(soon->at + i);
}

void multiply_panels(const panel_product *p, size_t m, upcoming soon[2])
{
    const size_t vectors = m / PANEL_VECTOR, most = p->n <= FEW_ROWS ? MANY_VECTORS : VECTORS;
    for (size_t v = 0, now; v < vectors; v += now) {
        now = vectors - v >= most ? most : vectors - v < VECTORS ? vectors - v : VECTORS;
        for (size_t i = 0, rows; i < p->n; i += rows) {
            rows = p->n - i < most_rows[now] ? p->n - i : most_rows[now];
            fetch(&soon[0]);
            fetch(&soon[1]);
            kernel[now][rows](p, v, i);
        }
    }
}
