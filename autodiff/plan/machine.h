/* Machine code of a list of elements. */
#ifndef WEIR_AUTODIFF_PLAN_MACHINE_H
#define WEIR_AUTODIFF_PLAN_MACHINE_H

#include "base/assembler.h"
#include "plan/elements.h"

/* A loop over the rows of a tile, by vectors of so many numbers: 16 floats with AVX-512. Its workspace has, from these
 * bytes on: the sums over rows, of as many doubles each, the scalars, and what doesn't fit the registers. */
typedef struct {
    size_t length, element_bytes;
    size_t scalars, spills, bytes, constants_bytes, set_aside;
    size_t operations; /* that it takes in each round */
} ad__loop_frame;

/* What the code is called as: pointers to the numbers; the workspace, 64-byte aligned; the bytes of a row of numbers,
 * whole vectors; the constants; and how many turns it takes, at least one, between which pointer i moves on by step[i]
 * bytes. The sums of each turn lie behind those of the one before, frame.scalars bytes apart. */
typedef void ad__loop_code(void *pointer[], void *workspace, size_t bytes, const void *constants, size_t turns,
                           const size_t step[]);

/* Append the code. `turns`: it may take several, and sets sums to zero itself; else its caller does. Scalars are
 * pointers[n_loads], …, n_scalars of them. `rows`: else all is shared, and what is stored is one number. Constants (of
 * the dtype) go to *constants, which is to be freed. False where memory is out. */
bool ad__assemble_elements(ad__assembler *to, const ad__elements *list, size_t n_loads, size_t n_scalars, size_t n_sums,
                           bool rows, bool turns, void **constants, ad__loop_frame *frame);

#endif
