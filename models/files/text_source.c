/* Text a part at a time: read, made UTF-8, and cut where a line ends. */
#include "files/text_source.h"
#include "files/encoding.h"

#include <weir/memory.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { PART = 1 << 20, LONGEST_CHARACTER = 4 };

void nf__text_source_begin(nf__text_source *source, const char *path, int fd)
{
    *source = (nf__text_source){.path = path, .fd = fd};
}

void nf__text_source_end(nf__text_source *source)
{
    if (source->fd >= 0) close(source->fd);
    ad_free(source->text);
    source->text = NULL;
    source->fd = -1;
}

bool nf__text_source_rewind(nf__text_source *source)
{
    if (lseek(source->fd, 0, SEEK_SET) != 0) return false;
    source->filled = source->known = source->end = 0;
    source->last = source->began = false;
    return true;
}

static ad_status no_memory(const nf__text_source *source, ad_error *error)
{
    return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the text of '%s'", source->path);
}

/* Room for so many bytes more and a NUL. */
static ad_status make_room(nf__text_source *source, size_t bytes, ad_error *error)
{
    if (source->capacity - source->filled > bytes) return AD_OK;
    const size_t capacity =
        source->filled + bytes + 1 > 2 * source->capacity ? source->filled + bytes + 1 : 2 * source->capacity;
    char *larger = ad_realloc(source->text, capacity, 1);
    if (!larger) return no_memory(source, error);
    source->text = larger;
    source->capacity = capacity;
    return AD_OK;
}

/* So many bytes more, fewer only at the file's end. */
static ad_status read_bytes(nf__text_source *source, size_t bytes, ad_error *error)
{
    if (make_room(source, bytes, error)) return AD_ERROR_MEMORY;
    while (bytes > 0 && !source->last) {
        const ssize_t got = read(source->fd, source->text + source->filled, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ad_error_set(error, AD_ERROR_IO, "cannot read '%s': %s", source->path, strerror(errno));
        source->last = got == 0;
        source->filled += (size_t)got;
        bytes -= (size_t)got;
    }
    source->text[source->filled] = '\0';
    return AD_OK;
}

ad_status nf__text_source_peek(nf__text_source *source, ad_error *error)
{
    return read_bytes(source, PART, error);
}

ad_status nf__text_source_all(nf__text_source *source, ad_error *error)
{
    while (!source->last)
        if (read_bytes(source, source->filled + PART, error)) return error->status;
    return AD_OK;
}

/* The first bytes tell the encoding. */
static ad_status look_at_beginning(nf__text_source *source, ad_error *error)
{
    source->began = true;
    const bool utf16 = nf__text_is_utf16(source->text, source->filled);
    ad_status status = utf16 ? nf__text_source_all(source, error) : AD_OK;
    if (utf16 && !status) {
        status = nf__text_to_utf8(source->path, &source->text, &source->filled, error);
        source->capacity = source->filled + 1;
        source->known = source->filled;
    } else if (!status && strncmp(source->text, "\xef\xbb\xbf", 3) == 0) {
        source->filled -= 3;
        memmove(source->text, source->text + 3, source->filled + 1);
    }
    return status;
}

/* What may be half a character at the end has to wait for the rest. */
static size_t whole_characters(const nf__text_source *source)
{
    size_t end = source->filled;
    if (source->last) return end;
    for (size_t back = 1; back < LONGEST_CHARACTER && back <= end - source->known; back++) {
        const unsigned char byte = (unsigned char)source->text[end - back];
        if (byte < 0x80) break;
        if (byte >= 0xc0) return end - back;
    }
    return end;
}

/* All that is whole is UTF-8. */
static ad_status make_utf8(nf__text_source *source, ad_error *error)
{
    const size_t known = source->known, end = whole_characters(source), tail = source->filled - end;
    char kept[LONGEST_CHARACTER];
    memcpy(kept, source->text + end, tail);
    source->text[end] = '\0';
    const size_t foreign = nf__count_foreign(source->text + known, end - known);
    source->known = end;
    if (foreign > 0) {
        char *part = ad_alloc(end - known + 2 * foreign + 1, 1);
        if (!part) return no_memory(source, error);
        const size_t length = nf__from_windows_1252(source->text + known, end - known, part);
        source->filled = known;
        ad_status status = make_room(source, length + tail, error);
        if (!status) memcpy(source->text + known, part, length);
        ad_free(part);
        if (status) return status;
        source->known = known + length;
    }
    memcpy(source->text + source->known, kept, tail);
    source->filled = source->known + tail;
    source->text[source->filled] = '\0';
    return AD_OK;
}

/* Behind the last line's end; a carriage return at the very end may be half of one. 0: no line is whole. */
static size_t end_of_lines(const nf__text_source *source)
{
    if (source->last) return source->filled;
    const char *newline = memrchr(source->text, '\n', source->known);
    if (newline) return (size_t)(newline + 1 - source->text);
    const char *mark = source->known > 1 ? memrchr(source->text, '\r', source->known - 1) : NULL;
    return mark ? (size_t)(mark + 1 - source->text) : 0;
}

ad_status nf__text_source_more(nf__text_source *source, size_t used, ad_error *error)
{
    ad_error own;
    if (!error) error = &own;
    if (source->end > 0) source->text[source->end] = source->behind;
    const size_t had = source->end - used;
    memmove(source->text, source->text + used, source->filled - used);
    source->filled -= used;
    source->known -= used;
    source->end = 0;
    while (source->end <= had) {
        const bool was_last = source->last;
        const size_t wanted = source->filled < PART ? PART - source->filled : source->filled;
        ad_status status = source->began || source->filled == 0 ? read_bytes(source, wanted, error) : AD_OK;
        if (!status && !source->began) status = look_at_beginning(source, error);
        if (!status) status = make_utf8(source, error);
        if (status) return status;
        source->end = end_of_lines(source);
        if (was_last || source->last) break;
    }
    source->behind = source->text[source->end];
    source->text[source->end] = '\0';
    return AD_OK;
}
