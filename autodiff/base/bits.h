/* From Philox's bits to numbers. */
#ifndef WEIR_AUTODIFF_BASE_BITS_H
#define WEIR_AUTODIFF_BASE_BITS_H

#include <weir/random.h>

#include <stdint.h>
#include <string.h>

/* The odd multiple of 2^-53 in (0, 1) that 52 of the 64 bits choose: exact, symmetric about 1/2, never 0 or 1. */
static inline double uniform_of_bits(uint32_t high, uint32_t low)
{
    uint64_t mantissa = ((uint64_t)high << 32 | low) >> 12 | 0x3ff0000000000000u;
    double one_to_two;
    memcpy(&one_to_two, &mantissa, sizeof one_to_two);
    return one_to_two - (1 - 0x1p-53);
}

#endif
