/* An ONNX graph that is being written, from what a tape holds.
 *
 * ONNX has an axis for rows, the first, which a tape leaves out: a per-row value of shape (3,4) is one of (batch,3,4).
 * What is shared doesn't change after a fit: it is computed once, by a plan, and its numbers are written. So only ops
 * on per-row values need a counterpart in ONNX. */
#ifndef WEIR_MODELS_ONNX_GRAPH_H
#define WEIR_MODELS_ONNX_GRAPH_H

#include "onnx/protobuf.h"

#include <weir/autodiff.h>

/* A value of the ONNX graph, by its number; below 0: none, since something has failed. */
typedef int nf__value;

/* In the numbers of ONNX's TensorProto.DataType. */
typedef enum { NF__ONNX_FLOAT = 1, NF__ONNX_INT64 = 7, NF__ONNX_BOOL = 9, NF__ONNX_DOUBLE = 11 } nf__onnx_type;

/* A shared value that per-row ones are computed from. */
typedef struct {
    ad_var var;
    nf__value value;
} nf__shared;

typedef struct {
    ad_tape *tape;
    ad_dtype dtype;
    ad_var any;                                       /* a value of the tape */
    nf__message nodes, initializers, inputs, outputs; /* fields of a GraphProto */
    nf__value next;
    nf__value *value; /* of each node of the tape that was written, else -1 */
    size_t walked;    /* nodes of the tape when that began */
    nf__shared *shared;
    size_t n_shared, shared_capacity;
    nf__value rows;    /* (1): how many rows there are; -1: nothing asked yet */
    const char *scope; /* of the node that is written */
    unsigned sources;  /* of noise, so far */
    ad_error *error;   /* the first one that there was; OK: none */
} nf__onnx;

/* An attribute of an ONNX node: an integer, or where `many` isn't NULL, so many. */
typedef struct {
    const char *name;
    int64_t one;
    const int64_t *many;
    size_t count;
} nf__onnx_attribute;

/* Append a node of this type; attributes are ended by {0}, NULL for none. */
nf__value nf__onnx_node(nf__onnx *g, const char *type, const nf__value *in, int n_in,
                        const nf__onnx_attribute *attribute);
#define NF__NODE(g, type, attribute, ...)                                                                              \
    nf__onnx_node(g, type, (nf__value[]){__VA_ARGS__}, (int)(sizeof((nf__value[]){__VA_ARGS__}) / sizeof(nf__value)),  \
                  attribute)
#define NF__ATTRIBUTES(...) ((const nf__onnx_attribute[]){__VA_ARGS__, {0}})

/* Constants: integers (count), or () for a count of 0 and one number; and a number of a type, of shape (). */
nf__value nf__onnx_integers(nf__onnx *g, const int64_t *values, size_t count);
nf__value nf__onnx_number(nf__onnx *g, nf__onnx_type type, double value);
/* The graph's own numbers: those of the flow's dtype. */
nf__onnx_type nf__onnx_type_of(const nf__onnx *g);
nf__value nf__onnx_cast(nf__onnx *g, nf__value value, nf__onnx_type type);

/* Declare an input or an output (batch, shape), of a type, and what it is, in words. An output takes the value. */
nf__value nf__onnx_input(nf__onnx *g, const char *name, nf__onnx_type type, ad_shape shape, const char *what);
void nf__onnx_output(nf__onnx *g, const char *name, nf__onnx_type type, ad_shape shape, nf__value value,
                     const char *what);

/* The value of a var of the tape: of a node that was written, or shared. */
nf__value nf__onnx_shared(nf__onnx *g, ad_var var);
nf__value nf__onnx_operand(nf__onnx *g, int32_t id);
/* The same, with axes of extent 1 behind the rows, so that it broadcasts against per-row values of this rank. */
nf__value nf__onnx_aligned(nf__onnx *g, int32_t id, int rank);
nf__value nf__onnx_reshape(nf__onnx *g, nf__value value, ad_shape shape); /* of each row */
/* A node's value for each row, also if it is shared. */
nf__value nf__onnx_expanded(nf__onnx *g, int32_t id, ad_shape shape);
ad_var nf__onnx_var(const nf__onnx *g, int32_t id);

/* Write a per-row node of the tape; AD_ERROR_ARGUMENT by its op and scope where ONNX has no counterpart. */
void nf__onnx_write(nf__onnx *g, size_t id, const ad_node *node);
nf__value nf__onnx_matmul(nf__onnx *g, const ad_node *node);
nf__value nf__onnx_solve(nf__onnx *g, const ad_node *node);
nf__value nf__onnx_conv2d(nf__onnx *g, const ad_node *node);
/* Functions that ONNX lacks, or has less exact, of a type. */
nf__value nf__onnx_expm1(nf__onnx *g, nf__onnx_type type, nf__value x);
nf__value nf__onnx_softplus(nf__onnx *g, nf__onnx_type type, nf__value x);
nf__value nf__onnx_refuse(nf__onnx *g, const ad_node *node, const char *why);

/* Evaluate what is shared, by a plan that `bind` binds parameters of, and write it. */
void nf__onnx_write_shared(nf__onnx *g, void (*bind)(const void *context, ad_plan *plan), const void *context);
void nf__onnx_free(nf__onnx *g);

#endif
