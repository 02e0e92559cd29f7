/* Saving and loading flows. Both may be called from several threads at once, also for one flow while nobody changes it.
 * error may be NULL. */
#ifndef WEIR_SAVE_H
#define WEIR_SAVE_H

#include <weir/flow.h>

WEIR_BEGIN_DECLARATIONS

/* Write a safetensors file: every parameter under its name; formula, dim, dtype in the metadata, and `record` (a JSON
 * object as text, nested in at most 64 levels, such as nf_record_text() makes in <weir/record.h>, or NULL) under
 * "training"; the names of the plug-ins that the formula needs, where there are any. The file appears whole or not at
 * all: it is written beside the old one, read back and compared with what is in memory, and only then takes its place,
 * as <weir/file.h> tells. AD_ERROR_ARGUMENT: a flow of more than 65,536 features, or four million in all of its
 * bijectors, that has nearly no parameters is what nf_load() takes for a file that is after all memory. */
ad_status nf_save(const nf_flow *flow, const char *record, const char *path, ad_error *error);
/* NULL on failure: not there, not a safetensors file, not Weir's, tensors that don't fit the formula, a plug-in of the
 * formula that isn't loaded. *record (may be NULL) becomes the saved text, for nf_record_columns() and ad_free(), or
 * NULL where there was none. */
nf_flow *nf_load(const char *path, char **record, ad_error *error);

WEIR_END_DECLARATIONS

#endif
