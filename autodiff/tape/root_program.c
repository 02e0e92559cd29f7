/* Recording a root, and its gradient: f goes on a tape of its own, which the op runs. */
#include "tape/builtin.h"
#include "tape/inner.h"
#include "tape/record.h"
#include "tape/root_program.h"

#include <weir/memory.h>

#include <string.h>

/* ---- The program ----------------------------------------------------------------------------------------------- */

static void destroy(void *data)
{
    ad__root_program *program = data;
    ad_tape_free(program->tape);
    ad_free(program->input);
    ad_free(program);
}

static ad_var fail_memory(ad_tape *tape)
{
    ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory while recording a root");
    return (ad_var){tape, -1};
}

static ad__root_program *program_new(ad_var x, const ad_var *captured, int n_captured, ad_root_kind kind)
{
    ad__root_program *program = ad_alloc(1, sizeof *program);
    if (!program) return NULL;
    program->tape = ad_tape_new();
    program->input = ad_alloc((size_t)n_captured + 1, sizeof *program->input);
    if (!program->tape || !program->input) {
        destroy(program);
        return NULL;
    }
    program->x = ad_input(program->tape, "x", ad_shape_of(x));
    program->z = program->input[0] = ad_input(program->tape, "z", ad_shape_of(x));
    program->captured = program->input + 1;
    program->kind = kind;
    program->n_captured = n_captured;
    for (int i = 0; i < n_captured; i++) program->input[1 + i] = ad__stand_in(program->tape, captured[i]);
    return program;
}

static void record(ad__root_program *program,
                   ad_var (*f)(void *context, ad_tape *inner, ad_var z, const ad_var *captured), void *context)
{
    ad_tape *tape = program->tape;
    ad_var y = f(context, tape, program->z, program->captured);
    if (!ad__check_inner_result(y, tape, ad_shape_of(program->z))) return;
    program->image = y = ad_to_rows(y);
    program->result[program->n_result++] = ad_sub(y, program->x);
    if (!ad_tape_error(tape)) ad__check_inner_ops(program->result[0]);
    if (program->kind == AD_ROOT_GENERAL)
        program->result[program->n_result++] = ad_solve(ad_jacobian(y, program->z), program->result[0]);
}

/* ---- Gradients -------------------------------------------------------------------------------------------------- */

/* J⁻ᵀ g */
static ad_var pull_back(const ad__root_program *program, ad_var y, ad_var z, ad_var g)
{
    if (program->kind != AD_ROOT_ELEMENTWISE) return ad_solve(ad_transpose(ad_jacobian(y, z)), g);
    return ad_div(g, ad_grad1(ad_sum(y), z));
}

void ad__root_vjp(const ad_call *call, ad_var z, ad_var g, ad_var *gradient)
{
    const ad__root_program *program = ad_object_data(call->object);
    const int n = program->n_captured;
    ad_var *given = ad_alloc((size_t)n + 1, sizeof *given), y = {call->tape, -1};
    if (given) {
        given[0] = z;
        if (n > 0) memcpy(given + 1, call->in + 1, (size_t)n * sizeof *given);
        y = ad__replay(program->image, program->input, n + 1, call->tape, given);
    } else {
        fail_memory(call->tape);
    }
    ad_free(given);
    if (!ad_is_valid(y)) return;
    gradient[0] = pull_back(program, y, z, g);
    ad__grad_held(y, ad_neg(gradient[0]), z, call->in + 1, program->n_captured, gradient + 1);
    for (int i = 1; i < call->n_in; i++) /* all of it is the first one's, where a value is captured twice */
        for (int j = 1; j < i; j++)
            if (call->in[i].id == call->in[j].id) gradient[i] = (ad_var){call->tape, -1};
}

/* ---- Recording ------------------------------------------------------------------------------------------------- */

static const ad__op_id op_of_kind[] = {[AD_ROOT_ELEMENTWISE] = AD_OP_root_elementwise,
                                       [AD_ROOT_TRIANGULAR] = AD_OP_root_triangular,
                                       [AD_ROOT_GENERAL] = AD_OP_root_general};

typedef ad_var recorder(void *context, ad_tape *inner, ad_var z, const ad_var *captured);

static bool check(ad_var x, const ad_var *captured, int n_captured, ad_root_kind kind, recorder *f)
{
    char text[128];
    if ((unsigned)kind > AD_ROOT_GENERAL)
        ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "root: there is no kind %d", (int)kind);
    else if (!f)
        ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "root: f is NULL");
    else if (n_captured < 0 || (n_captured > 0 && !captured))
        ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "root: captured is %s of %d values", captured ? "an array" : "NULL",
                     n_captured);
    else if (ad_is_valid(x) && ad_shape_of(x).rank != 1)
        ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "root: x has shape %s: takes (D); reshape it",
                     ad_shape_text(ad_shape_of(x), text));
    else
        return true;
    return false;
}

/* Are all of them values of x's tape? If not, ad_apply() will say which. */
static bool all_valid(const ad_var *in, int n_in)
{
    bool valid = true;
    for (int i = 0; i < n_in; i++) valid = valid && ad_is_valid(in[i]) && in[i].tape == in[0].tape;
    return valid;
}

/* The order as numbers; false, with an error, if it is none. */
static bool read_order(ad_var x, const size_t *order, double *number)
{
    const size_t n = ad_shape_size(ad_shape_of(x));
    for (size_t k = 0; k < n; k++) {
        number[k] = (double)(order ? order[k] : k);
        bool known = number[k] >= (double)n;
        for (size_t earlier = 0; earlier < k; earlier++) known |= number[earlier] == number[k];
        if (!known) continue;
        ad_tape_fail(x.tape, AD_ERROR_ARGUMENT, "root_triangular: order[%zu] is %.0f: expected each of 0 … %zu once", k,
                     number[k], n - 1);
        return false;
    }
    return true;
}

static ad_var apply(const ad_var *in, int n_in, ad_root_kind kind, const double *order,
                    ad_var (*f)(void *context, ad_tape *inner, ad_var z, const ad_var *captured), void *context)
{
    ad_tape *tape = in[0].tape;
    const ad_op *op = ad__builtin(op_of_kind[kind]);
    ad__root_program *program = program_new(in[0], in + 1, n_in - 1, kind);
    ad_object *object = program ? ad_object_new(program, destroy) : NULL;
    if (!object) {
        if (program) destroy(program);
        return fail_memory(tape);
    }
    record(program, f, context);
    const ad_error *fault = ad_tape_error(program->tape);
    if (fault) ad_tape_fail(tape, fault->status, "%s: %s", op->name, fault->message);
    ad_var z = ad_apply_object(op, in, n_in, order, order ? ad_shape_size(ad_shape_of(in[0])) : 0, object, tape);
    ad_object_release(object);
    return z;
}

ad_var ad_root(ad_var x, const ad_var *captured, int n_captured, ad_root_kind kind, const size_t *order,
               ad_var (*f)(void *context, ad_tape *inner, ad_var z, const ad_var *captured), void *context)
{
    const ad_var failed = {x.tape, -1};
    if ((x.tape && ad_tape_error(x.tape)) || !check(x, captured, n_captured, kind, f)) return failed;
    const int n_in = 1 + n_captured;
    ad_var *in = ad_alloc((size_t)n_in, sizeof *in);
    double *number = ad_alloc(ad_shape_size(ad_shape_of(x)), sizeof *number);
    ad_var z = failed;
    if (!in || !number) {
        z = fail_memory(x.tape);
    } else {
        in[0] = x;
        if (n_captured > 0) memcpy(in + 1, captured, (size_t)n_captured * sizeof *in);
        if (!all_valid(in, n_in))
            z = ad_apply(ad__builtin(AD_OP_root_general), in, n_in, NULL, 0, x.tape);
        else if (kind != AD_ROOT_TRIANGULAR)
            z = apply(in, n_in, kind, NULL, f, context);
        else if (read_order(x, order, number))
            z = apply(in, n_in, kind, number, f, context);
    }
    ad_free(number);
    ad_free(in);
    return z;
}
