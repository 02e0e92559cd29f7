/* JSON while memory may run out. */
#include "files/json.h"

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

/* Bytes of the character that text begins with; 0 where it isn't one of UTF-8's. */
static size_t character(const unsigned char *text)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = text[0] < 0x80 ? 1 : text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (bytes < 2) return bytes;
    unsigned code = text[0] & (0x7fu >> bytes);
    if (text[0] > 0xf7) return 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (text[i] & 0x3f);
    }
    return code >= least[bytes] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? bytes : 0;
}

bool nf__json_is_text(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t bytes = 0;
    while (*at && (bytes = character(at))) at += bytes;
    return *at == '\0';
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

/* Is there room for as much as reading takes? Where there is no memory for a token Jansson leaves out some of its
 * characters, reads past its buffer or ends the process by an assertion: it must not come to that. */
static bool has_room(size_t bytes)
{
    enum { TIMES = 16 }; /* of the text: what it becomes when it is read */
    char *room = ad_alloc(bytes, TIMES);
    ad_free(room);
    return room != NULL;
}

/* Jansson reads what is nested by recursion, down to 2048 levels, for which a thread's stack may be too small. */
bool nf__json_is_shallow(const char *text, size_t bytes)
{
    enum { DEEPEST = 64 };
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < bytes && depth <= DEEPEST; i++) {
        if (text[i] == '"') quoted = !quoted;
        if (quoted && text[i] == '\\') i++;
        if (!quoted) depth += (text[i] == '[' || text[i] == '{') - (text[i] == ']' || text[i] == '}');
    }
    return depth <= DEEPEST;
}

ad_status nf__json_load(const char *text, size_t bytes, json_t **object, json_error_t *reason)
{
    *reason = (json_error_t){.position = 0};
    *object = NULL;
    if (!nf__json_is_shallow(text, bytes)) {
        snprintf(reason->text, sizeof reason->text, "values are nested too deep");
        return AD_ERROR_FORMAT;
    }
    if (!has_room(bytes)) return AD_ERROR_MEMORY;
    json_t *json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, reason);
    /* It says nothing, or what it is, where a value found no memory. */
    if (!json && (!*reason->text || json_error_code(reason) == json_error_out_of_memory)) return AD_ERROR_MEMORY;
    if (json_is_object(json)) {
        *object = json;
        return AD_OK;
    }
    if (json) snprintf(reason->text, sizeof reason->text, "an object in braces is expected");
    json_decref(json);
    return AD_ERROR_FORMAT;
}
