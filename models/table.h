/* What table.c, csv.c and npy.c share. */
#ifndef WEIR_TABLE_H
#define WEIR_TABLE_H

#include "data.h"

/* Fill an empty table from a file's bytes, which are followed by a NUL; csv.c changes them. path is for messages. On
 * failure the table may be half filled. Delimiter ' ' stands for any number of blanks and tabs. */
ad_status nf_npy_parse(const char *path, const char *data, size_t bytes, nf_table *table, ad_error *error);
ad_status nf_csv_parse(const char *path, char delimiter, char *data, size_t bytes, nf_table *table, ad_error *error);

/* Do the bytes begin as a .npy file does? */
bool nf_npy_begins(const char *data, size_t bytes);
void nf_npy_write(nf_file *file, const nf_table *table);
ad_status nf_csv_write(nf_file *file, char delimiter, const nf_table *table, ad_error *error);

#endif
