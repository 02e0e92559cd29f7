/* Normals of a start, with a triangular or a diagonal factor, and their mixture. */
#include "start/normal.h"

#include <weir/environment.h>

#include <math.h>
#include <string.h>

size_t nf__normal_factor_size(nf__normal_kind kind)
{
    return kind.dense ? kind.dim * kind.dim : kind.dim;
}

bool nf__normal_new(nf_start_normal *normal, nf__normal_kind kind)
{
    *normal = (nf_start_normal){.elbo = -INFINITY, .log_mass = -INFINITY, .found = 1};
    normal->location = ad_alloc(kind.dim, sizeof *normal->location);
    normal->factor = ad_alloc(nf__normal_factor_size(kind), sizeof *normal->factor);
    return normal->location && normal->factor;
}

void nf__normal_free(nf_start_normal *normal)
{
    ad_free(normal->location);
    ad_free(normal->factor);
}

double nf__normal_log_det(const nf_start_normal *normal, nf__normal_kind kind)
{
    double sum = 0;
    for (size_t i = 0; i < kind.dim; i++) sum += log(normal->factor[kind.dense ? i * kind.dim + i : i]);
    return sum;
}

void nf__normal_place(const nf_start_normal *normal, nf__normal_kind kind, const double *e, double *z)
{
    for (size_t i = 0; i < kind.dim; i++) {
        double sum = kind.dense ? 0 : normal->factor[i] * e[i];
        for (size_t j = 0; kind.dense && j <= i; j++) sum += normal->factor[i * kind.dim + j] * e[j];
        z[i] = normal->location[i] + sum;
    }
}

void nf__normal_standardize(const nf_start_normal *normal, nf__normal_kind kind, const double *z, double *e)
{
    for (size_t i = 0; i < kind.dim; i++) {
        const double *row = normal->factor + (kind.dense ? i * kind.dim : 0);
        double rest = z[i] - normal->location[i];
        for (size_t j = 0; kind.dense && j < i; j++) rest -= row[j] * e[j];
        e[i] = rest / row[i];
    }
}

static const double half_log_two_pi = 0.918938533204672741780329736406;

double nf__normal_log_prob(const nf_start_normal *normal, nf__normal_kind kind, const double *z, double *room)
{
    double squares = 0;
    nf__normal_standardize(normal, kind, z, room);
    for (size_t i = 0; i < kind.dim; i++) squares += room[i] * room[i];
    return -0.5 * squares - nf__normal_log_det(normal, kind) - half_log_two_pi * (double)kind.dim;
}

/* ---- The mixture ---------------------------------------------------------------------------------------------- */

/* Weights that add up to 1. */
static double weight_of(const nf_start *start, size_t k)
{
    const double least = 0.1, most = start->normal[0].log_mass;
    double sum = 0;
    for (size_t i = 0; i < start->count; i++) sum += exp(start->normal[i].log_mass - most);
    return (1 - least) * exp(start->normal[k].log_mass - most) / sum + least / (double)start->count;
}

/* Rows choose by turns, as multiples of the golden ratio do: the first n of them have close to n weight_of(k) of each.
 */
void nf__start_draw_row(const nf_start *start, uint64_t seed, uint64_t row, double *z, double *e)
{
    const double golden = 0.61803398874989484820;
    double whole, u = modf(ad_random_uniform(seed, UINT64_MAX, 0) + golden * (double)(row % 1000003), &whole);
    size_t k = 0;
    for (double weight; k + 1 < start->count && u >= (weight = weight_of(start, k)); k++) u -= weight;
    for (size_t i = 0; i < start->dim; i++) e[i] = ad_random_normal(seed, row, i);
    nf__normal_place(&start->normal[k], (nf__normal_kind){start->dim, start->dense}, e, z);
}

ad_status nf_start_draw(const nf_start *start, size_t rows, uint64_t seed, double *z, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !start ? "start" : rows && !z ? "z" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "start: %s is NULL", missing);
    double *e = ad_alloc(start->dim, sizeof *e);
    if (!e) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to draw from a start");
    for (size_t r = 0; r < rows; r++) nf__start_draw_row(start, seed, r, z + r * start->dim, e);
    ad_free(e);
    return AD_OK;
}

ad_status nf_start_log_prob(const nf_start *start, const double *z, size_t rows, double *log_prob, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const char *missing = !start ? "start" : rows && !z ? "z" : rows && !log_prob ? "log_prob" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "start: %s is NULL", missing);
    const nf__normal_kind kind = {start->dim, start->dense};
    double *room = ad_alloc(start->dim + 2 * start->count, sizeof *room);
    double *weight = room ? room + start->dim : NULL, *each = room ? weight + start->count : NULL;
    if (!room) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the log-density of a start");
    for (size_t k = 0; k < start->count; k++) weight[k] = weight_of(start, k);
    for (size_t r = 0; r < rows; r++) {
        double most = -INFINITY, sum = 0;
        for (size_t k = 0; k < start->count; k++) {
            each[k] = log(weight[k]) + nf__normal_log_prob(&start->normal[k], kind, z + r * start->dim, room);
            most = fmax(most, each[k]);
        }
        for (size_t k = 0; k < start->count; k++) sum += exp(each[k] - most);
        log_prob[r] = most + log(sum);
    }
    ad_free(room);
    return AD_OK;
}
