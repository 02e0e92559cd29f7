/* The sites of a target on record, for one that can't be made again from its text: it was of a table. */
#ifndef WEIR_MODELS_FILES_SITES_H
#define WEIR_MODELS_FILES_SITES_H

#include <weir/target.h>

#include <jansson.h>

/* [{"name": "tau", "size": 1, "constraint": "positive"}, …]; NULL: memory is out. */
json_t *nf__sites_json(const nf_target *target);
/* And back: a target without a density, for nf_target_free(). */
ad_status nf__sites_target(const json_t *sites, const char *text, nf_target **target, ad_error *error);

#endif
