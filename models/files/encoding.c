/* Text to UTF-8, from UTF-16 and from Windows-1252. */
#include "files/encoding.h"

#include <weir/memory.h>

#include <stdint.h>
#include <string.h>

/* Write a character, of which the caller knows that it is one; returns how many bytes it takes, at most 4. */
static size_t write_utf8(uint32_t code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint32_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(leads[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++) to[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

size_t nf__utf8_length(const char *at)
{
    const unsigned char *byte = (const unsigned char *)at;
    if (byte[0] < 0x80) return 1;
    size_t length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    if (byte[0] < 0xc2 || byte[0] > 0xf4) return 0;
    if (byte[0] == 0xe0) low = 0xa0;
    if (byte[0] == 0xed) high = 0x9f;
    if (byte[0] == 0xf0) low = 0x90;
    if (byte[0] == 0xf4) high = 0x8f;
    if (byte[1] < low || byte[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((byte[i] & 0xc0) != 0x80) return 0;
    return length;
}

/* ---- Windows-1252 ---------------------------------------------------------------------------------------------- */

/* As browsers read it: https://encoding.spec.whatwg.org/index-windows-1252.txt. From 0xa0 on it is Latin-1. */
static uint32_t windows_1252(unsigned char byte)
{
    static const uint16_t codes[0x20] = {0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                         0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d,   0x017d, 0x8f,
                                         0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                         0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};
    return byte < 0xa0 ? codes[byte - 0x80] : byte;
}

/* Most text is ASCII, of which eight bytes are looked at together. */
static const char *skip_ascii(const char *at, const char *end)
{
    uint64_t word;
    for (; end - at >= 8; at += 8) {
        memcpy(&word, at, sizeof word);
        if (word & 0x8080808080808080) break;
    }
    while (at < end && !(*at & 0x80)) at++;
    return at;
}

size_t nf__count_foreign(const char *text, size_t bytes)
{
    size_t foreign = 0;
    for (const char *at = text, *end = text + bytes; (at = skip_ascii(at, end)) < end;) {
        size_t length = nf__utf8_length(at);
        foreign += length == 0;
        at += length ? length : 1;
    }
    return foreign;
}

size_t nf__from_windows_1252(const char *text, size_t bytes, char *to)
{
    size_t filled = 0;
    for (const char *at = text, *end = text + bytes; at < end;) {
        size_t length = nf__utf8_length(at);
        if (length == 0) {
            filled += write_utf8(windows_1252((unsigned char)*at++), to + filled);
            continue;
        }
        memcpy(to + filled, at, length);
        filled += length;
        at += length;
    }
    return filled;
}

/* ---- UTF-16 ----------------------------------------------------------------------------------------------------- */

struct units {
    const unsigned char *bytes;
    size_t count;
    bool big_endian;
};

static uint32_t unit_at(const struct units *units, size_t i)
{
    unsigned first = units->bytes[2 * i], second = units->bytes[2 * i + 1];
    return units->big_endian ? first << 8 | second : second << 8 | first;
}

/* A text's first two characters are ASCII where it has no mark. */
static bool is_utf16(const char *text, size_t bytes, struct units *units)
{
    const unsigned char *byte = (const unsigned char *)text;
    bool little = bytes >= 2 && byte[0] == 0xff && byte[1] == 0xfe,
         big = bytes >= 2 && byte[0] == 0xfe && byte[1] == 0xff;
    bool marked = little || big;
    if (!marked && bytes >= 4) {
        little = byte[0] && !byte[1] && byte[2] && !byte[3];
        big = !byte[0] && byte[1] && !byte[2] && byte[3];
    }
    *units = (struct units){byte + (marked ? 2 : 0), (bytes - (marked ? 2 : 0)) / 2, big};
    return little || big;
}

bool nf__text_is_utf16(const char *text, size_t bytes)
{
    struct units units;
    return is_utf16(text, bytes, &units);
}

/* False where a surrogate has no other half: *stopped is there. */
static bool from_utf16(const struct units *units, char *to, size_t *filled, size_t *stopped)
{
    *filled = 0;
    for (size_t i = 0; i < units->count; i++) {
        uint32_t code = unit_at(units, i);
        *stopped = i;
        if (code >= 0xd800 && code < 0xe000) {
            uint32_t next = i + 1 < units->count ? unit_at(units, ++i) : 0;
            if (code >= 0xdc00 || next < 0xdc00 || next >= 0xe000) return false;
            code = 0x10000 + ((code - 0xd800) << 10) + (next - 0xdc00);
        }
        *filled += write_utf8(code, to + *filled);
    }
    return true;
}

/* ---- Either ------------------------------------------------------------------------------------------------------ */

static ad_status convert_utf16(const char *path, const struct units *units, size_t bytes, char *to, size_t *filled,
                               ad_error *error)
{
    size_t stopped;
    if (bytes % 2 != 0)
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "'%s' is UTF-16, but its last character is cut off: it has an odd number of bytes", path);
    if (from_utf16(units, to, filled, &stopped)) return AD_OK;
    return ad_error_set(error, AD_ERROR_FORMAT,
                        "'%s' is UTF-16, but its byte %zu begins half a character; save it as UTF-8", path,
                        bytes - 2 * (units->count - stopped) + 1);
}

ad_status nf__text_to_utf8(const char *path, char **text, size_t *bytes, ad_error *error)
{
    struct units units;
    bool utf16 = is_utf16(*text, *bytes, &units);
    if (strncmp(*text, "\xef\xbb\xbf", 3) == 0) memmove(*text, *text + 3, (*bytes -= 3) + 1);
    size_t foreign = utf16 ? 0 : nf__count_foreign(*text, *bytes);
    if (!utf16 && foreign == 0) return AD_OK;
    /* A unit of UTF-16 becomes three bytes or fewer, and so does a byte of Windows-1252: more, perhaps, than a size_t
     * of 32 bits can tell. */
    char *utf8 = foreign < SIZE_MAX / 8 ? ad_alloc((utf16 ? 3 * units.count : *bytes + 2 * foreign) + 1, 1) : NULL;
    if (!utf8) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the text of '%s'", path);
    size_t filled = 0;
    ad_status status = AD_OK;
    if (utf16)
        status = convert_utf16(path, &units, *bytes, utf8, &filled, error);
    else
        filled = nf__from_windows_1252(*text, *bytes, utf8);
    if (status) {
        ad_free(utf8);
        return status;
    }
    utf8[filled] = '\0';
    ad_free(*text);
    *text = utf8;
    *bytes = filled;
    return AD_OK;
}
