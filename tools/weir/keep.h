/* Saving what took long to come by. */
#ifndef WEIR_COMMAND_KEEP_H
#define WEIR_COMMAND_KEEP_H

#include <weir/models.h>

#include <jansson.h>
#include <limits.h>

/* save_model() to path or, where that can't be written to after all (the disk is full, nobody reads the pipe), to a new
 * file in the current directory or in that of temporary files. kept becomes the name of the file that has the model, ""
 * where none has; the status is that of path, and *error says where the model is instead. */
ad_status keep_model(const nf_flow *flow, json_t *record, const char *path, char kept[static PATH_MAX],
                     ad_error *error);

#endif
