/* Errors: a status and one sentence. */
#include <weir/error.h>

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

/* printf shows the sign of a NaN, which is chance: numbers "-nan" become "nan". */
static void unsign_nans(char *text)
{
    for (char *at = text; (at = strstr(at, "-nan")); at++)
        if ((at == text || strchr(" (", at[-1])) && !isalnum((unsigned char)at[4])) memmove(at, at + 1, strlen(at));
}

/* Bytes of the character of UTF-8 that text begins with, and which it is; 0 where it isn't one. */
static size_t decode(const unsigned char *text, unsigned *code)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t bytes = text[0] < 0x80 ? 1 : text[0] < 0xc0 ? 0 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    *code = bytes == 1 ? text[0] : text[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) return 0;
        *code = *code << 6 | (text[i] & 0x3f);
    }
    return bytes < 2 || (text[0] < 0xf8 && *code >= least[bytes]) ? bytes : 0;
}

/* Controls of both kinds, and the marks, embeddings and isolates of Unicode's bidirectional algorithm. */
static bool is_control(unsigned code)
{
    return (code < ' ' && code != '\n' && code != '\t') || (code >= 0x7f && code < 0xa0) || code == 0x200e ||
           code == 0x200f || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

char *ad_printable(char *text)
{
    char *to = text;
    if (!text) return NULL;
    for (const char *from = text; *from;) {
        unsigned code;
        size_t bytes = decode((const unsigned char *)from, &code);
        if (bytes == 0) { /* not UTF-8: shown but where it is a control character of another encoding */
            bytes = 1;
            code = (unsigned char)*from;
        }
        const bool shown = !is_control(code);
        if (shown)
            memmove(to, from, bytes);
        else
            *to = '?';
        to += shown ? bytes : 1;
        from += bytes;
    }
    *to = '\0';
    return text;
}

/* A message that is cut may end amid a character. */
static void cut_whole(char *text)
{
    size_t length = strlen(text), last = length;
    unsigned code;
    while (last > 0 && length - last < 4 && ((unsigned char)text[--last] & 0xc0) == 0x80) continue;
    if ((unsigned char)text[last] >= 0xc0 && decode((const unsigned char *)text + last, &code) == 0) text[last] = '\0';
}

ad_status ad_error_set(ad_error *error, ad_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        *error->message = '\0';
        if (format) vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
        if (strlen(error->message) + 1 == sizeof error->message) cut_whole(error->message);
        unsign_nans(ad_printable(error->message));
    }
    return status;
}
