/* Threads that work on one job together.
 *
 * Pools may be made, used and freed in several threads at once, but a pool is one caller's at a time. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include <weir/error.h>

WEIR_BEGIN_DECLARATIONS

typedef struct ad_pool ad_pool;

/* A pool of `threads`: the caller of ad_pool_run() and threads - 1 workers. 0: one for each core that this process may
 * use. NULL with *error when memory or threads are out, or for a negative number. */
ad_pool *ad_pool_new(int threads, ad_error *error);
void ad_pool_free(ad_pool *pool);
int ad_pool_threads(const ad_pool *pool); /* 1 for NULL */
/* Call job(context, i, worker) for i = 0 … jobs-1, on all threads, in no particular order; worker < threads. Returns
 * when all are done. A NULL pool runs them here, as worker 0. A job must not run the pool that it runs in. */
void ad_pool_run(ad_pool *pool, size_t jobs, void (*job)(void *context, size_t i, int worker), void *context);

WEIR_END_DECLARATIONS

#endif
