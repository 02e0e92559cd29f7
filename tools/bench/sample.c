/* weir-bench sample: what a sample costs beside a log_prob of the same flow. */
#include "sample.h"
#include "trials.h"

#include <stdio.h>

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
    enum { FEWEST_TURNS = 6 };
    bench b = {.flow = flow,
               .batch = batch,
               .x = ad_alloc(batch, nf_flow_dim(flow) * sizeof *b.x),
               .log_prob = ad_alloc(batch, sizeof *b.log_prob),
               .pool = ad_pool_new(threads, error)};
    double first[2];
    trials rate[2] = {0};
    ad_status status =
        b.x && b.log_prob && b.pool ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows", batch);
    /* The first ones make the plans; samples are the data. */
    for (int samples = 1; samples >= 0 && !status; samples--) status = run(&b, samples, &first[samples], error);
    double began = now();
    for (int turn = 0; !status && turn < 2 * MOST_TRIALS && (turn < FEWEST_TURNS || now() < began + CASE_SECONDS);
         turn++) {
        double seconds;
        status = run(&b, turn % 2, &seconds, error);
        trials_add(&rate[turn % 2], (double)batch / seconds);
    }
    if (!status) {
        putchar('{');
        trials_print(&rate[0], "log_prob_rows_per_second");
        fputs(", ", stdout);
        trials_print(&rate[1], "sample_rows_per_second");
        printf(", \"log_prob_first_s\": %.3g, \"sample_first_s\": %.3g}\n", first[0], first[1]);
    }
    ad_pool_free(b.pool);
    ad_free(b.log_prob);
    ad_free(b.x);
    return status;
}
