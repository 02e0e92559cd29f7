/* Files that are read whole, and written whole or not at all. Any function here may be called from several threads at
 * once, an nf_file from one at a time; error may be NULL. */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include <weir/error.h>

WEIR_BEGIN_DECLARATIONS

/* All that a file holds, and a NUL behind it; release with ad_free(). */
ad_status nf_file_read(const char *path, char **data, size_t *bytes, ad_error *error);

/* A file that appears whole or not at all:
 *
 *     nf_file *file;
 *     ad_status status = nf_file_create(path, &file, error);
 *     if (status) return status;
 *     nf_file_write(file, data, bytes);              // any number of times; a failure is kept for the commit
 *     return nf_file_commit(file, error);
 *
 * The bytes go to a temporary file in the same directory, which takes the place of the old one when it is complete and
 * on the disk. Where the file system can, it has no name until then, and nothing is left of it when the process is
 * killed; only one that is killed just as its file replaces another, or where the file system can't, leaves a hidden
 * .NAME.weir-0 or the like, which the next that writes there removes. A symbolic link is followed. An old file's owner,
 * group, permissions and access control list are kept; where they can't be, as those of another user's file, and where
 * the old file may not be written to or is one that is mounted there, creating a new one is AD_ERROR_IO. Other extended
 * attributes aren't kept: they may tell of what was in the old file.
 *
 * What is not an ordinary file, such as a pipe or /dev/null, is written to directly, and so are the process's open
 * files: /dev/stdout, /dev/fd/3. A named pipe that nobody reads from yet is AD_ERROR_IO; nothing waits for a reader. */
typedef struct nf_file nf_file;

ad_status nf_file_create(const char *path, nf_file **file, ad_error *error);
void nf_file_write(nf_file *file, const void *data, size_t bytes);
/* At a place counted from the file's beginning: over what was written there, or ahead of it, with zeros in between.
 * What nf_file_write() writes goes on where it was. A failure, too, where the file is written to directly. */
void nf_file_write_at(nf_file *file, uint64_t offset, const void *data, size_t bytes);
/* For what took long to come by: once all is written, write it once more. What was written is then on the disk, and
 * what is written again is compared with it instead; a difference is a failure to write. Where the file is written to
 * directly nothing is compared. */
void nf_file_read_back(nf_file *file);
/* Either of these ends and releases the file. Unless it is committed with AD_OK, the old file is as it was. In one case
 * it is not: where all but the last step succeeded, to put the directory on the disk, the new file is in its place, the
 * status is AD_ERROR_IO, and *error says that it may not outlive a power cut. A directory that the user may not read is
 * left to the system. */
ad_status nf_file_commit(nf_file *file, ad_error *error);
void nf_file_abort(nf_file *file);

WEIR_END_DECLARATIONS

#endif
