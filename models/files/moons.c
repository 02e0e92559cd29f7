/* The two moons. */
#include <weir/data.h>
#include <weir/environment.h>
#include <weir/random.h>

#include <math.h>

/* Random streams of this file's own, whatever else is drawn with the same seed. */
enum { STREAM_ORDER = 0x6d6f6f6e, STREAM_NOISE };

void nf_moons(size_t n, double noise, uint64_t seed, double *values, int *labels)
{
    AD_DEFAULT_ENVIRONMENT;
    if (!values) return;
    const double pi = 3.14159265358979323846;
    size_t upper = n / 2;
    for (size_t r = 0; r < n; r++) {
        size_t i = (size_t)ad_random_permutation(seed, STREAM_ORDER, n, r);
        bool lower = i >= upper;
        size_t place = lower ? i - upper : i, places = lower ? n - upper : upper;
        double angle = places > 1 ? pi * (double)place / (double)(places - 1) : 0;
        double x = cos(angle), y = sin(angle);
        values[2 * r] = lower ? 1 - x : x;
        values[2 * r + 1] = lower ? 0.5 - y : y;
        for (size_t c = 0; c < 2; c++) values[2 * r + c] += noise * ad_random_normal(seed, STREAM_NOISE, 2 * r + c);
        if (labels) labels[r] = lower;
    }
}
