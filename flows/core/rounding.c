/* A draw is rounded once more by each step of a chain. Where the range of one, as (-1, 1) is that of tanh, is followed
 * by others, as a scale and a shift, the way back need not end inside of that range, though the draw was: with a shift
 * of 100 float32 has no more than four digits of the tanh.
 *
 * So a chain follows, beside the point itself, two that differ from it by a unit of rounding in each feature, up in one
 * and down in the other. How far apart the three are in front of a range is what rounding may have done. A point out of
 * the range by no more than a few times that is taken for one that is as far inside: its density is that of a point
 * that it may have been. Any other is out of the range, and so is what lies on an edge before anything was rounded.
 *
 * Chains without such a range in front of another step record nothing of this. */
#include "core/rounding.h"

#include <weir/features.h>

extern const nf_bijector_type nf__type_flip, nf__type_permute;

static bool has_range(const nf_bijector_type *type)
{
    return type->low < type->high;
}

static bool only_moves(const nf_bijector_type *type)
{
    return type == &nf__type_flip || type == &nf__type_permute;
}

static void count_ranges(const nf_bijector *bijector, nf__rounded *point)
{
    const bool has_steps = bijector->is_chain || nf__maps_features(bijector);
    for (size_t i = bijector->n_child; has_steps && i-- > 0;) count_ranges(bijector->child[i], point);
    if (has_steps) return;
    point->ranges += point->rounded && has_range(bijector->type);
    point->rounded |= !only_moves(bijector->type);
}

/* 1, -1, 1 …: what one feature gains must not be what another loses in every sum. */
static ad_var signs(ad_tape *tape, size_t dim)
{
    double *sign = ad_alloc(dim, sizeof *sign);
    if (!sign) {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for %zu signs", dim);
        return (ad_var){tape, -1};
    }
    for (size_t i = 0; i < dim; i++) sign[i] = i % 2 ? -1 : 1;
    ad_var constant = ad_constant(tape, AD_SHAPE(dim), sign);
    ad_free(sign);
    return constant;
}

nf__rounded nf__rounded_begin(const nf_bijector *chain, ad_var x)
{
    nf__rounded point = {.at = x};
    count_ranges(chain, &point);
    point.rounded = false;
    if (point.ranges == 0) return point;
    ad_var still = ad_stop_gradient(x);
    ad_var unit = ad_mul(still, ad_mul(signs(x.tape, chain->dim), nf_epsilon(x.tape)));
    point.beside[0] = ad_add(still, unit);
    point.beside[1] = ad_sub(still, unit);
    return point;
}

/* `point` as a step with this range may see it. */
static ad_var settled(const nf__rounded *point, double low, double high)
{
    ad_var v = point->at, still = ad_stop_gradient(v), unit = ad_mul(ad_abs(still), nf_epsilon(v.tape));
    ad_var apart = ad_maximum(ad_abs(ad_sub(point->beside[0], still)), ad_abs(ad_sub(point->beside[1], still)));
    ad_var reach = ad_add(ad_mul_scalar(apart, 32), ad_mul_scalar(unit, 16));
    ad_var depth = ad_add(ad_mul_scalar(apart, 0.5), unit), from = ad_scalar(v.tape, low), to = ad_scalar(v.tape, high);
    ad_var below = ad_mul(ad_greater_equal(from, still), ad_greater(ad_add(still, reach), from));
    ad_var above = ad_mul(ad_greater_equal(still, to), ad_greater(to, ad_sub(still, reach)));
    v = ad_where(below, ad_inside(ad_add(from, depth), low, high), v);
    return ad_where(above, ad_inside(ad_sub(to, depth), low, high), v);
}

nf__rounded nf__rounded_take(const nf_bijector *on, const nf__rounded *point)
{
    nf__rounded part = *point;
    part.at = nf_take(point->at, on->feature, on->n_feature);
    for (int i = 0; i < 2 && point->ranges > 0; i++)
        part.beside[i] = nf_take(point->beside[i], on->feature, on->n_feature);
    return part;
}

void nf__rounded_replace(const nf_bijector *on, nf__rounded *point, const nf__rounded *part)
{
    point->at = nf__on_replace(on, point->at, part->at);
    for (int i = 0; i < 2 && part->ranges > 0; i++)
        point->beside[i] = nf__on_replace(on, point->beside[i], part->beside[i]);
    point->ranges = part->ranges;
    point->rounded = part->rounded;
}

void nf__rounded_inverse(const nf_scope *step, nf__rounded *point, ad_var *log_det)
{
    const nf_bijector_type *type = step->self->type;
    if (point->rounded && has_range(type)) {
        point->at = settled(point, type->low, type->high);
        point->ranges--;
    }
    for (int i = 0; i < 2 && point->ranges > 0; i++) {
        if (has_range(type)) point->beside[i] = ad_inside(point->beside[i], type->low, type->high);
        point->beside[i] = nf_inverse(step, point->beside[i], NULL);
    }
    point->at = nf_inverse(step, point->at, log_det);
    point->rounded |= !only_moves(type);
}
