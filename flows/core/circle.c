/* Flows on the circle and on tori, whose features are angles: a base distribution of period 2π, and bijectors that map
 * angles that differ by a turn to angles that differ by a turn. So log p is the same for every way of writing an angle,
 * and draws are written from -π to π. */
#include "core/flow.h"

#include <weir/transformer.h>

bool nf__is_circular(const nf_bijector *base)
{
    if (base->n_child == 0) return base->type->circular;
    for (size_t i = 0; i < base->n_child; i += 2) /* of a mixture of flows */
        if (nf__is_circular(base->child[i])) return true;
    return false;
}

bool nf_flow_is_circular(const nf_flow *flow)
{
    return flow && nf__is_circular(flow->base);
}

/* What of a bijector, or of the flows of a base distribution, doesn't keep turns; NULL: nothing. */
static const nf_bijector *find_other(const nf_bijector *self)
{
    const nf_transformer_type *transformer = nf_transformer_of(self).descriptor;
    if (!self->type->circular && !(transformer && transformer->circular)) return self;
    const nf_bijector *other = NULL;
    for (size_t i = 0; i < self->n_child && !other; i++) other = find_other(self->child[i]);
    return other;
}

ad_status nf__check_circle(const nf_bijector *base, const nf_bijector *bijector, ad_error *error)
{
    if (!nf__is_circular(base)) return AD_OK;
    const nf_bijector *other = find_other(base);
    if (!other) other = find_other(bijector);
    if (!other) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "flow: the base distribution '%s' is one of angles, and '%s' isn't: expected permute, flip, "
                        "loc, on, invert, or transformer=circular_rational_quadratic",
                        base->type->name, other->type->name);
}

ad_var nf__within_turn(ad_var angle)
{
    const double two_pi = 6.28318530717958647693;
    ad_var turns = ad_floor(ad_add_scalar(ad_mul_scalar(angle, 1 / two_pi), 0.5));
    return ad_sub(angle, ad_mul_scalar(turns, two_pi));
}
