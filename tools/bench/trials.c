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

bool trials_step_done(void *timer)
{
    trials_timer *t = timer;
    const double at = now();
    if (t->began == 0) {
        t->began = t->trial_began = at;
        return false;
    }
    t->steps++;
    if (at < t->trial_began + TRIAL_SECONDS) return false;
    trials_add(t->steps_per_second, (double)t->steps / (at - t->trial_began));
    t->steps = 0;
    t->trial_began = at;
    return at > t->began + CASE_SECONDS;
}

void trials_print(const trials *all, const char *name)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < all->count; i++) printf("%s%.6g", i ? ", " : "", all->rate[i]);
    putchar(']');
}
