/* The tables of what formulas know: Weir's own bijectors and base distributions, and those registered from outside. */
#include "internal.h"

#include <ctype.h>
#include <string.h>

enum { MOST_TYPES = 256 };

static const nf_bijector_type *bijectors[MOST_TYPES + 1] = {
    &nf_type_loc,     &nf_type_scale,     &nf_type_permute, &nf_type_flip,    &nf_type_standardize, &nf_type_maf,
    &nf_type_actnorm, &nf_type_batchnorm, &nf_type_iaf,     &nf_type_realnvp, &nf_type_rqs,         &nf_type_rqsar,
    &nf_type_hh,      &nf_type_planar,    &nf_type_radial,  &nf_type_lu,      &nf_type_leaky,       &nf_type_tanh,
    &nf_type_sigmoid, &nf_type_softplus,  &nf_type_exp,     &nf_type_affine,  &nf_type_sylvester,
};

static const nf_bijector_type *distributions[MOST_TYPES + 1] = {
    &nf_type_normal, &nf_type_diagonal_normal, &nf_type_uniform, &nf_type_student, &nf_type_mixture,
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

const nf_bijector_type *nf_bijector_named(const char *name, size_t length)
{
    return named(bijectors, name, length);
}

const nf_bijector_type *nf_distribution_named(const char *name, size_t length)
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
