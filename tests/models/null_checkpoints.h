/* For tests with NULL: the public functions of checkpoints. */
#ifndef WEIR_TESTS_NULL_CHECKPOINTS_H
#define WEIR_TESTS_NULL_CHECKPOINTS_H

#include "null_cases.h"
#include "scratch.h"

#include <weir/models.h>

static inline bool stops(void *context)
{
    (void)context;
    return true;
}

static inline void call_checkpoints(nf_flow *flow, const nf_target *target)
{
    const file_path there = scratch_path("checkpoint");
    const nf_checkpoint_options o = {.seconds = -1};
    nf_checkpoint *checkpoint = nf_checkpoint_new(there.text, &o, &error), *made = NULL;
    CASE(nf_checkpoint_new)
    MADE(nf_checkpoint_free, nf_checkpoint_new(NEEDED(path, there.text), OPTIONAL(options, &o), ERROR));
    CASE(nf_checkpoint_read)
    {
        const nf_vi_options vi = {.iters = 2, .mc = 2, .interrupted = stops, .checkpoint = checkpoint};
        ASSERT_OK(nf_vi(flow, target, &vi, NULL, &error));
        MADE(nf_checkpoint_free, nf_checkpoint_read(NEEDED(path, there.text), OPTIONAL(options, &o), ERROR));
    }
    CASE(nf_checkpoint_free)
    {
        if (strcmp(null_call.parameter, "checkpoint") != 0) made = nf_checkpoint_new(there.text, &o, &error);
        QUIET(nf_checkpoint_free(OPTIONAL(checkpoint, made)));
    }
    CASE(nf_checkpoint_note) QUIET(nf_checkpoint_note(HARMLESS(checkpoint, checkpoint)));
    CASE(nf_checkpoint_doubt) QUIET(nf_checkpoint_doubt(HARMLESS(checkpoint, checkpoint)));
    CASE(nf_checkpoint_failure) QUIET(nf_checkpoint_failure(HARMLESS(checkpoint, checkpoint)));
    CASE(nf_checkpoint_written) QUIET(nf_checkpoint_written(HARMLESS(checkpoint, checkpoint)));
    CASE(nf_checkpoint_remove) status(nf_checkpoint_remove(NEEDED(checkpoint, checkpoint), ERROR));
    nf_checkpoint_free(checkpoint);
}

#endif
