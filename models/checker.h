/* What the verifier's files share: the bijector under test, as flows that evaluate it, and the list of results. */
#ifndef WEIR_CHECKER_H
#define WEIR_CHECKER_H

#include "models.h"

typedef struct {
    nf_bijector *bijector;
    nf_flow *flow[2]; /* N(0, I) pushed through it, by dtype; they borrow it */
    size_t dim;
    uint64_t seed;
    nf_check_result *result;
    int count;
    ad_error *error;
} nf_checker;

/* One direction of the bijector on a tape of its own, with what is bound to it. */
typedef struct {
    ad_tape *tape;
    ad_var in, out, log_det;
    ad_var *input; /* in, then every parameter, then the context */
    double **value;
    size_t n_input, n_parameter;
    double *context;
} nf_check_direction;

/* A new line of the report. */
nf_check_result *nf_check_result_add(nf_checker *c, const char *property, double bound);
/* Is this error the worst so far? Then the caller says where it was. NaN is the worst of all. */
bool nf_check_worse(nf_check_result *result, double error);
/* "z = (1, 2)" into result->at. */
void nf_check_at(nf_check_result *result, const char *name, const double *event, size_t dim);
ad_status nf_check_out_of_memory(nf_checker *c);

/* Context vectors, one a row, or the same one for all; NULL when there are none (or memory is out: it is checked). */
double *nf_check_context(const nf_checker *c, size_t rows, bool same);
/* The bijector on rows, in float32 or float64; log_det may be NULL. */
ad_status nf_check_transform(nf_checker *c, ad_dtype dtype, bool inverse, const double *in, size_t rows, double *out,
                             double *log_det);

/* Record a direction on `rows` events at `in`. Close it in any case. */
bool nf_check_open(nf_checker *c, bool inverse, size_t rows, double *in, nf_check_direction *d);
void nf_check_close(nf_check_direction *d);
/* A value of its tape into `to`. */
ad_status nf_check_run(const nf_check_direction *d, ad_var out, size_t rows, double *to, ad_error *error);

/* The parameters ρ, as they are (NULL: memory is out); 20 N(0, 1) away from there,
 * every other time in the opposite direction; and back there. */
double *nf_check_save(nf_checker *c);
void nf_check_make_extreme(nf_checker *c, const double *saved, uint64_t draw);
void nf_check_restore(nf_checker *c, double *saved); /* frees them, too */

/* The properties. */
ad_status nf_check_round_trips(nf_checker *c); /* check_values.c */
ad_status nf_check_edges(nf_checker *c);
ad_status nf_check_float32(nf_checker *c);
ad_status nf_check_finite(nf_checker *c);
ad_status nf_check_depth(nf_checker *c);
ad_status nf_check_jacobians(nf_checker *c); /* check_jacobian.c */
ad_status nf_check_gradients(nf_checker *c);
ad_status nf_check_kinks(nf_checker *c);
ad_status nf_check_zeros(nf_checker *c);
ad_status nf_check_orientation(nf_checker *c);
ad_status nf_check_density(nf_checker *c); /* check_density.c */

#endif
