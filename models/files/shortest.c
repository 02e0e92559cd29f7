/* From binary numbers to their fewest decimal digits. */
#include "files/decimal.h"
#include "files/powers_of_five.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 17 }; /* that tell any number from its neighbours */

/* How many digits there are at least and at most. */
static int fewest(ad_dtype dtype)
{
    return dtype == AD_F32 ? 6 : 15;
}

static int enough(ad_dtype dtype)
{
    return dtype == AD_F32 ? 9 : MOST_DIGITS;
}

/* Is it 0 or subnormal? Neighbours are so far from each other there that fewer digits may be enough. */
static bool is_tiny(double value, ad_dtype dtype)
{
    return fabs(value) < (dtype == AD_F32 ? (double)FLT_MIN : DBL_MIN);
}

static bool is_back(double back, double value, ad_dtype dtype)
{
    return (dtype == AD_F32 ? (double)(float)back : back) == value;
}

/* ---- By the C library ------------------------------------------------------------------------------------------ */

static size_t print_number(double value, ad_dtype dtype, char text[NF__NUMBER_ROOM])
{
    int length = 0;
    for (int digits = is_tiny(value, dtype) ? 1 : fewest(dtype); digits <= enough(dtype); digits++) {
        length = snprintf(text, NF__NUMBER_ROOM, "%.*g", digits, value);
        if (is_back(strtod(text, NULL), value, dtype)) break;
    }
    return (size_t)length;
}

/* ---- By a table ------------------------------------------------------------------------------------------------ */

#ifdef __SIZEOF_INT128__
typedef unsigned __int128 wide;

static const uint64_t powers[] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
};

/* (whole + fraction / 2^64) · 10^(exponent - 16), where whole has 17 digits. */
struct scaled {
    uint64_t whole, fraction;
    int exponent;
};

/* mantissa · 2^binary · 10^power, with whole below 2^63; the mantissa's first bit is 1. The table's last bit may be
 * off, and so may the fraction's last two. */
static bool multiply(uint64_t mantissa, int binary, int power, struct scaled *to)
{
    if (power < NF__LEAST_POWER || power > NF__MOST_POWER) return false;
    const uint64_t *five = nf__powers_of_five[power - NF__LEAST_POWER];
    const wide high = (wide)mantissa * five[0] + (((wide)mantissa * five[1]) >> 64);
    const int log2_of_five = (152170 * power) >> 16; /* of its power, rounded down */
    const wide fixed = high >> -(binary + log2_of_five + power + 1);
    to->whole = (uint64_t)(fixed >> 64);
    to->fraction = (uint64_t)fixed;
    return true;
}

/* False for 0 and what is subnormal, infinite or NaN, and far from 1. */
static bool scale(double value, struct scaled *to)
{
    enum { MANTISSA = 52, BIAS = 1023, EXPONENTS = 0x7ff };
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int binary = (int)(bits >> MANTISSA) & EXPONENTS;
    if (binary == 0 || binary == EXPONENTS) return false;
    const uint64_t mantissa = (bits | (uint64_t)1 << MANTISSA) << (63 - MANTISSA);
    to->exponent = ((binary - BIAS) * 78913) >> 18; /* log10 of the power of two, rounded down */
    if (!multiply(mantissa, binary - BIAS - 63, MOST_DIGITS - 1 - to->exponent, to)) return false;
    if (to->whole < powers[MOST_DIGITS]) return true;
    to->exponent++;
    return multiply(mantissa, binary - BIAS - 63, MOST_DIGITS - 1 - to->exponent, to);
}

/* To so many digits; false in the middle between two, or too near to it to be told apart. */
static bool round_scaled(const struct scaled *from, int digits, uint64_t *rounded)
{
    enum { DOUBT = 16 };
    const uint64_t unit = powers[MOST_DIGITS - digits];
    const wide rest = (wide)(from->whole % unit) << 64 | from->fraction, half = (wide)unit << 63;
    if (rest > half - DOUBT && rest < half + DOUBT) return false;
    *rounded = from->whole / unit + (rest > half);
    return true;
}

/* Returns how many digits it takes, of which the number is *rounded; 0: the table doesn't tell. */
static int find_fewest(double value, ad_dtype dtype, uint64_t *rounded, int *exponent)
{
    struct scaled scaled;
    double back;
    if (is_tiny(value, dtype) || !scale(value, &scaled)) return 0;
    for (int digits = fewest(dtype);; digits++) {
        if (!round_scaled(&scaled, digits, rounded)) return 0;
        *exponent = scaled.exponent;
        if (digits < enough(dtype)) {
            if (!nf__round_decimal(*rounded, *exponent - digits + 1, &back)) return 0;
            if (!is_back(back, fabs(value), dtype)) continue;
        }
        if (*rounded < powers[digits]) return digits;
        *rounded /= 10;
        (*exponent)++;
        return digits;
    }
}

/* ---- Text ------------------------------------------------------------------------------------------------------ */

/* As "%g" writes these digits. */
static size_t write_digits(bool negative, uint64_t number, int digits, int exponent, char *text)
{
    char digit[MOST_DIGITS], *to = text;
    int kept = digits;
    while (kept > 1 && number % 10 == 0) {
        number /= 10;
        kept--;
    }
    for (int i = kept; i-- > 0; number /= 10) digit[i] = (char)('0' + number % 10);
    if (negative) *to++ = '-';
    const bool scientific = exponent < -4 || exponent >= digits;
    const int before = scientific ? 1 : exponent + 1; /* the point; 0 or less: zeros come first */
    if (before <= 0) *to++ = '0';
    for (int i = 0; i < before; i++) *to++ = i < kept ? digit[i] : '0';
    if (kept > before) *to++ = '.';
    for (int i = before; i < 0; i++) *to++ = '0';
    for (int i = before < 0 ? 0 : before; i < kept; i++) *to++ = digit[i];
    if (!scientific) return (size_t)(to - text);
    const int size = abs(exponent);
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    if (size >= 100) *to++ = (char)('0' + size / 100);
    *to++ = (char)('0' + size / 10 % 10);
    *to++ = (char)('0' + size % 10);
    return (size_t)(to - text);
}

size_t nf__format_number(double value, ad_dtype dtype, char text[NF__NUMBER_ROOM])
{
    uint64_t rounded;
    int exponent;
    if (dtype == AD_F32) value = (double)(float)value;
    const int digits = find_fewest(value, dtype, &rounded, &exponent);
    return digits ? write_digits(signbit(value), rounded, digits, exponent, text) : print_number(value, dtype, text);
}
#else
size_t nf__format_number(double value, ad_dtype dtype, char text[NF__NUMBER_ROOM])
{
    return print_number(dtype == AD_F32 ? (double)(float)value : value, dtype, text);
}
#endif
