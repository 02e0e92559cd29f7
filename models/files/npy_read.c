/* NumPy's .npy format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 *   "\x93NUMPY", major and minor version, length of the header (16 bits in version 1, 32 after), little-endian
 *   header: a Python dictionary such as {'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }
 *   the elements
 */
#include "files/npy.h"
#include "files/excerpt.h"
#include "files/table.h"

#include <weir/memory.h>

#include <inttypes.h>
#include <string.h>

#define MAGIC "\x93NUMPY"

/* ---- The header ---------------------------------------------------------------------------------------------- */

struct header {
    const char *descr; /* the dtype: not ended by a NUL; NULL when it is no simple one */
    size_t descr_length;
    bool fortran_order;
    size_t dimensions, dimension[4]; /* those beyond these are only counted */
};

struct cursor {
    const char *at, *end;
};

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r')) c->at++;
}

static bool take(struct cursor *c, const char *token)
{
    size_t length = strlen(token);
    skip_blanks(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, token, length) != 0) return false;
    c->at += length;
    return true;
}

static bool take_string(struct cursor *c, const char **text, size_t *length)
{
    char quote = take(c, "'") ? '\'' : take(c, "\"") ? '"' : 0;
    if (!quote) return false;
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!close) return false;
    *text = c->at;
    *length = (size_t)(close - c->at);
    c->at = close + 1;
    return true;
}

/* A number that a size_t can't hold, which may have 32 bits, is the largest one: more than any file has. */
static bool take_size(struct cursor *c, size_t *size)
{
    skip_blanks(c);
    const char *first = c->at;
    *size = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*size, 10, size) || __builtin_add_overflow(*size, (size_t)(*c->at - '0'), size))
            *size = SIZE_MAX;
    return c->at > first;
}

static bool take_shape(struct cursor *c, struct header *header)
{
    if (!take(c, "(")) return false;
    for (header->dimensions = 0; !take(c, ")"); header->dimensions++) {
        size_t size;
        if (!take_size(c, &size)) return false;
        if (header->dimensions < 4) header->dimension[header->dimensions] = size;
        take(c, "L"); /* Python 2 wrote (3L, 2L) */
        if (!take(c, ",")) {
            /* A single number in parentheses is no tuple. */
            return ++header->dimensions > 1 && take(c, ")");
        }
    }
    return true;
}

/* The three keys, each once, in any order. */
static bool take_header(struct cursor *c, struct header *header)
{
    enum { DESCR = 1, FORTRAN_ORDER = 2, SHAPE = 4 };
    unsigned seen = 0;
    if (!take(c, "{")) return false;
    while (!take(c, "}")) {
        const char *key;
        size_t length;
        unsigned this = 0;
        if (!take_string(c, &key, &length) || !take(c, ":")) return false;
        if (length == 5 && memcmp(key, "descr", 5) == 0) {
            this = DESCR;
            /* A structured dtype is a list, whose end needn't be found: it is refused, and so is all that follows. */
            if (!take_string(c, &header->descr, &header->descr_length)) {
                header->descr = NULL;
                return take(c, "[");
            }
        } else if (length == 13 && memcmp(key, "fortran_order", 13) == 0) {
            this = FORTRAN_ORDER;
            header->fortran_order = take(c, "True");
            if (!header->fortran_order && !take(c, "False")) return false;
        } else if (length == 5 && memcmp(key, "shape", 5) == 0) {
            this = SHAPE;
            if (!take_shape(c, header)) return false;
        }
        if (!this || (seen & this)) return false;
        seen |= this;
        if (!take(c, ",")) {
            if (!take(c, "}")) return false;
            break;
        }
    }
    skip_blanks(c);
    return seen == (DESCR | FORTRAN_ORDER | SHAPE) && c->at == c->end;
}

/* From "<f8" and the like. */
static bool element_of(const struct header *header, nf__npy_element *element)
{
    static const char *const known[] = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"};
    if (!header->descr || header->descr_length != 3 || !strchr("<>|", header->descr[0])) return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (memcmp(header->descr + 1, known[i], 2) != 0) continue;
        element->kind = known[i][0];
        element->size = (size_t)(known[i][1] - '0');
        element->big_endian = header->descr[0] == '>';
        return header->descr[0] != '|' || element->size == 1;
    }
    return false;
}

static uint64_t little_endian(const char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    return value;
}

bool nf__npy_begins(const char *data, size_t bytes)
{
    return bytes >= sizeof MAGIC - 1 && memcmp(data, MAGIC, sizeof MAGIC - 1) == 0;
}

/* What the header says, unless there is no such table. */
static ad_status check_header(const char *path, const struct header *header, nf__npy_format *format, ad_error *error)
{
    if (!element_of(header, &format->element))
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "'%s' holds elements of dtype %s; float32, float64, integers and booleans are read: "
                            "convert it with array.astype('float64')",
                            path,
                            header->descr ? nf__excerpt_of(header->descr, header->descr_length).text : "structured");
    if (header->dimensions < 1 || header->dimensions > 4)
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "'%s' has %zu dimensions; a table has 2 (rows, columns), or 1, and images have 3 (rows, "
                            "height, width), or 4, channels last",
                            path, header->dimensions);
    format->rows = header->dimension[0];
    format->columns = header->dimensions >= 2 ? header->dimension[1] : 1;
    format->fortran_order = header->fortran_order;
    format->event = (ad_shape){0};
    for (size_t i = 1; header->dimensions > 2 && i < header->dimensions; i++)
        format->event.dim[format->event.rank++] = header->dimension[i];
    if (format->event.rank > 0) format->columns = ad_shape_size(format->event);
    if (format->event.rank > 0 && format->fortran_order)
        return ad_error_set(
            error, AD_ERROR_FORMAT,
            "'%s' has %zu dimensions in Fortran's order: convert it with numpy.ascontiguousarray(array)", path,
            header->dimensions);
    if (format->rows == 0 || format->columns == 0)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' has %zu rows and %zu columns: it holds no data", path,
                            format->rows, format->columns);
    return AD_OK;
}

static ad_status check_bytes(const char *path, const nf__npy_format *format, uint64_t got, ad_error *error)
{
    const size_t size = ad_shape_size(AD_SHAPE(format->rows, format->columns)), of_one = format->element.size;
    if (size > SIZE_MAX / sizeof(double))
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "'%s' has more elements than can be addressed here: %zu × %zu, and %" PRIu64
                            " bytes of data",
                            path, format->rows, format->columns, got);
    if (got != size * of_one)
        return ad_error_set(
            error, AD_ERROR_FORMAT, "'%s' is %s: %zu bytes of data expected (%zu × %zu × %zu), got %" PRIu64, path,
            got < size * of_one ? "cut short" : "too long", size * of_one, format->rows, format->columns, of_one, got);
    return AD_OK;
}

ad_status nf__npy_format_of(const char *path, const char *data, size_t bytes, uint64_t file_bytes,
                            nf__npy_format *format, ad_error *error)
{
    size_t magic = sizeof MAGIC - 1;
    if (memcmp(data, MAGIC, bytes < magic ? bytes : magic) != 0)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is not a .npy file: it doesn't begin with \\x93NUMPY", path);
    size_t length_bytes = bytes > magic && data[magic] == 1 ? 2 : 4;
    size_t begin = magic + 2 + length_bytes;
    if (bytes < begin)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is cut short: at least %zu bytes expected, got %zu", path,
                            begin, bytes);
    if (data[magic] < 1 || data[magic] > 3)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' has .npy version %d.%d; versions 1.0, 2.0 and 3.0 are read",
                            path, (unsigned char)data[magic], (unsigned char)data[magic + 1]);
    size_t length = (size_t)little_endian(data + magic + 2, length_bytes);
    if (length > bytes - begin)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is cut short: a header of %zu bytes expected, got %zu", path,
                            length, bytes - begin);
    struct header header = {0};
    if (!take_header(&(struct cursor){data + begin, data + begin + length}, &header))
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' has a broken .npy header: '%s'", path,
                            nf__excerpt_of(data + begin, length).text);
    format->begin = begin + length;
    ad_status status = check_header(path, &header, format, error);
    return status ? status : check_bytes(path, format, file_bytes - format->begin, error);
}

/* ---- The elements -------------------------------------------------------------------------------------------- */

static inline uint8_t swapped_8(uint8_t bits)
{
    return bits;
}

#define BIG_ENDIAN_HOST (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

/* From count elements, one behind the other, to every stride-th number. Numbers may begin before the elements and
 * overlap them: each is read before anything is written over it. */
#define DEFINE_DECODE(name, type, width, swap)                                                                         \
    static void decode_##name(const char *from, size_t count, bool swapped, double *to, size_t stride)                 \
    {                                                                                                                  \
        for (size_t i = 0; i < count; i++) {                                                                           \
            uint##width##_t bits;                                                                                      \
            type value;                                                                                                \
            memcpy(&bits, from + i * sizeof bits, sizeof bits);                                                        \
            if (swapped) bits = swap(bits);                                                                            \
            memcpy(&value, &bits, sizeof value);                                                                       \
            to[i * stride] = (double)value;                                                                            \
        }                                                                                                              \
    }
DEFINE_DECODE(f4, float, 32, __builtin_bswap32)
DEFINE_DECODE(f8, double, 64, __builtin_bswap64)
DEFINE_DECODE(i1, int8_t, 8, swapped_8)
DEFINE_DECODE(i2, int16_t, 16, __builtin_bswap16)
DEFINE_DECODE(i4, int32_t, 32, __builtin_bswap32)
DEFINE_DECODE(i8, int64_t, 64, __builtin_bswap64)
DEFINE_DECODE(u1, uint8_t, 8, swapped_8)
DEFINE_DECODE(u2, uint16_t, 16, __builtin_bswap16)
DEFINE_DECODE(u4, uint32_t, 32, __builtin_bswap32)
DEFINE_DECODE(u8, uint64_t, 64, __builtin_bswap64)

void nf__npy_decode(nf__npy_element element, const char *from, size_t count, double *to, size_t stride)
{
    static const struct {
        char kind;
        size_t size;
        void (*decode)(const char *from, size_t count, bool swapped, double *to, size_t stride);
    } decoder[] = {
        {'f', 4, decode_f4}, {'f', 8, decode_f8}, {'i', 1, decode_i1}, {'i', 2, decode_i2},
        {'i', 4, decode_i4}, {'i', 8, decode_i8}, {'u', 1, decode_u1}, {'u', 2, decode_u2},
        {'u', 4, decode_u4}, {'u', 8, decode_u8}, {'b', 1, decode_u1},
    };
    for (size_t i = 0; i < sizeof decoder / sizeof *decoder; i++)
        if (decoder[i].kind == element.kind && decoder[i].size == element.size)
            decoder[i].decode(from, count, element.big_endian != BIG_ENDIAN_HOST, to, stride);
}

/* ---- All of it ----------------------------------------------------------------------------------------------- */

ad_status nf__npy_parse(const char *path, const char *data, size_t bytes, nf_table *table, ad_error *error)
{
    nf__npy_format format;
    ad_status status = nf__npy_format_of(path, data, bytes, bytes, &format, error);
    if (status) return status;
    const size_t rows = format.rows, columns = format.columns;
    table->values = ad_alloc(rows * columns, sizeof(double));
    if (!table->values)
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the %zu × %zu values of '%s'", rows, columns, path);
    table->rows = rows;
    table->columns = columns;
    table->dtype = nf__npy_dtype(format.element);
    table->event = format.event;
    const char *first = data + format.begin;
    if (!format.fortran_order) nf__npy_decode(format.element, first, rows * columns, table->values, 1);
    for (size_t c = 0; format.fortran_order && c < columns; c++)
        nf__npy_decode(format.element, first + c * rows * format.element.size, rows, table->values + c, columns);
    return AD_OK;
}
