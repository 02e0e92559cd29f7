/* Random numbers, as functions of their arguments. Any function here may be called from several threads at once. */
#ifndef WEIR_RANDOM_H
#define WEIR_RANDOM_H

#include <weir/version.h>
#include <stdint.h>

WEIR_BEGIN_DECLARATIONS

/* Four words of Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). */
void ad_random_bits(uint64_t seed, uint64_t stream, uint64_t index, uint32_t bits[4]);
double ad_random_uniform(uint64_t seed, uint64_t stream, uint64_t index); /* on (0, 1), of 53 bits */
double ad_random_normal(uint64_t seed, uint64_t stream, uint64_t index);  /* by Box and Muller */
/* Image of i under a pseudo-random permutation of 0 … n-1: a Feistel network keyed by (seed, stream), walked until
 * inside. */
uint64_t ad_random_permutation(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i);

/* That permutation, for many images: its keys take longer to draw than an image. Nothing of it is to be freed. */
typedef struct {
    uint64_t n, key[6];
    unsigned bits; /* of the numbers that the network permutes */
} ad_permutation;

ad_permutation ad_permutation_of(uint64_t seed, uint64_t stream, uint64_t n);
/* The image of i < n; 0 where permutation is NULL. */
uint64_t ad_permutation_image(const ad_permutation *permutation, uint64_t i);

WEIR_END_DECLARATIONS

#endif
