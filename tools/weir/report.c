/* Results: as JSON, and in words for a human reader. */
#include "report.h"

#include <weir/error.h>
#include <weir/memory.h>

#include <math.h>
#include <stdarg.h>
#include <string.h>

json_t *report_number(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

json_t *report_text(const char *text)
{
    json_t *string = json_string(text);
    if (string) return string;
    char ascii[4096];
    size_t i = 0;
    for (; text[i] && i < sizeof ascii - 1; i++) ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    ascii[i] = '\0';
    return json_string(ascii);
}

/* In a line. NULL: memory is out, as it is of NULL. */
static char *printable(const char *text)
{
    char *copy = ad_strdup(text);
    for (char *at = copy ? ad_printable(copy) : NULL; at && *at; at++)
        if (*at == '\n' || *at == '\t') *at = ' ';
    return copy;
}

json_t *report_printable(const json_t *result)
{
    const char *name;
    json_t *value, *copy = json_is_object(result) ? json_object() : json_is_array(result) ? json_array() : NULL;
    size_t i;
    if (json_is_string(result)) {
        char *text = printable(json_string_value(result));
        copy = json_string(text);
        ad_free(text);
        return copy;
    }
    if (!copy) return json_incref((json_t *)(uintptr_t)result);
    json_object_foreach((json_t *)(uintptr_t)result, name, value)
    {
        char *text = printable(name);
        json_object_set_new(copy, text, report_printable(value));
        ad_free(text);
    }
    json_array_foreach(result, i, value) json_array_append_new(copy, report_printable(value));
    return copy;
}

void warn(const char *format, ...)
{
    va_list given;
    va_start(given, format);
    int length = vsnprintf(NULL, 0, format, given);
    va_end(given);
    char *text = ad_alloc((size_t)(length < 0 ? 0 : length) + 1, 1);
    if (!text) return;
    va_start(given, format);
    vsnprintf(text, (size_t)length + 1, format, given);
    va_end(given);
    fprintf(stderr, "weir: warning: %s\n", ad_printable(text));
    ad_free(text);
}

void report_json(const json_t *result, FILE *to)
{
    json_dumpf(result, to, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    fprintf(to, "\n");
}

long long report_count_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

const char *report_text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

double report_number_of(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_number(number) ? json_number_value(number) : NAN;
}

const char *report_rate(double number, char buffer[static 32])
{
    static const char prefixes[] = " kMGT";
    size_t i = 0;
    for (; fabs(number) >= 1000 && prefixes[i + 1]; i++) number /= 1000;
    snprintf(buffer, 32, i ? "%.3g%c" : "%.3g", number, prefixes[i]);
    return buffer;
}

const char *report_duration(double seconds, char buffer[static 32])
{
    long long whole = isfinite(seconds) ? llround(seconds) : 0;
    if (whole < 3600)
        snprintf(buffer, 32, "%lld:%02lld", whole / 60, whole % 60);
    else
        snprintf(buffer, 32, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
    return buffer;
}

const char *report_seconds(double seconds, char buffer[static 32])
{
    if (seconds >= 60) return report_duration(seconds, buffer);
    snprintf(buffer, 32, "%.3g s", seconds);
    return buffer;
}

const char *report_spent(const json_t *object, const char *separator, char buffer[static 32])
{
    char text[32];
    const double seconds = report_number_of(object, "seconds");
    snprintf(buffer, 32, "%s%s", isnan(seconds) ? "" : separator, isnan(seconds) ? "" : report_seconds(seconds, text));
    return buffer;
}

void report_warning(const json_t *object, FILE *to)
{
    const char *text = report_text_of(object, "warning");
    while (*text) {
        const size_t length = strcspn(text, "\n");
        fprintf(to, "warning     %.*s\n", (int)length, text);
        text += length + (text[length] != 0);
    }
}
