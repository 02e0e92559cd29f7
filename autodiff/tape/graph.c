/* Walking a tape. */
#include "tape/node.h"
#include "tape/simplify.h"

#include <weir/graph.h>

#include <string.h>

size_t ad_tape_size(const ad_tape *tape)
{
    return tape ? tape->count : 0;
}

bool ad_tape_node(const ad_tape *tape, size_t id, ad_node *node)
{
    const bool there = id < ad_tape_size(tape);
    if (!node) return there;
    *node = (ad_node){0};
    if (!there) return false;
    const ad__node *n = &tape->node[id];
    *node = (ad_node){.op = n->op,
                      .in = n->in,
                      .n_in = n->n_in,
                      .shape = n->shape,
                      .per_row = n->per_row,
                      .attribute = n->attribute,
                      .n_attribute = n->n_attribute,
                      .object = n->object,
                      .name = n->name ? n->name : "",
                      .scope = n->scope};
    return true;
}

ad_status ad_needed(const ad_var *outputs, int count, bool *needed, ad_error *error)
{
    if (!outputs || count < 1 || !needed)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "needed: expected outputs and where to write, got NULL or none");
    const ad_tape *tape = outputs[0].tape;
    const ad_error *recorded = ad_tape_error(tape);
    if (recorded) return ad_error_set(error, recorded->status, "%s", recorded->message);
    for (int i = 0; i < count; i++)
        if (!ad__is_of(outputs[i], tape))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "needed: output %d is not a value of this tape", i);
    memset(needed, 0, tape->count * sizeof *needed);
    for (int i = 0; i < count; i++) needed[outputs[i].id] = true;
    ad__mark_needed(tape->node, tape->count, needed);
    return AD_OK;
}
