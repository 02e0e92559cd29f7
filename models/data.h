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
    double *values; /* (rows, columns), row-major. NaN: missing, or not a number */
    char **names;   /* the columns' names, UTF-8, or NULL; the pointers and their text are one block */
    ad_dtype dtype; /* what the file held, or what a file shall hold; AD_F64 from text and integers */
    /* NULL: every column holds numbers. Otherwise labels[c] is NULL for a column of numbers, or lists the texts of
     * column c, UTF-8, in byte order, ended by a NULL; the column's values are indices of this list. The pointers and
     * their text are one block. */
    char ***labels;
    bool missing; /* NaN are missing values: text has nothing in their place, and not "nan" */
    /* What nf_table_read_with() took for granted, or mended, and may have got wrong: sentences, a line each, ended by
     * '\n' but for the last; NULL: nothing. A user should see them. */
    char *remarks;
    /* Of a part of a larger table: the number of its first row there, which noise is drawn by and messages tell. */
    size_t first_row;
    /* Where a row is an image, as in an array of more than two dimensions: (height, width), or (height, width, channels),
     * of which the columns are the elements in this order. Rank 0: it isn't. */
    ad_shape event;
} nf_table;

/* Read a file that is of the kind that its name's extension tells:
 *
 *   .npy            NumPy's, version 1 to 3, either byte order and either memory order, of one dimension (it becomes
 *                   one column) or two; or of three or four, in C's order, each row of which is an image: see event. float32, float64, and integers and booleans, which become float64: above 2^53
 *                   rounded to the nearest. It has no names, and nothing but NaN for what is missing.
 *   .csv, .tsv      RFC 4180: fields between commas (.tsv: tabs), quoted where need be; lines end as on any system,
 *                   empty ones are skipped, as are blanks around a field and a byte order mark. Where the first lines
 *                   of a .csv file are fields between semicolons or tabs, it is read so. A number is what C calls one:
 *                   "1", "-2.5e3", "nan", "inf"; where commas don't separate fields, "2,5" is one too if no number of
 *                   the file has a point. A name without an extension, such as /dev/stdin, is read as .csv, unless the
 *                   file begins as a .npy does.
 *   .txt            The same with fields between blanks or tabs, however many: what numpy.savetxt() writes.
 *
 * Text is UTF-8, or UTF-16; bytes that aren't UTF-8 are taken for Windows-1252's, of which Latin-1 is a part.
 *
 * The first line may hold the columns' names: see nf_header. Lines that begin with # are comments; the last of them
 * before the numbers holds the names where it has as many fields and no other line does. Of several columns of one
 * name, the later ones are called "name.2", "name.3" and so on, with a remark.
 *
 * On failure *table is empty, and the message says where: "points.csv:12:3: 'abc' is not a number" is about the third
 * field of line 12. A field that is empty or text, a line with more or fewer fields than the first, and a file without
 * rows are mistakes; a NaN is not: see nf_table_check_finite(). */
ad_status nf_table_read(const char *path, nf_table *table, ad_error *error);

/* What the first line of a text file holds.
 *
 * NF_HEADER_AUTO  names, if any of its fields is neither a number nor stands for a missing value. So it is, too, if all
 *                 of its fields, and no number below, are quoted, or if they are different whole numbers that look
 *                 unlike what is below: in even steps, above columns without a whole number or outside the range of
 *                 each. Where this is in doubt there is a remark.
 * NF_HEADER_YES   names, whatever they look like
 * NF_HEADER_NO    a row */
typedef enum { NF_HEADER_AUTO, NF_HEADER_YES, NF_HEADER_NO } nf_header;

typedef struct {
    nf_header header;
    /* A column in which a field is text becomes one of labels, in which "7" is a text as others are. With
     * NF_HEADER_AUTO, text in the first line is a name if the column below holds numbers, or if each first field is
     * text that isn't found again below. */
    bool labels;
    /* Fields are NaN that are empty, or NA, N/A, n/a, #N/A, <NA>, NaN, nan, NULL, null or ?; and, in a column without
     * other text, None, - or a point. */
    bool missing;
} nf_read_options;

/* As nf_table_read(), where all options are zero. options may be NULL. */
ad_status nf_table_read_with(const char *path, const nf_read_options *options, nf_table *table, ad_error *error);

/* Release what these made, and make the table empty. */
void nf_table_free(nf_table *table);

/* AD_ERROR_FORMAT when there is a NaN or an infinity in the table, with the place of the first, counted from 1. `what`
 * begins the message: a path, say. */
ad_status nf_table_check_finite(const nf_table *table, const char *what, ad_error *error);

/* AD_ERROR_ARGUMENT when this name's extension is none of those: to be told before the work, not behind it. */
ad_status nf_table_check_path(const char *path, ad_error *error);

/* Write a file that is of the kind that its name's extension tells, as above, with numbers of table->dtype: .npy
 * (version 1, two-dimensional or with the event's own dimensions, little-endian, without the names and with indices for labels), or text, with the fewest
 * digits that give the same number when they are read again. Names and labels are quoted where they have to be, and
 * names are, too, if all of them are numbers. A table of labels alone should have names: how else is one to know that
 * its first line isn't. AD_ERROR_ARGUMENT if a value is no index of its column's labels. */
ad_status nf_table_write(const char *path, const nf_table *table, ad_error *error);

/* ---- Tables that stay in their file ----------------------------------------------------------------------------- */
/* A .npy file of any size, of which rows are read when they are needed, as nf_table_read() would have them. The
 * functions may be called for one file from several threads at once. What is not there, cut short, or of another format
 * is a mistake when it is opened; a file that became shorter since then is AD_ERROR_IO when rows are read that it lost.
 * NULL with *error on failure. A pipe is AD_ERROR_IO. */
typedef struct nf_npy nf_npy;
nf_npy *nf_npy_open(const char *path, ad_error *error);
void nf_npy_close(nf_npy *npy);
size_t nf_npy_rows(const nf_npy *npy);
size_t nf_npy_columns(const nf_npy *npy);
ad_dtype nf_npy_dtype(const nf_npy *npy); /* AD_F64 for integers, and for NULL */
ad_shape nf_npy_event(const nf_npy *npy); /* nf_table.event; of rank 0 for NULL */
/* Rows first … first + rows - 1 into values (rows, columns), row-major. */
ad_status nf_npy_read(const nf_npy *npy, size_t first, size_t rows, double *values, ad_error *error);
/* These will be read soon: the system may fetch them from the disk meanwhile. */
void nf_npy_will_read(const nf_npy *npy, size_t first, size_t rows);
/* AD_ERROR_IO when the file's length or the time of its last change is another than when it was opened: then rows that
 * were read may be of either. */
ad_status nf_npy_check(const nf_npy *npy, ad_error *error);

/* ---- Data to try a flow on -------------------------------------------------------------------------------------- */
struct nf_toy_source;

/* A distribution in the plane. */
typedef struct nf_toy {
    const char *name, *help;
    double noise;   /* the standard deviation of the noise, where it may be chosen; 0: it may not */
    double entropy; /* -∫ p log p, nats, with this noise: the mean of -log p that no density can score below */
    int (*draw)(struct nf_toy_source *from, double x[2]); /* Weir's own: one row; returns its label */
} nf_toy;

/* All that there are: "moons" and "banana", as below, and those of FFJORD's toy_data.py (Grathwohl et al. 2019,
 * "FFJORD: free-form continuous dynamics for scalable reversible generative models"), "8gaussians", "checkerboard",
 * "pinwheel", "2spirals", "swissroll", "circles", "rings". The last has a name of NULL. */
const nf_toy *nf_toys(void);
/* NULL where there is none of this name, and for NULL. */
const nf_toy *nf_toy_named(const char *name);

/* values: (n, 2), rows that are independent of each other, row r a function of (seed, r), but for the moons', which
 * depend on n too; labels: (n), which normal, square, arm or circle a row is of, from 0, or NULL where they aren't
 * wanted. noise: of one that has a choice. */
void nf_toy_draw(const nf_toy *toy, size_t n, double noise, uint64_t seed, double *values, int *labels);

/* Two interleaved half circles, as scikit-learn's make_moons(n, noise=noise): n/2 points at even angles on the upper
 * one, the others on the lower one, in random order, each coordinate with normal noise of that standard deviation.
 * values: (n, 2); labels: (n), 0 for the upper moon and 1 for the lower, or NULL where they aren't wanted. */
void nf_moons(size_t n, double noise, uint64_t seed, double *values, int *labels);

/* ProbFlow's banana: x2 = 3 a, x1 = x2²/4 + b, a and b from N(0, 1). values: (n, 2), row r a function of (seed, r). Its
 * entropy is 1 + log 2π + log 3 = 3.9365 nats. */
void nf_banana(size_t n, uint64_t seed, double *values);

WEIR_END_DECLARATIONS

#endif
