/* weir-bench sample: what a sample costs beside a log_prob of the same flow. */
#include "sample.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    nf_flow *flow;
    size_t batch;
    double *x, *log_prob;
    ad_pool *pool;
} bench;

static ad_status run(const bench *b, bool samples, double *seconds, ad_error *error)
{
    double began = now();
    ad_status status = samples ? nf_sample(b->flow, NULL, b->batch, 1, b->x, b->log_prob, b->pool, error)
                               : nf_log_prob(b->flow, b->x, NULL, b->batch, b->log_prob, b->pool, error);
    *seconds = now() - began;
    return status;
}

ad_status measure_sampling(nf_flow *flow, size_t batch, int threads, ad_error *error)
{
    const double enough = 2; /* seconds */
    enum { FEWEST_TURNS = 6, MOST_TURNS = 400 };
    bench b = {.flow = flow,
               .batch = batch,
               .x = ad_alloc(batch, nf_flow_dim(flow) * sizeof *b.x),
               .log_prob = ad_alloc(batch, sizeof *b.log_prob),
               .pool = ad_pool_new(threads, error)};
    double first[2], best[2] = {INFINITY, INFINITY};
    ad_status status =
        b.x && b.log_prob && b.pool ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows", batch);
    /* The first ones make the plans; samples are the data. */
    for (int samples = 1; samples >= 0 && !status; samples--) status = run(&b, samples, &first[samples], error);
    double began = now();
    for (int turn = 0; !status && turn < MOST_TURNS && (turn < FEWEST_TURNS || now() < began + enough); turn++) {
        double seconds;
        status = run(&b, turn % 2, &seconds, error);
        best[turn % 2] = fmin(best[turn % 2], seconds);
    }
    if (!status)
        printf("{\"log_prob_rows_per_second\": %.6g, \"sample_rows_per_second\": %.6g, \"log_prob_first_s\": %.3g, "
               "\"sample_first_s\": %.3g}\n",
               (double)batch / best[0], (double)batch / best[1], first[0], first[1]);
    ad_pool_free(b.pool);
    ad_free(b.log_prob);
    ad_free(b.x);
    return status;
}
