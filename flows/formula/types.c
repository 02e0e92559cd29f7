/* The tables of what formulas know: Weir's own bijectors and base distributions, and those registered from outside. */
#include "core/internal.h"

#include <ctype.h>
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

static const nf_bijector_type *named(const nf_bijector_type *const *types, const char *name, size_t length)
{
    for (size_t i = 0; types[i]; i++)
        if (strlen(types[i]->name) == length && memcmp(types[i]->name, name, length) == 0) return types[i];
    return NULL;
}

const nf_bijector_type *nf__bijector_named(const char *name, size_t length)
{
    return named(bijectors, name, length);
}

const nf_bijector_type *nf__distribution_named(const char *name, size_t length)
{
    return named(distributions, name, length);
}

static bool is_name(const char *name)
{
    if (!name || !(isalpha((unsigned char)*name) || *name == '_')) return false;
    while (isalnum((unsigned char)*name) || *name == '_') name++;
    return *name == '\0';
}

ad_status nf_register(const nf_bijector_type *type, ad_error *error)
{
    if (!is_name(type->name))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "nf_register: '%.60s' isn't a name: letters, digits and '_', a digit not first",
                            type->name ? type->name : "");
    if (strcmp(type->name, "invert") == 0 || named(bijectors, type->name, strlen(type->name)) ||
        named(distributions, type->name, strlen(type->name)))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register: the name '%.60s' is taken", type->name);
    if (!type->forward && !type->inverse && !(type->log_prob && type->sample))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "nf_register: '%.60s' has neither forward nor inverse, nor log_prob and sample",
                            type->name);
    const nf_bijector_type **types = type->log_prob ? distributions : bijectors;
    size_t count = 0;
    while (types[count]) count++;
    if (count == MOST_TYPES) return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register: at most %d types", MOST_TYPES);
    types[count] = type;
    return AD_OK;
}
