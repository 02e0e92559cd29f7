/* What fit and demo have in common: the options of a training, and the training. */
#ifndef WEIR_COMMAND_TRAINING_H
#define WEIR_COMMAND_TRAINING_H

#include "command.h"
#include "rows.h"

#include <limits.h>

extern const struct option training_options[];

struct trained {
    nf_flow *flow;       /* with the best weights */
    json_t *record;      /* how they came about: to be saved with them */
    json_t *result;      /* the same, and what the file has beside it: for --json */
    char weights[64];    /* which these are, in words */
    char kept[PATH_MAX]; /* the file that has the model, once it is saved; "": none */
};

/* Train as the options say, with progress on stderr. Ctrl-C and a divergence are errors that leave something trained;
 * where trained->flow is NULL nothing is. Call it between interrupt_catch() and interrupt_release(), and save in
 * between too. */
ad_status train(const struct arguments *arguments, const struct training_data *data, struct trained *trained,
                ad_error *error);
/* The record of a flow that was fitted to rows: what nf_record_text() tells of report (NULL: nothing), and the kinds of
 * the columns. NULL on failure. */
json_t *training_record(const struct arguments *arguments, const nf_flow *flow, const struct rows *rows,
                        const nf_fit_report *report, ad_error *error);
void trained_free(struct trained *trained);

/* keep() of a training that ended with this status. */
ad_status save_trained(struct trained *trained, ad_status status, const char *path, ad_error *error);

/* What `result` says of the training. */
void print_training(const json_t *result, FILE *to);

#endif
