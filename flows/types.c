/* The table of bijectors that formulas know. */
#include "internal.h"

#include <string.h>

static const nf_bijector_type *const types[] = {
    &nf_type_loc, &nf_type_scale, &nf_type_permute, &nf_type_flip, &nf_type_standardize, &nf_type_maf, NULL,
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
