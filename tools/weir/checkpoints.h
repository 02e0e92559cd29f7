/* Checkpoints of commands: what was asked for is in them, so that --resume alone goes on. */
#ifndef WEIR_COMMAND_CHECKPOINTS_H
#define WEIR_COMMAND_CHECKPOINTS_H

#include "command.h"

#include <weir/checkpoint.h>

/* --checkpoint and --resume, for commands that have an --output. */
extern const struct option checkpoint_options[];

/* Where --resume is given: the command line that the work began with, in the place of this one. What is given again
 * must be the same, but for what changes no bits; and files that are read must be what they were. Call resume_free() in
 * any case. */
ad_status resume_arguments(struct arguments *arguments, ad_error *error);
void resume_free(struct arguments *arguments);

/* The checkpoint that the command line asks for, beside its output; NULL where it asks for none. */
ad_status checkpoint_open(const struct arguments *arguments, nf_checkpoint **checkpoint, ad_error *error);
/* Work has come to this status, which is returned, and is saved. A checkpoint stays where there is something to go on
 * with, as *error then says. */
ad_status checkpoint_close(const struct arguments *arguments, nf_checkpoint *checkpoint, ad_status status,
                           ad_error *error);

#endif
