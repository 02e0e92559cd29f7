/* Tables of any number of rows, a part at a time, in memory that doesn't grow with them.
 *
 *     nf_table_reader *reader = nf_table_open("points.csv", NULL, &error);
 *     nf_table_writer *writer = nf_table_create("copy.npy", nf_table_reader_head(reader), &error);
 *     const nf_table *part;
 *     while (!(status = nf_table_next(reader, 65536, &part, &error)) && part->rows > 0)
 *         if ((status = nf_table_append(writer, part, &error))) break;
 *     if (status) nf_table_abort(writer);
 *     else status = nf_table_commit(writer, &error);
 *     nf_table_close(reader);
 *
 * The formats are those of <weir/data.h>, and so is what is a mistake. A reader or writer is one thread's at a time;
 * error may be NULL everywhere. */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include <weir/data.h>

WEIR_BEGIN_DECLARATIONS

/* ---- Reading ---------------------------------------------------------------------------------------------------- */

typedef struct nf_table_reader nf_table_reader;

/* Open a file as nf_table_read_with() does; NULL with *error on failure.
 *
 * What a text is (what separates its fields, whether its first line is names, which columns hold text) is told by its
 * first megabyte. A column that turns to text behind that is AD_ERROR_FORMAT from nf_table_next(), which
 * nf_table_again() may answer. Whole in memory are: a line, text in UTF-16, and a .npy that comes through a pipe. */
nf_table_reader *nf_table_open(const char *path, const nf_read_options *options, ad_error *error);
void nf_table_close(nf_table_reader *reader);

/* What is known of the table: columns, names, dtype, `missing`, and remarks; rows of a .npy, 0 where it isn't known. It
 * has neither values nor labels. It lives as long as the reader; NULL for NULL. */
const nf_table *nf_table_reader_head(const nf_table_reader *reader);
/* Is this a column of labels? False past the last. */
bool nf_table_reader_is_text(const nf_table_reader *reader, size_t column);

/* How much of the file has been read, from 0 to 1; NaN where that isn't known, as of a pipe, and for NULL. */
double nf_table_reader_fraction(const nf_table_reader *reader);

/* The next rows: `most` of them (at least 1), fewer only at the end, and none behind it. *part is the reader's, good
 * until the next call with it. Its first_row is the number of its first row in the file; its labels are those of these
 * rows alone. */
ad_status nf_table_next(nf_table_reader *reader, size_t most, const nf_table **part, ad_error *error);
/* Rows that nobody wants to see; fewer only at the end. */
ad_status nf_table_skip(nf_table_reader *reader, size_t rows, ad_error *error);

/* When nf_table_next() has met text in a column of numbers: go back to the first row, and take this column for one of
 * labels. False, and nothing has changed, where that isn't what happened, or the file is a pipe. */
bool nf_table_again(nf_table_reader *reader);

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

typedef struct nf_table_writer nf_table_writer;

/* Begin a file as nf_table_write() writes it, which appears when it is committed, as in <weir/file.h>. Of `head`,
 * names, columns and dtype are used, and rows, as far as they are known: with 0, a .npy, whose beginning tells them,
 * can't go through a pipe. NULL with *error on failure. */
nf_table_writer *nf_table_create(const char *path, const nf_table *head, ad_error *error);
/* More rows, of as many columns; AD_ERROR_ARGUMENT for labels in a .npy, or wrong ones. AD_ERROR_IO when something
 * could not be written; what is still on its way is told of by the commit. */
ad_status nf_table_append(nf_table_writer *writer, const nf_table *rows, ad_error *error);
/* Either ends and releases the writer. AD_ERROR_ARGUMENT, and no file, when there are no rows, or others than head
 * said.
 */
ad_status nf_table_commit(nf_table_writer *writer, ad_error *error);
void nf_table_abort(nf_table_writer *writer);

WEIR_END_DECLARATIONS

#endif
