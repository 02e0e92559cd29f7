/* Counter-based random numbers outside of tapes. */
#include "base/bits.h"

#include <Random123/philox.h>
#include <math.h>

void ad_random_bits(uint64_t seed, uint64_t stream, uint64_t index, uint32_t bits[4])
{
    if (!bits) return;
    philox4x32_ctr_t counter = {{(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    counter = philox4x32(counter, key);
    for (int i = 0; i < 4; i++) bits[i] = counter.v[i];
}

double ad_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t bits[4];
    ad_random_bits(seed, stream, index, bits);
    return uniform_of_bits(bits[0], bits[1]);
}

double ad_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t bits[4];
    ad_random_bits(seed, stream, index, bits);
    double radius = sqrt(-2 * log(uniform_of_bits(bits[0], bits[1])));
    return radius * cos(2 * M_PI * uniform_of_bits(bits[2], bits[3]));
}

/* SplitMix64's finaliser (Steele et al. 2014): every bit of the result depends on every bit of x. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

enum { ROUNDS = sizeof((ad_permutation *)NULL)->key / sizeof(uint64_t) };

/* Numbers of `bits` bits, as few as hold n - 1; but a network of very few bits has few permutations. */
ad_permutation ad_permutation_of(uint64_t seed, uint64_t stream, uint64_t n)
{
    enum { FEWEST_BITS = 12 };
    ad_permutation p = {.n = n, .bits = n < 2 ? 0 : 64 - (unsigned)__builtin_clzll(n - 1)};
    if (p.bits < FEWEST_BITS) p.bits = FEWEST_BITS;
    for (unsigned round = 0; round < ROUNDS; round += 2) {
        uint32_t random[4];
        ad_random_bits(seed, stream, round, random);
        p.key[round] = (uint64_t)random[0] << 32 | random[1];
        p.key[round + 1] = (uint64_t)random[2] << 32 | random[3];
    }
    return p;
}

/* A number is in two parts; each round mixes one into the other and swaps them. */
uint64_t ad_permutation_image(const ad_permutation *p, uint64_t i)
{
    if (!p || p->n < 2) return 0;
    const unsigned half = p->bits / 2;
    do {
        for (unsigned round = 0; round < ROUNDS; round++) {
            unsigned low_bits = round % 2 ? p->bits - half : half;
            uint64_t low = i & (((uint64_t)1 << low_bits) - 1), high = i >> low_bits;
            uint64_t high_mask = ((uint64_t)1 << (p->bits - low_bits)) - 1;
            high ^= mix(low ^ p->key[round]) & high_mask;
            i = low << (p->bits - low_bits) | high;
        }
    } while (i >= p->n);
    return i;
}

uint64_t ad_random_permutation(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i)
{
    const ad_permutation p = ad_permutation_of(seed, stream, n);
    return ad_permutation_image(&p, i);
}
