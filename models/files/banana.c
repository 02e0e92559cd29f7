/* The banana: a normal bent along a parabola, x2 = 3 a, x1 = x2²/4 + b (ProbFlow's example of a normalizing flow). */
#include <weir/data.h>
#include <weir/random.h>

/* A random stream of this file's own. */
enum { STREAM = 0x62616e61 };

void nf_banana(size_t n, uint64_t seed, double *values)
{
    if (!values) return;
    for (size_t r = 0; r < n; r++) {
        double x2 = 3 * ad_random_normal(seed, STREAM, 2 * r);
        values[2 * r] = x2 * x2 / 4 + ad_random_normal(seed, STREAM, 2 * r + 1);
        values[2 * r + 1] = x2;
    }
}
