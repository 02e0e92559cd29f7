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
#define widen (doubles) _mm512_cvtps_pd
#elif defined __AVX2__ && AD_REAL_BITS == 32
#define widen (doubles) _mm256_cvtps_pd
#else
#define widen(x) __builtin_convertvector(x, doubles)
#endif

/* Clang does so unasked, GCC late and not always: then sums are kept in memory. */
#if defined __clang__
#define UNROLLED
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

/* Elements that are added at a time: what is between the lanes and the sum stays in the L1 cache. */
enum { BLOCK = 256 };

/* `count` elements of a node from number `first` on: where they are, which may be in `room`. NULL: it has no lanes. */
static const real *elements_of(const real *const *node, size_t nodes, size_t at, size_t first, size_t count,
                               real (*room)[BLOCK])
{
    if (at >= nodes) return NULL;
    if (node[at]) return node[at] + first;
    const real *left = elements_of(node, nodes, 2 * at + 1, first, count, room);
    const real *right = elements_of(node, nodes, 2 * at + 2, first, count, left == *room ? room + 1 : room);
    if (!left || !right) return left ? left : right;
    for (size_t i = 0; i < count; i++) (*room)[i] = left[i] + right[i];
    return *room;
}

extern ad__lane_adder AD_NAME(ad__add_lanes);

double AD_NAME(ad__add_lanes)(void *sum, const void *const *node, size_t nodes, size_t root, size_t count)
{
    real room[AD__MOST_DEPTH][BLOCK], *to = sum;
    doubles squares[VECTORS] = {{0}};
    double rest = 0;
    for (size_t first = 0, n; first < count; first += n) {
        n = count - first < BLOCK ? count - first : BLOCK;
        const real *total = elements_of((const real *const *)node, nodes, root, first, n, room);
        size_t i = 0;
        for (; i + STEP <= n; i += STEP) UNROLLED for (size_t v = 0; v < VECTORS; v++)
            {
                reals x;
                memcpy(&x, total + i + WIDTH * v, sizeof x);
                if (to) memcpy(to + first + i + WIDTH * v, &x, sizeof x);
                squares[v] += widen(x) * widen(x);
            }
        for (; i < n; i++) {
            if (to) to[first + i] = total[i];
            rest += (double)total[i] * (double)total[i];
        }
    }
    double square[STEP];
    memcpy(square, squares, sizeof square);
    return ad__fold(square, STEP) + rest;
}
