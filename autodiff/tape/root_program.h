/* The inner program of a root, which is recorded here and run by ops/root.c. */
#ifndef WEIR_AUTODIFF_TAPE_ROOT_PROGRAM_H
#define WEIR_AUTODIFF_TAPE_ROOT_PROGRAM_H

#include <weir/op.h>

/* What the op's object holds: f on a tape of its own. */
typedef struct {
    ad_tape *tape;
    ad_var x, z; /* inputs */
    int n_captured;
    ad_var *input;          /* z, and behind it: */
    const ad_var *captured; /* inputs and parameters, in place of the outer tape's values */
    ad_root_kind kind;
    ad_var image;     /* f(z) */
    int n_result;     /* 1, or 2 of the general kind */
    ad_var result[2]; /* f(z) - x, and Newton's step, both (D) and per-row */
} ad__root_program;

/* The implicit function theorem: with J = df/dz at the root, w = J⁻ᵀ g is x's gradient and -(df/dθ)ᵀ w that of what f
 * captured. f is recorded again, at z, on the outer tape, so that gradients of gradients are exact too. */
void ad__root_vjp(const ad_call *call, ad_var z, ad_var g, ad_var *gradient);

#endif
