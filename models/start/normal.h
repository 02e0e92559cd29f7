/* Normals of a start. */
#ifndef WEIR_MODELS_START_NORMAL_H
#define WEIR_MODELS_START_NORMAL_H

#include <weir/start.h>

typedef struct {
    size_t dim;
    bool dense;
} nf__normal_kind;

/* Numbers in a factor. */
size_t nf__normal_factor_size(nf__normal_kind kind);
/* Room for a location and a factor; false when memory is out. */
bool nf__normal_new(nf_start_normal *normal, nf__normal_kind kind);
void nf__normal_free(nf_start_normal *normal);
/* log|det factor| */
double nf__normal_log_det(const nf_start_normal *normal, nf__normal_kind kind);
/* z = location + factor e */
void nf__normal_place(const nf_start_normal *normal, nf__normal_kind kind, const double *e, double *z);
/* e = factor⁻¹ (z - location) */
void nf__normal_standardize(const nf_start_normal *normal, nf__normal_kind kind, const double *z, double *e);
/* log N(z); room: (dim) */
double nf__normal_log_prob(const nf_start_normal *normal, nf__normal_kind kind, const double *z, double *room);

/* Row number `row` of nf_start_draw(); e: room, (dim). */
void nf__start_draw_row(const nf_start *start, uint64_t seed, uint64_t row, double *z, double *e);

#endif
