/* Flow matching (Lipman et al. 2023, "Flow matching for generative modeling", eq. 23, with σ_min = 0: straight paths,
 * which are gone more slowly towards the data),
 * and pairs by optimal transport within a batch (Tong et al. 2024, section 3.2). */
#include "training/matching.h"

#include <math.h>
#include <string.h>

/* ---- The loss ---------------------------------------------------------------------------------------------------- */

/* The steps of the flow's chain, and which of them is the continuous one: `count` if there isn't exactly one. */
typedef struct {
    size_t count, continuous;
} steps;

static const nf_bijector *step_of(const nf_bijector *bijector, size_t i)
{
    return bijector->is_chain ? bijector->child[i] : bijector;
}

static steps steps_of(const nf_bijector *bijector)
{
    const size_t count = bijector->is_chain ? bijector->n_child : 1;
    steps s = {count, count};
    for (size_t i = 0; i < count; i++) {
        if (!step_of(bijector, i)->type->velocity) continue;
        if (s.continuous < count) return (steps){count, count};
        s.continuous = i;
    }
    return s;
}

static bool add_trained(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    if (!parameter->spec.fixed) *(size_t *)context += ad_shape_size(parameter->spec.shape);
    return true;
}

static ad_status refuse(const nf__training *t, const char *why, ad_error *error)
{
    char *formula = nf_flow_formula(t->flow, false);
    ad_error_set(error, AD_ERROR_ARGUMENT,
                 "flow matching: '%.200s' %s: expected a flow such as cnf(64,64)-standardize, with one continuous step "
                 "and nothing else to train",
                 formula ? formula : "", why);
    ad_free(formula);
    return AD_ERROR_ARGUMENT;
}

ad_status nf__check_matching(const nf__training *t, ad_error *error)
{
    if (t->o.objective == NF_LIKELIHOOD) return AD_OK;
    if (t->o.prior)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "fit: a prior goes with a likelihood, and not with flow matching");
    if ((unsigned)t->o.objective > NF_OT_FLOW_MATCHING)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "fit: there is no objective %d", (int)t->o.objective);
    const nf_bijector *bijector = nf_flow_bijector(t->flow);
    const steps s = steps_of(bijector);
    if (s.continuous == s.count) return refuse(t, "has none, or several", error);
    size_t trained = 0;
    nf_each_parameter(step_of(bijector, s.continuous), add_trained, &trained);
    if (trained != nf_flow_trained_elements(t->flow)) return refuse(t, "has other parameters", error);
    if (t->o.objective == NF_OT_FLOW_MATCHING && t->stream)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "flow matching: pairs are made of rows in memory; take those without pairs");
    return AD_OK;
}

static const nf_scope *scope_of(const nf_flow_scope *at, size_t i)
{
    return at->bijector->self->is_chain ? &at->bijector->child[i] : at->bijector;
}

/* A draw of the base as the continuous step gets it, and a row as it is to leave it. */
static ad_var draw_end(const nf_flow_scope *at, steps s)
{
    ad_var z = at->base->self->type->sample(at->base);
    for (size_t i = 0; i < s.continuous; i++) z = nf_forward(scope_of(at, i), z, NULL);
    return z;
}

static ad_var row_end(const nf_flow_scope *at, steps s, ad_var x)
{
    for (size_t i = s.count; --i > s.continuous;) x = nf_inverse(scope_of(at, i), x, NULL);
    return x;
}

ad_var nf__record_matching(const nf__training *t, const nf_flow_scope *at, ad_var x, ad_var *paired)
{
    enum { TIME_STREAM = 3001 };
    ad_tape *tape = x.tape;
    ad_var failed = *paired = (ad_var){tape, -1}, unwanted = failed;
    if (!at->base || !at->bijector) return failed;
    const steps s = steps_of(at->bijector->self);
    const nf_scope *flow = scope_of(at, s.continuous);
    /* Along z_t = z_0 + (1 - (1 - t)²) (z_1 - z_0), with |z_1 - z_0| times 2 (1 - t) as its speed: near narrow
     * densities the velocity changes within a time of their width's root, not of the width, so that a network can
     * follow, and the solver too. The weight is that of an even speed, but stays bounded; errors near the data cost
     * most, for the derivative of KL's divergence by the part of the path behind, s, weighs them by s / (1 - s). */
    const double bound = 0.1;
    ad_var time = ad_uniform(tape, AD_SCALAR, TIME_STREAM), rest = ad_sub(ad_scalar(tape, 1), time);
    ad_var speed = ad_mul_scalar(rest, 2), behind = ad_sub(ad_scalar(tape, 1), ad_square(rest));
    ad_var end = row_end(at, s, x);
    if (t->pairs) *paired = ad_input(tape, "paired", AD_SHAPE(t->dim));
    ad_var begin = t->pairs ? *paired : draw_end(at, s), change = ad_sub(end, begin);
    ad_var v = flow->self->type->velocity(flow, time, ad_add(begin, ad_mul(behind, change)), &unwanted);
    ad_var off = ad_mean(ad_square(ad_sub(v, ad_mul(speed, change))));
    return ad_div(off, ad_add_scalar(ad_square(speed), bound));
}

/* ---- Pairs ------------------------------------------------------------------------------------------------------- */

enum { GROUP = 64 };

static size_t groups_of(size_t rows)
{
    return (rows + GROUP - 1) / GROUP;
}

/* What a group needs: costs (n,n), and of its rows and draws the potentials, and the least slack of each draw. */
typedef struct {
    double cost[GROUP][GROUP];
    double of_row[GROUP + 1], of_draw[GROUP + 1], slack[GROUP + 1];
    size_t row_of[GROUP + 1], before[GROUP + 1]; /* by draw, from 1; 0: none */
    bool reached[GROUP + 1];
} assignment;

/* From row number `row`, from 1, to a draw that has none, along the path whose slack is least; and change the pairs
 * along it (Jonker & Volgenant 1987: shortest augmenting paths). */
static void augment(assignment *a, size_t n, size_t row)
{
    size_t at = 0;
    a->row_of[0] = row;
    for (size_t j = 0; j <= n; j++) {
        a->slack[j] = INFINITY;
        a->reached[j] = false;
    }
    do {
        const size_t i = a->row_of[at];
        size_t nearest = 0;
        double least = INFINITY;
        a->reached[at] = true;
        for (size_t j = 1; j <= n; j++) {
            if (a->reached[j]) continue;
            const double slack = a->cost[i - 1][j - 1] - a->of_row[i] - a->of_draw[j];
            if (slack < a->slack[j]) {
                a->slack[j] = slack;
                a->before[j] = at;
            }
            if (a->slack[j] < least) {
                least = a->slack[j];
                nearest = j;
            }
        }
        if (nearest == 0) return; /* costs that are not finite: the pairs stay */
        for (size_t j = 0; j <= n; j++) {
            if (!a->reached[j]) {
                a->slack[j] -= least;
                continue;
            }
            a->of_row[a->row_of[j]] += least;
            a->of_draw[j] -= least;
        }
        at = nearest;
    } while (a->row_of[at] != 0);
    for (; at != 0; at = a->before[at]) a->row_of[at] = a->row_of[a->before[at]];
}

static void find_costs(const nf__training *t, assignment *a, size_t first, size_t n)
{
    const ad_dtype dtype = nf_flow_dtype(t->flow);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t k = 0; k < t->dim; k++) {
                const double difference = ad_element(dtype, t->pairs->end[1], (first + i) * t->dim + k) -
                                          ad_element(dtype, t->pairs->end[0], (first + j) * t->dim + k);
                sum += difference * difference;
            }
            a->cost[i][j] = sum;
        }
}

/* Group number i of the batch. */
static void pair_group(void *context, size_t i, int worker)
{
    (void)worker;
    nf__training *t = context;
    nf__pairs *pairs = t->pairs;
    const size_t first = i * GROUP, n = pairs->rows - first < GROUP ? pairs->rows - first : GROUP;
    const size_t size = t->dim * ad_dtype_size(nf_flow_dtype(t->flow));
    assignment *a = (assignment *)pairs->work + i;
    *a = (assignment){0};
    find_costs(t, a, first, n);
    for (size_t row = 1; row <= n; row++) augment(a, n, row);
    for (size_t j = 1; j <= n; j++) {
        const size_t row = a->row_of[j] ? a->row_of[j] - 1 : j - 1;
        memcpy((char *)pairs->paired + pairs->row[first + row] * size, (char *)pairs->end[0] + (first + j - 1) * size,
               size);
    }
}

ad_status nf__pair(nf__training *t, const ad_run *run, ad_error *error)
{
    if (!t->pairs) return AD_OK;
    t->pairs->row = run->index;
    t->pairs->rows = run->rows;
    ad_status status = ad_plan_run(t->pairs->plan, run, error);
    if (status == AD_OK) ad_pool_run(t->o.pool, groups_of(run->rows), pair_group, t);
    return status;
}

ad_status nf__pair_validation(nf__training *t, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t first = 0; first < t->n_val && t->pairs && status == AD_OK; first += t->o.batch) {
        const size_t left = t->n_val - first, rows = left < t->o.batch ? left : t->o.batch;
        ad_run run = {.rows = rows, .seed = t->o.seed + 1, .step = first / t->o.batch, .pool = t->o.pool};
        nf__show(t, NF__VALIDATION, first, &run);
        status = nf__pair(t, &run, error);
    }
    return status;
}

/* Both ends of the rows of a run. */
static ad_plan *ends_plan(const nf__training *t, const nf__pairs *pairs, ad_error *error)
{
    ad_tape *tape = ad_tape_new();
    const nf_flow_scope at = nf_flow_bind(t->flow, tape);
    ad_var x = ad_input(tape, "x", AD_SHAPE(t->dim)), end[2] = {{tape, -1}, {tape, -1}};
    if (at.base && at.bijector) {
        const steps s = steps_of(at.bijector->self);
        end[0] = ad_to_rows(draw_end(&at, s));
        end[1] = row_end(&at, s, x);
    }
    ad_plan *plan = ad_plan_new(end, 2, &(ad_plan_options){.dtype = nf_flow_dtype(t->flow)}, error);
    if (plan) {
        nf_flow_bind_plan(&at, plan);
        ad_plan_set_input(plan, x, t->data);
        ad_plan_set_input(plan, nf_context(at.bijector), t->context);
        for (int i = 0; i < 2; i++) ad_plan_set_output(plan, i, pairs->end[i]);
    }
    ad_tape_free(tape);
    return plan;
}

ad_status nf__pairs_open(nf__training *t, ad_error *error)
{
    if (t->o.objective != NF_OT_FLOW_MATCHING) return AD_OK;
    const size_t size = t->dim * ad_dtype_size(nf_flow_dtype(t->flow)), all = t->rows + t->o.val_rows;
    const size_t most = t->o.batch < all ? t->o.batch : all;
    nf__pairs *pairs = t->pairs = ad_alloc(1, sizeof *pairs);
    if (pairs) {
        for (int i = 0; i < 2; i++) pairs->end[i] = ad_alloc_aligned(most, size);
        pairs->paired = ad_alloc_aligned(all, size);
        pairs->work = ad_alloc(groups_of(most), sizeof(assignment));
    }
    if (!pairs || !pairs->end[0] || !pairs->end[1] || !pairs->paired || !pairs->work)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the pairs of %zu rows", all);
    pairs->plan = ends_plan(t, pairs, error);
    return pairs->plan ? AD_OK : error->status;
}

void nf__pairs_close(nf__pairs *pairs)
{
    if (!pairs) return;
    ad_plan_free(pairs->plan);
    for (int i = 0; i < 2; i++) ad_free_aligned(pairs->end[i]);
    ad_free_aligned(pairs->paired);
    ad_free(pairs->work);
    ad_free(pairs);
}
