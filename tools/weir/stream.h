/* Rows of a .npy file, as a fit takes them, that are read when they are needed. */
#ifndef WEIR_COMMAND_STREAM_H
#define WEIR_COMMAND_STREAM_H

#include "roles.h"

struct stream {
    nf_npy *npy;
    const char *path;
    const struct roles *roles;
    bool plain; /* its numbers are the features themselves */
    uint64_t seed;
    nf_rows rows; /* what nf_fit() is given */
};

/* Is it a .npy file with more bytes than it is worth keeping in memory? */
bool stream_is_worth_it(const char *path);
/* The rows of an open file, whose columns have these roles; it belongs to the stream from here on. */
void stream_begin(struct stream *stream, nf_npy *npy, const char *path, const struct roles *roles, uint64_t seed);
void stream_end(struct stream *stream);

#endif
