/* What the author of a bijector leaves out: the log-det from the Jacobian on the tape, the inverse by solving for it.
 *
 * Which element of the output depends on which of the input is read off the tape. Where an order of the features exists
 * in which every output depends on earlier inputs and its own alone, the Jacobian is triangular in that order and its
 * determinant is the product of its diagonal (elementwise, coupling and autoregressive maps, in any order). */
#include "core/derive.h"

#include "core/capture.h"

#include <weir/bijector.h>

#include <string.h>

typedef struct {
    size_t dim;
    bool *depends; /* [i * dim + j]: out_i on in_j */
    size_t *order; /* of a triangular Jacobian */
    ad_root_kind kind;
} structure;

static void free_structure(structure *s)
{
    ad_free(s->depends);
    ad_free(s->order);
}

/* Features in an order in which each one depends on those before it and itself (Kahn 1962); GENERAL if there is none.
 */
static void classify(structure *s, bool *placed)
{
    size_t dim = s->dim, others = 0, count = 0;
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j < dim; j++) others += i != j && s->depends[i * dim + j];
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < dim; i++) {
            bool ready = !placed[i];
            for (size_t j = 0; j < dim && ready; j++) ready = j == i || !s->depends[i * dim + j] || placed[j];
            if (!ready) continue;
            placed[i] = found = true;
            s->order[count++] = i;
        }
    }
    s->kind = others == 0 ? AD_ROOT_ELEMENTWISE : count == dim ? AD_ROOT_TRIANGULAR : AD_ROOT_GENERAL;
}

static bool find_structure(ad_var out, ad_var in, structure *s)
{
    size_t dim = ad_shape_size(ad_shape_of(in));
    *s = (structure){.dim = dim, .depends = ad_alloc(dim, dim), .order = ad_alloc(dim, sizeof *s->order)};
    bool *placed = ad_alloc(dim, sizeof *placed);
    ad_error error;
    bool good = s->depends && s->order && placed;
    if (!good)
        ad_error_set(&error, AD_ERROR_MEMORY, "out of memory for a Jacobian of %zu x %zu", dim, dim);
    else if (ad_dependence(out, in, s->depends, &error) == AD_OK)
        classify(s, placed);
    else
        good = false;
    if (!good) ad_tape_fail(in.tape, error.status, "%s", error.message);
    ad_free(placed);
    return good;
}

static ad_var element(ad_var v, size_t i)
{
    return ad_slice(v, 0, i, i + 1);
}

/* ---- The Jacobian --------------------------------------------------------------------------------------------- */

/* The diagonal. Outputs of which none depends on another's own input share a backward pass (Curtis, Powell & Reid
 * 1974): one for an elementwise map, two for a coupling, D for an autoregressive one. */
static ad_var diagonal(ad_var out, ad_var in, const structure *s)
{
    size_t dim = s->dim, left = dim, groups = 0;
    ad_var *sum = ad_alloc(dim, sizeof *sum), *entry = ad_alloc(dim, sizeof *entry), result = {in.tape, -1};
    size_t *member = ad_alloc(dim, sizeof *member), *group = ad_alloc(dim, sizeof *group);
    bool *done = ad_alloc(dim, sizeof *done);
    bool good = sum && entry && member && group && done;
    if (!good)
        ad_tape_fail(in.tape, AD_ERROR_MEMORY, "out of memory for the diagonal of a Jacobian of %zu x %zu", dim, dim);
    for (; good && left; groups++) {
        size_t count = 0;
        for (size_t i = 0; i < dim; i++) {
            bool alone = !done[i];
            for (size_t k = 0; k < count && alone; k++)
                alone = !s->depends[i * dim + member[k]] && !s->depends[member[k] * dim + i];
            if (!alone) continue;
            member[count++] = i;
            group[i] = groups;
            done[i] = true;
        }
        sum[groups] = ad_sum(ad_gather(out, member, count));
        left -= count;
    }
    for (size_t g = 0; g < groups; g++) sum[g] = ad_grad1(sum[g], in);
    for (size_t i = 0; good && i < dim; i++) entry[i] = element(sum[group[i]], i);
    if (good) result = ad_concat(entry, (int)dim, 0);
    ad_free(done);
    ad_free(group);
    ad_free(member);
    ad_free(entry);
    ad_free(sum);
    return result;
}

ad_var nf__derive_log_det(ad_var out, ad_var in)
{
    static const char *const scope[] = {[AD_ROOT_ELEMENTWISE] = "log-det of a diagonal Jacobian",
                                        [AD_ROOT_TRIANGULAR] = "log-det of a triangular Jacobian",
                                        [AD_ROOT_GENERAL] = "log-det by LU of the Jacobian"};
    structure s;
    ad_var log_det = {in.tape, -1};
    if (find_structure(out, in, &s)) {
        ad_tape_enter(in.tape, scope[s.kind]);
        log_det = s.kind == AD_ROOT_GENERAL ? ad_log_abs_det(ad_jacobian(out, in))
                                            : ad_sum(ad_log(ad_abs(diagonal(out, in, &s))));
        ad_tape_leave(in.tape);
    }
    free_structure(&s);
    return log_det;
}

/* ---- The inverse ---------------------------------------------------------------------------------------------- */

/* What is captured, for the map. */
typedef struct {
    nf__capture values;
    nf__map *map;
} capture;

static ad_var inner_map(void *context, ad_tape *inner, ad_var u, const ad_var *captured)
{
    const capture *c = context;
    const nf_scope *at = nf__inner_scope(&c->values, inner, captured);
    ad_var log_det = {inner, -1};
    return at ? nf__call_map(at, c->map, u, &log_det) : log_det;
}

/* The structure of the map, from a recording that is thrown away. */
static bool structure_of(capture *c, structure *s)
{
    ad_tape *tape = c->values.at->tape, *scratch = ad_tape_new();
    ad_var *captured = ad_tape_alloc(scratch, (size_t)c->values.count, sizeof *captured);
    bool good = captured;
    *s = (structure){0};
    if (good) {
        for (int i = 0; i < c->values.count; i++) {
            const ad_var outer = c->values.outer[i];
            captured[i] = (ad_is_per_row(outer) ? ad_input : ad_param)(scratch, "captured", ad_shape_of(outer));
        }
        ad_var u = ad_input(scratch, "u", AD_SHAPE(c->values.at->self->dim));
        good = find_structure(inner_map(c, scratch, u, captured), u, s);
        const ad_error *error = ad_tape_error(scratch);
        if (error) ad_tape_fail(tape, error->status, "%s", error->message);
    } else {
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a numerical inverse");
    }
    ad_tape_free(scratch);
    return good;
}

ad_var nf__derive_inverse(const nf_scope *at, nf__map *map, ad_var v, ad_var *log_det)
{
    static const char *const scope[] = {[AD_ROOT_ELEMENTWISE] = "inverse by bracketing, element by element",
                                        [AD_ROOT_TRIANGULAR] = "inverse by bracketing, feature by feature",
                                        [AD_ROOT_GENERAL] = "inverse by Newton's method on the whole event"};
    ad_tape *tape = v.tape;
    ad_var u = {tape, -1};
    capture c = {.values = {.at = at}, .map = map};
    structure s = {0};
    if (!nf__open_capture(&c.values))
        ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory for a numerical inverse");
    else if (structure_of(&c, &s)) {
        ad_tape_enter(tape, scope[s.kind]);
        u = ad_root(v, c.values.outer, c.values.count, s.kind, s.order, inner_map, &c);
        ad_tape_leave(tape);
        ad_var image = nf__call_map(at, map, u, log_det);
        if (!ad_is_valid(*log_det)) *log_det = nf__derive_log_det(image, u);
        *log_det = ad_neg(*log_det);
    }
    free_structure(&s);
    ad_free(c.values.outer);
    return u;
}
