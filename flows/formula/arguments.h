/* The arguments in parentheses behind a name. */
#ifndef WEIR_FLOWS_FORMULA_ARGUMENTS_H
#define WEIR_FLOWS_FORMULA_ARGUMENTS_H

#include "formula/reader.h"

#include <weir/bijector.h>

/* What was read. */
typedef struct {
    const nf_bijector_type *type;
    size_t dim; /* of the event whose features may be listed */
    double value[NF_MOST_ARGUMENTS];
    nf_choice choice[NF_MOST_ARGUMENTS];
    bool given[NF_MOST_ARGUMENTS];
    size_t *feature, n_feature; /* of a list */
    size_t n_named, positional;
    size_t size[NF_MOST_ARGUMENTS], n_size;
} nf__arguments;

/* Behind the name of a->type; a is zero but for type and dim. Free it also on failure. */
bool nf__read_arguments(nf__reader *p, nf__arguments *a);
/* The same where a formula stands between the '(' and the arguments, which need not be any: ")" or ",64,64)". */
bool nf__read_further_arguments(nf__reader *p, nf__arguments *a);
void nf__arguments_free(nf__arguments *a);
/* Behind the '[' of a list of features of an event of dim, up to its ']': into *feature, which grows, from 0. `name` is
 * what takes them. */
bool nf__read_features(nf__reader *p, const char *name, size_t dim, size_t **feature, size_t *count);
/* "whole numbers of hidden units, activation=tanh|relu …" */
const char *nf__argument_help(const nf__arguments *a, char buffer[static 512]);

#endif
