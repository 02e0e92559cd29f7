/* Targets: unnormalised densities, to fit a flow to or to draw from.
 *
 * Any function here may be called from several threads at once, for the same target too, with one pool or with several,
 * but nf_register_target(), which belongs to the start of a program. pool (NULL: this thread) and error may be NULL.
 *
 * A target is a function that records a log-density on the tape for ONE event, as a bijector records its map. Its
 * arguments are sites: named vectors on the user's own scale, each with a constraint. Inference works on an
 * unconstrained event z that is mapped to the sites, with the log-determinant of the map in the density:
 *
 *     log p(z) = log_density(constrain(z)) + log|det d constrain(z) / dz|
 *
 * A user's own, say the mean and the standard deviation of data that are at self->data:
 *
 *     static ad_var log_density(const nf_target *self, const ad_var *value)
 *     {
 *         const struct measurements *m = self->data;
 *         ad_var y = ad_constant(value[0].tape, AD_SHAPE(m->count), m->y);
 *         ad_var error = ad_div(ad_sub(y, value[0]), value[1]);
 *         ad_var each = ad_add(ad_mul_scalar(ad_square(error), 0.5), ad_log(value[1]));
 *         return ad_neg(ad_sum(each));
 *     }
 *
 *     static const nf_site sites[] = {{.name = "mu", .size = 1}, {.name = "sigma", .size = 1, .constraint =
 *                                                                 NF_SITE_POSITIVE_EXP}};
 *     const nf_target target = {.name = "mean", .site = sites, .n_site = 2, .log_density = log_density,
 *                               .log_z = NAN, .data = &measured};
 *
 * A density whose value and gradient come from elsewhere is a function in plain C, `external` instead of log_density.
 * With a model of Stan, through BridgeStan, which has unconstrained parameters of its own:
 *
 *     static double stan(const nf_target *self, const double *value, double *gradient)
 *     {
 *         double log_density;
 *         int failed = bs_log_density_gradient(self->data, true, true, value, &log_density, gradient, NULL);
 *         return failed ? -INFINITY : log_density;
 *     }
 *
 *     const nf_site all = {.name = "theta", .size = bs_param_unc_num(model)};
 *     const nf_target target = {.name = "model", .site = &all, .n_site = 1, .external = stan, .log_z = NAN,
 *                               .data = model};
 *
 * tools/examples has one of each kind: schools.c, whose data are a table's, mesquite.c, with data of its own, and
 * external.c.
 */
#ifndef WEIR_TARGET_H
#define WEIR_TARGET_H

#include <weir/data.h>
#include <weir/flow.h>

WEIR_BEGIN_DECLARATIONS

/* How a site's value comes from the real line: the maps, and their log-determinants, of Stan's reference manual,
 * "Constraint transforms". */
typedef enum {
    NF_SITE_REAL,         /* as it is */
    NF_SITE_POSITIVE_EXP, /* exp z; a bijector's positive parameters are softplus(ρ) instead */
    NF_SITE_INTERVAL,     /* low + (high - low) sigmoid(z) */
    NF_SITE_SIMPLEX,      /* positive, sum 1: stick-breaking of size - 1 numbers, of which 0 is the centre */
    NF_SITE_ORDERED,      /* increasing: x_1 = z_1, x_k = x_(k-1) + exp z_k */
    /* The lower triangular L of a correlation matrix L Lᵀ of K features, size K²: partial correlations are tanh of
     * K(K-1)/2 numbers. Densities are over the elements below L's diagonal. */
    NF_SITE_CORRELATION_CHOLESKY,
} nf_site_constraint;

typedef struct {
    const char *name; /* another for each site */
    size_t size;      /* of the constrained value */
    nf_site_constraint constraint;
    double low, high; /* the ends of NF_SITE_INTERVAL; others don't look at them */
} nf_site;

typedef struct nf_target {
    const char *name, *help;
    const nf_site *site;
    size_t n_site;
    /* value[i]: site i on the user's scale, shape (size), or (K,K) of a Cholesky factor. The log-density, in nats, up
     * to a constant: shape (). -inf is outside the support. */
    ad_var (*log_density)(const struct nf_target *self, const ad_var *value);
    /* In place of log_density: the log-density at value, all sites one after the other, nf_target_size() numbers, and
     * its gradient with respect to them. One call for each event; several threads call at once where there is a pool.
     * There are no second derivatives. The target must outlive the plans that it is recorded for. */
    double (*external)(const struct nf_target *self, const double *value, double *gradient);
    /* The same for as many events as a call can have, where one call for all is cheaper than one for each, as of code
     * in another language or on another device: value and gradient (rows, nf_target_size()), log_density (rows). A
     * row's results must not depend on the rows beside it. */
    void (*external_rows)(const struct nf_target *self, const double *value, size_t rows, double *log_density,
                          double *gradient);
    double log_z;     /* exact log of its integral, 0 of a normalised density; NAN when unknown */
    const void *data; /* the author's own */
    /* Optional: the log-likelihood of each observation, in nats, a part of log_density: shape (N). Programs that
     * compare models by leaving observations out, as ArviZ, go by it. */
    ad_var (*log_likelihood)(const struct nf_target *self, const ad_var *value);
    /* Set by nf_target_parse(), else NULL: what it has read, the family that this is of, and the arguments, which
     * nf_target_argument() finds by name. */
    const char *text;
    const struct nf_target_type *type;
    const double *argument;
    const struct nf_target_table *table; /* what nf_target_column() and its like read */
} nf_target;

/* Features of the unconstrained event, and of all sites on the user's scale. */
size_t nf_target_dim(const nf_target *target);
size_t nf_target_size(const nf_target *target);
/* The name of element i of nf_target_size(): "tau", "theta[3]" (from 1), "L[2,1]". Into 64 bytes of buffer; returns it.
 */
const char *nf_target_element(const nf_target *target, size_t i, char *buffer);

/* Record, of the unconstrained z (dim), the log-density with the log-determinant; and the sites on the user's scale,
 * one after the other, (size). What is wrong with a site or with z sticks to the tape. */
ad_var nf_target_log_density(const nf_target *target, ad_var z);
ad_var nf_target_constrain(const nf_target *target, ad_var z);

/* The sites of each z (rows, dim), on the user's scale, into value (rows, nf_target_size()). */
ad_status nf_target_values(const nf_target *target, const double *z, size_t rows, double *value, ad_pool *pool,
                           ad_error *error);
/* The same for log-densities, into log_density (rows). */
ad_status nf_target_log_densities(const nf_target *target, const double *z, size_t rows, double *log_density,
                                  ad_pool *pool, ad_error *error);

/* How many observations log_likelihood is of; 0 where there is none. */
size_t nf_target_observations(const nf_target *target);
/* The log-likelihood of each of n observations, nf_target_observations() of them, at each z (rows, dim), into
 * log_likelihood (rows, n). AD_ERROR_ARGUMENT where the target has another number. */
ad_status nf_target_log_likelihoods(const nf_target *target, const double *z, size_t rows, size_t n,
                                    double *log_likelihood, ad_pool *pool, ad_error *error);

/* And back: the z of each value (rows, nf_target_size()) on the user's scale, as nf_target_values() gives them, into z
 * (rows, dim), and the log-determinant of constrain() there, into log_det (rows; NULL: not wanted). A density of values
 * is
 *
 *     log p(value) = log p(z) - log|det d constrain(z) / dz|
 *
 * over all elements of a site but, of a simplex, its last, and, of a Cholesky factor, those on and above the diagonal,
 * which follow from the others. A value outside its support has no z: z is NaN, and log_det INFINITY, so that its
 * density is 0; with a NaN both are NaN. On the edge of the support, where rounding puts values, it is as if next to
 * it. */
ad_status nf_target_unconstrain(const nf_target *target, const double *value, size_t rows, double *z, double *log_det,
                                ad_pool *pool, ad_error *error);

/* Compare the gradient of the log-density at each z (rows, dim), where it is finite, with finite differences.
 * AD_ERROR_NUMERIC where they disagree. */
ad_status nf_target_check_gradient(const nf_target *target, const double *z, size_t rows, ad_error *error);

/* Tell a flow of steps that draw that they are drawn towards this target (nf_flow_set_density()), which must outlive
 * all use of the flow: before draws from a flow that was loaded. nf_vi() tells the flow that it fits. */
void nf_flow_set_target(nf_flow *flow, const nf_target *target);

/* ---- Targets that have a name -------------------------------------------------------------------------------- */

/* A column that targets of a family need. */
typedef struct {
    const char *name;
    bool groups; /* its texts, or numbers, name groups: see nf_target_groups(). Otherwise it is of finite numbers */
    const char *help; /* one line, or NULL */
} nf_target_column_type;

/* A family of targets that nf_target_parse() and the command find by name: "funnel(dim=20)". This is all of one, with
 * <weir/densities.h>:
 *
 *     static ad_status build(nf_target *self, nf_site *site, ad_error *error)
 *     {
 *         site[0].size = (size_t)nf_target_argument(self, "dim");
 *         return AD_OK;
 *     }
 *
 *     static ad_var log_density(const nf_target *self, const ad_var *value)
 *     {
 *         ad_tape *tape = value[0].tape;
 *         return nf_log_normal(value[0], ad_scalar(tape, 0), ad_scalar(tape, nf_target_argument(self, "sd")));
 *     }
 *
 *     static const nf_target_type isotropic = {
 *         .name = "isotropic",
 *         .help = "a normal around zero",
 *         .argument = (const nf_argument[]){{.name = "dim", .kind = NF_COUNT, .value = 2, .low = 1, .high = 1000},
 *                                           {.name = "sd", .kind = NF_NUMBER, .value = 1, .low = 1e-3, .high = 1e3},
 *                                           {0}},
 *         .target = {.site = &(const nf_site){"x", 2}, .n_site = 1, .log_density = log_density, .log_z = NAN},
 *         .build = build,
 *     };
 */
typedef struct nf_target_type {
    const char *name, *help;
    const nf_argument *argument; /* named ones, each a number, ended by {0}; NULL for none */
    nf_target target;            /* what all of the family begin as; its name and help are the family's */
    /* What follows from the arguments and the table: sizes and ends of the sites, which are the target's own copies,
     * and self->log_z. AD_ERROR_ARGUMENT where they can't be together. NULL: nothing does. */
    ad_status (*build)(nf_target *self, nf_site *site, ad_error *error);
    /* The columns of a table that it is of, ended by {0}: a list of none takes any table. NULL: it takes no table. */
    const nf_target_column_type *column;
} nf_target_type;

/* Make a family known, at the start of the program, before other threads. It must outlive all use. AD_ERROR_ARGUMENT:
 * its name is taken or isn't a name, it has no sites, or not one of log_density, external and external_rows. */
ad_status nf_register_target(const nf_target_type *type, ad_error *error);
/* All that are known, Weir's own first, ended by NULL. */
const nf_target_type *const *nf_target_types(void);
/* From "pot1" or "funnel(dim=20)", with the grammar of a formula's arguments; NULL on failure. */
nf_target *nf_target_parse(const char *text, ad_error *error);
/* The same for a family that is of data: with this table, of which the target keeps its own copy. NULL with *error:
 * AD_ERROR_ARGUMENT where a family needs a table (NULL: there is none) or takes none; AD_ERROR_FORMAT where the table
 * lacks a column that is needed, or one isn't of finite numbers, and the message names column and row. */
nf_target *nf_target_parse_with(const char *text, const nf_table *table, ad_error *error);
/* Only for what these have made; NULL is nothing to free. */
void nf_target_free(nf_target *target);
/* The value of an argument of a parsed target; NaN where it has none of this name. */
double nf_target_argument(const nf_target *target, const char *name);

/* ---- Targets of data ------------------------------------------------------------------------------------------ */
/* What the functions of a target read of its table: `weir nuts ./schools.so --data schools.csv` is
 *
 *     static ad_var column(const nf_target *self, const char *name, ad_tape *tape)
 *     {
 *         return ad_constant(tape, AD_SHAPE(nf_target_rows(self)), nf_target_column(self, name));
 *     }
 *
 *     static ad_status build(nf_target *self, nf_site *site, ad_error *error)
 *     {
 *         site[2].size = nf_target_rows(self);                // theta, one for each school
 *         return AD_OK;
 *     }
 *
 *     static const nf_target_type schools = {
 *         …,
 *         .column = (const nf_target_column_type[]){{.name = "effect"}, {.name = "standard_error"}, {0}},
 *         .build = build,
 *     };
 */

/* The table's rows; 0 where there is no table. */
size_t nf_target_rows(const nf_target *target);
/* The name of its column i, of those that aren't needed by name too; NULL behind the last. */
const char *nf_target_column_name(const nf_target *target, size_t i);
/* The numbers of a column, one for each row; NULL where the table has none of this name, or not all of it are finite
 * numbers. */
const double *nf_target_column(const nf_target *target, const char *name);
/* Of a column whose entries name groups: the index of each row's group, from 0 in the order of their texts or numbers,
 * for ad_gather(); *count: how many there are. NULL where the table has none of this name, or an entry is missing. */
const size_t *nf_target_groups(const nf_target *target, const char *name, size_t *count);

WEIR_END_DECLARATIONS

#endif
