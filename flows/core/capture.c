#include "core/capture.h"

bool nf__open_capture(nf__capture *capture)
{
    const nf_scope *at = capture->at;
    const size_t n = nf__parameters_below(at->self);
    capture->outer = ad_alloc(n + 2, sizeof *capture->outer);
    capture->count = 0;
    if (!capture->outer) return false;
    for (size_t i = 0; i < n; i++)
        if (ad_is_valid(at->parameter[i].var)) capture->outer[capture->count++] = at->parameter[i].var;
    if (ad_is_valid(at->context)) capture->outer[capture->count++] = at->context;
    return true;
}

/* The next captured value's stand-in, for one that is valid. */
static ad_var stand_in(void *next, ad_var outer)
{
    const ad_var **captured = next;
    return ad_is_valid(outer) ? *(*captured)++ : outer;
}

nf_scope *nf__inner_scope(const nf__capture *capture, ad_tape *inner, const ad_var *captured)
{
    nf_scope *at = nf__scope_like(capture->at, inner, stand_in, &captured);
    if (at && ad_is_valid(capture->at->context)) nf_set_context(at, *captured);
    return at;
}
