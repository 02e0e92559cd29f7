/* conditional(f): f with parameters that depend on the context (Ha, Dai & Le 2017, "HyperNetworks"; van den Berg et al.
 * 2018, section 4, "amortized" parameters of Sylvester and planar flows): of each that is trained, element by element,
 *
 *     ρ(c) = ρ + 10 tanh(network(c) / 10),
 *
 * ρ being what is stored, of which constraints are taken afterwards. The network is a multilayer perceptron whose
 * outputs start near 0. So planar, radial, sylvester, lu, hh and all whose maps take parameters of a row's own see the
 * context, as those with networks of their own do without this. Without a context it is f. */
#include "core/internal.h"

#include <weir/networks.h>

#include <string.h>

static const nf_conditioner_type *network(void)
{
    return nf_registry_find(&nf_conditioners, "mlp", 3);
}

static bool count_trained(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    if (!parameter->spec.fixed) *(size_t *)context += ad_shape_size(parameter->spec.shape);
    return true;
}

static size_t trained_elements(const nf_bijector *bijector)
{
    size_t count = 0;
    nf_each_parameter(bijector, count_trained, &count);
    return count;
}

nf_bijector *nf__conditional(nf_bijector *child, const nf_arguments *given, size_t *room, ad_error *error)
{
    if (!child) return NULL;
    const bool refused = nf__refuse_stochastic("conditional", child, error) != AD_OK;
    nf_bijector *self =
        refused ? NULL : nf__bijector_within(&nf__type_conditional, child->dim, child->context, given, room, error);
    self = nf__adopt(self, child, error);
    if (!self) return NULL;
    self->shape = child->shape;
    self->room = room;
    const size_t outputs = self->context ? trained_elements(child) : 0;
    ad_status status = outputs ? network()->declare(NULL, self, 0, outputs, error) : AD_OK;
    self->room = NULL;
    if (status == AD_OK) return self;
    nf_bijector_free(self);
    return NULL;
}

nf_bijector *nf_conditional(nf_bijector *child, const nf_arguments *given, ad_error *error)
{
    return nf__conditional(child, given, NULL, error);
}

/* What the network gives is handed out from the first parameter to the last. */
typedef struct {
    nf_bound_parameter *next;
    ad_var output;
    size_t given;
} handing;

static bool move(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    handing *h = context;
    const size_t size = ad_shape_size(parameter->spec.shape);
    ad_var *rho = &(h->next++)->var;
    if (parameter->spec.fixed) return true;
    const double most = 10;
    ad_var by = ad_slice(h->output, 0, h->given, h->given + size);
    by = ad_mul_scalar(ad_tanh(ad_mul_scalar(by, 1 / most)), most);
    *rho = ad_add(*rho, ad_reshape(by, parameter->spec.shape));
    h->given += size;
    return true;
}

static ad_var same(void *context, ad_var var)
{
    (void)context;
    return var;
}

static ad_var map(const nf_scope *at, ad_var v, ad_var *log_det,
                  ad_var (*direction)(const nf_scope *at, ad_var v, ad_var *log_det))
{
    const nf_scope *inside = &at->child[0];
    if (at->self->n_parameter == 0) return direction(inside, v, log_det);
    nf_scope *moved = nf__scope_like(inside, at->tape, same, NULL);
    if (!moved) return (ad_var){at->tape, -1};
    const handing h = {.next = moved->parameter, .output = network()->outputs(NULL, at, 0, (ad_var){at->tape, -1})};
    nf_each_parameter(inside->self, move, &(handing){h.next, h.output, 0});
    nf_set_context(moved, nf_context(inside));
    ad_var out = direction(moved, v, log_det);
    const size_t count = nf__parameters_below(inside->self);
    for (size_t i = 0; i < count; i++) inside->parameter[i].update = moved->parameter[i].update;
    return out;
}

static ad_var conditional_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    return map(at, z, log_det, nf_forward);
}

static ad_var conditional_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return map(at, x, log_det, nf_inverse);
}

const nf_bijector_type nf__type_conditional = {
    .name = "conditional",
    .help = "x = f(z), its parameters moved by a network of the context",
    .argument = (const nf_argument[]){NF_ACTIVATION_ARGUMENT, {0}},
    .positional = "hidden units",
    .sizes = (const size_t[]){64, 64, 0},
    .forward = conditional_forward,
    .inverse = conditional_inverse,
};
