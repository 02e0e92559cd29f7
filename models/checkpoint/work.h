/* Checkpoints, as what takes long uses them. Work may be part of other work, such as a training within a search: each
 * part has a list of its own, below those of the parts around it, and all go into one file. */
#ifndef WEIR_MODELS_CHECKPOINT_WORK_H
#define WEIR_MODELS_CHECKPOINT_WORK_H

#include "checkpoint/state.h"

#include <weir/checkpoint.h>
#include <weir/pool.h>
#include <weir/start.h>

/* A part of this name begins, or, *resumed, goes on: its list has put back what the file has. A checkpoint that is NULL
 * is none, here and below. nf__checkpoint_leave() comes in any case, also where the part was never entered. */
ad_status nf__checkpoint_enter(nf_checkpoint *checkpoint, const char *name, nf__state_list *list, void *context,
                               bool *resumed, ad_error *error);
void nf__checkpoint_leave(nf_checkpoint *checkpoint, const void *context);
/* Between two steps: is it time to write? */
bool nf__checkpoint_is_due(const nf_checkpoint *checkpoint);
/* Write what the lists say, on the rank that writes. */
void nf__checkpoint_write(nf_checkpoint *checkpoint, const ad_pool *pool);

/* Of numbers that work is given, to know them again: of all, or of samples at fixed places. From `state`, which is 0 at
 * first; NULL is none. */
uint64_t nf__hash_numbers(uint64_t state, const double *numbers, size_t count);
/* Of a text, below 2^53, for a field of a struct. */
size_t nf__hash_text(const char *text);
/* Settings by which a target is known again: its name, and its log-densities at some points. */
void nf__target_settings(const nf_target *target, nf__state *state);
/* What searches found. */
void nf__start_settings(const nf_start *start, nf__state *state);
/* And a flow: its formula and its dtype. */
void nf__flow_settings(const nf_flow *flow, nf__state *state);

#endif
