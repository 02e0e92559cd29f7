/* Reading text that people wrote, and showing them where it is wrong. */
#ifndef WEIR_FLOWS_FORMULA_READER_H
#define WEIR_FLOWS_FORMULA_READER_H

#include <weir/error.h>

typedef struct {
    const char *text, *at;
    ad_error *error;
    size_t *room; /* of a flow's formula: nf_flow_parse_within() */
} nf__reader;

/* Tell the formula, or the part of a long one that is around `where`, with a caret under it (columns are characters,
 * not bytes), and what would be valid there. Returns false. */
bool nf__fail(nf__reader *p, const char *where, const char *what, const char *valid);
void nf__skip_spaces(nf__reader *p);
/* Whether c comes next, which is read then. */
bool nf__take(nf__reader *p, char c);
/* Of the name that text begins with; 0 when it begins with none. */
size_t nf__name_length(const char *text);
/* "got 'x'", or "the formula ends here". */
const char *nf__got(const char *at, char buffer[static 64]);
/* A decimal number: what strtod also takes, hexadecimal, "inf" and "nan", are no numbers in a formula. */
bool nf__read_number(nf__reader *p, double *value);

#endif
