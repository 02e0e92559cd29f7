/* NumPy's .npy format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 *   "\x93NUMPY", major and minor version, length of the header (16 bits in version 1, 32 after), little-endian
 *   header: a Python dictionary such as {'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }
 *   the elements
 */
#include "files/excerpt.h"
#include "files/table.h"

#include <weir/data.h>
#include <weir/file.h>
#include <weir/memory.h>

#include <inttypes.h>
#include <string.h>

#define MAGIC "\x93NUMPY"

/* ---- Reading ------------------------------------------------------------------------------------------------- */

struct header {
    const char *descr; /* the dtype: not ended by a NUL; NULL when it is no simple one */
    size_t descr_length;
    bool fortran_order;
    size_t dimensions, dimension[2]; /* those beyond two are only counted */
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
        if (header->dimensions < 2) header->dimension[header->dimensions] = size;
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

struct element {
    char kind; /* 'f', 'i', 'u', or 'b' for booleans */
    size_t size;
    bool big_endian;
};

/* From "<f8" and the like. */
static bool element_of(const struct header *header, struct element *element)
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

static double decode(const unsigned char *bytes, struct element element)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < element.size; i++)
        bits |= (uint64_t)bytes[element.big_endian ? element.size - 1 - i : i] << 8 * i;
    switch (element.kind) {
    case 'f':
        if (element.size == sizeof(float)) {
            uint32_t half = (uint32_t)bits;
            float value;
            memcpy(&value, &half, sizeof value);
            return (double)value;
        } else {
            double value;
            memcpy(&value, &bits, sizeof value);
            return value;
        }
    case 'i': {
        uint64_t sign = (uint64_t)1 << (8 * element.size - 1);
        return (double)(int64_t)((bits ^ sign) - sign);
    }
    default:
        return (double)bits;
    }
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

ad_status nf__npy_parse(const char *path, const char *data, size_t bytes, nf_table *table, ad_error *error)
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

    const char *first = data + begin + length;
    struct header header = {0};
    if (!take_header(&(struct cursor){data + begin, first}, &header))
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' has a broken .npy header: '%s'", path,
                            nf__excerpt_of(data + begin, length).text);
    struct element element;
    if (!element_of(&header, &element))
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "'%s' holds elements of dtype %s; float32, float64, integers and booleans are read: "
                            "convert it with array.astype('float64')",
                            path, header.descr ? nf__excerpt_of(header.descr, header.descr_length).text : "structured");
    if (header.dimensions < 1 || header.dimensions > 2)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' has %zu dimensions; a table has 2 (rows, columns), or 1",
                            path, header.dimensions);
    size_t rows = header.dimension[0], columns = header.dimensions == 2 ? header.dimension[1] : 1;
    if (rows == 0 || columns == 0)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' has %zu rows and %zu columns: it holds no data", path, rows,
                            columns);
    size_t size = ad_shape_size(AD_SHAPE(rows, columns));
    size_t got = bytes - begin - length;
    if (size > SIZE_MAX / sizeof(double))
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is cut short: more bytes expected than there can be, got %zu",
                            path, got);
    if (got != size * element.size)
        return ad_error_set(error, AD_ERROR_FORMAT, "'%s' is %s: %zu bytes of data expected (%zu × %zu × %zu), got %zu",
                            path, got < size * element.size ? "cut short" : "too long", size * element.size, rows,
                            columns, element.size, got);

    table->values = ad_alloc(size, sizeof(double));
    if (!table->values)
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the %zu × %zu values of '%s'", rows, columns, path);
    table->rows = rows;
    table->columns = columns;
    table->dtype = element.kind == 'f' && element.size == sizeof(float) ? AD_F32 : AD_F64;
    const unsigned char *at = (const unsigned char *)first;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            size_t i = header.fortran_order ? c * rows + r : r * columns + c;
            table->values[r * columns + c] = decode(at + i * element.size, element);
        }
    return AD_OK;
}

/* ---- Writing ------------------------------------------------------------------------------------------------- */

static void write_little_endian(nf_file *file, uint64_t value, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(value >> 8 * i);
    nf_file_write(file, bytes, size);
}

void nf__npy_write(nf_file *file, const nf_table *table)
{
    enum { BEFORE = 10, WHOLE = 128 }; /* elements begin at a multiple of 64 */
    char header[WHOLE - BEFORE + 1];
    int length = snprintf(header, sizeof header, "{'descr': '<f%zu', 'fortran_order': False, 'shape': (%zu, %zu), }",
                          ad_dtype_size(table->dtype), table->rows, table->columns);
    memset(header + length, ' ', sizeof header - (size_t)length);
    header[WHOLE - BEFORE - 1] = '\n';
    nf_file_write(file, MAGIC "\1\0", 8);
    write_little_endian(file, WHOLE - BEFORE, 2);
    nf_file_write(file, header, WHOLE - BEFORE);

    for (size_t i = 0; i < table->rows * table->columns; i++) {
        if (table->dtype == AD_F32) {
            float value = (float)table->values[i];
            uint32_t bits;
            memcpy(&bits, &value, sizeof bits);
            write_little_endian(file, bits, sizeof bits);
        } else {
            uint64_t bits;
            memcpy(&bits, &table->values[i], sizeof bits);
            write_little_endian(file, bits, sizeof bits);
        }
    }
}
