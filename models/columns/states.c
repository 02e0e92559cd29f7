/* States of measured columns: a value, an atom, missing. */
#include "columns/learn.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

enum { MOST_ATOMS = 3, LEAST_ROWS = 20, LEAST_AT_AN_ATOM = 5, TIMES_THE_NEXT = 10, LEAST_VALUES = 10 };

/* Which values can be atoms: of a wide range of integers the smallest alone, for a value above it can be told from an
 * atom then. */
static bool can_be_atom(const nf__column *column, size_t i)
{
    return column->face.kind != NF_COLUMN_INTEGER || i == 0;
}

static bool at_closed_end(const nf__given *given, double value)
{
    return given->request == NF__INTERVAL &&
           ((given->closed_low && value == given->low) || (given->closed_high && value == given->high));
}

/* The most frequent of the values that aren't atoms yet, and how often the next one comes. */
static size_t most_frequent(const nf__sample *sample, const bool *is_atom, size_t *next)
{
    size_t best = sample->distinct;
    *next = 0;
    for (size_t i = 0; i < sample->distinct; i++) {
        if (is_atom[i]) continue;
        if (best == sample->distinct || sample->count[i] > sample->count[best]) {
            if (best < sample->distinct) *next = sample->count[best];
            best = i;
        } else if (sample->count[i] > *next)
            *next = sample->count[i];
    }
    return best;
}

/* Ends of the interval, which need less to be atoms. */
static void find_at_ends(const nf__sample *sample, const nf__given *given, bool *is_atom)
{
    size_t usual = 0; /* the largest count elsewhere */
    for (size_t i = 0; i < sample->distinct; i++)
        if (!at_closed_end(given, sample->value[i]) && sample->count[i] > usual) usual = sample->count[i];
    for (size_t i = 0; i < sample->distinct; i++)
        is_atom[i] = at_closed_end(given, sample->value[i]) && sample->count[i] >= LEAST_AT_AN_ATOM &&
                     (double)sample->count[i] >= 0.01 * (double)sample->present &&
                     sample->count[i] >= TIMES_THE_NEXT * usual;
}

/* Two values can be equally frequent, and far more so than the rest: the first of them is one where the second is. */
static void find_anywhere(const nf__column *column, const nf__sample *sample, bool *is_atom)
{
    size_t found[MOST_ATOMS], n = 0, sure = 0, next;
    for (; n < MOST_ATOMS; n++) {
        size_t i = most_frequent(sample, is_atom, &next);
        if (i == sample->distinct || (double)sample->count[i] < 0.05 * (double)sample->present ||
            sample->count[i] < LEAST_AT_AN_ATOM || !can_be_atom(column, i))
            break;
        is_atom[i] = true;
        found[n] = i;
        if (sample->count[i] >= TIMES_THE_NEXT * next && next > 0) sure = n + 1;
    }
    while (n > sure) is_atom[found[--n]] = false;
}

ad_status nf__learn_atoms(nf__column *column, const nf__sample *sample, const nf__given *given, double *values,
                          size_t *n, ad_error *error)
{
    bool *is_atom = ad_alloc(sample->distinct + 1, sizeof *is_atom);
    double *atom = ad_alloc(MOST_ATOMS + 2, sizeof *atom);
    if (!is_atom || !atom) {
        ad_free(is_atom);
        ad_free(atom);
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu values", sample->distinct);
    }
    column->face.atom = atom;
    if (sample->present >= LEAST_ROWS && sample->distinct >= LEAST_VALUES) {
        find_at_ends(sample, given, is_atom);
        find_anywhere(column, sample, is_atom);
    }
    *n = 0;
    for (size_t i = 0; i < sample->distinct; i++) {
        if (is_atom[i]) {
            atom[column->face.atoms++] = sample->value[i];
            continue;
        }
        for (size_t k = 0; k < sample->count[i]; k++) values[(*n)++] = sample->value[i];
    }
    ad_free(is_atom);
    return AD_OK;
}

ad_status nf__learn_states(nf__column *column, const nf__sample *sample, size_t n, ad_error *error)
{
    const size_t atoms = column->face.atoms, missing = sample->table->rows - sample->present;
    const double rows = (double)sample->table->rows;
    double mass[MOST_ATOMS + 4] = {(double)n / rows};
    size_t states = 1;
    for (size_t i = 0; i < sample->distinct && atoms > 0; i++)
        for (size_t a = 0; a < atoms; a++)
            if (sample->value[i] == column->face.atom[a]) mass[states++] = (double)sample->count[i] / rows;
    column->can_miss = missing > 0;
    if (missing) mass[states++] = (double)missing / rows;
    return states > 1 ? nf__cells_make(mass, states, &column->cells, error) : AD_OK;
}
