/* Saving what took long to come by. */
#ifndef WEIR_COMMAND_KEEP_H
#define WEIR_COMMAND_KEEP_H

#include <weir/data.h>
#include <weir/models.h>

#include <jansson.h>
#include <limits.h>

/* A flow with its record, a table, or the bytes of a NetCDF file. */
struct kept {
    const nf_flow *flow;
    json_t *record;
    const nf_table *table;
    void *bytes; /* where there is neither; NULL with 0: on a rank that doesn't write */
    size_t size;
    const char *left; /* in words, what there is where it ended before its end: "the best weights" */
};

/* Save the work that has come to this status to path or, where that can't be written to after all (the disk is full,
 * nobody reads the pipe), to a new file in the current directory or in that of temporary files. kept becomes the name
 * of the file that has it, "" where none has. Returns the status of both, of the saving where both failed; *error,
 * which has what `status` was for, says in which file the work is. */
ad_status keep(const struct kept *what, ad_status status, const char *path, char kept[static PATH_MAX],
               ad_error *error);

#endif
