/* What a tape is made of. */
#ifndef WEIR_AUTODIFF_TAPE_NODE_H
#define WEIR_AUTODIFF_TAPE_NODE_H

#include "base/arena.h"

#include <weir/op.h>

typedef struct {
    const ad_op *op;
    const int32_t *in; /* n_in ids, all smaller than this node's own */
    int n_in;
    bool per_row;
    ad_shape shape;
    const double *attribute; /* constants: their values */
    size_t n_attribute;
    ad_object *object; /* or NULL */
    const char *name;  /* of an input or parameter, else NULL */
    const char *scope; /* "maf[0]/net"; "" outside any */
    size_t visit;      /* where the innermost sweep that is under way may have it: see grad.c */
} ad__node;

struct ad_tape {
    ad__node *node;
    size_t count, capacity;
    uint32_t serial; /* no other tape has it */
    ad_error error;
    char scope[256];
    unsigned stream_shift; /* ad_tape_shift_streams() */
    ad__arena *arena; /* what nodes point to */
};

/* A node's line in a print-out, without its end. */
void ad__node_print(const ad__node *node, size_t id, FILE *to);

static inline ad_var ad__var(ad_tape *tape, int32_t id)
{
    return (ad_var){tape, id, tape->serial};
}

/* Is v a value of this tape? */
static inline bool ad__is_of(ad_var v, const ad_tape *tape)
{
    return v.tape == tape && v.serial == tape->serial && v.id >= 0 && (size_t)v.id < tape->count;
}

static inline const ad__node *ad__node_of(ad_var v)
{
    return &v.tape->node[v.id];
}

#endif
