/* Hashes by which what is read is known again. */
#ifndef WEIR_MODELS_CHECKPOINT_HASH_H
#define WEIR_MODELS_CHECKPOINT_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* FNV-1a by words of 8 bytes, with the upper half folded into the lower: each step can be undone, so that two contents
 * that differ in one word never have one hash. */
static inline uint64_t nf__hash(uint64_t state, const void *data, size_t bytes)
{
    const char *from = data;
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, from + i, bytes - i < 8 ? bytes - i : 8);
        state = (state ^ word) * 0x100000001b3;
        state ^= state >> 32;
    }
    return state;
}

#endif
