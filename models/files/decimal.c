/* From decimal numbers to the nearest binary ones. */
#include "files/decimal.h"
#include "files/powers_of_five.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- Rounding -------------------------------------------------------------------------------------------------- */

/* Lemire 2021, "Number parsing at a gigabyte per second", whose remaining doubt Mushtak & Lemire 2023, "Fast number
 * parsing without fallback", took away. With powers near 1 alone, results are neither subnormal nor infinite. */
#ifdef __SIZEOF_INT128__
static bool round_by_table(uint64_t digits, int exponent, double *value)
{
    enum { MANTISSA = 52, SPARE = 9 }; /* bits; those of a product's high half that aren't of the result */
    if (exponent < NF__LEAST_POWER || exponent > NF__MOST_POWER) return false;
    const uint64_t *power = nf__powers_of_five[exponent - NF__LEAST_POWER];
    const int zeros = __builtin_clzll(digits);
    const uint64_t normal = digits << zeros;
    unsigned __int128 product = (unsigned __int128)normal * power[0];
    const uint64_t spare = ((uint64_t)1 << SPARE) - 1;
    if (((uint64_t)(product >> 64) & spare) == spare) product += ((unsigned __int128)normal * power[1]) >> 64;
    const uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    const int upper = (int)(high >> 63), shift = upper + 64 - MANTISSA - 3;
    /* With one bit more than there will be. Where nothing is behind that bit, a tie goes to even. */
    uint64_t mantissa = high >> shift;
    if (low <= 1 && exponent >= -4 && exponent <= 23 && (mantissa & 3) == 1 && mantissa << shift == high) mantissa--;
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    /* floor(log2(5^exponent)) + exponent, of the product's first bit. */
    int binary = ((217706 * exponent) >> 16) + 63 + upper - zeros;
    if (mantissa >> (MANTISSA + 1)) {
        mantissa >>= 1;
        binary++;
    }
    const uint64_t bits = (uint64_t)(binary + 1023) << MANTISSA | (mantissa & (((uint64_t)1 << MANTISSA) - 1));
    memcpy(value, &bits, sizeof bits);
    return true;
}
#else
static bool round_by_table(uint64_t digits, int exponent, double *value)
{
    (void)digits, (void)exponent, (void)value;
    return false;
}
#endif

/* Where both numbers are exact, so is the one rounding of their product or quotient. */
static inline bool round_at_once(uint64_t digits, int exponent, double *value)
{
    static const double powers[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    enum { EXACT = sizeof powers / sizeof *powers - 1 };
    if (digits > (uint64_t)1 << 53 || exponent < -EXACT || exponent > EXACT) return false;
    *value = exponent < 0 ? (double)(int64_t)digits / powers[-exponent] : (double)(int64_t)digits * powers[exponent];
    return true;
}

bool nf__round_decimal(uint64_t digits, int exponent, double *value)
{
    if (round_at_once(digits, exponent, value)) return true;
    if (digits != 0) return round_by_table(digits, exponent, value);
    *value = 0;
    return true;
}

/* ---- Parsing --------------------------------------------------------------------------------------------------- */

/* With a decimal comma: strtod() is shown a point in its place. */
static double parse_with_comma(char *text, char **stop, locale_t c_locale)
{
    char *mark = text + strspn(text, "+-0123456789");
    char was = *mark;
    if (was == '.') { /* this file's numbers have commas */
        *stop = text;
        return 0;
    }
    if (was == ',') *mark = '.';
    double value = strtod_l(text, stop, c_locale);
    *mark = was;
    return value;
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static char *take_digits(char *at, uint64_t *digits)
{
    for (; is_digit(*at); at++) *digits = 10 * *digits + (uint64_t)(*at - '0');
    return at;
}

/* Behind an 'e', if it is one of a number; stays where it is otherwise, as strtod() does. */
static char *take_exponent(char *at, int *exponent)
{
    enum { HUGE_EXPONENT = 10000 };
    char *digit = at + 1 + (at[1] == '-' || at[1] == '+');
    int power = 0;
    if (!is_digit(*digit)) return at;
    for (; is_digit(*digit); digit++)
        if (power < HUGE_EXPONENT) power = 10 * power + (*digit - '0');
    *exponent += at[1] == '-' ? -power : power;
    return digit;
}

/* How many digits there are from the first that isn't 0 on. */
static size_t significant(const char *at, const char *end, char decimal)
{
    size_t count = 0;
    for (; at < end && (*at == '0' || *at == decimal); at++) {
    }
    for (; at < end; at++) count += *at != decimal;
    return count;
}

double nf__parse_number(char *text, char **stop, char decimal, locale_t c_locale)
{
    enum { MOST_DIGITS = 19 }; /* that 64 bits hold, whatever they are */
    char *first = text + (*text == '-' || *text == '+');
    uint64_t digits = 0;
    int exponent = 0;
    double value;
    char *at = take_digits(first, &digits), *end = at;
    size_t count = (size_t)(at - first);
    if (*at == decimal) {
        end = take_digits(at + 1, &digits);
        count += (size_t)(end - at - 1);
        exponent = -(int)(end - at - 1);
    }
    /* Most numbers are short, and end here. */
    const char next = (char)(*end | 0x20);
    *stop = end;
    if (count - 1 < MOST_DIGITS && next != 'e' && next != 'x' && round_at_once(digits, exponent, &value))
        return *text == '-' ? -value : value;
    bool plain = count > 0 && next != 'x' && end - first < 1 << 16 &&
                 (count <= MOST_DIGITS || significant(first, end, decimal) <= MOST_DIGITS);
    if (next == 'e') *stop = take_exponent(end, &exponent);
    if (!plain || !nf__round_decimal(digits, exponent, &value))
        return decimal == '.' ? strtod_l(text, stop, c_locale) : parse_with_comma(text, stop, c_locale);
    return *text == '-' ? -value : value;
}
