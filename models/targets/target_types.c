/* Targets that have a name: their list, and making one from text. */
#include "targets/event.h"
#include "targets/target_table.h"

#include <weir/environment.h>
#include <weir/registry.h>
#include <weir/target.h>

#include <math.h>
#include <string.h>

/* Weir's own, each in a file that knows only public headers. */
#define OWN(X)                                                                                                         \
    X(pot1)                                                                                                            \
    X(pot2)                                                                                                            \
    X(pot3)                                                                                                            \
    X(pot4)                                                                                                            \
    X(u2)                                                                                                              \
    X(u3)                                                                                                              \
    X(u4)                                                                                                              \
    X(banana)                                                                                                          \
    X(funnel)                                                                                                          \
    X(mixture)                                                                                                         \
    X(gaussian)                                                                                                        \
    X(many_well)                                                                                                       \
    X(eight_schools)                                                                                                   \
    X(eight_schools_centered)

#define DECLARE(name) extern const nf_target_type nf__target_##name;
OWN(DECLARE)

enum { MOST_TYPES = 256 };

#define ENTRY(name) &nf__target_##name,
static const nf_target_type *types[MOST_TYPES + 1] = {OWN(ENTRY)};

static const nf_registry registry = {"target", types, MOST_TYPES};

const nf_target_type *const *nf_target_types(void)
{
    return types;
}

ad_status nf_register_target(const nf_target_type *type, ad_error *error)
{
    if (!type) return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register_target: type is NULL");
    const nf_target *target = &type->target;
    if (target->n_site == 0 || !target->site)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "nf_register_target: '%.60s' has no sites",
                            type->name ? type->name : "");
    if (!!target->log_density + !!target->external + !!target->external_rows != 1)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "nf_register_target: '%.60s' needs one of log_density, external and external_rows",
                            type->name ? type->name : "");
    return nf_registry_add(&registry, type, error);
}

/* ---- From text ------------------------------------------------------------------------------------------------- */

static size_t count_arguments(const nf_target_type *type)
{
    size_t count = 0;
    while (type->argument && type->argument[count].name) count++;
    return count;
}

/* A target with room behind it for sites, arguments and a text of its own. */
static nf_target *make(const nf_target_type *type, const char *text, nf_site **site, double **argument)
{
    size_t sites = type->target.n_site, arguments = count_arguments(type), length = strlen(text);
    nf_target *made = ad_alloc(1, sizeof *made + sites * sizeof **site + arguments * sizeof **argument + length + 1);
    if (!made) return NULL;
    *site = (nf_site *)(made + 1);
    *argument = (double *)(*site + sites);
    memcpy(*site, type->target.site, sites * sizeof **site);
    *made = type->target;
    made->name = type->name;
    made->help = type->help;
    made->type = type;
    made->site = *site;
    made->argument = *argument;
    made->text = strcpy((char *)(*argument + arguments), text);
    return made;
}

static ad_status take_table(nf_target *made, const nf_table *table, ad_error *error)
{
    const nf_target_type *type = made->type;
    if (!table && !type->column) return AD_OK;
    if (!type->column) return ad_error_set(error, AD_ERROR_ARGUMENT, "target '%s' takes no data", type->name);
    made->table = nf__target_table_new(type, table, error);
    return made->table ? AD_OK : error->status;
}

nf_target *nf_target_parse(const char *text, ad_error *error)
{
    return nf_target_parse_with(text, NULL, error);
}

nf_target *nf_target_parse_with(const char *text, const nf_table *table, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    ad_error own;
    if (!error) error = &own;
    if (!text) return ad_error_set(error, AD_ERROR_ARGUMENT, "target: text is NULL"), NULL;
    const nf_target_type *type = nf_registry_find(&registry, text, strcspn(text, " ("));
    if (!type) {
        nf_registry_parse(&registry, text, NULL, error); /* tells which there are */
        return NULL;
    }
    nf_site *site;
    double *argument;
    nf_target *made = make(type, text, &site, &argument);
    if (!made) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a target");
        return NULL;
    }
    if (nf_registry_parse(&registry, text, argument, error) && !take_table(made, table, error) &&
        (!type->build || type->build(made, site, error) == AD_OK) && nf__target_check_sites(made, error) == AD_OK)
        return made;
    nf_target_free(made);
    return NULL;
}

void nf_target_free(nf_target *target)
{
    if (target) nf__target_table_free(target->table);
    ad_free(target);
}

double nf_target_argument(const nf_target *target, const char *name)
{
    if (!target || !name) return 0;
    for (size_t i = 0; target->type && i < count_arguments(target->type); i++)
        if (strcmp(target->type->argument[i].name, name) == 0) return target->argument[i];
    return NAN;
}
