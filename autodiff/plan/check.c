#include "plan/check.h"
#include "plan/compiled.h"
#include "tape/builtin.h"

bool ad__check_outputs(const ad_var *outputs, int count, const ad_plan_options *options, ad_error *error)
{
    if (count < 1) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "plan: expected at least one output, got %d", count);
        return false;
    }
    if (!outputs) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "plan: outputs is NULL");
        return false;
    }
    const ad_tape *tape = outputs[0].tape;
    if (!tape) {
        ad_error_set(error, AD_ERROR_MEMORY,
                     "plan: output 0 is on no tape: there was no memory for one, or it was never recorded");
        return false;
    }
    const ad_error *fault = ad_tape_error(tape);
    if (fault) {
        if (error) *error = *fault;
        return false;
    }
    for (int i = 0; i < count; i++) {
        if (ad__is_of(outputs[i], tape)) continue;
        ad_error_set(error, AD_ERROR_ARGUMENT, "plan: output %d is not a value of the first output's tape", i);
        return false;
    }
    if (options->dtype != AD_F32 && options->dtype != AD_F64) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "plan: dtype must be AD_F32 or AD_F64");
        return false;
    }
    if (options->tile_rows % AD_ROW_QUANTUM != 0 || options->tile_rows > AD_MOST_TILE_ROWS) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "plan: tile_rows must be a multiple of %d and at most %d, got %zu",
                     AD_ROW_QUANTUM, AD_MOST_TILE_ROWS, options->tile_rows);
        return false;
    }
    return true;
}

static bool is_leaf(const ad__node *node)
{
    return node->op == ad__builtin(AD_OP_input) || node->op == ad__builtin(AD_OP_param) ||
           node->op == ad__builtin(AD_OP_constant);
}

/* An op from outside may have a function for one dtype alone. */
bool ad__check_ops(const ad__node *node, size_t count, const bool *needed, ad_dtype dtype, ad_error *error)
{
    for (size_t id = 0; id < count; id++) {
        const ad__node *n = &node[id];
        const bool loops = n->op->loop[dtype] != NULL;
        if (!needed[id] || is_leaf(n) || n->op->evaluate[dtype] || (loops && n->n_in <= AD_MAX_LOOP_ARGUMENTS))
            continue;
        ad_error_set(error, AD_ERROR_ARGUMENT,
                     loops ? "plan: op '%s' (%%%zu%s%s) has a loop in %s but more arguments than a loop takes"
                           : "plan: op '%s' (%%%zu%s%s) has no function that evaluates it in %s",
                     n->op->name, id, *n->scope ? ", in " : "", n->scope, ad_dtype_name(dtype));
        return false;
    }
    return true;
}
