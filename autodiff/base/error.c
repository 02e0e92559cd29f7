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

/* Text of files and of users is in messages: a terminal would take its control characters, those of UTF-8's two bytes
 * too, for commands. One byte stands for each, so that what is under another stays there. */
static void mask_controls(char *text)
{
    for (unsigned char *at = (unsigned char *)text; *at; at++) {
        if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) at[0] = at[1] = '?';
        if (*at == '\t') *at = ' ';
        if ((*at < ' ' && *at != '\n') || *at == 0x7f) *at = '?';
    }
}

ad_status ad_error_set(ad_error *error, ad_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format ? format : "", arguments);
        va_end(arguments);
        unsign_nans(error->message);
        mask_controls(error->message);
    }
    return status;
}
