/* The built-in targets: their table, and making one from text. */
#include "targets/target_types.h"

#include <weir/target.h>

#include <math.h>
#include <string.h>

enum { MOST_SITES = 4, MOST_ARGUMENTS = 4 };

static const nf_target_type *const types[] = {
    &nf__target_pot1,
    &nf__target_pot2,
    &nf__target_pot3,
    &nf__target_pot4,
    &nf__target_u2,
    &nf__target_u3,
    &nf__target_u4,
    &nf__target_banana,
    &nf__target_funnel,
    &nf__target_mixture,
    &nf__target_gaussian,
    &nf__target_eight_schools,
    &nf__target_eight_schools_centered,
    NULL,
};

const nf_target_type *const *nf_target_types(void)
{
    return types;
}

/* A type with arguments of its own; target comes first. */
typedef struct {
    nf_target target;
    nf_site site[MOST_SITES];
    double argument[MOST_ARGUMENTS];
} instance;

static const nf_target_type *find(const char *text, size_t length)
{
    for (size_t i = 0; types[i]; i++)
        if (strlen(types[i]->target.name) == length && memcmp(types[i]->target.name, text, length) == 0)
            return types[i];
    return NULL;
}

static ad_status unknown(const char *text, size_t length, ad_error *error)
{
    char names[512];
    size_t n = 0;
    for (size_t i = 0; types[i]; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", types[i]->target.name);
    return ad_error_set(error, AD_ERROR_ARGUMENT, "unknown target '%.*s'; expected one of %s",
                        (int)(length < 60 ? length : 60), text, names);
}

nf_target *nf_target_parse(const char *text, ad_error *error)
{
    size_t length = strcspn(text, " (");
    const nf_target_type *type = find(text, length);
    if (!type) {
        unknown(text, length, error);
        return NULL;
    }
    instance *made = ad_alloc(1, sizeof *made);
    if (!made) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a target");
        return NULL;
    }
    made->target = type->target;
    made->target.site = made->site;
    if (type->argument) made->target.data = made->argument;
    memcpy(made->site, type->target.site, type->target.n_site * sizeof *made->site);
    if (!nf_parse_arguments(text, length, type->argument, made->argument, error)) {
        ad_free(made);
        return NULL;
    }
    if (type->resize) type->resize(made->site, made->argument);
    return &made->target;
}

void nf_target_free(nf_target *target)
{
    ad_free(target);
}

/* ---- What they are made of ----------------------------------------------------------------------------------- */

ad_var nf_element(ad_var v, size_t i)
{
    return ad_reshape(ad_slice(v, 0, i, i + 1), AD_SCALAR);
}

ad_var nf_log_add_exp(ad_var a, ad_var b)
{
    return ad_add(a, ad_softplus(ad_sub(b, a)));
}

ad_var nf_log_normal(ad_var x, ad_var mean, ad_var sd)
{
    const double log_sqrt_2pi = 0.918938533204672741780329736406;
    ad_var squares = ad_mul_scalar(ad_square(ad_div(ad_sub(x, mean), sd)), -0.5);
    return ad_sum(ad_add_scalar(ad_sub(squares, ad_log(sd)), -log_sqrt_2pi));
}
