/* The place that a file is written to: what its path leads to, and how a new file comes to be there at one stroke.
 *
 * The new file has no name until it is complete, where the file system has such files. Where nothing is at its place it
 * then gets its name. No call of the system puts it in an old file's place, though: for that it gets a temporary name
 * in the same directory, .NAME.weir-0 or a higher number, and is renamed. A process that is killed between the two, or
 * at any time where files have a name from the beginning, leaves this name behind. Whoever writes holds a lock on his
 * file as long as he lives, so that one without a lock is such a rest: the next that writes to this place removes it.
 */
#ifndef WEIR_MODELS_FILES_PLACE_H
#define WEIR_MODELS_FILES_PLACE_H

#include <weir/error.h>

#include <limits.h>

typedef struct {
    char target[PATH_MAX];    /* what the path leads to through symbolic links */
    char temporary[PATH_MAX]; /* beside it, what the new file is called; "": it has no name yet */
} nf__place;

struct stat;

/* Open a new file for the place that path leads to, where *old is, or nothing (NULL). It has the old file's owner,
 * group, permissions and access control list, or is refused. */
ad_status nf__place_open(nf__place *place, const char *path, const struct stat *old, int *fd, ad_error *error);
/* What was written is on the disk. Returns 0 or errno. */
int nf__place_sync(int fd);
/* Put the new file, which is complete, in its place. *taken: is it there, whatever the result? Returns 0 or errno. */
int nf__place_take(nf__place *place, int fd, bool *taken);
/* Remove what is at a place, if anything is, and what was left beside it. Returns 0 or errno. */
int nf__place_clear(const char *path);
/* Remove the temporary name, if there is one. */
void nf__place_leave(nf__place *place);

#endif
