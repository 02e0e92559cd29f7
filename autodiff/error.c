/* Errors: a status and one sentence. */
#include "internal.h"

#include <stdarg.h>

ad_status ad_error_set(ad_error *error, ad_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->status = status;
        vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return status;
}
