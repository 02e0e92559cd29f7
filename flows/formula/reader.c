/* Reading text that people wrote, and showing them where it is wrong. */
#include "formula/reader.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool inside_character(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* The formula, or the part of a long one that is around `where`, with a caret under it (columns are characters, not
 * bytes), and what would be valid there. */
bool nf__fail(nf__reader *p, const char *where, const char *what, const char *valid)
{
    enum { AROUND = 70 };
    char shown[2 * AROUND + 1], caret[AROUND + 1];
    const char *from = where - p->text > AROUND ? where - AROUND : p->text, *to = where + strnlen(where, AROUND);
    while (from < where && inside_character(*from)) from++;
    while (to > where && inside_character(*to)) to--;
    size_t bytes = 0, column = 0;
    for (const char *c = from; c < to; c++) {
        shown[bytes++] = *c != '\t' && isspace((unsigned char)*c) ? ' ' : *c;
        if (c < where && !inside_character(*c)) caret[column++] = *c == '\t' ? '\t' : ' ';
    }
    shown[bytes] = caret[column] = '\0';
    bool cut = from > p->text;
    ad_error_set(p->error, AD_ERROR_ARGUMENT, "formula: %.300s\n  %s%s%s\n  %s%s^\n  valid here: %s", what,
                 cut ? "…" : "", shown, *to ? "…" : "", cut ? " " : "", caret, valid);
    return false;
}

void nf__skip_spaces(nf__reader *p)
{
    while (isspace((unsigned char)*p->at)) p->at++;
}

bool nf__take(nf__reader *p, char c)
{
    nf__skip_spaces(p);
    if (*p->at != c) return false;
    p->at++;
    return true;
}

size_t nf__name_length(const char *s)
{
    size_t n = 0;
    if (isalpha((unsigned char)*s) || *s == '_')
        while (isalnum((unsigned char)s[n]) || s[n] == '_') n++;
    return n;
}

/* strtod also takes hexadecimal, "inf" and "nan": those are no numbers in a formula. */
bool nf__read_number(nf__reader *p, double *value)
{
    const char *digits = p->at + (*p->at == '-' || *p->at == '+');
    char *end;
    if ((!isdigit((unsigned char)*digits) && *digits != '.') || (digits[0] == '0' && (digits[1] | 0x20) == 'x'))
        return false;
    *value = strtod(p->at, &end);
    if (end == p->at || !isfinite(*value)) return false;
    p->at = end;
    return true;
}

/* "got 'x'", or "the formula ends here". */
const char *nf__got(const char *at, char buffer[static 64])
{
    size_t n = nf__name_length(at);
    nf__reader number = {.at = at};
    double value;
    if (!*at) return "the formula ends here";
    if (nf__read_number(&number, &value) && (size_t)(number.at - at) > n) n = (size_t)(number.at - at);
    if (n == 0)
        for (n = 1; inside_character(at[n]);) n++;
    snprintf(buffer, 64, "got '%.*s'", (int)(n < 40 ? n : 40), at);
    return buffer;
}
