/* Learning a column of each kind, and saying why it is one. */
#include "columns/learn.h"

#include <weir/memory.h>

#include <math.h>
#include <stdarg.h>
#include <string.h>

bool nf__why(nf__column *column, const char *format, ...)
{
    char text[600];
    const char *old = column->face.why ? column->face.why : "";
    int used = snprintf(text, sizeof text, "%s", old);
    va_list arguments;
    va_start(arguments, format);
    if (used >= 0 && (size_t)used < sizeof text) vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
    va_end(arguments);
    char *why = ad_strdup(text);
    ad_free((void *)column->face.why);
    column->face.why = why;
    return why != NULL;
}

static ad_status no_memory(ad_error *error)
{
    return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a column");
}

static void why_atoms(nf__column *column, const nf__sample *sample)
{
    for (size_t a = 0; a < column->face.atoms; a++)
        for (size_t i = 0; i < sample->distinct; i++)
            if (sample->value[i] == column->face.atom[a])
                nf__why(column, "; %.10g itself in %.3g %% of the rows, which is a state of its own", sample->value[i],
                        100 * (double)sample->count[i] / (double)sample->table->rows);
}

/* ---- Categories ------------------------------------------------------------------------------------------------ */

enum { MOST_CATEGORIES = 20000 };

/* The texts of the labels that there are, and their pointers, in one block. */
static const char *const *copy_labels(const nf__sample *sample)
{
    size_t bytes = 0;
    for (size_t k = 0; k < sample->distinct; k++) bytes += strlen(sample->labels[(size_t)sample->value[k]]) + 1;
    char **labels = ad_alloc(sizeof *labels * (sample->distinct + 1) + bytes, 1);
    if (!labels) return NULL;
    char *text = (char *)(labels + sample->distinct + 1);
    for (size_t k = 0; k < sample->distinct; k++) {
        labels[k] = text;
        text = stpcpy(text, sample->labels[(size_t)sample->value[k]]) + 1;
    }
    return (const char *const *)labels;
}

ad_status nf__learn_category(nf__column *column, const nf__sample *sample, ad_error *error)
{
    const size_t missing = sample->table->rows - sample->present, values = sample->distinct;
    const size_t cells = values + (missing > 0);
    char text[160];
    if (values > MOST_CATEGORIES)
        return ad_error_set(error, AD_ERROR_FORMAT, "%s has %zu different values, and a category up to %d: drop it",
                            nf__column_text(sample->columns, sample->column, text), values, MOST_CATEGORIES);
    double *mass = ad_alloc(cells, sizeof *mass), *codes = NULL;
    if (!mass) return no_memory(error);
    const double total = (double)sample->table->rows + (double)cells / 2;
    for (size_t k = 0; k < values; k++) mass[k] = ((double)sample->count[k] + 0.5) / total;
    if (missing) mass[values] = ((double)missing + 0.5) / total;
    ad_status status = nf__cells_make(mass, cells, &column->cells, error);
    ad_free(mass);
    column->face.kind = NF_COLUMN_CATEGORY;
    column->discrete = true;
    column->can_miss = missing > 0;
    column->face.categories = values;
    column->face.low = column->face.high = NAN;
    if (sample->labels) {
        column->face.least = column->face.most = NAN;
        column->face.labels = copy_labels(sample);
    } else {
        column->face.codes = codes = ad_alloc(values, sizeof *codes);
        for (size_t k = 0; codes && k < values; k++) codes[k] = sample->value[k];
        column->face.low = column->face.least;
        column->face.high = column->face.most;
    }
    if (!status && !column->face.labels && !codes) status = no_memory(error);
    return status;
}

/* ---- Numbers --------------------------------------------------------------------------------------------------- */

/* The first row with a value that isn't what the user says. */
static ad_status refuse(const nf__sample *sample, const nf__given *given, double value, const char *what,
                        ad_error *error)
{
    char text[160];
    size_t r = 0;
    while (nf__table_value(sample->table, r, sample->column) != value) r++;
    return ad_error_set(error, AD_ERROR_FORMAT, "row %zu, %s: %.15g is %s, but the column was to be %s", r + 1,
                        nf__column_text(sample->columns, sample->column, text), value, what, given->text);
}

static ad_status check_interval(const nf__sample *sample, const nf__given *given, ad_error *error)
{
    for (size_t i = 0; i < sample->distinct && given->request == NF__INTERVAL; i++) {
        double value = sample->value[i];
        if (value < given->low || value > given->high) return refuse(sample, given, value, "outside", error);
        if ((value == given->low && !given->closed_low) || (value == given->high && !given->closed_high))
            return refuse(sample, given, value, "an end that is left out", error);
    }
    return AD_OK;
}

static ad_status check_integers(const nf__sample *sample, const nf__given *given, ad_error *error)
{
    for (size_t i = 0; i < sample->distinct && given->request == NF__INTEGER; i++) {
        double value = sample->value[i];
        if (value != floor(value)) return refuse(sample, given, value, "no whole number", error);
        if (fabs(value) > 0x1p40) return refuse(sample, given, value, "too large to be counted", error);
        if (value < given->low || value > given->high) return refuse(sample, given, value, "outside", error);
    }
    return AD_OK;
}

static void set_support(nf__column *column)
{
    nf_column *face = &column->face;
    const bool whole = face->kind == NF_COLUMN_INTEGER;
    face->low = column->map.low;
    face->high = column->map.high - whole;
    for (size_t a = 0; a < face->atoms; a++) {
        face->low = fmin(face->low, face->atom[a]);
        face->high = fmax(face->high, face->atom[a]);
    }
    if (whole) return;
    face->kind = isfinite(face->high) ? NF_COLUMN_BOUNDED : isfinite(face->low) ? NF_COLUMN_POSITIVE : NF_COLUMN_REAL;
}

/* Atoms, map and states of a column whose kind is set. */
static ad_status learn_values(nf__column *column, const nf__sample *sample, const nf__given *given, bool context,
                              ad_error *error)
{
    const bool whole = column->face.kind == NF_COLUMN_INTEGER;
    double *values = ad_alloc(sample->present, sizeof *values);
    size_t n = sample->present;
    ad_status status = values ? AD_OK : no_memory(error);
    if (!status && context) memcpy(values, sample->sorted, n * sizeof *values);
    if (!status && !context) status = nf__learn_atoms(column, sample, given, values, &n, error);
    for (size_t i = 0; i < n && whole && !status; i++) values[i] += 0.5; /* x + u, in the middle */
    if (!status) status = nf__learn_map(column, values, n, given, context, error);
    if (!status && !context) status = nf__learn_states(column, sample, n, error);
    if (!status) {
        set_support(column);
        column->can_miss = sample->present < sample->table->rows;
    }
    ad_free(values);
    return status;
}

static void why_map(nf__column *column)
{
    static const char *const texts[NF__MAPS] = {
        [NF__MAP_LOG] = ", by the logarithm",
        [NF__MAP_SOFTPLUS] = ", by the logarithm near 0",
        [NF__MAP_LOGIT] = ", by the log-odds",
    };
    if (texts[column->map.type]) nf__why(column, "%s", texts[column->map.type]);
    if (column->map.offset != 0 && column->map.scale == 1) nf__why(column, ", relative to %.15g", column->map.offset);
}

ad_status nf__learn_measured(nf__column *column, const nf__sample *sample, const nf__given *given, bool context,
                             ad_error *error)
{
    ad_status status = check_interval(sample, given, error);
    column->face.kind = NF_COLUMN_REAL;
    if (!status) status = learn_values(column, sample, given, context, error);
    if (status) return status;
    const nf_column *face = &column->face;
    if (face->kind == NF_COLUMN_REAL) nf__why(column, "real: measured numbers");
    if (face->kind == NF_COLUMN_POSITIVE) nf__why(column, "positive: no number is below %.10g", face->low);
    if (face->kind == NF_COLUMN_BOUNDED) nf__why(column, "bounded: from %.10g to %.10g", face->low, face->high);
    why_map(column);
    why_atoms(column, sample);
    if (sample->distinct * 20 < sample->present)
        nf__why(column, "; only %zu of them are different, though log p is a density", sample->distinct);
    return AD_OK;
}

ad_status nf__learn_integer(nf__column *column, const nf__sample *sample, const nf__given *given, bool context,
                            ad_error *error)
{
    const bool told = given->request == NF__INTEGER;
    const double least = sample->value[0], most = sample->value[sample->distinct - 1];
    double low = told && isfinite(given->low) ? given->low : least;
    double high = told && isfinite(given->high) ? given->high : most;
    ad_status status = check_integers(sample, given, error);
    column->face.kind = NF_COLUMN_INTEGER;
    if (status) return status;
    const bool small = high - low < NF__WIDEST;
    if (small && !context)
        status = nf__learn_steps(column, sample, given, error);
    else
        status = learn_values(column, sample, given, context, error);
    if (status) return status;
    nf__why(column, "integer: whole numbers, %.15g to %.15g", least, most);
    if (column->discrete && sample->distinct > 2 && (column->face.low < least || column->face.high > most))
        nf__why(column, " (possible are %.15g to %.15g)", column->face.low, column->face.high);
    if (!column->discrete) why_map(column);
    why_atoms(column, sample);
    if (sample->distinct == sample->table->rows && sample->distinct >= 20)
        nf__why(column, "; each row has another: if they tell rows apart, drop them");
    return AD_OK;
}

ad_status nf__learn_angle(nf__column *column, const nf__sample *sample, const nf__given *given, bool context,
                          ad_error *error)
{
    const double least = sample->value[0], most = sample->value[sample->distinct - 1];
    const double turn = 2 * M_PI, far = fmax(fabs(least), fabs(most));
    double period = given->period > 0 ? given->period : far <= turn * (1 + 1e-6) ? turn : 360;
    double low = least < 0 ? -period / 2 : 0, slack = period * 1e-6; /* 6.283186 is 2 pi */
    column->face.kind = NF_COLUMN_ANGLE;
    column->map = (nf__map){.low = low, .high = low + period, .scale = 1};
    column->face.low = low;
    column->face.high = low + period;
    if (least < low - slack || most > low + period + slack) {
        char what[100];
        snprintf(what, sizeof what, "outside %.10g to %.10g, one turn", low, low + period);
        return refuse(sample, given, least < low - slack ? least : most, what, error);
    }
    column->fill_sd = 1;
    column->can_miss = sample->present < sample->table->rows;
    ad_status status = context ? AD_OK : nf__learn_states(column, sample, sample->present, error);
    if (!status && !nf__why(column, "angle: a turn is %.10g", period)) status = no_memory(error);
    return status;
}

/* ---- Pixels ---------------------------------------------------------------------------------------------------- */

void nf__learn_pixel(nf__column *column, size_t rows, double least, double most, bool whole)
{
    nf_column *face = &column->face;
    face->kind = whole ? NF_COLUMN_INTEGER : NF_COLUMN_REAL;
    face->rows = rows;
    face->least = least;
    face->most = most;
    column->map = whole ? nf__map_of(least, most + 1, 0) : nf__map_of(-INFINITY, INFINITY, 0);
    column->fill_sd = 1;
    set_support(column);
    if (whole)
        nf__why(column, "pixel: whole numbers, %.15g to %.15g, with uniform noise", least, most);
    else
        nf__why(column, "pixel: measured numbers");
}

/* ---- Duplicates ------------------------------------------------------------------------------------------------ */

static bool same_labels(const nf__sample *sample, size_t other)
{
    const nf_table *table = sample->table;
    char **theirs = table->labels[other];
    for (size_t r = 0; r < table->rows; r++) {
        double value = nf__table_value(table, r, sample->column), its = nf__table_value(table, r, other);
        if (isnan(value) != isnan(its)) return false;
        if (!isnan(value) && strcmp(sample->labels[(size_t)value], theirs[(size_t)its]) != 0) return false;
    }
    return true;
}

/* a x + b, from the rows with the least and the most x. */
static bool is_affine(const nf__sample *sample, size_t other, double *slope, double *intercept)
{
    const nf_table *table = sample->table;
    size_t low = table->rows, high = table->rows;
    double largest = 0;
    for (size_t r = 0; r < table->rows; r++) {
        double x = nf__table_value(table, r, other), y = nf__table_value(table, r, sample->column);
        if (isnan(x) != isnan(y)) return false;
        if (isnan(x)) continue;
        if (low == table->rows || x < nf__table_value(table, low, other)) low = r;
        if (high == table->rows || x > nf__table_value(table, high, other)) high = r;
        largest = fmax(largest, fabs(y));
    }
    double from = nf__table_value(table, low, other), to = nf__table_value(table, high, other);
    double y_from = nf__table_value(table, low, sample->column), y_to = nf__table_value(table, high, sample->column);
    *slope = (y_to - y_from) / (to - from);
    *intercept = y_from - *slope * from;
    if (from == y_from && to == y_to) *slope = 1, *intercept = 0;
    if (!isfinite(*slope) || *slope == 0 || !isfinite(*intercept)) return false;
    for (size_t r = 0; r < table->rows; r++) {
        double x = nf__table_value(table, r, other), y = nf__table_value(table, r, sample->column);
        if (fabs(*slope * x + *intercept - y) > 1e-12 * fmax(largest, fabs(*slope * x))) return false;
    }
    return true;
}

bool nf__learn_duplicate(nf_columns *columns, const nf__sample *sample)
{
    enum { LEAST_ROWS = 20 };
    nf__column *column = &columns->column[sample->column];
    if (sample->present < LEAST_ROWS) return false;
    for (size_t c = 0; c < sample->column; c++) {
        const nf_column *other = &columns->column[c].face;
        const bool labels = sample->table->labels && sample->table->labels[c];
        double slope = 1, intercept = 0;
        if (other->kind == NF_COLUMN_CONSTANT || other->kind == NF_COLUMN_DUPLICATE || other->kind == NF_COLUMN_DROPPED)
            continue;
        if (labels != (sample->labels != NULL)) continue;
        if (labels ? !same_labels(sample, c) : !is_affine(sample, c, &slope, &intercept)) continue;
        char text[160];
        column->face.kind = NF_COLUMN_DUPLICATE;
        column->face.source = c;
        column->face.slope = slope;
        column->face.intercept = intercept;
        column->face.low = column->face.high = NAN;
        column->whole = sample->whole;
        nf__why(column, "duplicate: it is %s", nf__column_text(columns, c, text));
        if (slope != 1) nf__why(column, ", times %.10g", slope);
        if (intercept != 0) nf__why(column, ", plus %.10g", intercept);
        return true;
    }
    return false;
}
