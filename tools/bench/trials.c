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

ad_status trials_of_steps(trials *all, ad_status (*step)(void *context, ad_error *error), void *context,
                          ad_error *error)
{
    ad_status status = AD_OK;
    for (double began = now(), at = began; !status && at < began + CASE_SECONDS;) {
        const double trial_began = at;
        size_t steps = 0;
        for (; !status && at < trial_began + TRIAL_SECONDS; steps++, at = now()) status = step(context, error);
        trials_add(all, (double)steps / (at - trial_began));
    }
    return status;
}

void trials_print(const trials *all, const char *name)
{
    printf("\"%s\": [", name);
    for (size_t i = 0; i < all->count; i++) printf("%s%.6g", i ? ", " : "", all->rate[i]);
    putchar(']');
}
