/* What table.c, csv.c and npy.c share. */
#ifndef WEIR_MODELS_FILES_TABLE_H
#define WEIR_MODELS_FILES_TABLE_H

#include <weir/data.h>
#include <weir/file.h>

typedef struct {
    const char *extension;
    char delimiter; /* 0: .npy */
} nf__table_format;

/* By the file's name; NULL for an extension that is none of these. */
const nf__table_format *nf__table_format_of(const char *path, ad_error *error);

/* Fill an empty table from a file's bytes, which are followed by a NUL; for text they are UTF-8. path is for messages.
 * On failure the table may be half filled. Delimiter ' ' stands for any number of blanks and tabs. */
ad_status nf__npy_parse(const char *path, const char *data, size_t bytes, nf_table *table, ad_error *error);
ad_status nf__csv_parse(const char *path, char delimiter, const nf_read_options *options, char *data, size_t bytes,
                        nf_table *table, ad_error *error);

/* Add a sentence to the table's remarks; false: no memory. */
__attribute__((format(printf, 2, 3))) bool nf__table_remark(nf_table *table, const char *format, ...);

/* Do the bytes begin as a .npy file does? */
bool nf__npy_begins(const char *data, size_t bytes);
/* The header of a table of this dtype, rows and columns, which always has as many bytes; and the elements of some rows,
 * as numbers of this dtype. */
enum { NF__NPY_HEADER = 128 };
void nf__npy_header(const nf_table *table, char header[NF__NPY_HEADER]);
void nf__npy_write_rows(nf_file *file, const nf_table *rows, ad_dtype dtype);
/* The names, if there are any, and rows. */
ad_status nf__csv_write_names(nf_file *file, char delimiter, const nf_table *table, ad_error *error);
ad_status nf__csv_write_rows(nf_file *file, char delimiter, const nf_table *rows, ad_dtype dtype, ad_error *error);
/* Can only more be written to the file, and nothing before? */
bool nf__file_is_direct(const nf_file *file);
/* Is there room for so many bytes on its disk? AD_ERROR_IO where there isn't; files that are written directly have it. */
ad_status nf__file_check_room(const nf_file *file, double bytes, ad_error *error);
/* What has gone wrong so far, which a commit would tell. */
ad_status nf__file_check(const nf_file *file, ad_error *error);
/* What is ahead of the rows, and rows, in either format. */
ad_status nf__table_begin(nf_file *file, const nf__table_format *format, const nf_table *head, ad_error *error);
ad_status nf__table_write_rows(nf_file *file, const nf__table_format *format, const nf_table *rows, ad_dtype dtype,
                               ad_error *error);
/* Is each value an index of its column's labels, or NaN? */
ad_status nf__table_check_labels(const char *path, const nf_table *table, ad_error *error);

#endif
