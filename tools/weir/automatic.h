/* A fit without settings. */
#ifndef WEIR_COMMAND_AUTOMATIC_H
#define WEIR_COMMAND_AUTOMATIC_H

#include "training.h"

/* Is nothing given that says how to train, nor which flow unless --budget or --tune asks how? Both is a mistake. */
ad_status fit_is_automatic(const struct arguments *arguments, bool *is, ad_error *error);
/* As train(), by nf_fit_automatic(), with --budget, --seed, --dtype and --threads. */
ad_status fit_automatically(const struct arguments *arguments, const struct training_data *data,
                            struct trained *trained, ad_error *error);
/* What a result or a record that has "candidates" says of it. */
void print_automatic(const json_t *result, FILE *to);

#endif
