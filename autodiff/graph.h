/* Walking a tape: what was recorded, node by node, for whoever turns it into something else: another format, another
 * compiler, a picture.
 *
 *     bool *needed = calloc(ad_tape_size(tape), sizeof *needed);
 *     ad_needed(&y, 1, needed, &error);
 *     ad_node node;
 *     for (size_t id = 0; ad_tape_node(tape, id, &node); id++)
 *         if (needed[id]) printf("%zu: %s of %d values\n", id, node.op->name, node.n_in);
 *
 * A node's number is its var's id, and its arguments have smaller numbers: in this order each comes after all that it
 * is computed from. All of this reads the tape, and may be called from several threads while nobody records on it. */
#ifndef WEIR_GRAPH_H
#define WEIR_GRAPH_H

#include <weir/op.h>

WEIR_BEGIN_DECLARATIONS

/* One recorded value. What it points to lives as long as the tape.
 *
 * The attribute's numbers are those of the op. Of Weir's own they are, where there are any:
 *
 *   constant                        the values
 *   normal, uniform                 the stream, then the extents
 *   inside                          low, high
 *   leaky_relu, gate                the slope; gate(g, y) is y > 0 ? g : slope g, a rectifier's gradient
 *   sum, max, logsumexp             the axis, which disappears
 *   cumsum                          the axis; 1 to sum from its end
 *   reshape, broadcast              the extents
 *   slice                           the axis, start, stop
 *   pad                             the axis, start, size: the argument at [start, …) of `size` zeros
 *   concat                          the axis
 *   gather                          the indices
 *   scatter                         the size, then the indices
 *   solve_triangular                the ad_triangle
 *   conv2d                          1: the weight's outputs and inputs are exchanged, and its taps are reversed
 *   matmul                          as AD_MATMUL_… numbers them
 *   polygamma, log_ndtr             the order; of log_ndtr, that of its derivative */
typedef struct {
    const ad_op *op;
    const int32_t *in; /* ids of its arguments */
    int n_in;
    ad_shape shape; /* of one row, where it is per-row */
    bool per_row;
    const double *attribute;
    size_t n_attribute;
    const ad_object *object; /* or NULL */
    const char *name;        /* of an input or parameter; "" for anything else */
    const char *scope;       /* "maf[0]/net"; "" outside any */
} ad_node;

/* The attribute of a matrix product of stored A and B: whether each comes transposed; which matrix has known zeros
 * (ad_blocks), A as it is multiplied, after it is transposed, or the result; unless that is AD_MATMUL_NOT_BLOCKED, the
 * number of blocks, and from AD_MATMUL_BLOCKS on all their row_end, all column_begin and all column_end. */
enum { AD_MATMUL_TRANSPOSE_A, AD_MATMUL_TRANSPOSE_B, AD_MATMUL_BLOCKED, AD_MATMUL_BLOCK_COUNT, AD_MATMUL_BLOCKS };
enum { AD_MATMUL_NOT_BLOCKED, AD_MATMUL_BLOCKED_A, AD_MATMUL_BLOCKED_C };

/* How many nodes there are, numbered from 0; 0 for NULL. */
size_t ad_tape_size(const ad_tape *tape);
/* Node number id into *node; false, with *node zeroed, past the last and for NULL. */
bool ad_tape_node(const ad_tape *tape, size_t id, ad_node *node);
/* Of all nodes of the outputs' tape, ad_tape_size() of them: which the outputs depend on, themselves among them.
 * AD_ERROR_ARGUMENT where an output is no value of the first one's tape; what failed in recording is reported. */
ad_status ad_needed(const ad_var *outputs, int count, bool *needed, ad_error *error);

WEIR_END_DECLARATIONS

#endif
