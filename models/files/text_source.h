/* The text of a file of any length, a part at a time. */
#ifndef WEIR_MODELS_FILES_TEXT_SOURCE_H
#define WEIR_MODELS_FILES_TEXT_SOURCE_H

#include <weir/error.h>

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *path; /* for messages */
    int fd;
    char *text;              /* what is at hand, UTF-8; a NUL is behind what may be read */
    size_t filled, capacity; /* how much of it there is */
    size_t known;            /* of which so much is known to be UTF-8 */
    size_t end;              /* and so much may be read: whole lines, but for the last of the file */
    char behind;             /* what the NUL stands in the place of */
    bool last;               /* the file has no more */
    bool began;
} nf__text_source;

/* The file is open, and is closed with the source; path must outlive it. */
void nf__text_source_begin(nf__text_source *source, const char *path, int fd);
void nf__text_source_end(nf__text_source *source);
/* From the file's first byte on again; false: it can't. */
bool nf__text_source_rewind(nf__text_source *source);
/* Drop what is before `used`, and read more: at least one line, unless the file has no more. UTF-16 is read whole. */
ad_status nf__text_source_more(nf__text_source *source, size_t used, ad_error *error);
/* All the bytes of the file, as they are; for the first call on a source. */
ad_status nf__text_source_peek(nf__text_source *source, ad_error *error);
ad_status nf__text_source_all(nf__text_source *source, ad_error *error);

#endif
