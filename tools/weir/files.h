/* Files that commands read and write, checked so that a mistake shows before the work and not behind it. */
#ifndef WEIR_COMMAND_FILES_H
#define WEIR_COMMAND_FILES_H

#include "command.h"

#include <weir/models.h>

#include <jansson.h>

/* A table of numbers, labels, and NaN for what is missing. */
ad_status read_table(const char *path, nf_header header, nf_table *table, ad_error *error);
/* What its reader took for granted, as warnings: once the table is found to be of use, or the mistake would be told
 * twice. */
void table_warn(const nf_table *table);

/* A flow, and the record of its training as a JSON object, which is empty when there is none. */
nf_flow *load_model(const char *path, json_t **record, ad_error *error);
ad_status save_model(const nf_flow *flow, json_t *record, const char *path, ad_error *error);

/* The record of a flow: nf_record_text() as JSON, with the options (NULL: none) in it. NULL on failure. */
json_t *make_record(const nf_flow *flow, nf_record record, const json_t *options, ad_error *error);

/* The same of work that has come to this status, which a record that can't be made doesn't take away: it is an error,
 * but then the record has nothing in it but the target. Never NULL. */
json_t *record_of_work(const nf_flow *flow, nf_record record, const json_t *options, ad_status *status,
                       ad_error *error);

/* Files that the command line names in this role. */
enum { MOST_FILES = MOST_POSITIONALS + MOST_OPTIONS };
size_t files_of(const struct arguments *arguments, enum file_role role, const char *files[MOST_FILES]);

/* Is each output that the command line names another file than each input, which the plug-ins are too? AD_ERROR_IO
 * where the system doesn't tell. */
ad_status check_files(const struct arguments *arguments, ad_error *error);
/* Where the report goes: to standard output, unless an output goes there, under whatever name; then to standard error.
 * To be asked before the output is written, which may take the place of what standard output has open. */
FILE *report_stream(const struct arguments *arguments);
/* Can output be written, and is there any room for it? From here on SIGPIPE is ignored, unless output is standard
 * output, whose reader may well have enough of it. */
ad_status check_output(const char *output, ad_error *error);
/* The same of a table, whose format its name tells. */
ad_status check_table(const char *output, ad_error *error);

/* Where there is none yet. Its name leaves room for those of files. */
ad_status make_directory(const char *directory, ad_error *error);

#endif
