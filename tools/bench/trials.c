#include "trials.h"

#include <stdio.h>
#include <time.h>

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void trials_add(trials *all, double rate)
{
    if (all->count < MOST_TRIALS) all->rate[all->count++] = rate;
}

void trials_print(const trials *all, const char *name)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < all->count; i++) printf("%s%.6g", i ? ", " : "", all->rate[i]);
    putchar(']');
}
