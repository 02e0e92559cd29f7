#ifndef WEIR_AUTODIFF_PLAN_LAYOUT_TILE_H
#define WEIR_AUTODIFF_PLAN_LAYOUT_TILE_H

#include "tape/node.h"

/* Where a pass keeps each per-row value: feature[id] within the tile's buffer. in_pass says which nodes the pass
 * computes, kept which must last to its end. Views cost nothing, parts of a concat are computed in place, and an
 * elementwise op overwrites an argument that it is the last to use. Returns the buffer's height in features, or
 * SIZE_MAX when memory is out. */
size_t ad__layout_tile(const ad__node *node, size_t count, const bool *in_pass, const bool *kept, ad_tape *tape,
                       size_t *feature, bool *is_view);

#endif
