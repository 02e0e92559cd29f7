/* Threads that work on one job together.
 *
 * Several threads may make and use pools at once, and share one: a pool works for one caller at a time, and who comes
 * while it works runs the job alone, in the calling thread. So does a job that uses the pool that it runs in, and so
 * does a child process, after fork(), with a pool that its parent made, whose threads it doesn't have: it may free that
 * pool, and make one of its own. Results are the same. A pool is freed in one thread, when nobody uses it. */
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
/* Call job(context, i, worker) for i = 0 … jobs-1, on all threads, in no particular order; worker < threads, and no two
 * threads of this call have the same. Returns when all are done. A NULL pool runs them here, as worker 0. Jobs compute
 * in the default floating-point environment, see <weir/environment.h>, on stacks of 2 MiB at least in the pool's own
 * threads. */
void ad_pool_run(ad_pool *pool, size_t jobs, void (*job)(void *context, size_t i, int worker), void *context);

WEIR_END_DECLARATIONS

#endif
