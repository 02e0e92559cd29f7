/* Recording a bijector: its own map, or what the engine derives in its place. */
#include "core/derive.h"

ad_var nf__call_map(const nf_scope *at, nf__map *map, ad_var in, ad_var *log_det)
{
    const nf_bijector_type *type = at->self->type;
    const char *direction = map == type->forward ? "forward" : "inverse";
    ad_var out = map(at, in, log_det);
    if (ad_is_valid(in) && (!ad_is_valid(out) || out.tape != in.tape))
        ad_tape_fail(in.tape, AD_ERROR_ARGUMENT, "%s of '%s' returned no value of the tape that it records on",
                     direction, type->name);
    if (ad_is_valid(*log_det) && log_det->tape != in.tape)
        ad_tape_fail(in.tape, AD_ERROR_ARGUMENT, "%s of '%s' gave a log_det of another tape", direction, type->name);
    return out.tape == in.tape ? out : (ad_var){in.tape, -1};
}

static ad_var record(const nf_scope *at, ad_var in, ad_var *log_det, const char *direction, nf__map *map,
                     nf__map *opposite)
{
    ad_tape *tape = in.tape;
    ad_var unwanted;
    if (!log_det) log_det = &unwanted;
    *log_det = (ad_var){tape, -1};
    if (!at) return *log_det;
    const nf_bijector *bijector = at->self;
    char got[128], expected[128];
    ad_shape shape = AD_SHAPE(bijector->dim);
    ad_tape_enter(tape, bijector->type->name);
    ad_var out = {tape, -1};
    if (ad_is_valid(in) && tape != at->tape)
        ad_tape_fail(at->tape, AD_ERROR_ARGUMENT, "%s: the event is of another tape than the scope", direction);
    else if (ad_is_valid(in) && !ad_shape_equal(ad_shape_of(in), shape))
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s: the event has shape %s, expected %s", direction,
                     ad_shape_text(ad_shape_of(in), got), ad_shape_text(shape, expected));
    else if (bijector->type->stochastic && !map)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT,
                     "'%s' draws at random: a flow with it has no inverse and no log p of a point; its draws have "
                     "weights of their paths, which inference goes by with the objectives elbo and iwae",
                     bijector->type->name);
    else if (!map && !opposite)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s: '%s' has neither forward nor inverse: it is no bijector", direction,
                     bijector->type->name);
    else if (map)
        out = nf__call_map(at, map, in, log_det);
    else
        out = nf__derive_inverse(at, opposite, in, log_det);
    if (ad_is_valid(out) && !ad_shape_equal(ad_shape_of(out), shape))
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s gave shape %s, expected %s", direction,
                     ad_shape_text(ad_shape_of(out), got), ad_shape_text(shape, expected));
    else if (ad_is_valid(out) && !ad_is_valid(*log_det))
        *log_det = nf__derive_log_det(out, in);
    if (ad_is_valid(*log_det) && ad_shape_of(*log_det).rank != 0)
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "%s gave a log_det of shape %s, expected ()", direction,
                     ad_shape_text(ad_shape_of(*log_det), got));
    ad_tape_leave(tape);
    return out;
}

ad_var nf_forward(const nf_scope *at, ad_var z, ad_var *log_det)
{
    const nf_bijector_type *type = at ? at->self->type : NULL;
    const bool draws = type && type->stochastic;
    const unsigned before = draws ? ad_tape_shift_streams(z.tape, 0) : 0;
    if (draws) ad_tape_shift_streams(z.tape, NF__FIRST_DRAW + NF__STREAMS_OF_DRAW * (unsigned)at->self->draw);
    ad_var x = record(at, z, log_det, "forward", type ? type->forward : NULL, type ? type->inverse : NULL);
    if (draws) ad_tape_shift_streams(z.tape, before);
    return type && type->low < type->high ? ad_inside(x, type->low, type->high) : x;
}

ad_var nf_inverse(const nf_scope *at, ad_var x, ad_var *log_det)
{
    return record(at, x, log_det, "inverse", at ? at->self->type->inverse : NULL, at ? at->self->type->forward : NULL);
}
