/* Which elements of a value depend on which of another: an interpretation of the tape that is recorded on a second tape
 * and run once.
 *
 * There every value v has indicators of its own shape, each element 0 or 1,
 *
 *     nonzero     may the element be other than 0? Shared; exact where v is computed from constants alone;
 *     dependent   may the element depend on x_j? Per-row: row j is for element j of x;
 *
 * and what an op does to indicators is said with the op itself, by its flags. If it is linear, with coefficients that
 * are not negative, it adds up those that matter; if bilinear, the product rule says D = op(D_a, N_b) + op(N_a, D_b).
 */
#include "tape/builtin.h"
#include "tape/simplify.h"

#include <weir/memory.h>
#include <weir/plan.h>

typedef struct {
    ad_var known;     /* the value, where it is computed from constants alone; else not valid */
    ad_var nonzero;   /* whatever is on the way to y has it */
    ad_var dependent; /* not valid where nothing depends on x */
} facts;

typedef struct {
    ad_tape *tape;
    const ad__node *node; /* of the tape that is interpreted */
    facts *of;            /* [id] */
    ad_var *argument;     /* room for the arguments of any node */
} interpreter;

static ad_var filled(const interpreter *t, double value, ad_shape shape)
{
    return ad_broadcast(ad_scalar(t->tape, value), shape);
}

static ad_var is_positive(ad_var v)
{
    return ad_greater(v, ad_scalar(v.tape, 0));
}

static ad_var is_nonzero(ad_var v)
{
    return ad_sub(ad_scalar(v.tape, 1), ad_equal(v, ad_scalar(v.tape, 0))); /* NaN is */
}

static ad_var plus(ad_var sum, ad_var term)
{
    return ad_is_valid(sum) && ad_is_valid(term) ? ad_add(sum, term) : ad_is_valid(sum) ? sum : term;
}

/* What the op says of itself; of sums over rows nothing, for here rows are something else. */
static unsigned rule_of(const ad__node *node)
{
    const unsigned flags = node->op->flags;
    return flags & AD_OP_SUMS_ROWS || (flags & AD_OP_BILINEAR && node->n_in != 2) ? 0 : flags;
}

static const facts *argument_facts(const interpreter *t, const ad__node *node, int j)
{
    return &t->of[node->in[j]];
}

static ad_var apply(const interpreter *t, const ad__node *node)
{
    return ad_apply_object(node->op, t->argument, node->n_in, node->attribute, node->n_attribute, node->object,
                           t->tape);
}

static ad_var dependent_or_zero(const interpreter *t, const ad__node *node, int j)
{
    ad_var dependent = argument_facts(t, node, j)->dependent;
    return ad_is_valid(dependent) ? dependent : filled(t, 0, t->node[node->in[j]].shape);
}

/* ---- What is known --------------------------------------------------------------------------------------------- */

static ad_var known_value(const interpreter *t, const ad__node *node)
{
    const ad_var unknown = {t->tape, -1};
    if (node->op == ad__builtin(AD_OP_constant)) return ad_constant(t->tape, node->shape, node->attribute);
    if (node->n_in == 0 || node->per_row || node->op->flags & AD_OP_SUMS_ROWS) return unknown;
    for (int j = 0; j < node->n_in; j++) {
        t->argument[j] = argument_facts(t, node, j)->known;
        if (!ad_is_valid(t->argument[j])) return unknown;
    }
    return apply(t, node);
}

/* ---- What may be nonzero --------------------------------------------------------------------------------------- */

static ad_var sum_of_nonzeros(const interpreter *t, const ad__node *node, int first)
{
    ad_var sum = {t->tape, -1};
    for (int j = first; j < node->n_in; j++) sum = plus(sum, argument_facts(t, node, j)->nonzero);
    return sum;
}

static ad_var nonzero_of(const interpreter *t, const ad__node *node)
{
    const unsigned flags = rule_of(node);
    ad_var any = filled(t, 1, node->shape);
    for (int j = 0; j < node->n_in; j++) t->argument[j] = argument_facts(t, node, j)->nonzero;
    if (flags & AD_OP_SELECTS && ad_is_valid(argument_facts(t, node, 0)->known)) {
        t->argument[0] = argument_facts(t, node, 0)->known;
        any = apply(t, node);
    } else if (flags & AD_OP_SELECTS) {
        any = sum_of_nonzeros(t, node, 1);
    } else if (flags & AD_OP_LINEAR && flags & AD_OP_ELEMENTWISE) {
        any = sum_of_nonzeros(t, node, 0);
    } else if (flags & AD_OP_LINEAR || flags & AD_OP_BILINEAR) {
        any = apply(t, node);
    } else if (flags & AD_OP_LINEAR_IN_FIRST) {
        any = t->argument[0];
    }
    return is_positive(ad_broadcast(any, node->shape));
}

/* ---- What depends on x ----------------------------------------------------------------------------------------- */

static ad_var sum_of_dependents(const interpreter *t, const ad__node *node)
{
    ad_var sum = {t->tape, -1};
    for (int j = 0; j < node->n_in; j++) sum = plus(sum, argument_facts(t, node, j)->dependent);
    return sum;
}

/* op(dependents) > op(zeros): the latter is not 0 in, say, a logsumexp. */
static ad_var above_zeros(const interpreter *t, const ad__node *node)
{
    for (int j = 0; j < node->n_in; j++) t->argument[j] = filled(t, 0, t->node[node->in[j]].shape);
    ad_var zeros = apply(t, node);
    for (int j = 0; j < node->n_in; j++) t->argument[j] = dependent_or_zero(t, node, j);
    return ad_greater(apply(t, node), zeros);
}

static ad_var product_rule(const interpreter *t, const ad__node *node)
{
    ad_var sum = {t->tape, -1};
    for (int j = 0; j < 2; j++) {
        t->argument[j] = argument_facts(t, node, j)->dependent;
        t->argument[1 - j] = argument_facts(t, node, 1 - j)->nonzero;
        if (ad_is_valid(t->argument[j])) sum = plus(sum, apply(t, node));
    }
    return sum;
}

static ad_var selected_dependents(const interpreter *t, const ad__node *node)
{
    t->argument[0] = argument_facts(t, node, 0)->known;
    for (int j = 1; j < node->n_in; j++) t->argument[j] = dependent_or_zero(t, node, j);
    return apply(t, node);
}

static ad_var everything(const interpreter *t, const ad__node *node)
{
    ad_var sum = {t->tape, -1};
    for (int j = 0; j < node->n_in; j++) {
        ad_var dependent = argument_facts(t, node, j)->dependent;
        if (ad_is_valid(dependent)) sum = plus(sum, ad_max(dependent));
    }
    return sum;
}

static ad_var dependent_of(const interpreter *t, const ad__node *node)
{
    const unsigned flags = rule_of(node);
    bool any = false;
    for (int j = 0; j < node->n_in; j++) any |= ad_is_valid(argument_facts(t, node, j)->dependent);
    ad_var sum = {t->tape, -1};
    if (!any) return sum;
    if (flags & AD_OP_SELECTS && ad_is_valid(argument_facts(t, node, 0)->known))
        sum = selected_dependents(t, node);
    else if (flags & AD_OP_LINEAR_IN_FIRST)
        sum = plus(argument_facts(t, node, 0)->dependent,
                   ad_mul(argument_facts(t, node, 0)->nonzero, dependent_or_zero(t, node, 1)));
    else if (flags & AD_OP_BILINEAR)
        sum = product_rule(t, node);
    else if (flags & AD_OP_ELEMENTWISE)
        sum = sum_of_dependents(t, node);
    else if (flags & (AD_OP_LINEAR | AD_OP_INCREASING))
        sum = above_zeros(t, node);
    else
        sum = everything(t, node);
    return is_positive(ad_broadcast(sum, node->shape));
}

/* ---- The whole ------------------------------------------------------------------------------------------------- */

static facts interpret(const interpreter *t, const ad__node *node)
{
    facts of = {.known = known_value(t, node), .dependent = {t->tape, -1}};
    if (ad_is_valid(of.known)) {
        of.nonzero = is_nonzero(of.known);
    } else {
        of.nonzero = nonzero_of(t, node);
        of.dependent = dependent_of(t, node);
    }
    return of;
}

/* The indicators of y, and the one-hot rows that stand for x; not valid where y does not depend on x at all. */
static ad_var record(const interpreter *t, ad_var y, ad_var x, bool *needed, ad_var *one_hot)
{
    const ad_shape shape = ad_shape_of(x);
    needed[y.id] = true;
    ad__mark_needed(t->node, (size_t)y.id + 1, needed);
    *one_hot = ad_input(t->tape, "one-hot", shape);
    for (int32_t id = 0; id <= y.id; id++) {
        if (!needed[id]) continue;
        if (id == x.id)
            t->of[id] = (facts){{t->tape, -1}, filled(t, 1, shape), *one_hot};
        else
            t->of[id] = interpret(t, &t->node[id]);
    }
    return t->of[y.id].dependent;
}

/* Run the plan of `dependent` with a row for each element of x, and turn rows into columns. */
static ad_status run(ad_var dependent, ad_var one_hot, size_t n_y, size_t n_x, bool *depends, ad_error *error)
{
    size_t square, result;
    bool room = ad__size_product(n_x, n_x, &square) && ad__size_product(n_x, n_y, &result);
    double *identity = room ? ad_alloc(square, sizeof *identity) : NULL;
    double *rows = identity ? ad_alloc(result, sizeof *rows) : NULL;
    ad_plan *plan = rows ? ad_plan_new(&dependent, 1, &(ad_plan_options){.dtype = AD_F64}, error) : NULL;
    ad_status status = rows ? error->status : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for dependencies");
    if (plan) {
        for (size_t j = 0; j < n_x; j++) identity[j * n_x + j] = 1;
        ad_plan_set_input(plan, one_hot, identity);
        ad_plan_set_output(plan, 0, rows);
        status = ad_plan_run(plan, &(ad_run){.rows = n_x}, error);
    }
    for (size_t j = 0; j < n_x && status == AD_OK; j++)
        for (size_t i = 0; i < n_y; i++) depends[i * n_x + j] = rows[j * n_y + i] != 0;
    ad_plan_free(plan);
    ad_free(rows);
    ad_free(identity);
    return status;
}

static ad_status check(ad_var y, ad_var x, ad_error *error)
{
    const ad_error *fault = y.tape ? ad_tape_error(y.tape) : NULL;
    if (fault) return ad_error_set(error, fault->status, "%s", fault->message);
    if (y.tape && ad__is_of(y, y.tape) && ad__is_of(x, y.tape)) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "dependence: y and x must be values of the same tape");
}

ad_status ad_dependence(ad_var y, ad_var x, bool *depends, ad_error *error)
{
    ad_error own;
    if (!error) error = &own;
    *error = (ad_error){AD_OK, ""};
    ad_status status = check(y, x, error);
    if (status != AD_OK) return status;
    if (!depends) return ad_error_set(error, AD_ERROR_ARGUMENT, "dependence: depends is NULL");
    const size_t n_y = ad_shape_size(ad_shape_of(y)), n_x = ad_shape_size(ad_shape_of(x)), count = (size_t)y.id + 1;
    size_t widest = 1;
    for (size_t id = 0; id < count; id++)
        if ((size_t)y.tape->node[id].n_in > widest) widest = (size_t)y.tape->node[id].n_in;
    interpreter t = {.tape = ad_tape_new(), .node = y.tape->node};
    t.of = ad_alloc(count, sizeof *t.of);
    t.argument = ad_alloc(widest, sizeof *t.argument);
    bool *needed = ad_alloc(count, sizeof *needed);
    if (t.tape && t.of && t.argument && needed) {
        ad_var one_hot, dependent = record(&t, y, x, needed, &one_hot);
        const ad_error *fault = ad_tape_error(t.tape);
        if (fault)
            status = ad_error_set(error, fault->status, "%s", fault->message);
        else if (ad_is_valid(dependent))
            status = run(dependent, one_hot, n_y, n_x, depends, error);
        else
            for (size_t i = 0; i < n_y * n_x; i++) depends[i] = false;
    } else {
        status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the dependencies of %zu nodes", count);
    }
    ad_free(needed);
    ad_free(t.argument);
    ad_free(t.of);
    ad_tape_free(t.tape);
    return status;
}
