/* What the columns of a table are to a fit: modelled, a condition, the weights of the rows, or nothing. */
#ifndef WEIR_COMMAND_ROLES_H
#define WEIR_COMMAND_ROLES_H

#include <weir/models.h>

/* As the command line has it: lists of names or numbers; NULL: none. */
struct roles_text {
    const char *context, *drop, *weights;
    const char *kinds; /* "income:positive, 3:count", as nf_columns_learn() takes it, of columns in any role */
    bool pixels;       /* what is modelled are the pixels of images: nf_columns_options */
};

struct roles {
    nf_table table, conditions; /* of the file, whose names and labels these are; without columns where it has none */
    size_t *place, *condition_place; /* which columns of the file these are; one block */
    nf_columns *features, *given;    /* what they are */
    double *weights;                 /* NULL: none */
    size_t weight;                   /* the column that these are, in the file */
};

/* A column that is dropped, and that of the weights, stay columns of the table, as such that tell nothing: its order is
 * that of the file. A column of numbers with a few texts in it is a mistake, unless its kind is given. path is for
 * messages. */
ad_status roles_find(const nf_table *file, const char *path, const struct roles_text *text, struct roles *roles,
                     ad_error *error);
void roles_free(struct roles *roles);

/* The weights of another file's rows: of the column of that name, or place. NULL: it has none, or memory is out, which
 * is an error. */
ad_status roles_weights(const nf_table *file, const char *path, const nf_table *other, size_t weight, double **weights,
                        ad_error *error);

#endif
