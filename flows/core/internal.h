/* What the files of flows/ share. */
#ifndef WEIR_FLOWS_CORE_INTERNAL_H
#define WEIR_FLOWS_CORE_INTERNAL_H

#include <weir/bijector.h>

/* Types that only code makes, not names in formulas. */
extern const nf_bijector_type nf__type_chain, nf__type_invert;

extern const nf_bijector_type nf__type_loc, nf__type_scale, nf__type_permute, nf__type_flip, nf__type_standardize,
    nf__type_maf, nf__type_actnorm, nf__type_batchnorm, nf__type_iaf, nf__type_realnvp, nf__type_rqs, nf__type_rqsar;
extern const nf_bijector_type nf__type_hh, nf__type_planar, nf__type_radial, nf__type_lu, nf__type_leaky, nf__type_tanh,
    nf__type_sigmoid, nf__type_softplus, nf__type_exp, nf__type_affine, nf__type_sylvester;

/* Base distributions. */
extern const nf_bijector_type nf__type_normal, nf__type_diagonal_normal, nf__type_uniform, nf__type_student,
    nf__type_mixture;

/* An instance without arguments that owns its children; frees them on failure. */
nf_bijector *nf__bijector_with_children(const nf_bijector_type *type, nf_bijector **child, size_t count,
                                        ad_error *error);
/* ρ of a constrained value, element i of shape; and the value of a ρ on a tape. */
double nf__unconstrain(const nf_parameter_spec *spec, double value, size_t i);
ad_var nf__constrain(const nf_parameter_spec *spec, ad_var rho);

/* nf_each_parameter() of a base distribution. */
bool nf__each_base_parameter(const nf_bijector *base,
                             bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context);

/* The same types and arguments, fresh parameters. */
nf_bijector *nf__bijector_copy(const nf_bijector *bijector, ad_error *error);
/* NULL when there is none of this name. */
const nf_bijector_type *nf__bijector_named(const char *name, size_t length);
const nf_bijector_type *nf__distribution_named(const char *name, size_t length);

nf_parameter *nf__find_parameter(const nf_bijector *self, const char *name);

/* Of a bijector and of all below it. */
size_t nf__parameters_below(const nf_bijector *bijector);
/* A scope on a tape, with nothing bound; NULL where memory is out, which the tape knows. */
nf_scope *nf__scope_new(const nf_bijector *self, ad_tape *tape);
/* A scope on the same or another tape, with replace(context, var) in the place of each parameter's var, in order;
 * without a context vector. */
nf_scope *nf__scope_like(const nf_scope *at, ad_tape *tape, ad_var (*replace)(void *context, ad_var var),
                         void *context);

/* Mean and standard deviation (over n) of a column of x (rows, columns), in two passes, so that a large mean doesn't
 * cancel. False when they aren't finite. */
bool nf_column_moments(const double *x, size_t rows, size_t columns, size_t column, double *mean, double *sd);

/* y_i = v_(D+1-i) */
ad_var nf_reverse(ad_var v);
/* y_i = v_p(i) for the permutation of this seed; inverse: v_i = y_p(i). */
ad_var nf_permute(ad_var v, uint64_t seed, bool inverse);
/* A constant (n,n), 1 on the diagonal; and the diagonal (n) of a matrix (n,n). */
ad_var nf_identity(ad_tape *tape, size_t n);
ad_var nf_diagonal(ad_var a);
/* 1 + (1 - t²)(slope - 1), t a tanh: how steep z + c tanh(z) is where it is `slope` at the middle. */
ad_var nf_residual_tanh_slope(ad_var t, ad_var slope);

/* Base distribution and bijector of a flow's formula; *base NULL when it names none. */
nf_bijector *nf__parse_flow(const char *formula, size_t dim, size_t context, uint64_t seed, nf_bijector **base,
                            ad_error *error);

#endif
