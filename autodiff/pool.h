/* Threads that work on one job together. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include <weir/error.h>

WEIR_BEGIN_DECLARATIONS

typedef struct ad_pool ad_pool;

/* threads - 1 workers beside the caller; 0 means one for each core that this process may use. */
ad_pool *ad_pool_new(int threads, ad_error *error);
void ad_pool_free(ad_pool *pool);
int ad_pool_threads(const ad_pool *pool); /* 1 for NULL */
/* Call job(context, i, worker) for i = 0 … jobs-1, on all threads, in no particular order; worker < threads. Returns
 * when all are done. A NULL pool runs them here. One caller at a time. */
void ad_pool_run(ad_pool *pool, size_t jobs, void (*job)(void *context, size_t i, int worker), void *context);

WEIR_END_DECLARATIONS

#endif
