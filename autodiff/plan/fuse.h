/* From the ops of a step to one loop. */
#ifndef WEIR_AUTODIFF_PLAN_FUSE_H
#define WEIR_AUTODIFF_PLAN_FUSE_H

#include "plan/fused.h"
#include "plan/schedule.h"

/* What a step is made of. */
typedef struct {
    const ad__node *node;
    const int32_t *member; /* n of them, in order */
    size_t n;
    size_t turns; /* at least 1 */
    bool rows;    /* else all is shared */
    const bool *is_view, *escapes;
    const size_t *feature;    /* of per-row values in the tile */
    const int32_t *shared_of; /* numbers of shared ones */
    ad_tape *tape;
    ad_dtype dtype;
    int32_t *entry; /* for every node on the tape 0, and so again at the end */
} ad__fuse_request;

/* What the loop points to is the arena's. Its code is appended to `code`. False where memory is out. */
bool ad__fuse(const ad__fuse_request *request, ad__arena **arena, ad__assembler *code, ad__fused_loop *loop);

#endif
