#ifndef WEIR_SIMPLIFY_H
#define WEIR_SIMPLIFY_H

#include "internal.h"

/* Extend needed[] to everything that the needed nodes depend on. */
void ad_mark_needed(const ad_node *node, size_t count, bool *needed);

/* Rewrite the needed nodes; same[id] becomes the node to use in place of id. False when memory is out. */
bool ad_simplify(ad_node *node, size_t count, const bool *needed, int32_t *same, ad_arena **arena);

#endif
