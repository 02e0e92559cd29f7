/* Recording an initial value problem, and its gradient: f goes on a tape of its own, from which steps are recorded. */
#include "tape/ode_program.h"

#include "base/arena.h"
#include "tape/builtin.h"
#include "tape/inner.h"
#include "tape/node.h"
#include "tape/record.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

static ad_var fail_memory(ad_tape *tape)
{
    ad_tape_fail(tape, AD_ERROR_MEMORY, "out of memory while recording a differential equation");
    return (ad_var){tape, -1};
}

/* ---- The programs ----------------------------------------------------------------------------------------------- */

static void free_trail(ad__ode_trail *trail)
{
    for (size_t i = 0; i < trail->n_begun; i++) ad_free(trail->begun[i]);
    ad_free(trail->begun);
    ad_free(trail->taken);
    ad_free(trail->failed);
    ad_free(trail->problem);
    ad_free(trail);
}

static void destroy(void *data)
{
    ad__ode_program *program = data;
    for (ad__ode_trail *trail = program->trail, *next; trail; trail = next) {
        next = trail->next;
        free_trail(trail);
    }
    ad_tape_free(program->tape);
    ad_free(program->input);
    ad_free(program);
}

/* Tolerances below the rounding of a step are none. */
static void choose_method(ad__ode_steps *steps, ad_dtype dtype, const ad_ode_options *options)
{
    const bool narrow = dtype == AD_F32;
    const double least = narrow ? 1e-6 : 1e-14, usual = narrow ? 1e-5 : 1e-12, fine = 1e-7;
    steps->rtol = fmax(options->rtol > 0 ? options->rtol : usual, least);
    steps->atol = options->atol > 0 ? options->atol : steps->rtol;
    steps->method = steps->rtol < fine ? &ad__dormand_prince_8 : &ad__dormand_prince_5;
}

/* in: z0, t0, t1, and what f captures. */
static ad__ode_program *program_new(const ad_var *in, int n_in, const ad_ode_options *options)
{
    ad__ode_program *program = ad_alloc(1, sizeof *program);
    if (!program) return NULL;
    program->n_input = n_in + 1;
    program->tape = ad_tape_new();
    program->input = ad_alloc((size_t)program->n_input, sizeof *program->input);
    if (!program->tape || !program->input) {
        destroy(program);
        return NULL;
    }
    const ad_shape shape = ad_shape_of(in[0]);
    program->input[0] = ad_input(program->tape, "s", AD_SCALAR);
    program->input[1] = ad_input(program->tape, "z", shape);
    program->h = ad_input(program->tape, "h", AD_SCALAR);
    program->first_rate = ad_input(program->tape, "rate", shape);
    for (int i = 1; i < n_in; i++) program->input[i + 1] = ad__stand_in(program->tape, in[i]);
    program->max_steps = options->max_steps ? options->max_steps : 1000;
    for (ad_dtype dtype = AD_F32; dtype <= AD_F64; dtype++) choose_method(&program->step[dtype], dtype, options);
    return program;
}

typedef ad_var recorder(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured);

static void record_step(const ad__ode_program *program, ad__ode_steps *steps, ad_var *given)
{
    const ad__runge_kutta *method = steps->method;
    const ad__ode_function f = {program->rate, program->input, program->n_input};
    ad_var s = program->input[0], z = program->input[1], h = program->h, rate[AD__MOST_STAGES + 1];
    rate[0] = program->first_rate;
    ad_var next = ad__ode_step(method, &f, s, h, z, given, rate);
    rate[method->stages] = ad__ode_rate(&f, ad_add(s, h), next, given);
    steps->result[AD__ODE_NEXT] = next;
    steps->result[AD__ODE_NEXT_RATE] = rate[method->stages];
    for (int i = 0; i < 2; i++)
        steps->result[AD__ODE_ERROR + i] = i < method->n_error
                                               ? ad__ode_combine(method->error[i], method->stages + 1, rate, h)
                                               : (ad_var){program->tape, -1};
}

static void record(ad__ode_program *program, recorder *f, void *context)
{
    ad_tape *tape = program->tape;
    ad_var *input = program->input, s = input[0], z = input[1], t0 = input[2], span = ad_sub(input[3], t0);
    ad_var value = f(context, tape, ad_add(t0, ad_mul(s, span)), z, input + 4);
    if (!ad__check_inner_result(value, tape, ad_shape_of(z))) return;
    program->rate = ad_to_rows(ad_mul(value, span));
    if (!ad_tape_error(tape)) ad__check_inner_ops(program->rate);
    ad_var *given = ad_alloc((size_t)program->n_input, sizeof *given);
    if (!given) {
        fail_memory(tape);
        return;
    }
    memcpy(given, input, (size_t)program->n_input * sizeof *given);
    ad__ode_steps *narrow = &program->step[AD_F32], *wide = &program->step[AD_F64];
    record_step(program, narrow, given);
    if (wide->method == narrow->method)
        memcpy(wide->result, narrow->result, sizeof wide->result);
    else
        record_step(program, wide, given);
    ad_free(given);
}

/* ---- Gradients -------------------------------------------------------------------------------------------------- */

static void destroy_pull(void *data)
{
    ad__ode_pull *pull = data;
    ad_tape_free(pull->tape);
    ad_free(pull->result[AD_F32]);
    if (pull->result[AD_F64] != pull->result[AD_F32]) ad_free(pull->result[AD_F64]);
    ad_free(pull->at);
    ad_free(pull->captured);
    ad_free(pull->input);
    ad_object_release(pull->object);
    ad_free(pull);
}

/* Constants have no gradient. */
static bool is_wanted(ad_var value, bool of_rows)
{
    return ad_is_per_row(value) == of_rows && ad__node_of(value)->op != ad__builtin(AD_OP_constant);
}

static ad__ode_pull *pull_new(const ad_call *call, bool of_rows)
{
    ad__ode_pull *pull = ad_alloc(1, sizeof *pull);
    if (!pull) return NULL;
    ad__ode_program *forward = ad_object_data(call->object);
    const size_t n = (size_t)forward->n_input;
    ad__object_retain(call->object);
    pull->object = call->object;
    pull->forward = forward;
    pull->of_rows = of_rows;
    pull->tape = ad_tape_new();
    pull->input = ad_alloc(n, sizeof *pull->input);
    pull->captured = ad_alloc(n, sizeof *pull->captured);
    pull->at = ad_alloc(n + 1, sizeof *pull->at);
    if (!pull->tape || !pull->input || !pull->captured || !pull->at) {
        destroy_pull(pull);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) pull->input[i] = ad__stand_in(pull->tape, forward->input[i]);
    pull->h = ad__stand_in(pull->tape, forward->h);
    pull->g = ad_input(pull->tape, "gradient", ad_shape_of(forward->input[1]));
    size_t at = of_rows ? ad_shape_size(ad_shape_of(forward->input[1])) : 0;
    for (int i = 1; i < call->n_in; i++) {
        if (!is_wanted(call->in[i], of_rows)) continue;
        pull->captured[pull->n_captured] = i + 1;
        pull->at[pull->n_captured++] = at;
        at += ad_shape_size(ad_shape_of(call->in[i]));
    }
    pull->at[pull->n_captured] = at;
    return pull;
}

static ad_var *record_pull(ad__ode_pull *pull, const ad__runge_kutta *method)
{
    const ad__ode_program *forward = pull->forward;
    const size_t count = (size_t)pull->n_captured + 1;
    const ad__ode_function f = {forward->rate, forward->input, forward->n_input};
    ad_var *result = ad_alloc(count, sizeof *result), *wrt = ad_alloc(count, sizeof *wrt);
    ad_var *given = ad_alloc((size_t)forward->n_input, sizeof *given), rate[AD__MOST_STAGES + 1];
    if (result && wrt && given) {
        memcpy(given, pull->input, (size_t)forward->n_input * sizeof *given);
        rate[0] = (ad_var){pull->tape, -1};
        wrt[0] = pull->input[1];
        for (int i = 0; i < pull->n_captured; i++) wrt[i + 1] = pull->input[pull->captured[i]];
        ad_var next = ad__ode_step(method, &f, pull->input[0], pull->h, pull->input[1], given, rate);
        ad__grad_held(next, pull->g, (ad_var){pull->tape, -1}, wrt, (int)count, result);
    } else {
        fail_memory(pull->tape);
    }
    ad_free(given);
    ad_free(wrt);
    return result;
}

/* One of the two ops; invalid where the tape fails. */
static ad_var apply_pull(const ad_call *call, ad__ode_pull *pull, ad_var g)
{
    const ad__ode_steps *step = pull->forward->step;
    const ad__op_id id = pull->of_rows ? AD_OP_ode_rows : AD_OP_ode_shared;
    pull->result[AD_F32] = record_pull(pull, step[AD_F32].method);
    pull->result[AD_F64] =
        step[AD_F64].method == step[AD_F32].method ? pull->result[AD_F32] : record_pull(pull, step[AD_F64].method);
    const ad_error *fault = ad_tape_error(pull->tape);
    if (fault) ad_tape_fail(call->tape, fault->status, "gradient of an ode: %s", fault->message);
    const size_t n_in = (size_t)call->n_in;
    ad_var *in = ad_alloc(n_in + 1, sizeof *in), result = {call->tape, -1};
    ad_object *object = ad_object_new(pull, destroy_pull);
    if (in && object) {
        in[0] = g;
        memcpy(in + 1, call->in, n_in * sizeof *in);
        result = ad_apply_object(ad__builtin(id), in, call->n_in + 1, NULL, 0, object, call->tape);
    } else {
        fail_memory(call->tape);
    }
    if (object)
        ad_object_release(object);
    else
        destroy_pull(pull);
    ad_free(in);
    return result;
}

void ad__ode_vjp(const ad_call *call, ad_var z, ad_var g, ad_var *gradient)
{
    for (int of_rows = 0; of_rows < 2; of_rows++) {
        ad__ode_pull *pull = pull_new(call, of_rows);
        if (!pull) {
            fail_memory(call->tape);
            return;
        }
        const int n = pull->n_captured;
        if (!of_rows && n == 0) {
            destroy_pull(pull);
            continue;
        }
        /* What the op owns from now on; it is destroyed where the tape has failed. */
        ad_var all = apply_pull(call, pull, g);
        if (!ad_is_valid(all)) return;
        if (of_rows) gradient[0] = ad_slice(all, 0, 0, ad_shape_size(ad_shape_of(z)));
        for (int i = 0; i < n; i++)
            gradient[pull->captured[i] - 1] = ad_reshape(ad_slice(all, 0, pull->at[i], pull->at[i + 1]),
                                                         ad_shape_of(call->in[pull->captured[i] - 1]));
    }
}

void ad__ode_pull_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient)
{
    (void)y, (void)g, (void)gradient;
    ad_tape_fail(call->tape, AD_ERROR_ARGUMENT,
                 "ode: there is no second derivative of a solution: record what you differentiate twice without one");
}

/* ---- Recording ------------------------------------------------------------------------------------------------- */

static bool check(ad_var z0, const ad_var *captured, int n_captured, const ad_ode_options *options, recorder *f)
{
    char text[128];
    const double rtol = options->rtol, atol = options->atol;
    if (!f)
        ad_tape_fail(z0.tape, AD_ERROR_ARGUMENT, "ode: f is NULL");
    else if (n_captured < 0 || (n_captured > 0 && !captured))
        ad_tape_fail(z0.tape, AD_ERROR_ARGUMENT, "ode: captured is %s of %d values", captured ? "an array" : "NULL",
                     n_captured);
    else if (!(rtol >= 0 && rtol < 1) || !(atol >= 0 && isfinite(atol)))
        ad_tape_fail(z0.tape, AD_ERROR_ARGUMENT,
                     "ode: rtol is %g and atol %g: expected 0 or more, and rtol less than 1", rtol, atol);
    else if (ad_is_valid(z0) && ad_shape_of(z0).rank != 1)
        ad_tape_fail(z0.tape, AD_ERROR_ARGUMENT, "ode: z0 has shape %s: takes (D); reshape it",
                     ad_shape_text(ad_shape_of(z0), text));
    else
        return true;
    return false;
}

/* in: z0, t0, t1 and the rest, which ad_apply() looks at where one is invalid. */
static ad_var apply(const ad_var *in, int n_in, const ad_ode_options *options, recorder *f, void *context)
{
    ad_tape *tape = in[0].tape;
    const ad_op *op = ad__builtin(AD_OP_ode);
    char text[128];
    for (int i = 0; i < n_in; i++)
        if (!ad_is_valid(in[i]) || in[i].tape != tape) return ad_apply(op, in, n_in, NULL, 0, tape);
    for (int i = 1; i < 3; i++) {
        if (ad_shape_of(in[i]).rank == 0) continue;
        ad_tape_fail(tape, AD_ERROR_ARGUMENT, "ode: t%d has shape %s: takes ()", i - 1,
                     ad_shape_text(ad_shape_of(in[i]), text));
        return (ad_var){tape, -1};
    }
    ad__ode_program *program = program_new(in, n_in, options);
    ad_object *object = program ? ad_object_new(program, destroy) : NULL;
    if (!object) {
        if (program) destroy(program);
        return fail_memory(tape);
    }
    record(program, f, context);
    const ad_error *fault = ad_tape_error(program->tape);
    if (fault) ad_tape_fail(tape, fault->status, "ode: %s", fault->message);
    ad_var z = ad_apply_object(op, in, n_in, NULL, 0, object, tape);
    ad_object_release(object);
    return z;
}

ad_var ad_ode(ad_var z0, ad_var t0, ad_var t1, const ad_var *captured, int n_captured, const ad_ode_options *options,
              ad_var (*f)(void *context, ad_tape *inner, ad_var t, ad_var z, const ad_var *captured), void *context)
{
    static const ad_ode_options defaults = {0};
    if (!options) options = &defaults;
    const ad_var failed = {z0.tape, -1};
    if ((z0.tape && ad_tape_error(z0.tape)) || !check(z0, captured, n_captured, options, f)) return failed;
    const int n_in = 3 + n_captured;
    ad_var *in = ad_alloc((size_t)n_in, sizeof *in);
    if (!in) return fail_memory(z0.tape);
    in[0] = ad_to_rows(z0);
    in[1] = t0;
    in[2] = t1;
    if (n_captured > 0) memcpy(in + 3, captured, (size_t)n_captured * sizeof *in);
    ad_var z = apply(in, n_in, options, f, context);
    ad_free(in);
    return z;
}
