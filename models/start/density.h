/* A target's log-density and its gradient at some points at once, in float64. */
#ifndef WEIR_MODELS_START_DENSITY_H
#define WEIR_MODELS_START_DENSITY_H

#include <weir/target.h>

typedef struct {
    size_t dim, room; /* of how many points */
    ad_plan *plan;
    double *z, *log_density, *gradient; /* (room, dim), (room), (room, dim) */
    size_t computed;                    /* gradients, so far */
} nf__density;

/* Release it in any case. */
ad_status nf__density_new(nf__density *density, const nf_target *target, size_t room, ad_error *error);
void nf__density_free(nf__density *density);
/* At the first `rows` points of z. */
ad_status nf__density_run(nf__density *density, size_t rows, ad_error *error);

#endif
