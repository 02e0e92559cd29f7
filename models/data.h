/* Weir data: tables of numbers, the files that hold them, and data to try a flow on.
 *
 *     nf_table table;
 *     ad_error error;
 *     if (nf_table_read("points.csv", &table, &error) || nf_table_check_finite(&table, "points.csv", &error)) {
 *         fprintf(stderr, "%s\n", error.message);
 *         return 1;
 *     }
 *     table.values[r * table.columns + c];
 *     nf_table_write("copy.npy", &table, &error);
 *     nf_table_free(&table);
 *
 * Nothing here depends on the locale or keeps state: any function may be called from several threads at once, of which
 * each has a table of its own or only reads it. error may be NULL everywhere.
 */
#ifndef WEIR_DATA_H
#define WEIR_DATA_H

#include <weir/error.h>
#include <weir/shape.h>

WEIR_BEGIN_DECLARATIONS

/* ---- Tables ----------------------------------------------------------------------------------------------------- */
typedef struct {
    size_t rows, columns;
    double *values; /* (rows, columns), row-major */
    char **names;   /* the columns' names, or NULL; the pointers and their text are one block */
    ad_dtype dtype; /* what the file held, or what a file shall hold; AD_F64 from text and integers */
    /* NULL: every column holds numbers. Otherwise labels[c] is NULL for a column of numbers, or lists the texts of
     * column c, UTF-8, in byte order, ended by a NULL; the column's values are indices of this list. The pointers and
     * their text are one block. */
    char ***labels;
    bool missing; /* NaN are missing values: text has nothing in their place, and not "nan" */
} nf_table;

/* Read a file that is of the kind that its name's extension tells:
 *
 *   .npy            NumPy's, version 1 to 3, either byte order and either memory order, of one dimension (it becomes
 *                   one column) or two. float32, float64, and integers and booleans, which become float64: above 2^53
 *                   rounded to the nearest.
 *   .csv, .tsv      RFC 4180: fields between commas (.tsv: tabs), quoted where need be; lines end as on any system,
 *                   empty ones are skipped, as are blanks around a field and a UTF-8 byte order mark. A number is what
 *                   C calls one: "1", "-2.5e3", "nan", "inf". If any field of the first line is neither a number nor
 *                   empty, this line holds the columns' names. Lines that begin with # are comments; the last of
 *                   them before the numbers holds the names where it has as many fields and no other line does. A name
 *                   without an extension, such as /dev/stdin, is read as .csv, unless the file begins as a .npy does.
 *   .txt            The same with fields between blanks or tabs, however many: what numpy.savetxt() writes.
 *
 * On failure *table is empty, and the message says where: "points.csv:12:3: 'abc' is not a number" is about the third
 * field of line 12. A field that is empty, a line with more or fewer fields than the first, and a file without rows are
 * mistakes; a NaN is not: see nf_table_check_finite(). */
ad_status nf_table_read(const char *path, nf_table *table, ad_error *error);

/* Release what nf_table_read() made, and make the table empty. */
void nf_table_free(nf_table *table);

/* AD_ERROR_FORMAT when there is a NaN or an infinity in the table, with the place of the first, counted from 1. `what`
 * begins the message: a path, say. */
ad_status nf_table_check_finite(const nf_table *table, const char *what, ad_error *error);

/* AD_ERROR_ARGUMENT when this name's extension is none of those: to be told before the work, not behind it. */
ad_status nf_table_check_path(const char *path, ad_error *error);

/* Write a file that is of the kind that its name's extension tells, as above, with numbers of table->dtype: .npy
 * (version 1, two-dimensional, little-endian, without the names), or text, with the fewest digits that give the same
 * number when they are read again. At least one of the names, if there are any, must not be a number. */
ad_status nf_table_write(const char *path, const nf_table *table, ad_error *error);

/* ---- Data to try a flow on
 * ---------------------------------------------------------------------------------------------------- */
/* Two interleaved half circles, as scikit-learn's make_moons(n, noise=noise): n/2 points at even angles on the upper
 * one, the others on the lower one, in random order, each coordinate with normal noise of that standard deviation.
 * values: (n, 2); labels: (n), 0 for the upper moon and 1 for the lower, or NULL where
 * they aren't wanted. */
void nf_moons(size_t n, double noise, uint64_t seed, double *values, int *labels);

/* ProbFlow's banana: x2 = 3 a, x1 = x2²/4 + b, a and b from N(0, 1). values: (n, 2), row r a function of (seed, r). Its
 * entropy is 1 + log 2π + log 3 = 3.9365 nats. */
void nf_banana(size_t n, uint64_t seed, double *values);

WEIR_END_DECLARATIONS

#endif
