#ifndef WEIR_AUTODIFF_PLAN_LAYOUT_TILE_H
#define WEIR_AUTODIFF_PLAN_LAYOUT_TILE_H

#include "plan/schedule.h"

/* Which per-row values of a pass are a view of another's features. */
void ad__find_views(const ad__node *node, size_t count, const bool *in_pass, ad_tape *tape, bool *is_view);

/* What a fused loop alone uses is stored only where its ops are run one by one: it has a place above the others', where
 * otherwise nothing is touched. */
typedef struct {
    size_t used, all; /* features */
} ad__tile_height;

/* Where a pass keeps each per-row value: feature[id] within the tile's buffer. in_pass says which nodes the pass
 * computes, kept which must last to its end. Views cost nothing, parts of a concat are computed in place, and an
 * elementwise op overwrites an argument that it is the last to use. escapes[id]: something outside of its loop uses a
 * value that a fused loop computes. False when memory is out. */
bool ad__layout_tile(const ad__node *node, size_t count, const bool *in_pass, const bool *kept, const bool *is_view,
                     const ad__schedule *schedule, ad_tape *tape, size_t *feature, bool *escapes,
                     ad__tile_height *height);

#endif
