/* What the files that read formulas share: where they are in it, and the children that they have made so far. */
#ifndef WEIR_FLOWS_FORMULA_PARSER_H
#define WEIR_FLOWS_FORMULA_PARSER_H

#include "formula/reader.h"

#include <weir/bijector.h>

enum { NF__DEEPEST = 64 }; /* levels of parentheses */

typedef struct {
    nf__reader reader;
    size_t dim, context;
    ad_shape shape; /* of events that are images; rank 0: they aren't */
    size_t room;  /* nf_flow_parse_within() */
    size_t steps; /* made so far, in all lists */
    int depth;
    /* What takes room is not in the frames of functions that nest, for stacks may be small. */
    ad_error fault; /* of what was made last */
    char what[200], names[480], valid[640];
} nf__parser;

/* A growing list of children. */
typedef struct {
    nf_bijector **child;
    size_t count, capacity;
} nf__list;

void nf__list_free(nf__list *l);
/* It owns the child, also on failure; false where that is NULL, too. */
bool nf__list_push(nf__parser *p, nf__list *l, nf_bijector *child);

/* A name that is known, of so many letters, with its arguments; NULL on failure. */
nf_bijector *nf__parse_instance(nf__parser *p, const nf_bijector_type *type, size_t length);
/* Terms with '-' between. False on failure. */
bool nf__parse_chain(nf__parser *p, nf__list *to);
/* A chain as one bijector, whose embeddings of the context end with it, and the ')' behind it; NULL on failure, which is
 * `what` where that is missing. */
nf_bijector *nf__parse_enclosed(nf__parser *p, const char *what);
/* Behind the names of operators on images. False on failure. */
bool nf__parse_image(nf__parser *p, nf__list *to);
bool nf__parse_squeeze(nf__parser *p, nf__list *to);
bool nf__parse_split(nf__parser *p, nf__list *to);
bool nf__parse_glow(nf__parser *p, nf__list *to);
/* A base distribution and the ':' behind it. False on failure only: a formula needs none, and *base is left alone. */
bool nf__parse_base(nf__parser *p, nf_bijector **base);
/* Whether a name is that of a base distribution which takes formulas and so is in no registry. */
bool nf__is_base_operator(const char *name, size_t length);

#endif
