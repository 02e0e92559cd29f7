/* Messages in the wire format of Protocol Buffers, https://protobuf.dev/programming-guides/encoding: a message is its
 * fields, one after the other, each a number with what it holds. Writing them takes no more than this; libraries for
 * it come with a compiler of schemas, or in C++. */
#ifndef WEIR_MODELS_ONNX_PROTOBUF_H
#define WEIR_MODELS_ONNX_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {0} is an empty message; data is released with ad_free(). */
typedef struct {
    char *data;
    size_t size, capacity;
    bool failed; /* memory was out: what was written since is not there */
} nf__message;

void nf__message_integer(nf__message *to, unsigned field, int64_t value);
void nf__message_bytes(nf__message *to, unsigned field, const void *data, size_t size);
void nf__message_text(nf__message *to, unsigned field, const char *text);
/* The beginning of such a field, of which `size` bytes follow elsewhere. */
void nf__message_length(nf__message *to, unsigned field, size_t size);
/* A message inside the message, which is empty afterwards. */
void nf__message_inner(nf__message *to, unsigned field, nf__message *inner);

#endif
