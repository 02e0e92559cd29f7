/* What the verifier's files share: the bijector under test, as flows that evaluate it, and the list of results. */
#ifndef WEIR_MODELS_VERIFY_CHECKER_H
#define WEIR_MODELS_VERIFY_CHECKER_H

#include <weir/flow.h>
#include <weir/verify.h>

/* One direction of the bijector on a tape of its own, with what is bound to it. */
typedef struct {
    ad_tape *tape;
    ad_var in, out, log_det;
    ad_var *input; /* in, then every parameter, then the context */
    double **value;
    size_t n_input, n_parameter;
    double *context;
} nf__check_direction;

/* The Jacobian and the log-det of a direction at up to so many events, by one plan: for many features it takes long to
 * make, and several properties need it. */
enum { NF_MOST_EVENTS = 32 };
typedef struct {
    nf__check_direction d;
    ad_plan *plan;
    double *in, *jacobian, *log_det; /* jacobian[r][i][j] = d out_i / d in_j by the tape */
} nf__check_slopes;

typedef struct {
    nf_bijector *bijector;
    nf_flow *flow[2]; /* N(0, I) pushed through it, by dtype; they borrow it */
    size_t dim;
    uint64_t seed;
    nf_check_result *result;
    int count;
    ad_error *error;
    nf__check_slopes slopes[2]; /* forward and inverse, once they are made */
} nf__checker;

/* A new line of the report; a bound above 0 grows to a hundred times the tolerance of solving, where that is larger. */
nf_check_result *nf__check_result_add(nf__checker *c, const char *property, double bound);
/* Is this error the worst so far? Then the caller says where it was. NaN is the worst of all. */
bool nf__check_worse(nf_check_result *result, double error);
/* Of what is in part the solution of a differential equation, the tolerance by which that is solved in float64: the
 * largest of the arguments rtol and atol of its types, or ad_ode()'s own. 0 where nothing is solved. Steps' errors add
 * up, so values and derivatives are good to some ten times that; and an equation may have no solution here, where
 * parameters are extreme: it is stiff. */
double nf__check_tolerance(const nf_bijector *bijector);
/* "z = (1, 2)" into result->at. */
void nf__check_at(nf_check_result *result, const char *name, const double *event, size_t dim);
ad_status nf__check_out_of_memory(nf__checker *c);

/* At the beginning: move every parameter a little, so that nothing is checked at a special value. At the end: how many
 * results there are, and the first that is out of its bound as the error of a check that has gone well so far. */
void nf__check_perturb(nf__checker *c);
ad_status nf__check_conclude(const nf__checker *c, ad_status status, int *count);

/* Context vectors, one a row, or the same one for all; NULL when there are none (or memory is out: it is checked). */
double *nf__check_context(const nf__checker *c, size_t rows, bool same);
/* The bijector on rows, in float32 or float64; log_det may be NULL. */
ad_status nf__check_transform(nf__checker *c, ad_dtype dtype, bool inverse, const double *in, size_t rows, double *out,
                              double *log_det);

/* The name of what a direction starts from: "z" or "x"; and random events there, images under the map for the inverse,
 * so that they are in its range. */
const char *nf__check_side(bool inverse);
ad_status nf__check_events(nf__checker *c, bool inverse, size_t rows, double *in);
/* Record a direction on `rows` events at `in`. Close it in any case. */
bool nf__check_open(nf__checker *c, bool inverse, size_t rows, double *in, nf__check_direction *d);
void nf__check_close(nf__check_direction *d);
/* A plan that runs values of its tape into arrays of rows, also what is the same for all; NULL as ad_plan_new(). */
ad_plan *nf__check_plan(const nf__check_direction *d, const ad_var *out, double *const *to, int count, ad_error *error);

/* Made by the first call for a direction; and freed, of both. */
ad_status nf__check_open_slopes(nf__checker *c, bool inverse);
void nf__check_close_slopes(nf__checker *c);

/* The parameters ρ, as they are (NULL: memory is out); moved from there; and back there. Moves are the same for the
 * same number: of the first, extreme ones, ρ + 20 N(0, 1), each followed by the one in the opposite direction; then
 * those that are as the first one, but for one element; of moderate ones, ρ ± (1 + |N(0, 1)| / 2), likewise; and -ρ. */
enum {
    NF_EXTREME_MOVES = 8,
    NF_OTHER_MOVES = NF_EXTREME_MOVES + 8,
    NF_MODERATE_MOVES = NF_OTHER_MOVES + 4,
    NF_ALL_MOVES
};
double *nf__check_save(nf__checker *c);
void nf__check_move(nf__checker *c, const double *saved, unsigned move);
void nf__check_restore(nf__checker *c, double *saved); /* frees them, too */

/* The properties. */
ad_status nf__check_round_trips(nf__checker *c); /* check_values.c */
ad_status nf__check_edges(nf__checker *c);
ad_status nf__check_far(nf__checker *c);
ad_status nf__check_alone(nf__checker *c);
ad_status nf__check_float32(nf__checker *c);
ad_status nf__check_finite(nf__checker *c);
ad_status nf__check_depth(nf__checker *c);
ad_status nf__check_jacobians(nf__checker *c); /* check_jacobian.c */
ad_status nf__check_zeros(nf__checker *c);
ad_status nf__check_orientation(nf__checker *c);
ad_status nf__check_gradients(nf__checker *c); /* check_gradient.c */
ad_status nf__check_kinks(nf__checker *c);
ad_status nf__check_density(nf__checker *c); /* check_density.c */

#endif
