/* JSON while memory may run out. */
#include "files/json.h"
#include "files/encoding.h"

#include <weir/memory.h>

#include <math.h>
#include <string.h>

/* ---- Making ---------------------------------------------------------------------------------------------------- */

void nf__json_put(json_t **object, const char *key, json_t *value)
{
    if (json_object_set_new(*object, key, value) == 0) return;
    json_decref(*object);
    *object = NULL;
}

void nf__json_append(json_t **array, json_t *value)
{
    if (json_array_append_new(*array, value) == 0) return;
    json_decref(*array);
    *array = NULL;
}

json_t *nf__json_number(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

bool nf__json_is_text(const char *text)
{
    size_t bytes;
    while (*text && (bytes = nf__utf8_length(text))) text += bytes;
    return *text == '\0';
}

json_t *nf__json_text(const char *text)
{
    if (nf__json_is_text(text)) return json_string(text);
    char *ascii = ad_strdup(text);
    if (!ascii) return NULL;
    for (char *at = ascii; *at; at++)
        if ((unsigned char)*at >= 0x80) *at = '?';
    json_t *string = json_string(ascii);
    ad_free(ascii);
    return string;
}

char *nf__json_dump(const json_t *json, size_t flags, size_t *bytes)
{
    *bytes = json_dumpb(json, NULL, 0, JSON_COMPACT | flags);
    char *text = *bytes ? ad_alloc(*bytes + 1, 1) : NULL;
    if (text && json_dumpb(json, text, *bytes, JSON_COMPACT | flags) == *bytes) return text;
    ad_free(text);
    return NULL;
}

/* ---- Reading --------------------------------------------------------------------------------------------------- */

/* Past the string that begins at `at`, a '"'; `bytes` where it has no end. */
static size_t skip_string(const char *text, size_t bytes, size_t at)
{
    for (at++; at < bytes && text[at] != '"'; at++)
        if (text[at] == '\\') at++;
    return at < bytes ? at + 1 : bytes;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Of the values that Jansson makes of a text, their own text apart: bytes, as malloc has them. */
static size_t memory_of(const char *text, size_t bytes)
{
    enum { OBJECT = 240, ARRAY = 128, STRING = 80, OTHER = 40 };
    size_t memory = 0;
    bool amid = false; /* a number, or a word */
    for (size_t i = 0; i < bytes;) {
        const char c = text[i];
        const bool part = !is_space(c) && !strchr("{}[],:\"", c);
        memory += c == '{' ? OBJECT : c == '[' ? ARRAY : c == '"' ? STRING : part && !amid ? OTHER : 0;
        amid = part;
        i = c == '"' ? skip_string(text, bytes, i) : i + 1;
    }
    return memory;
}

bool nf__json_is_moderate(const char *text, size_t bytes)
{
    enum { ANY = 32000000, TIMES = 8 }; /* a record of columns takes 7 times its length */
    const size_t most = bytes < ANY / TIMES ? ANY : TIMES * bytes;
    return memory_of(text, bytes) <= most;
}

/* Is there room for as much as reading takes: the values, their text, and the longest token, which grows by doubling?
 * Where there is no memory for a token Jansson leaves out some of its characters, reads past its buffer or ends the
 * process by an assertion: it must not come to that. */
static bool has_room(const char *text, size_t bytes)
{
    enum { COPIES = 4 };
    char *room = ad_realloc(NULL, memory_of(text, bytes) + COPIES * bytes + 4096, 1); /* which touches nothing of it */
    ad_free(room);
    return room != NULL;
}

/* Jansson reads what is nested by recursion, down to 2048 levels, for which a thread's stack may be too small. */
bool nf__json_is_shallow(const char *text, size_t bytes)
{
    enum { DEEPEST = 64 };
    int depth = 0;
    for (size_t i = 0; i < bytes && depth <= DEEPEST;) {
        const char c = text[i];
        depth += (c == '[' || c == '{') - (c == ']' || c == '}');
        i = c == '"' ? skip_string(text, bytes, i) : i + 1;
    }
    return depth <= DEEPEST;
}

static ad_status fault(json_error_t *reason, size_t at, const char *what)
{
    reason->position = (int)at;
    snprintf(reason->text, sizeof reason->text, "%s", what);
    return AD_ERROR_FORMAT;
}

ad_status nf__json_value(const char *text, size_t bytes, json_t **value, json_error_t *reason)
{
    *reason = (json_error_t){.position = 0};
    *value = NULL;
    if (!nf__json_is_shallow(text, bytes)) return fault(reason, 0, "values are nested too deep");
    if (!nf__json_is_moderate(text, bytes)) return fault(reason, 0, "more values than any file of Weir's has");
    if (!has_room(text, bytes)) return AD_ERROR_MEMORY;
    *value = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, reason);
    if (*value) return AD_OK;
    /* It says nothing, or what it is, where a value found no memory. */
    return !*reason->text || json_error_code(reason) == json_error_out_of_memory ? AD_ERROR_MEMORY : AD_ERROR_FORMAT;
}

ad_status nf__json_load(const char *text, size_t bytes, json_t **object, json_error_t *reason)
{
    ad_status status = nf__json_value(text, bytes, object, reason);
    if (status || json_is_object(*object)) return status;
    json_decref(*object);
    *object = NULL;
    return fault(reason, 0, "an object in braces is expected");
}

/* ---- Member by member ------------------------------------------------------------------------------------------- */

static size_t skip_spaces(const char *text, size_t bytes, size_t at)
{
    while (at < bytes && is_space(text[at])) at++;
    return at;
}

/* To the ',' or '}' behind the value that begins at `at`. */
static size_t skip_value(const char *text, size_t bytes, size_t at)
{
    size_t depth = 0;
    while (at < bytes) {
        const char c = text[at];
        if (depth == 0 && (c == ',' || c == '}')) break;
        depth += c == '{' || c == '[';
        depth -= depth > 0 && (c == '}' || c == ']');
        at = c == '"' ? skip_string(text, bytes, at) : at + 1;
    }
    return at;
}

static ad_status each_member(const char *text, size_t bytes, size_t *at, nf__json_visit *visit, void *context,
                             json_error_t *reason)
{
    ad_status status = AD_OK;
    size_t begin = skip_spaces(text, bytes, *at + 1);
    *at = begin;
    if (begin < bytes && text[begin] == '}') return AD_OK;
    for (;; begin = skip_spaces(text, bytes, *at + 1)) {
        *at = begin;
        if (begin >= bytes || text[begin] != '"') return fault(reason, 0, "a name in quotes is expected");
        const size_t name_end = skip_string(text, bytes, begin), colon = skip_spaces(text, bytes, name_end);
        *at = colon;
        if (colon >= bytes || text[colon] != ':') return fault(reason, 0, "':' is expected");
        const size_t value = skip_spaces(text, bytes, colon + 1), end = skip_value(text, bytes, value);
        *at = begin;
        json_t *name;
        status = nf__json_value(text + begin, name_end - begin, &name, reason);
        *at = status ? begin : value;
        if (!status) status = visit(context, json_string_value(name), text + value, end - value, reason);
        json_decref(name);
        if (status) return status;
        *at = end;
        if (end >= bytes) return fault(reason, 0, "',' or '}' is expected");
        if (text[end] == '}') return AD_OK;
    }
}

ad_status nf__json_each(const char *text, size_t bytes, nf__json_visit *visit, void *context, json_error_t *reason)
{
    *reason = (json_error_t){.position = 0};
    size_t at = skip_spaces(text, bytes, 0);
    if (at >= bytes || text[at] != '{') return fault(reason, at, "an object in braces is expected");
    ad_status status = each_member(text, bytes, &at, visit, context, reason);
    reason->position += (int)at;
    if (status) return status;
    at = skip_spaces(text, bytes, at + 1);
    return at == bytes ? AD_OK : fault(reason, at, "the end is expected behind the object");
}
