#ifndef WEIR_AUTODIFF_TAPE_SIMPLIFY_H
#define WEIR_AUTODIFF_TAPE_SIMPLIFY_H

#include "tape/node.h"

/* Extend needed[] to everything that the needed nodes depend on. */
void ad__mark_needed(const ad__node *node, size_t count, bool *needed);

/* Rewrite the needed nodes; same[id] becomes the node to use in place of id. False when memory is out. */
bool ad__simplify(ad__node *node, size_t count, const bool *needed, int32_t *same, ad__arena **arena);

#endif
