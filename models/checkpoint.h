/* Checkpoints: what takes long goes on after a kill, a reboot or a ctrl-C as if it had never stopped, to the bit.
 *
 *     nf_checkpoint *checkpoint = nf_checkpoint_new("big.checkpoint", NULL, &error);      // or, to go on:
 *     nf_checkpoint *checkpoint = nf_checkpoint_read("big.checkpoint", NULL, &error);
 *     nf_fit(flow, x, rows, &(nf_fit_options){.epochs = 1000, .checkpoint = checkpoint}, NULL, &error);
 *     nf_save(flow, NULL, "big.safetensors", &error);
 *     nf_checkpoint_remove(checkpoint, &error);                        // it is done: there is nothing to go on with
 *     nf_checkpoint_free(checkpoint);
 *
 * Who goes on calls the same function, with the same data and options, and the checkpoint that was read. What is of no
 * consequence for the bits may be another: the pool, progress, callbacks (whose own state isn't kept). Anything else is
 * AD_ERROR_ARGUMENT, and the message says what it was and what it is now. Data are known by their sizes and by a hash,
 * which is of all of 16 MiB, and of samples at fixed places where there are more.
 *
 * The file is a safetensors file of all that decides what comes next, written whole or not at all (<weir/file.h>),
 * every so many seconds between two steps, and when `interrupted` ends the work. That it can't be written ends nothing:
 * nf_checkpoint_failure() tells. Time that was spent counts where the work goes on, for limits and in reports.
 *
 * A checkpoint is of one call at a time, and used in one thread. Where the pool has a communicator every rank reads the
 * file, and rank 0 writes it: all have the same state. */
#ifndef WEIR_CHECKPOINT_H
#define WEIR_CHECKPOINT_H

#include <weir/error.h>

WEIR_BEGIN_DECLARATIONS

typedef struct nf_checkpoint nf_checkpoint;

/* A zero means the default, and later versions add members at the end. */
typedef struct {
    /* From one writing to the next. 0: ten minutes, or longer where a hundredth of the time isn't enough for writing.
     * Negative: none but when the work is interrupted. */
    double seconds;
    const char *note; /* text that goes with it, UTF-8, such as how the work was asked for; copied. NULL: none, or that
                       * of the file that is read */
    /* Called when the file can't be written, with the reason, but not again until it could be in between: the work goes
     * on. NULL: nobody is told at once. */
    void (*failed)(void *context, const char *reason);
    void *context;
} nf_checkpoint_options;

/* For work that begins: nothing is written yet, and what is in the file isn't looked at. NULL on failure. options and
 * error may be NULL. */
nf_checkpoint *nf_checkpoint_new(const char *path, const nf_checkpoint_options *options, ad_error *error);
/* For work that goes on from this file, into which it goes on writing. NULL on failure: AD_ERROR_IO where it can't be
 * read, AD_ERROR_FORMAT where it is damaged or none, and AD_ERROR_ARGUMENT where another version of Weir wrote it,
 * which may keep other numbers. */
nf_checkpoint *nf_checkpoint_read(const char *path, const nf_checkpoint_options *options, ad_error *error);
void nf_checkpoint_free(nf_checkpoint *checkpoint); /* the file stays; of NULL: nothing */

/* Texts live as long as the checkpoint. */
const char *nf_checkpoint_note(const nf_checkpoint *checkpoint); /* "": none */
/* Why bits may be others than if the work had never stopped: another instruction set or library of matrix products
 * (ad_isa_name(), ad_gemm_name()). "": they aren't. */
const char *nf_checkpoint_doubt(const nf_checkpoint *checkpoint);
/* Why the last writing failed; "": it didn't. */
const char *nf_checkpoint_failure(const nf_checkpoint *checkpoint);
/* How often it was written, by this process. */
size_t nf_checkpoint_written(const nf_checkpoint *checkpoint);

/* Remove the file, where there is one, and what a killed process has left beside it. error may be NULL. */
ad_status nf_checkpoint_remove(nf_checkpoint *checkpoint, ad_error *error);

WEIR_END_DECLARATIONS

#endif
