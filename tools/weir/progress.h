/* Showing on stderr how far a training is. */
#ifndef WEIR_COMMAND_PROGRESS_H
#define WEIR_COMMAND_PROGRESS_H

#include "meter.h"
#include <weir/models.h>

struct progress {
    struct meter meter;
    size_t epochs;
    size_t epoch_steps; /* in one epoch; an estimate before the first is over */
    size_t step_rows;   /* in one step */
    size_t step;        /* done so far; those beyond last.step belong to the current epoch */
    nf_progress last;   /* the epoch that is over */
    double earlier;     /* seconds that it took before it was interrupted, and went on from a checkpoint */
};

/* A training of so many epochs on so many rows is about to begin. */
struct progress progress_start(size_t epochs, size_t rows, size_t batch);
void progress_step(struct progress *progress);
void progress_epoch(struct progress *progress, const nf_progress *done);
/* Takes the bar away. */
void progress_end(struct progress *progress);

#endif
