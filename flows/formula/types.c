/* What formulas know: Weir's own bijectors and base distributions, and those registered from outside. A new one is a
 * file of its own, and a name in one of these lists. */
#include "core/internal.h"

#include <weir/stochastic.h>

#include <string.h>

/* clang-format off */
#define BIJECTORS(X)                                                                                                   \
    X(loc) X(scale) X(permute) X(flip) X(standardize) X(maf) X(actnorm) X(batchnorm) X(iaf) X(realnvp) X(rqs)          \
    X(rqsar) X(hh) X(planar) X(radial) X(lu) X(leaky) X(tanh) X(sigmoid) X(softplus) X(exp) X(affine) X(sylvester)     \
    X(conv1x1) X(coupling) X(autoregressive) X(whiten) X(marginal) X(qr) X(svd) X(orthogonal) X(gaussianize) X(bnaf) X(residual) X(embed) X(cnf)
/* clang-format on */

#define DISTRIBUTIONS(X)                                                                                               \
    X(normal)                                                                                                          \
    X(diagonal_normal)                                                                                                 \
    X(uniform)                                                                                                         \
    X(student)                                                                                                         \
    X(mixture) X(gaussian_mixture) X(laplace) X(logistic) X(generalized_normal) X(multivariate_normal) X(resampled)    \
        X(vonmises) X(uniform_circle)

#define STOCHASTIC_STEPS(X) X(langevin) X(metropolis) X(hmc)

enum { MOST = 256 };

#define DECLARE(name) extern const nf_bijector_type nf__type_##name;
#define POINTER(name) &nf__type_##name,

BIJECTORS(DECLARE)
DISTRIBUTIONS(DECLARE)
STOCHASTIC_STEPS(DECLARE)
static const nf_bijector_type *bijectors[MOST + 1] = {BIJECTORS(POINTER)};
static const nf_bijector_type *distributions[MOST + 1] = {DISTRIBUTIONS(POINTER)};
static const nf_bijector_type *stochastic_steps[MOST + 1] = {STOCHASTIC_STEPS(POINTER)};

const nf_registry nf_bijectors = {"bijector", bijectors, MOST, .wide = true};
const nf_registry nf_distributions = {"base distribution", distributions, MOST, .wide = true};
const nf_registry nf_stochastic_steps = {"step that draws", stochastic_steps, MOST, .wide = true};

const nf_bijector_type *const *nf_bijector_types(void)
{
    return bijectors;
}

const nf_bijector_type *const *nf_distribution_types(void)
{
    return distributions;
}

const nf_bijector_type *const *nf_stochastic_types(void)
{
    return stochastic_steps;
}

ad_status nf_register(const nf_bijector_type *type, ad_error *error)
{
    if (!type || !type->name) return nf_registry_add(&nf_bijectors, type, error);
    const nf_registry *const all[] = {&nf_bijectors, &nf_distributions, &nf_stochastic_steps};
    const nf_registry *own = all[type->log_prob ? 1 : type->stochastic ? 2 : 0];
    const char *name = type->name;
    bool taken = nf__is_operator(name, strlen(name));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        taken |= all[i] != own && nf_registry_find(all[i], name, strlen(name));
    if (taken) return ad_error_set(error, AD_ERROR_ARGUMENT, "registering '%.60s': the name is taken", name);
    if (!type->forward && !type->inverse && !(type->log_prob && type->sample))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering '%.60s': it has neither forward nor inverse, nor log_prob and sample", name);
    if (type->stochastic && (!type->forward || type->inverse))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "registering '%.60s': a step that draws has forward, and no inverse", name);
    return nf_registry_add(own, type, error);
}
