/* What table.c, csv.c and npy.c share. */
#ifndef WEIR_MODELS_FILES_TABLE_H
#define WEIR_MODELS_FILES_TABLE_H

#include <weir/data.h>
#include <weir/file.h>

/* Fill an empty table from a file's bytes, which are followed by a NUL; for text they are UTF-8. path is for messages.
 * On failure the table may be half filled. Delimiter ' ' stands for any number of blanks and tabs. */
ad_status nf__npy_parse(const char *path, const char *data, size_t bytes, nf_table *table, ad_error *error);
ad_status nf__csv_parse(const char *path, char delimiter, const nf_read_options *options, char *data, size_t bytes,
                        nf_table *table, ad_error *error);

/* Add a sentence to the table's remarks; false: no memory. */
__attribute__((format(printf, 2, 3))) bool nf__table_remark(nf_table *table, const char *format, ...);

/* Do the bytes begin as a .npy file does? */
bool nf__npy_begins(const char *data, size_t bytes);
void nf__npy_write(nf_file *file, const nf_table *table);
ad_status nf__csv_write(nf_file *file, char delimiter, const nf_table *table, ad_error *error);

#endif
