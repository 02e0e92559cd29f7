/* The objectives that are known: Weir's own, and those registered from outside. */
#include "training/optimizer.h"

#include <weir/objective.h>

#define OBJECTIVES(X) X(elbo) X(stl) X(iwae) X(dreg) X(renyi) X(cubo) X(forward) X(fab)

#define DECLARE(name) extern const nf_objective_type nf__objective_##name;
#define POINTER(name) &nf__objective_##name,

OBJECTIVES(DECLARE)

enum { MOST_TYPES = 256 };

static const nf_objective_type *types[MOST_TYPES + 1] = {OBJECTIVES(POINTER)};
static const nf_registry registry = {"objective", types, MOST_TYPES};

const nf_objective_type *const *nf_objective_types(void)
{
    return types;
}

ad_status nf_register_objective(const nf_objective_type *type, ad_error *error)
{
    if (!type) return ad_error_set(error, AD_ERROR_ARGUMENT, "registering an objective: type is NULL");
    const char *name = type->name ? type->name : "";
    if (!type->term)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the objective '%.60s': it has no term", name);
    if (type->groups && !type->weigh)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering the objective '%.60s': it groups draws, but doesn't weigh them", name);
    if (type->anneal && !type->weigh)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering the objective '%.60s': it moves draws, but doesn't weigh them", name);
    return nf_registry_add(&registry, type, error);
}

ad_status nf_objective_parse(const char *text, nf_objective *objective, ad_error *error)
{
    const char *missing = !text ? "text" : !objective ? "objective" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "objective: %s is NULL", missing);
    ad_error unwanted;
    if (!error) error = &unwanted;
    objective->type = nf_registry_parse(&registry, text, objective->argument, error);
    return objective->type ? AD_OK : error->status;
}
