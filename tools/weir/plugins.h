/* Plug-ins that the command line and the environment ask for. */
#ifndef WEIR_COMMAND_PLUGINS_H
#define WEIR_COMMAND_PLUGINS_H

#include <weir/autodiff.h>

#include <jansson.h>

/* Load those of WEIR_PLUGINS, paths with ':' between them, and then those of `--plugin FILE` at the front of words. */
ad_status plugins_load(int count, char **words, ad_error *error);

/* Note in a record of a training which plug-ins brought the target and what options name; a record that needs none
 * stays as it is. */
void plugins_note(json_t *record);

/* AD_ERROR_FORMAT where the target of a record came from a plug-in that isn't loaded: without it, or the sites on record,
 * nobody knows what the model's draws mean. */
ad_status plugins_check(const json_t *record, const char *model, ad_error *error);

#endif
