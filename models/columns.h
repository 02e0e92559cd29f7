/* Weir columns: what people have in tables, mapped to the real numbers that a flow models, and back.
 *
 *     nf_columns *columns = nf_columns_learn(&table, "share:[0,1], city:category", NULL, &error);
 *     for (size_t c = 0; c < nf_columns_count(columns); c++) puts(nf_columns_column(columns, c)->why);
 *     double *x = malloc(table.rows * nf_columns_features(columns) * sizeof *x);
 *     nf_columns_encode(columns, &table, seed, 0, x, NULL, &error);
 *     nf_fit(flow, x, table.rows, NULL, NULL, &error);        // a flow of nf_columns_features() features
 *     nf_columns_log_prob(columns, flow, NULL, &table, 0, seed, log_prob, pool, &error);
 *     nf_sample(flow, NULL, table.rows, seed, x, NULL, pool, &error);
 *     nf_columns_decode(columns, x, table.rows, &samples, &error); // the same kinds, labels and all
 *
 * A column becomes none, one or a few *features*, in float64 and outside of the flow, whose dtype may be float32.
 * Where a value is no real number, a feature also depends on noise u of known density r(u). Then, with the flow's
 * density p_x of the features x(row, u),
 *
 *     p(row) = ∫ p_x(x(row, u)) |∂x/∂(row, u)| du = E_r[ p_x(x(row, u)) |∂x/∂(row, u)| / r(u) ],
 *
 * of which a mean over draws of u is an unbiased estimate: nf_columns_log_prob() takes the logarithm of that. It
 * is a density in the user's own units for what is measured, and a probability for what is counted or named: over
 * all possible rows, integrated and summed, it is 1, whatever the flow.
 *
 * Missing values: the network sees a mask. A column that had missing values when it was learned can be missing,
 * which is one more of its values: log p is that of the observed values *and* of which are missing; nothing is
 * filled in by guessing, and samples have missing values as the data had. (Where values are missing at random, the
 * mask tells nothing of them, and the density of the observed ones is this one without the mask's.)
 *
 * Noise is a function of (seed, draw, row), and each row's features and log p are functions of that row and its
 * number alone. Several threads may use one nf_columns at once, for none of these functions changes it. error and
 * pool may be NULL everywhere. An nf_columns that is NULL has no columns and no features, and using it is
 * AD_ERROR_ARGUMENT. */
#ifndef WEIR_COLUMNS_H
#define WEIR_COLUMNS_H

#include <weir/data.h>
#include <weir/flow.h>

WEIR_BEGIN_DECLARATIONS

/* ---- Kinds ------------------------------------------------------------------------------------------------------ */

/* With what asks for each, and the features that it becomes. [a, b] and (a, b] are with and without the end a.
 *
 *   real: "real"
 *     x - c, where c is 0, unless float32 would have neighbours a millionth of the standard deviation apart or
 *     more (a timestamp), or else near the mean. The same holds behind the other maps.
 *   positive: "positive", "(2,inf)", "[0,inf)"
 *     log x, or c log(e^(x/c) - 1), which is x for x far above c. 0 itself is one of the values of the closed one
 *     alone.
 *   bounded: "(0,1)", "[0,100]"
 *     log((x - a) / (b - x))
 *   integer: "integer", "count" (0, 1, …), "integer[18,99]"
 *     Whole numbers. In a range of up to 512 each is a cell of a standard normal, in order, and as wide as it is
 *     probable: the feature is Φ⁻¹ of their distribution function, with uniform noise within its steps.
 *     Probabilities are smoothed counts of the data; beyond the smallest and the largest of these, unless the data
 *     pile up there (five rows and 1 % of them), as many values more have 1/(n + 1) together, none of them
 *     negative where the data aren't. In a wider range the feature is that of x + u, u uniform on (0, 1), as of a
 *     real, positive or bounded column.
 *   category: "category"
 *     Labels, or the different numbers that the column has: cells of a standard normal, too, each as wide as its
 *     share, (n_k + 1/2) / (n + K/2).
 *   angle: "angle" (degrees, or radians if all of them are within 2 π), "angle(24)" for another period
 *     (r cos θ, r sin θ), with noise r > 0 of density r e^(-r²/2): a uniform angle is exactly N(0, I). For θ in
 *     radians, p(θ) = E_r[p_x e^(r²/2)].
 *   constant
 *     No feature. Another value has density 0.
 *   duplicate
 *     Of another column: always a times that plus b. No feature; another value has density 0, and log p is that of
 *     the other column.
 *   dropped: "drop"
 *     No feature. Any value will do, log p knows nothing of it, and samples lack the column.
 *
 * A column of measured values may have *states*: a value, an atom, missing. An atom is a single value that is far
 * more frequent than any other (at least 5 % of the rows and ten times the next, at a closed end 1 %; three at
 * most, but for ends): the zeros of an amount. States are one more feature, ahead of the others: cells of a
 * standard normal, as of a category. In other states than "a value" the features of the value are noise: normal
 * with the mean and variance that they have when there is one. The distribution is a mixed one then: log p is that
 * of the probability of an atom, and of a density elsewhere. Missing integers of a small range, and categories,
 * are one more cell.
 *
 * At a closed end, values that are no atom are taken as if they were half as far from it as the nearest other
 * value of the data, for the end itself has no finite feature; what is as near to it in a sample becomes the
 * end. */
typedef enum {
    NF_COLUMN_REAL,
    NF_COLUMN_POSITIVE,
    NF_COLUMN_BOUNDED,
    NF_COLUMN_INTEGER,
    NF_COLUMN_CATEGORY,
    NF_COLUMN_ANGLE,
    NF_COLUMN_CONSTANT,
    NF_COLUMN_DUPLICATE,
    NF_COLUMN_DROPPED,
} nf_column_kind;

/* What is known of a column; it lives as long as the nf_columns. */
typedef struct {
    const char *name; /* NULL: it has none */
    nf_column_kind kind;
    const char *why;           /* for a user: "integer: whole numbers, 0 to 13 (possible are 0 to 27)" */
    size_t feature, features;  /* the first of its features, counted from 0, and how many they are */
    double low, high;          /* the support: no value is outside; may be infinite. NaN for a category of labels */
    double least, most;        /* of the values that it was learned from; NaN where there were none, and for labels */
    double missing;            /* share of missing values in these rows */
    size_t rows;               /* how many these were; 0 of nf_columns_plain() */
    size_t atoms;              /* how many there are */
    const double *atom;        /* these; NULL for none */
    size_t categories;         /* how many, without missing; 0 for other kinds */
    const char *const *labels; /* their texts; NULL for other kinds, and where categories are numbers */
    const double *codes;       /* their numbers; NULL for other kinds, and where categories are labels */
    size_t source;             /* of a duplicate: the column that it is one of */
    double slope, intercept;   /* and so: slope x + intercept */
} nf_column;

typedef struct nf_columns nf_columns;

/* ---- Learning --------------------------------------------------------------------------------------------------- */

/* A zero means the default, and later versions add members at the end. */
typedef struct {
    /* The columns are what a flow is conditioned on: their features have no noise and no density, and can't be decoded.
     * Numbers, integers too, are standardised by mean and standard deviation, behind the map of a real, positive
     * or bounded column; angles become (cos θ, sin θ); up to 32 categories become as many features, of which one
     * is 1, and more of them one: the middle of their cell. A missing value, and a label that isn't known, is 0 in
     * all of these; a column that had missing values has one feature more, which is 1 where they are. Constants
     * and duplicates have no feature and may have any value. */
    bool context;
    /* The columns are the pixels of images, all of one kind. Where all are whole numbers, and none is missing, each is
     * a wide integer from the least of all of them, or 0 if that is more, to the most, as "integer[0,255]" of a wide
     * range is: uniform dequantization (Uria et al. 2013) and RealNVP's log-odds. Other numbers are real. */
    bool pixels;
} nf_columns_options;

/* Learn what the columns of a table are, from at least two rows, or one of pixels. NaN is missing; an infinity is a
 * mistake.
 *
 * `given` (may be NULL) says what some of them are: "income:positive, share:[0,1], children:count", column and
 * kind as in the list above. A name with a comma, a colon or a blank at an end is quoted: '"a, b":real'; a number
 * that isn't a name counts columns from 1; the kind "auto" changes nothing. Values outside the given kind are
 * AD_ERROR_FORMAT, and the message names the first one's row. What is not given is recognised:
 *
 *   - labels are categories, and dropped where, of 20 rows or more, more than half as many labels are different;
 *   - whole numbers up to 2^40 are integers; where each row has another, `why` says that they may tell rows
 *     apart;
 *   - other numbers of which few are different are categories: up to ten that come ten times each on average, up
 *     to thirty that come a hundred times each;
 *   - a column that is a x + b of an earlier one's x, to twelve digits in 20 rows or more, is a duplicate;
 *   - numbers of which none is negative (ten or more of them), or that fill most of [0, 1] or [0, 100] (fifty),
 *     are mapped as positive or bounded ones if a normal of what the map gives has, as a density of x, a
 *     likelihood larger than a normal's of x by .05 nats a row and by twice the standard error of that; or if it
 *     is at most .05 less and a normal of x has 1 % outside (.01 % for whole numbers, at any cost);
 *   - an angle is never guessed.
 *
 * NULL on failure: no such column, a kind that isn't one, a contradiction, no column that has a feature, no
 * memory. */
nf_columns *nf_columns_learn(const nf_table *table, const char *given, const nf_columns_options *options,
                             ad_error *error);

/* Real columns, whose features are their values, bit for bit, and NaN is NaN: what a flow takes without all this.
 * names: `count` of them, which are copied, or NULL. */
nf_columns *nf_columns_plain(size_t count, const char *const *names, ad_error *error);

void nf_columns_free(nf_columns *columns);

/* ---- What they are ---------------------------------------------------------------------------------------------- */

size_t nf_columns_count(const nf_columns *columns);
size_t nf_columns_features(const nf_columns *columns); /* of all columns: nf_flow_dim(), or nf_flow_context_size() */
bool nf_columns_noisy(const nf_columns *columns);      /* do features depend on noise? */
bool nf_columns_is_context(const nf_columns *columns);
const nf_column *nf_columns_column(const nf_columns *columns, size_t c); /* NULL past the last */
const char *nf_column_kind_name(nf_column_kind kind);                    /* "positive" */

/* The name of a feature: "income", "income state", "phase cos", "city Rome"; "x[2]" of the second column without a
 * name. Returns text, which is cut where it is too long. */
char *nf_columns_feature_name(const nf_columns *columns, size_t feature, char text[128]);

/* ---- Using them --------------------------------------------------------------------------------------------------
 *
 * A table has the same columns in the same order as the one that was learned from; names aren't looked at. Its
 * labels may be others, or in another order: texts are compared, and a text that is a number is a number where
 * that is wanted. Of a part of a larger table, rows are counted from its first_row on. Labels in a column of numbers,
 * and another number of columns, are AD_ERROR_FORMAT. */

/* AD_ERROR_FORMAT if a row has density 0, since a value of it contradicts its column: outside of the support, an
 * unknown label, missing where nothing was, no duplicate. The message begins with `what`, a file's name say, tells
 * of the first such value, and how many rows there are. Of contexts: what nf_columns_encode() refuses. */
ad_status nf_columns_check(const nf_columns *columns, const nf_table *table, const char *what, ad_error *error);

/* How many rows have density 0, as nf_columns_check() finds them. text (may be NULL) tells of the first: "row 3, column
 * 'age': -1 is outside of its support (integer, 0 to 130), so that the row has density 0". 0 of contexts, and for other
 * tables than ones of such columns. */
enum { NF_COLUMNS_TEXT = 640 };
size_t nf_columns_impossible(const nf_columns *columns, const nf_table *table, char text[NF_COLUMNS_TEXT]);

/* How many rows have a value that the rows learned from don't reach: below their least or above their most value, or an
 * unknown label. text (may be NULL) tells of the first: "row 3, column 'age': 130, and was 18 to 90 in training".
 * 0 for other tables than ones of such columns. */
size_t nf_columns_outside(const nf_columns *columns, const nf_table *table, char text[512]);

/* features: (rows, nf_columns_features()). log_weight (rows; may be NULL): log of |∂x/∂(row, u)| / r(u), which is to be
 * added to the flow's log p: with noise, this is the log of one term of the mean above. Where a value contradicts
 * its column it is -inf, and the features are finite all the same. Draws 0, 1, 2 … of a row are quasi-random
 * (Richtmyer's sequence, from a random start): the epochs of a training, say. Contexts have no noise, and
 * log-weights of 0; a value that they can't have (outside of a map's interval, missing where nothing was) is
 * AD_ERROR_FORMAT. */
ad_status nf_columns_encode(const nf_columns *columns, const nf_table *table, uint64_t seed, uint64_t draw,
                            double *features, double *log_weight, ad_error *error);

/* The same of rows that are part of a larger table, from its first_row on: noise is that of a row's number, whichever
 * rows come with it, and messages tell it. A value that contradicts its column is AD_ERROR_FORMAT. */
ad_status nf_columns_encode_part(const nf_columns *columns, const nf_table *part, uint64_t seed, uint64_t draw,
                                 double *features, ad_error *error);

/* The table that such features are of: samples. It has names and labels where the columns have, and lacks those that
 * are dropped; for nf_table_free(). Each value is inside its column's support, and encoding it gives a finite
 * log-weight; decoding what was encoded gives the same values: whole numbers and labels exactly, others but for
 * rounding. A NaN in the features makes the values NaN that depend on it. */
ad_status nf_columns_decode(const nf_columns *columns, const double *features, size_t rows, nf_table *table,
                            ad_error *error);

/* log p of each row into log_prob (rows), in nats: of the mean over `draws` draws of noise, 64 for 0, and one where
 * there is no noise. context: (rows, nf_flow_context_size()), as nf_log_prob() has it: features of the context's
 * own columns. The flow must have nf_columns_features() features. */
ad_status nf_columns_log_prob(const nf_columns *columns, const nf_flow *flow, const double *context,
                              const nf_table *table, size_t draws, uint64_t seed, double *log_prob, ad_pool *pool,
                              ad_error *error);

/* ---- Keeping them ----------------------------------------------------------------------------------------------- */

/* As text, a JSON object, for a model's record; and from it. The same columns give the same text, and the text gives
 * columns that encode and decode with the same bits. Text for ad_free(), NULL on failure; AD_ERROR_FORMAT: the
 * text isn't of columns, or of a newer version than this. */
char *nf_columns_text(const nf_columns *columns, ad_error *error);
nf_columns *nf_columns_parse(const char *text, ad_error *error);

WEIR_END_DECLARATIONS

#endif
