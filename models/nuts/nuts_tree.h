/* The trees of NUTS: when does a trajectory turn back? */
#ifndef WEIR_MODELS_NUTS_NUTS_TREE_H
#define WEIR_MODELS_NUTS_NUTS_TREE_H

#include <stdbool.h>
#include <stddef.h>

/* Consecutive states of a trajectory: momentum p and velocity v of the first and of the last in the direction of
 * travel, and the sum of the momenta of all. */
typedef struct {
    const double *p_first, *v_first, *p_last, *v_last, *p_sum;
    size_t states;
} nf__subtree;

/* Whether a, followed by b, makes a U-turn: (Betancourt 2017, appendix A.4.2) the sum of momenta along the joint
 * trajectory points backwards at either end of it; or it does so along a and the first state of b, or along the last of
 * a and b: what the joint one may miss (Stan 2.21). */
bool nf__subtrees_turn(const nf__subtree *a, const nf__subtree *b, size_t dim);

/* The subtrees of a tree that grows state by state: like the binary digits of their number (Phan, Pradhan & Jankowiak
 * 2019, "Composable effects for flexible and accelerated probabilistic programming in NumPyro", appendix A). */
typedef struct {
    size_t dim, height, most;
    nf__subtree *subtree; /* [height], of falling sizes */
    double *vectors;      /* (most, 5, dim): what subtrees point to */
} nf__tree;

/* A tree of up to 2^depth states; false when memory is out. Release it in any case. */
bool nf__tree_new(nf__tree *tree, size_t dim, size_t depth);
void nf__tree_free(nf__tree *tree);
/* Add a state, and join what is complete; false when a complete subtree makes a U-turn. */
bool nf__tree_add(nf__tree *tree, const double *p, const double *v);

#endif
