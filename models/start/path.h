/* One path of L-BFGS up a log-density. */
#ifndef WEIR_MODELS_START_PATH_H
#define WEIR_MODELS_START_PATH_H

#include "start/ends.h"

/* Climb from `from` (dim), and find the normal that stands for where this leads, with its ELBO and its mass; it has
 * room for location and factor. *found: false where no point near `from` has a finite density and gradient. noise: as
 * ends.h has it. */
ad_status nf__path_climb(nf__density *density, const double *from, const double *noise, bool dense,
                         bool (*interrupted)(void *context), void *context, nf_start_normal *normal, bool *found,
                         ad_error *error);

#endif
