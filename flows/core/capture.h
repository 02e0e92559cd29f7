/* What a bijector's map uses beside its argument, for ops that record it on a tape of their own. */
#ifndef WEIR_FLOWS_CORE_CAPTURE_H
#define WEIR_FLOWS_CORE_CAPTURE_H

#include "core/internal.h"

/* Every parameter below, and then the context vector, where they are valid. */
typedef struct {
    const nf_scope *at;
    ad_var *outer; /* ad_free() */
    int count;
} nf__capture;

/* Of capture->at, with room for one more behind; false when memory is out. */
bool nf__open_capture(nf__capture *capture);
/* The scope on the inner tape, whose stand-ins these are; NULL where memory is out, which the tape knows. */
nf_scope *nf__inner_scope(const nf__capture *capture, ad_tape *inner, const ad_var *captured);

#endif
