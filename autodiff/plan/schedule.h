/* The order in which values are computed, in steps: an op alone, or ops that are fused into one loop. */
#ifndef WEIR_AUTODIFF_PLAN_SCHEDULE_H
#define WEIR_AUTODIFF_PLAN_SCHEDULE_H

#include "tape/node.h"

/* The last axes of a step's values, so many numbers in all, are what its loop turns over, and the rows within. The axes
 * before them are written out: element by element, each in registers of its own. */
typedef struct {
    size_t first, count; /* of ad__schedule.node */
    size_t turns;        /* 0: an op alone */
} ad__step;

typedef struct {
    int32_t *node;
    ad__step *step;
    int32_t *step_of; /* of each node on the tape; -1: of none */
    size_t n_node, n_step;
} ad__schedule;

/* How an argument is met by a loop of so many turns. */
typedef struct {
    ad_shape lead; /* the axes that are written out */
    bool varies;   /* from turn to turn */
} ad__view_of_argument;

/* Axes of a result that are written out in a loop of so many turns; -1: it has no last axes of that size. */
int ad__lead_of(const ad_shape *shape, size_t turns);
/* An argument in[j] of a node whose result has `lead` axes written out; false: it can't be met so. */
bool ad__view_argument(const ad__node *node, const ad_shape *in, int lead, size_t turns, ad__view_of_argument *view);

/* What a value is a view of; itself if of nothing. */
int32_t ad__base_of_view(const ad__node *node, const bool *is_view, int32_t id);
/* The same, and of which elements, from *offset on. */
int32_t ad__behind_views(const ad__node *node, const bool *is_view, ad_tape *tape, int32_t id, size_t *offset);

/* Of shared values those are fused that have few elements, each of them written out. */
typedef enum { AD_FUSE_NOTHING, AD_FUSE_SCALARS, AD_FUSE_ROWS } ad__fuse_what;

/* The nodes that are `wanted`, of which those that are a view of another, and inputs, are never computed. False where
 * memory is out. Free it in any case. */
bool ad__schedule_nodes(const ad__node *node, size_t count, const bool *wanted, const bool *is_view, ad_tape *tape,
                        ad__fuse_what what, ad_dtype dtype, ad__schedule *schedule);
void ad__schedule_free(ad__schedule *schedule);

#endif
