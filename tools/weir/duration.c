/* Durations as a user writes them. */
#include "duration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool parse_duration(const char *text, double *seconds)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}};
    char *end;
    double number = strtod(text, &end);
    if (end == text || !(number > 0) || !isfinite(number)) return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].name) != 0) continue;
        *seconds = number * units[i].seconds;
        return true;
    }
    return false;
}
