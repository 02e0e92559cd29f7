/* What the files of columns/ share. */
#ifndef WEIR_MODELS_COLUMNS_COLUMN_H
#define WEIR_MODELS_COLUMNS_COLUMN_H

#include <weir/columns.h>

/* ---- Maps of an interval to the real line ----------------------------------------------------------------------- */

typedef enum { NF__MAP_IDENTITY, NF__MAP_LOG, NF__MAP_SOFTPLUS, NF__MAP_LOGIT, NF__MAPS } nf__map_type;

/* feature = (g(x) - offset) / scale. */
typedef struct {
    nf__map_type type;
    double low, high;           /* the ends of the interval */
    double width;               /* c of c log(e^((x - low)/c) - 1) */
    double pull_low, pull_high; /* how near to a closed end the values are that stand for it; 0: the end is open */
    double offset, scale;
} nf__map;

const char *nf__map_name(nf__map_type type);
/* Is x in the interval? Not NaN. */
bool nf__map_admits(const nf__map *map, double x);
/* The feature of an x in the interval, and the log of its derivative. */
double nf__map_to(const nf__map *map, double x, double *log_slope);
/* And back: always in the interval. */
double nf__map_from(const nf__map *map, double feature);
/* An interval of these ends with the map that suits it; width for those that aren't bounded: 0: log. */
nf__map nf__map_of(double low, double high, double width);

/* ---- Cells of a standard normal --------------------------------------------------------------------------------- */

typedef struct {
    size_t count;
    double *mass;  /* (count), their sum is 1 */
    double *below; /* (count + 1): the sum of the masses before each, and 1 */
    double *above; /* (count + 1): from each on, and 0 */
    double *end;   /* (count + 1): Φ⁻¹ of these, -inf … inf, ascending */
} nf__cells;

double nf__normal_quantile(double p); /* Φ⁻¹, for 0 < p <= 1/2 */
/* Masses are copied; AD_ERROR_FORMAT unless their sum is 1 and each is wide enough to be told from none. */
ad_status nf__cells_make(const double *mass, size_t count, nf__cells *cells, ad_error *error);
void nf__cells_free(nf__cells *cells);
/* The point of cell k at u in (0, 1), and the log of its derivative with respect to u. */
double nf__cells_to(const nf__cells *cells, size_t k, double u, double *log_slope);
size_t nf__cells_from(const nf__cells *cells, double z);

/* ---- Columns ---------------------------------------------------------------------------------------------------- */

typedef struct {
    nf_column face;
    /* All values are cells: of a category, of integers in a small range, and of "missing" behind them. Otherwise cells
     * are states, if there are any: 0 is a value, then atoms, then "missing". */
    bool discrete;
    bool can_miss;
    bool whole; /* of a duplicate: round what it is */
    nf__cells cells;
    double first;              /* discrete integers: that of the first cell */
    nf__map map;               /* of values that aren't discrete; of an angle: low, and high = low + period */
    double fill_mean, fill_sd; /* of the value's feature: what stands in for it in other states */
} nf__column;

struct nf_columns {
    size_t count, features;
    size_t noise;   /* dimensions of it for each row */
    uint64_t *step; /* (noise): what each advances from draw to draw, in 2^-64 */
    bool context, plain;
    nf__column *column;
};

enum { NF__MOST_ONE_HOT = 32 };

/* Numbers of noise, and of features, that a column takes. */
size_t nf__column_noise(const nf__column *column);
size_t nf__column_features(const nf__column *column, bool context);
/* Count columns, without anything in them; and fill in what follows from the columns. */
nf_columns *nf__columns_new(size_t count, ad_error *error);
ad_status nf__columns_finish(nf_columns *columns, ad_error *error);

/* "column 'income'", or "column 3". */
const char *nf__column_text(const nf_columns *columns, size_t c, char text[160]);

#endif
