/* The name that a user may have meant. */
#include "suggest.h"

#include <stdint.h>
#include <string.h>

enum { LONGEST = 40 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, delete or replace (Levenshtein 1966). */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(b), row[LONGEST + 1];
    if (strlen(a) > LONGEST || n > LONGEST) return SIZE_MAX;
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(replaced, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

const char *suggest(const char *given, const char *const *names, size_t count)
{
    const char *closest = NULL;
    size_t length = strlen(given), least = length > 5 ? length / 2 : 3; /* farther away is no likeness */
    for (size_t i = 0; i < count && length > 0; i++) {
        size_t far = strncmp(names[i], given, length) == 0 ? 0 : distance(given, names[i]);
        if (far >= least) continue;
        least = far;
        closest = names[i];
    }
    return closest;
}
