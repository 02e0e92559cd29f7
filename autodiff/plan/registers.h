/* Which registers hold which numbers while machine code is made. They are given as Belady (1966) keeps pages: where
 * none is free, the number that is needed last makes room. What came from memory is read again when it is needed; what
 * was computed is put aside once. */
#ifndef WEIR_AUTODIFF_PLAN_REGISTERS_H
#define WEIR_AUTODIFF_PLAN_REGISTERS_H

#include "base/assembler.h"
#include "plan/elements.h"

enum { AD_NONE = -1, AD_MOST_REGISTERS = 32, AD_KEPT_POINTERS = 9 };

/* General registers that nothing else uses, where no function is called: they may keep pointers. */
extern const int ad__free_general[AD_KEPT_POINTERS];

typedef struct {
    int32_t reg, slot;   /* where it is kept: a register, a place in memory; or AD_NONE */
    int32_t constant;    /* its number */
    size_t use, end_use; /* of machine.use: those that are to come */
} ad__value;

typedef struct {
    ad__assembler *out;
    const ad__elements *list;
    ad__value *value;
    int32_t *order, *use; /* positions in the order at which values are needed */
    size_t n_order;
    ad__element held[AD_MOST_REGISTERS]; /* what a register holds, or AD_NONE */
    int registers;
    uint32_t locked; /* registers of the operation at hand */
    int32_t *free_slot;
    size_t n_free_slot, n_slot;
    int32_t freed[4]; /* slots, by the operation at hand */
    size_t n_freed;
    size_t vectors; /* of rows, that a round of the loop takes */
    size_t n_constants, n_loads, vector_bytes, element_bytes, scalars, spills;
    size_t scalar_bytes; /* of a scalar or a constant in memory: by VEX all of a vector is the same number */
    bool rows, keeps_pointers;
} ad__machine;

static inline const ad__element_operation *ad__operation_of(const ad__machine *m, ad__element id)
{
    return &m->list->operation[id];
}

/* To begin with, when the order is known: where each value is used. */
void ad__find_uses(ad__machine *m);
/* A register for something new; it is locked for the operation at hand. */
int ad__take_register(ad__machine *m);
/* From now on it holds this value. */
void ad__hold(ad__machine *m, ad__element id, int reg);
/* Read a value that is in no register. */
void ad__fetch_into(const ad__machine *m, ad__element id, int reg);
/* The register that holds a value, which is fetched if it must be; locked. */
int ad__fetch(ad__machine *m, ad__element id);
/* The last operand of an operation: in memory where it is needed just here. */
ad__location ad__last_operand(ad__machine *m, ad__element id);
/* After the operation at hand used its arguments: free what nothing else needs. */
void ad__let_go(ad__machine *m, const ad__element_operation *operation);
/* Put what was computed into memory, unless it is there; and give up a value's register. */
void ad__store_aside(ad__machine *m, ad__element id);
void ad__leave_register(ad__machine *m, ad__element id);
/* Where a pointer's numbers are, of one of the vectors at hand. */
ad__location ad__row_at(const ad__machine *m, size_t pointer, size_t vector);

#endif
