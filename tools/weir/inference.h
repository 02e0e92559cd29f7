/* Variational inference with progress on stderr, and what is told of it: what vi and the demos have in common. */
#ifndef WEIR_COMMAND_INFERENCE_H
#define WEIR_COMMAND_INFERENCE_H

#include "command.h"
#include <weir/models.h>

/* nf_vi(), showing how far it is behind `label`. Ctrl-C and a divergence are errors that leave a fit. Outcomes are told
 * as they are in the report; NF_STOPPED_EARLY is for a caller whose callback has stopped it. Call it between
 * interrupt_catch() and interrupt_release(), and save in between too. */
ad_status infer(nf_flow *flow, const nf_target *target, const nf_vi_options *options, const char *label,
                nf_vi_report *report, ad_error *error);

/* nf_infer() in the same way. */
ad_status infer_alone(const nf_target *target, const nf_infer_options *options, nf_inference *inference,
                      ad_error *error);

/* infer() between those two, and keep() of what it came to; *status is that of both, and an interruption is an error
 * too. An inference that had no iteration leaves nothing. Returns the record, or NULL. */
json_t *infer_and_keep(nf_flow *flow, const nf_target *target, const nf_vi_options *options, const char *label,
                       const char *path, nf_vi_report *report, ad_status *status, ad_error *error);

/* The best possible loss; NaN: not known. Models of earlier versions, whose objectives all had -log Z, don't tell it.
 */
double best_loss(const json_t *record);
/* What `result` says of an inference. */
void print_inference(const json_t *result, FILE *to);

/* The target that a model file's flow was fitted to, for nf_target_free(); NULL: none, or none that is known here. */
nf_target *target_on_record(const nf_flow *flow, const json_t *record);

/* The names of its nf_target_size() elements, for ad_free(); NULL when memory is out. */
char **element_names(const nf_target *target);

/* Draw from the flow of a model file into table->values, to be freed; those of a fit to a target come on the scale of
 * its sites, whose names become the record's columns. */
ad_status draw_samples(nf_flow *flow, const double *context, json_t *record, size_t first, size_t rows, uint64_t seed,
                       nf_table *table, ad_pool *pool, ad_error *error);

#endif
