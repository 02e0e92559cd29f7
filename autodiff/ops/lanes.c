/* Adding the lanes of a sum over rows. What is written is squared while it is in registers: a gradient is so large that
 * to read it once more for its norm takes about as long as to add two lanes. */
#include "ops/lanes.h"
#include "base/fold.h"
#include "ops/kernels.h"

/* As many numbers as this CPU's vectors have float64s: of wider vectors GCC makes slow code. */
#if defined __AVX512F__
enum { WIDTH = 8 };
#elif defined __AVX2__
enum { WIDTH = 4 };
#else
enum { WIDTH = 2 };
#endif
typedef real reals __attribute__((vector_size(WIDTH * sizeof(real))));
typedef double doubles __attribute__((vector_size(WIDTH * sizeof(double))));

/* So many numbers at a time, on any CPU, so that squares are added in the same order. */
enum { STEP = 16, VECTORS = STEP / WIDTH };

#if defined __AVX512F__ && AD_REAL_BITS == 32 /* GCC would convert by halves */
#define widen  (doubles) _mm512_cvtps_pd
#define narrow (reals) _mm512_cvtpd_ps
#elif defined __AVX2__ && AD_REAL_BITS == 32
#define widen  (doubles) _mm256_cvtps_pd
#define narrow (reals) _mm256_cvtpd_ps
#else
#define widen(x)  __builtin_convertvector(x, doubles)
#define narrow(x) __builtin_convertvector(x, reals)
#endif

static inline doubles load(const real *x)
{
    reals v;
    memcpy(&v, x, sizeof v);
    return widen(v);
}

/* Clang does so unasked, GCC late and not always: then sums are kept in memory. */
#if defined __clang__
#define UNROLLED
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

/* With n known where it is compiled. */
static inline double add(real *to, const real *lane, size_t n, size_t stride, size_t count)
{
    doubles squares[VECTORS] = {{0}};
    double rest = 0;
    size_t i = 0;
    for (; i + STEP <= count; i += STEP) {
        UNROLLED for (size_t v = 0; v < VECTORS; v++)
        {
            real *at = to + i + WIDTH * v;
            const real *from = lane + i + WIDTH * v;
            doubles total = load(at);
            for (size_t j = 0; j < n; j++) total += load(from + j * stride);
            const reals sum = narrow(total);
            if (n > 0) memcpy(at, &sum, sizeof sum);
            squares[v] += widen(sum) * widen(sum);
        }
    }
    for (; i < count; i++) {
        double total = (double)to[i];
        for (size_t j = 0; j < n; j++) total += (double)lane[j * stride + i];
        const real sum = (real)total;
        if (n > 0) to[i] = sum;
        rest += (double)sum * (double)sum;
    }
    double square[STEP];
    memcpy(square, squares, sizeof square);
    return ad__fold(square, STEP) + rest;
}

extern ad__lane_adder AD_NAME(ad__add_lanes);

double AD_NAME(ad__add_lanes)(void *sum, const void *lane, size_t n, size_t stride, size_t count)
{
    if (n == 0) return add(sum, sum, 0, 0, count);
    if (n == 1) return add(sum, lane, 1, stride, count);
    return add(sum, lane, n, stride, count);
}
