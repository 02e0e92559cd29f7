/* Products of panels: some vectors of X's columns times some rows of W, whose sums stay in registers for all of k. Each
 * fused multiply-add takes one of these vectors and one number of W, which are loaded once for all sums that need them:
 * of 4 vectors and 6 rows, 10 loads for 24 of them. (Goto, van de Geijn: Anatomy of high-performance matrix
 * multiplication, ACM TOMS 34(3), 2008, section 6.) */
#include "ops/panel_product.h"

#if defined AD_NEON
#include <arm_neon.h>
#endif

/* So many sums, of so many vectors and rows at once, as there are registers for. Of few rows of W more vectors are
 * taken: adding to a sum takes some cycles, in which there must be others to add to. */
#if defined __AVX512F__ || defined __aarch64__
enum { VECTORS = 4, MANY_VECTORS = 8, FEW_ROWS = 3 };
#define SHAPES(of) ROWS(of, 1) ROWS(of, 2) ROWS(of, 3) ROWS(of, 4) of(8, 1) of(8, 2) of(8, 3)
#else
enum { VECTORS = 2, MANY_VECTORS = 4, FEW_ROWS = 2 };
#define SHAPES(of) ROWS(of, 1) ROWS(of, 2) of(4, 1) of(4, 2)
#endif
#define ROWS(of, vectors) of(vectors, 1) of(vectors, 2) of(vectors, 3) of(vectors, 4) of(vectors, 5) of(vectors, 6)
enum { MOST_ROWS = 6 };

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
#define UNROLLED _Pragma("GCC unroll 8")
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
    for (size_t q = 0; q < k; q++, x += ldx, w += step_k) {
        UNROLLED for (size_t u = 0; u < vectors; u++) memcpy(&at[u], x + u * PANEL_VECTOR, sizeof(vector));
        UNROLLED for (size_t r = 0; r < rows; r++)
        {
            UNROLLED for (size_t u = 0; u < vectors; u++) sum[r][u] = multiply_add(at[u], w[r * step_n], sum[r][u]);
        }
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
        for (size_t i = 0; i < p->n; i += MOST_ROWS) {
            fetch(&soon[0]);
            fetch(&soon[1]);
            kernel[now][p->n - i < MOST_ROWS ? p->n - i : MOST_ROWS](p, v, i);
        }
    }
}
