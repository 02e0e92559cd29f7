/* The table of bijectors that formulas know: Weir's own, and those registered from outside. */
#include "internal.h"

#include <ctype.h>
#include <string.h>

enum { MOST_TYPES = 256 };

static const nf_bijector_type *types[MOST_TYPES + 1] = {
    &nf_type_loc, &nf_type_scale, &nf_type_permute, &nf_type_flip, &nf_type_standardize, &nf_type_maf,
};

const nf_bijector_type *const *nf_bijector_types(void)
{
    return types;
}

const nf_bijector_type *nf_type_named(const char *name, size_t length)
{
    for (size_t i = 0; types[i]; i++)
        if (strlen(types[i]->name) == length && memcmp(types[i]->name, name, length) == 0) return types[i];
    return NULL;
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
    if (strcmp(type->name, "invert") == 0 || nf_type_named(type->name, strlen(type->name)))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register: there is a bijector '%.60s' already", type->name);
    if (!type->forward && !type->inverse)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register: '%.60s' has neither forward nor inverse",
                            type->name);
    size_t count = 0;
    while (types[count]) count++;
    if (count == MOST_TYPES)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register: at most %d bijectors", MOST_TYPES);
    types[count] = type;
    return AD_OK;
}
