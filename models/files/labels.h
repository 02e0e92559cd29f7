/* Texts of a table's columns, each kept once. */
#ifndef WEIR_MODELS_FILES_LABELS_H
#define WEIR_MODELS_FILES_LABELS_H

#include <weir/data.h>

typedef struct nf__labels nf__labels;

nf__labels *nf__labels_new(size_t columns); /* NULL: no memory */
void nf__labels_free(nf__labels *labels);

/* *index: the number of this text, which has no NUL and length bytes before one, in the order in which a column's texts
 * came. False: no memory. */
bool nf__labels_index(nf__labels *labels, size_t column, const char *text, size_t length, size_t *index);

/* Give a table its lists, in byte order, of the columns that have texts, and let the values that are indices in the
 * order of coming, or NaN, be indices of these. False: no memory. */
bool nf__labels_finish(const nf__labels *labels, nf_table *table);

#endif
