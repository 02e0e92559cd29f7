"""Writes models/files/powers_of_five.h: the table of Lemire 2021, appendix B, for the exponents that data have."""

LEAST, MOST = -65, 55


def power(q):
    """5**q to 128 bits, the first of which is 1: truncated, but one unit in the last place above for negative q."""
    five = 5 ** abs(q)
    if q >= 0:
        return five << (128 - five.bit_length()) if five.bit_length() <= 128 else five >> (five.bit_length() - 128)
    bits = (five - 1).bit_length()
    if q >= -27:
        return (1 << (bits + 127)) // five + 1
    value = (1 << (2 * bits + 128)) // five + 1
    return value >> (value.bit_length() - 128)


print("""/* Powers of five, as tests/golden/powers_of_five.py writes them. */
#ifndef WEIR_MODELS_FILES_POWERS_OF_FIVE_H
#define WEIR_MODELS_FILES_POWERS_OF_FIVE_H

#include <stdint.h>

enum { NF__LEAST_POWER = %d, NF__MOST_POWER = %d };

/* 5^q from q = NF__LEAST_POWER on: the first 128 bits, high and low. */
static const uint64_t nf__powers_of_five[NF__MOST_POWER - NF__LEAST_POWER + 1][2] = {""" % (LEAST, MOST))
entries = ["{0x%016x, 0x%016x}," % divmod(power(q), 1 << 64) for q in range(LEAST, MOST + 1)]
for i in range(0, len(entries), 2):
    print("    " + " ".join(entries[i : i + 2]))
print("};\n\n#endif")
