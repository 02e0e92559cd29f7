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

ad_status ad_error_set(ad_error *error, ad_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format ? format : "", arguments);
        va_end(arguments);
        unsign_nans(error->message);
    }
    return status;
}
