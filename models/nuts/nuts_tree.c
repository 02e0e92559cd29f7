/* The trees of NUTS, without recursion. */
#include "nuts/nuts_chain.h"
#include "nuts/nuts_tree.h"

#include <string.h>

bool nf__subtrees_turn(const nf__subtree *a, const nf__subtree *b, size_t dim)
{
    double dot[6] = {0};
    for (size_t i = 0; i < dim; i++) {
        double sum = a->p_sum[i] + b->p_sum[i], with_next = a->p_sum[i] + b->p_first[i],
               with_previous = a->p_last[i] + b->p_sum[i];
        dot[0] += a->v_first[i] * sum;
        dot[1] += b->v_last[i] * sum;
        dot[2] += a->v_first[i] * with_next;
        dot[3] += b->v_first[i] * with_next;
        dot[4] += a->v_last[i] * with_previous;
        dot[5] += b->v_last[i] * with_previous;
    }
    for (int k = 0; k < 6; k++)
        if (!(dot[k] > 0)) return true;
    return false;
}

bool nf__tree_new(nf__tree *tree, size_t dim, size_t depth)
{
    *tree = (nf__tree){.dim = dim, .most = depth + 1};
    tree->subtree = ad_alloc(tree->most, sizeof *tree->subtree);
    tree->vectors = ad_alloc_aligned(ad_shape_size(AD_SHAPE(tree->most, 5, dim)), sizeof(double));
    return tree->subtree && tree->vectors;
}

void nf__tree_free(nf__tree *tree)
{
    ad_free(tree->subtree);
    ad_free_aligned(tree->vectors);
}

static double *copy(double *to, const double *from, size_t dim)
{
    return memcpy(to, from, dim * sizeof *to);
}

/* a becomes a followed by b; it keeps its first state in vectors 0 and 1. */
static void join(nf__subtree *a, const nf__subtree *b, size_t dim, double *vectors)
{
    double *sum = vectors + 4 * dim;
    for (size_t i = 0; i < dim; i++) sum[i] = a->p_sum[i] + b->p_sum[i];
    a->p_last = copy(vectors + 2 * dim, b->p_last, dim);
    a->v_last = copy(vectors + 3 * dim, b->v_last, dim);
    a->p_sum = sum;
    a->states += b->states;
}

bool nf__tree_add(nf__tree *tree, const double *p, const double *v)
{
    size_t dim = tree->dim;
    nf__subtree added = {p, v, p, v, p, 1};
    while (tree->height > 0 && tree->subtree[tree->height - 1].states == added.states) {
        nf__subtree *before = &tree->subtree[--tree->height];
        if (nf__subtrees_turn(before, &added, dim)) return false;
        join(before, &added, dim, tree->vectors + tree->height * 5 * dim);
        added = *before;
    }
    if (added.states == 1) {
        double *vectors = tree->vectors + tree->height * 5 * dim;
        added.p_first = added.p_last = added.p_sum = copy(vectors, p, dim);
        added.v_first = added.v_last = copy(vectors + dim, v, dim);
    }
    tree->subtree[tree->height++] = added;
    return true;
}
