/* The inner programs of an initial value problem, which are recorded here and run by ops/ode.c.
 *
 * Time is scaled to s from 0 to 1: dz/ds = (t1 - t0) f(t0 + s (t1 - t0), z), so that both ends are values like others
 * that f captures, and a step is a function of s, h, z and these alone. */
#ifndef WEIR_AUTODIFF_TAPE_ODE_PROGRAM_H
#define WEIR_AUTODIFF_TAPE_ODE_PROGRAM_H

#include "tape/runge_kutta.h"

#include <weir/op.h>

#include <stdatomic.h>

enum { AD__ODE_NEXT, AD__ODE_NEXT_RATE, AD__ODE_ERROR, AD__ODE_RESULTS = AD__ODE_ERROR + 2 };

/* In a dtype: its tolerances, and a step by the method that suits them. */
typedef struct {
    double rtol, atol;
    const ad__runge_kutta *method;
    ad_var result[AD__ODE_RESULTS]; /* (D) and per-row; the second error may be invalid */
} ad__ode_steps;

/* The steps of what a thread has solved last, of each row, for the gradient to go back through. */
typedef struct ad__ode_trail {
    struct ad__ode_trail *next;
    const void *thread; /* whose it is: no other one reads or writes what follows */
    size_t rows;        /* that there is room for */
    void **begun;       /* of step i of each row: s, h, z; [rows][2 + D] numbers */
    size_t n_begun;
    uint32_t *taken; /* steps of each row */
    bool *failed;
    char *problem; /* what was solved: the op's arguments, on a tile of `solved` rows; 0: nothing is known */
    size_t problem_bytes, solved;
} ad__ode_trail;

/* What the op `ode` holds. */
typedef struct {
    ad_tape *tape;
    int n_input; /* s, z, and what stands in for t0, t1 and for what f captures: */
    ad_var *input;
    ad_var h, first_rate; /* inputs of a step beside these */
    ad_var rate;          /* dz/ds */
    size_t max_steps;
    ad__ode_steps step[2];          /* by dtype */
    _Atomic(ad__ode_trail *) trail; /* of each thread, newest first */
    atomic_bool keeps;              /* there are gradients, so solutions are to leave their steps there */
} ad__ode_program;

/* What the gradient's ops hold: a step's gradients, given its result's. */
typedef struct {
    ad_object *object;        /* of the solution, to which this is a reference: */
    ad__ode_program *forward; /* its data */
    ad_tape *tape;
    ad_var *input; /* as forward->input */
    ad_var h, g;
    bool of_rows;      /* λ, and of what is per-row; else of what is shared, summed over rows */
    int n_captured;    /* whose gradients are wanted: */
    int *captured;     /* their numbers, of input */
    size_t *at;        /* where each begins in the op's result, and its end */
    ad_var *result[2]; /* by dtype: the gradient with respect to z, then these */
} ad__ode_pull;

/* As ad_op.vjp, of `ode`. The ops that it records go back through the steps that the solution has left, and solve again
 * where those are of other rows by now. */
void ad__ode_vjp(const ad_call *call, ad_var z, ad_var g, ad_var *gradient);
/* Of these: there are no second derivatives. */
void ad__ode_pull_vjp(const ad_call *call, ad_var y, ad_var g, ad_var *gradient);

#endif
