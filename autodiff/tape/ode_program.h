/* The inner programs of an initial value problem, which are recorded here and run by ops/ode.c.
 *
 * Time is scaled to s from 0 to 1: dz/ds = (t1 - t0) f(t0 + s (t1 - t0), z), so that both ends are values like others
 * that f captures, and a step is a function of s, h, z and these alone. */
#ifndef WEIR_AUTODIFF_TAPE_ODE_PROGRAM_H
#define WEIR_AUTODIFF_TAPE_ODE_PROGRAM_H

#include "tape/runge_kutta.h"

#include <weir/op.h>

enum { AD__ODE_NEXT, AD__ODE_NEXT_RATE, AD__ODE_ERROR, AD__ODE_RESULTS = AD__ODE_ERROR + 2 };

/* In a dtype: its tolerances, and a step by the method that suits them. */
typedef struct {
    double rtol, atol;
    const ad__runge_kutta *method;
    ad_var result[AD__ODE_RESULTS]; /* (D) and per-row; the second error may be invalid */
} ad__ode_steps;

/* What the op `ode` holds. */
typedef struct {
    ad_tape *tape;
    int n_input; /* s, z, and what stands in for t0, t1 and for what f captures: */
    ad_var *input;
    ad_var h, first_rate; /* inputs of a step beside these */
    ad_var rate;          /* dz/ds */
    size_t max_steps;
    ad__ode_steps step[2]; /* by dtype */
} ad__ode_program;

/* What the gradient's ops hold: a step's gradients, given its result's. */
typedef struct {
    ad_object *object;              /* of the solution, to which this is a reference: */
    const ad__ode_program *forward; /* its data */
    ad_tape *tape;
    ad_var *input; /* as forward->input */
    ad_var h, g;
    bool of_rows;      /* λ, and of what is per-row; else of what is shared, summed over rows */
    int n_captured;    /* whose gradients are wanted: */
    int *captured;     /* their numbers, of input */
    size_t *at;        /* where each begins in the op's result, and its end */
    ad_var *result[2]; /* by dtype: the gradient with respect to z, then these */
} ad__ode_pull;

/* As ad_op.vjp, of `ode`. Both of the ops that it records solve again: from what they keep of each row's steps they go
 * back through them. */
void ad__ode_vjp(const ad_call *call, ad_var z, ad_var g, ad_var *gradient);
/* Of these: there are no second derivatives. */
void ad__ode_pull_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient);

#endif
