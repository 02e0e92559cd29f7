/* Per-row noise: Philox of (row, step, stream and feature), keyed by the run's seed. Computed in float64 with the same
 * bits on any instruction set; float32 noise is that, rounded. */
#include "base/bits.h"
#include "ops/noise_vectors.h"

#include <Random123/philox.h>

enum {
    BLOCK = 16, /* rows at a time: tiles are multiples of it */
    LANES = sizeof(sleef_wide) / sizeof(double),
    MAX_FEATURES = 1 << 20,
    MAX_STREAMS = 4096,
};

/* Philox4x32-10 of the counters (number, step, source): four words for each row, in the low halves of `word`. The high
 * halves hold what overflowed, and nobody looks at them. */
static void philox(const uint64_t number[BLOCK], uint32_t step, uint32_t source, uint64_t seed, uint64_t word[4][BLOCK])
{
    for (size_t i = 0; i < BLOCK; i += LANES) {
        noise_integers x0, x1, x2, x3;
        memcpy(&x0, number + i, sizeof x0);
        x1 = x0 >> 32;
        x2 = x0 - x0 + step;
        x3 = x0 - x0 + source;
        uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
        for (int round = 0; round < 10; round++) {
            noise_integers p0 = noise_multiply(x0, PHILOX_M4x32_0), p1 = noise_multiply(x2, PHILOX_M4x32_1);
            x0 = p1 >> 32 ^ x1 ^ k0;
            x1 = p1;
            x2 = p0 >> 32 ^ x3 ^ k1;
            x3 = p0;
            k0 += PHILOX_W32_0;
            k1 += PHILOX_W32_1;
        }
        memcpy(word[0] + i, &x0, sizeof x0);
        memcpy(word[1] + i, &x1, sizeof x1);
        memcpy(word[2] + i, &x2, sizeof x2);
        memcpy(word[3] + i, &x3, sizeof x3);
    }
}

/* Two uniforms for each row: those of features 2 pair and 2 pair + 1. */
static void uniform_pair(const ad_tile *tile, size_t row, uint32_t source, double u[BLOCK], double v[BLOCK])
{
    uint64_t number[BLOCK], word[4][BLOCK];
    for (size_t i = 0; i < BLOCK; i++) number[i] = tile->first_row + row + i;
    philox(number, (uint32_t)tile->step, source, tile->seed, word);
    AD_SIMD for (size_t i = 0; i < BLOCK; i++)
    {
        u[i] = uniform_of_bits((uint32_t)word[0][i], (uint32_t)word[1][i]);
        v[i] = uniform_of_bits((uint32_t)word[2][i], (uint32_t)word[3][i]);
    }
}

/* Box and Muller (1958): two uniforms to two independent normals, in place. */
static void box_muller(double u[BLOCK], double v[BLOCK])
{
    for (size_t i = 0; i < BLOCK; i += LANES) {
        sleef_wide x;
        memcpy(&x, u + i, sizeof x);
        x = noise_log(x);
        memcpy(u + i, &x, sizeof x);
    }
    double sine[BLOCK], cosine[BLOCK];
    for (size_t i = 0; i < BLOCK; i++) v[i] *= 2;
    for (size_t i = 0; i < BLOCK; i += LANES) {
        sleef_wide x;
        memcpy(&x, v + i, sizeof x);
        noise_pair both = noise_sincospi(x);
        memcpy(sine + i, &both.x, sizeof x);
        memcpy(cosine + i, &both.y, sizeof x);
    }
    AD_SIMD for (size_t i = 0; i < BLOCK; i++)
    {
        double radius = sqrt(-2 * u[i]);
        u[i] = radius * cosine[i];
        v[i] = radius * sine[i];
    }
}

/* float32 rounds what is nearest to 1 up to it: that stays below. */
static inline real below_one(double u)
{
    const real largest = 1 - (AD_REAL_BITS == 32 ? (real)0x1p-24 : (real)0x1p-53);
    const real rounded = (real)u;
    return rounded < 1 ? rounded : largest;
}

static void fill(const ad_tile *tile, bool normal)
{
    const uint32_t source = (uint32_t)tile->attribute[0] << 20 | (normal ? 0 : (uint32_t)MAX_FEATURES / 2);
    real *out = tile->out.data;
    double u[BLOCK], v[BLOCK];
    for (size_t feature = 0; feature < tile->out.size; feature += 2)
        for (size_t row = 0; row < tile->rows; row += BLOCK) {
            uniform_pair(tile, row, source + (uint32_t)(feature / 2), u, v);
            if (normal) box_muller(u, v);
            real *first = out + feature * tile->rows + row, *second = first + tile->rows;
            for (size_t i = 0; i < BLOCK; i++) first[i] = normal ? (real)u[i] : below_one(u[i]);
            if (feature + 1 == tile->out.size) continue;
            for (size_t i = 0; i < BLOCK; i++) second[i] = normal ? (real)v[i] : below_one(v[i]);
        }
}

/* attribute: the stream, then the extents. */
static bool noise_shape(const ad_call *call, ad_shape *result)
{
    double stream = call->attribute[0];
    *result = (ad_shape){.rank = (int)call->n_attribute - 1};
    for (int i = 0; i < result->rank; i++) result->dim[i] = (size_t)call->attribute[i + 1];
    if (!(stream >= 0 && stream < MAX_STREAMS)) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT, "noise: stream %g, but streams are numbered 0 to %d", stream,
                     MAX_STREAMS - 1);
        return false;
    }
    size_t size = ad_shape_size(*result);
    if (size == 0 || size > MAX_FEATURES) {
        ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                     "noise: %zu features, but a stream has from 1 to %d: use several streams and concat", size,
                     MAX_FEATURES);
        return false;
    }
    return true;
}

static void normal_evaluate(const ad_tile *tile)
{
    fill(tile, true);
}

AD_DEFINE_OP(normal) = {
    .name = "normal",
    .flags = AD_OP_PER_ROW,
    .shape = noise_shape,
    .evaluate[AD_DTYPE] = normal_evaluate,
    AD_SAMPLES({.n_in = 0, AD_ATTRIBUTES(0, 5)}, {.n_in = 0, AD_ATTRIBUTES(7, 2, 3)}),
};

static void uniform_evaluate(const ad_tile *tile)
{
    fill(tile, false);
}

AD_DEFINE_OP(uniform) = {
    .name = "uniform",
    .flags = AD_OP_PER_ROW,
    .shape = noise_shape,
    .evaluate[AD_DTYPE] = uniform_evaluate,
    AD_SAMPLES({.n_in = 0, AD_ATTRIBUTES(0, 5)}, {.n_in = 0, AD_ATTRIBUTES(7, 2, 3)}),
};
