/* A pool without threads that lets its jobs be timed, by a benchmark that asks how they would fill more cores. */
#ifndef WEIR_AUTODIFF_BASE_OBSERVED_H
#define WEIR_AUTODIFF_BASE_OBSERVED_H

#include <weir/pool.h>

typedef struct {
    void (*begins)(void *context, size_t jobs); /* a run of several jobs, that threads would share */
    void (*job_done)(void *context);            /* after each of them */
    void *context;
} ad__pool_observer;

/* A pool that takes itself for one of so many threads, so that work is cut as for them, and runs all jobs in the
 * calling one, in order. The observer must outlive it. */
ad_pool *ad__pool_observed(int threads, const ad__pool_observer *observer, ad_error *error);

#endif
