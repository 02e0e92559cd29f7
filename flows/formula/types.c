/* The tables of what formulas know: Weir's own bijectors and base distributions, and those registered from outside. */
#include "core/internal.h"

#include <weir/registry.h>

#include <string.h>

enum { MOST_TYPES = 256 };

static const nf_bijector_type *bijectors[MOST_TYPES + 1] = {
    &nf__type_loc, &nf__type_scale,   &nf__type_permute,   &nf__type_flip,    &nf__type_standardize,
    &nf__type_maf, &nf__type_actnorm, &nf__type_batchnorm, &nf__type_iaf,     &nf__type_realnvp,
    &nf__type_rqs, &nf__type_rqsar,   &nf__type_hh,        &nf__type_planar,  &nf__type_radial,
    &nf__type_lu,  &nf__type_leaky,   &nf__type_tanh,      &nf__type_sigmoid, &nf__type_softplus,
    &nf__type_exp, &nf__type_affine,  &nf__type_sylvester,
};

static const nf_bijector_type *distributions[MOST_TYPES + 1] = {
    &nf__type_normal, &nf__type_diagonal_normal, &nf__type_uniform, &nf__type_student, &nf__type_mixture,
};

const nf_bijector_type *const *nf_bijector_types(void)
{
    return bijectors;
}

const nf_bijector_type *const *nf_distribution_types(void)
{
    return distributions;
}

static const nf_registry bijector_registry = {"bijector", bijectors, MOST_TYPES};
static const nf_registry distribution_registry = {"base distribution", distributions, MOST_TYPES};

const nf_bijector_type *nf__bijector_named(const char *name, size_t length)
{
    return nf_registry_find(&bijector_registry, name, length);
}

const nf_bijector_type *nf__distribution_named(const char *name, size_t length)
{
    return nf_registry_find(&distribution_registry, name, length);
}

ad_status nf_register(const nf_bijector_type *type, ad_error *error)
{
    const size_t length = type->name ? strlen(type->name) : 0;
    /* A formula has names of both kinds, and one of its own. */
    if (length > 0 && (strcmp(type->name, "invert") == 0 || nf__bijector_named(type->name, length) ||
                       nf__distribution_named(type->name, length)))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register: the name '%.60s' is taken", type->name);
    if (!type->forward && !type->inverse && !(type->log_prob && type->sample))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "nf_register: '%.60s' has neither forward nor inverse, nor log_prob and sample",
                            type->name ? type->name : "");
    return nf_registry_add(type->log_prob ? &distribution_registry : &bijector_registry, type, error);
}
