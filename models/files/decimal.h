/* Decimal numbers and the nearest binary ones, both ways, without a locale's say. */
#ifndef WEIR_MODELS_FILES_DECIMAL_H
#define WEIR_MODELS_FILES_DECIMAL_H

#include <weir/shape.h>

#include <locale.h>
#include <stdint.h>

/* strtod() in the C locale, but faster for decimals of up to 19 digits; `decimal` stands for its point. */
double nf__parse_number(char *text, char **stop, char decimal, locale_t c_locale);

/* digits · 10^exponent, rounded to the nearest, ties to even; false where only strtod() knows. */
bool nf__round_decimal(uint64_t digits, int exponent, double *value);

enum { NF__NUMBER_ROOM = 32 };
/* A number with the fewest digits, as printf("%.15g") writes so many or more (of a float: "%.6g"), from which reading
 * and a rounding to dtype give the same number. Returns the length. Needs the C locale. */
size_t nf__format_number(double value, ad_dtype dtype, char text[NF__NUMBER_ROOM]);

#endif
