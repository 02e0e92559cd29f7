/* From the rows of a table to features, with noise of known density where values are no real numbers. */
#include "columns/encode.h"

#include <weir/environment.h>
#include <weir/random.h>

#include <math.h>

static const double log_root_2pi = 0.91893853320467274178;

/* ---- Noise ----------------------------------------------------------------------------------------------------- */

typedef struct {
    const nf_columns *columns;
    uint64_t seed, draw, row;
    size_t used; /* dimensions */
    size_t pair; /* of dimensions that the bits are of, from 1 */
    uint32_t bits[4];
} noise;

/* The next number on (0, 1): a random start of the row's own, and steps from draw to draw. */
static double next_uniform(noise *at)
{
    const size_t d = at->used++;
    if (at->pair != d / 2 + 1) {
        at->pair = d / 2 + 1;
        ad_random_bits(at->seed, d / 2, at->row, at->bits);
    }
    const uint32_t *half = at->bits + 2 * (d % 2);
    uint64_t start = (uint64_t)half[0] << 32 | half[1];
    uint64_t point = start + at->draw * at->columns->step[d];
    return ((double)(point >> 32) + 0.5) * 0x1p-32;
}

static double normal_of(double u)
{
    return u < 0.5 ? nf__normal_quantile(u) : -nf__normal_quantile(1 - u);
}

/* ---- Columns --------------------------------------------------------------------------------------------------- */

/* x + u of a wide integer, which must give x again. */
static double encode_integer(const nf__column *column, double value, double u, double *feature)
{
    double log_slope;
    *feature = nf__map_to(&column->map, value + u, &log_slope);
    if (floor(nf__map_from(&column->map, *feature)) != value)
        *feature = nf__map_to(&column->map, value + 0.5, &log_slope);
    return log_slope;
}

/* (r cos θ, r sin θ): the density of (x, y) is that of θ times r e^(-r²/2) / r. */
static double encode_angle(const nf__column *column, double value, double u, double *feature)
{
    const double turn = 2 * M_PI, period = column->map.high - column->map.low;
    double theta = turn * (value - column->map.low) / period, r = sqrt(-2 * log(u));
    feature[0] = r * cos(theta);
    feature[1] = r * sin(theta);
    return r * r / 2 + log(turn / period);
}

/* A normal in place of the value's feature. */
static double encode_filling(const nf__column *column, double u, double *feature)
{
    double z = normal_of(u);
    *feature = column->fill_mean + column->fill_sd * z;
    return z * z / 2 + log_root_2pi + log(column->fill_sd);
}

/* Features of a value without a contradiction; returns their log-weight. */
static double encode_value(const nf__column *column, double value, noise *at, double *feature)
{
    const nf_column *face = &column->face;
    double log_weight = 0;
    size_t state = 0;
    if (column->cells.count > 0) {
        state = nf__state_of(column, value);
        *feature++ = nf__cells_to(&column->cells, state, next_uniform(at), &log_weight);
        if (column->discrete) return log_weight;
    }
    if (state > 0) {
        log_weight += encode_filling(column, next_uniform(at), feature);
        if (face->kind == NF_COLUMN_ANGLE) log_weight += encode_filling(column, next_uniform(at), feature + 1);
        return log_weight;
    }
    if (face->kind == NF_COLUMN_ANGLE) return log_weight + encode_angle(column, value, next_uniform(at), feature);
    if (face->kind == NF_COLUMN_INTEGER) return log_weight + encode_integer(column, value, next_uniform(at), feature);
    double log_slope;
    *feature = nf__map_to(&column->map, value, &log_slope);
    return log_weight + log_slope;
}

/* Features that any value might have, where there is none. */
static void encode_nothing(const nf__column *column, double *feature)
{
    for (size_t i = 0; i < column->face.features; i++) feature[i] = 0;
    if (column->face.features > 0 && !column->discrete) feature[column->face.features - 1] = column->fill_mean;
}

double nf__encode_row(const nf__values *values, size_t row, uint64_t seed, uint64_t draw, double *features)
{
    const nf_columns *columns = values->columns;
    double log_weight = 0;
    noise at = {.columns = columns, .seed = seed, .draw = draw, .row = values->first + row};
    size_t dimensions = 0;
    for (size_t c = 0; c < columns->count; c++) {
        const nf__column *column = &columns->column[c];
        double *feature = features + column->face.feature;
        at.used = dimensions;
        dimensions += nf__column_noise(column);
        if (nf__contradiction(values, row, c)) {
            encode_nothing(column, feature);
            log_weight = -INFINITY;
        } else if (columns->plain)
            *feature = nf__value(values, row, c);
        else if (column->face.features > 0)
            log_weight += encode_value(column, nf__value(values, row, c), &at, feature);
    }
    return log_weight;
}

/* ---- Contexts -------------------------------------------------------------------------------------------------- */

static bool encode_context_value(const nf__column *column, double value, double *feature)
{
    const nf_column *face = &column->face;
    double unwanted;
    for (size_t i = 0; i < face->features; i++) feature[i] = 0;
    if (isnan(value)) {
        if (column->can_miss) feature[face->features - 1] = 1;
        return column->can_miss;
    }
    if (face->kind == NF_COLUMN_CATEGORY) {
        size_t k = value < 0 && face->labels ? face->categories : nf__state_of(column, value);
        if (k >= face->categories) return true;
        if (face->categories <= NF__MOST_ONE_HOT)
            feature[k] = 1;
        else
            *feature = nf__cells_to(&column->cells, k, 0.5, &unwanted);
        return true;
    }
    if (face->kind == NF_COLUMN_ANGLE) {
        double theta = 2 * M_PI * (value - column->map.low) / (column->map.high - column->map.low);
        feature[0] = cos(theta);
        feature[1] = sin(theta);
        return isfinite(value);
    }
    double x = face->kind == NF_COLUMN_INTEGER ? value + 0.5 : value;
    if (!nf__map_admits(&column->map, x)) return false;
    *feature = nf__map_to(&column->map, x, &unwanted);
    return true;
}

ad_status nf__encode_context(const nf__values *values, size_t row, double *features, ad_error *error)
{
    const nf_columns *columns = values->columns;
    for (size_t c = 0; c < columns->count; c++) {
        const nf__column *column = &columns->column[c];
        if (column->face.features == 0) continue;
        if (encode_context_value(column, nf__value(values, row, c), features + column->face.feature)) continue;
        char text[320], range[100] = "where nothing was in training";
        if (!isnan(nf__value(values, row, c)))
            snprintf(range, sizeof range, "is outside of %.10g to %.10g", column->face.low, column->face.high);
        nf__value_text(values, row, c, text);
        return ad_error_set(error, AD_ERROR_FORMAT, "context %s %s", text, range);
    }
    return AD_OK;
}

/* ---- Tables ---------------------------------------------------------------------------------------------------- */

ad_status nf_columns_encode(const nf_columns *columns, const nf_table *table, uint64_t seed, uint64_t draw,
                            double *features, double *log_weight, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !columns ? "columns" : !table ? "table" : !features ? "features" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: %s is NULL", missing);
    nf__values values;
    ad_status status = nf__values_open(columns, table, &values, error);
    const size_t rows = status ? 0 : table->rows;
    for (size_t r = 0; r < rows && !status; r++) {
        double *to = features + r * columns->features, weight = 0;
        if (columns->context)
            status = nf__encode_context(&values, r, to, error);
        else
            weight = nf__encode_row(&values, r, seed, draw, to);
        if (log_weight) log_weight[r] = weight;
    }
    nf__values_close(&values);
    return status;
}

/* A row whose values are all possible. */
static ad_status encode_possible(const nf__values *values, size_t row, uint64_t seed, uint64_t draw, double *features,
                                 ad_error *error)
{
    const nf_columns *columns = values->columns;
    if (columns->context) return nf__encode_context(values, row, features, error);
    for (size_t c = 0; c < columns->count; c++) {
        char text[NF__CONTRADICTION_TEXT];
        if (!nf__contradiction(values, row, c)) continue;
        nf__contradiction_text(values, row, c, text);
        return ad_error_set(error, AD_ERROR_FORMAT, "%s", text);
    }
    nf__encode_row(values, row, seed, draw, features);
    return AD_OK;
}

ad_status nf_columns_encode_part(const nf_columns *columns, const nf_table *part, uint64_t seed, uint64_t draw,
                                 double *features, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !columns ? "columns" : !part ? "part" : !features ? "features" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "columns: %s is NULL", missing);
    nf__values values;
    ad_status status = nf__values_open(columns, part, &values, error);
    for (size_t r = 0; !status && r < part->rows; r++)
        status = encode_possible(&values, r, seed, draw, features + r * columns->features, error);
    nf__values_close(&values);
    return status;
}
