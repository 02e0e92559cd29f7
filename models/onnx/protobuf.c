/* Messages in the wire format of Protocol Buffers. */
#include "onnx/protobuf.h"

#include <weir/memory.h>

#include <string.h>

enum { VARINT = 0, LENGTH_DELIMITED = 2 };

static void append(nf__message *to, const void *data, size_t size)
{
    if (to->failed || size == 0) return;
    if (size > to->capacity - to->size) {
        size_t capacity = to->capacity > 128 ? to->capacity : 128;
        while (capacity - to->size < size && capacity <= SIZE_MAX / 2) capacity *= 2;
        char *grown = capacity - to->size < size ? NULL : ad_realloc(to->data, capacity, 1);
        if (!grown) {
            to->failed = true;
            return;
        }
        to->data = grown;
        to->capacity = capacity;
    }
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

/* Seven bits a byte, the lowest first; the eighth says that more follow. */
static void append_varint(nf__message *to, uint64_t value)
{
    unsigned char bytes[10];
    size_t count = 0;
    for (; value > 127; value >>= 7) bytes[count++] = (unsigned char)(value | 128);
    bytes[count++] = (unsigned char)value;
    append(to, bytes, count);
}

void nf__message_integer(nf__message *to, unsigned field, int64_t value)
{
    append_varint(to, field << 3 | VARINT);
    append_varint(to, (uint64_t)value);
}

void nf__message_length(nf__message *to, unsigned field, size_t size)
{
    append_varint(to, field << 3 | LENGTH_DELIMITED);
    append_varint(to, size);
}

void nf__message_bytes(nf__message *to, unsigned field, const void *data, size_t size)
{
    nf__message_length(to, field, size);
    append(to, data, size);
}

void nf__message_text(nf__message *to, unsigned field, const char *text)
{
    nf__message_bytes(to, field, text, strlen(text));
}

void nf__message_inner(nf__message *to, unsigned field, nf__message *inner)
{
    nf__message_bytes(to, field, inner->data, inner->size);
    to->failed |= inner->failed;
    ad_free(inner->data);
    *inner = (nf__message){0};
}
