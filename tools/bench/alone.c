#include "alone.h"
#include "trials.h"

#include <weir/communicator.h>
#include <weir/training.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Calls of one function, what this rank sends in them, and to how many others. */
typedef struct {
    size_t calls, bytes, messages;
} traffic;

typedef struct {
    traffic exchange, gather, broadcast;
} counted;

static counted *of(const ad_communicator *c)
{
    return c->data;
}

static ad_status exchange(const ad_communicator *c, const void *send, const size_t *send_bytes, void *receive,
                          const size_t *receive_bytes, ad_error *error)
{
    (void)send, (void)receive, (void)receive_bytes, (void)error;
    traffic *t = &of(c)->exchange;
    t->calls++;
    for (int r = 0; r < c->rank; r++) {
        t->bytes += send_bytes[r];
        t->messages += send_bytes[r] > 0;
    }
    return AD_OK;
}

/* What a rank sends here are all parts but one, on their way to others. */
static ad_status gather(const ad_communicator *c, void *all, const size_t *bytes, ad_error *error)
{
    (void)all, (void)error;
    traffic *t = &of(c)->gather;
    t->calls++;
    for (int r = 0; r < c->rank; r++) t->bytes += bytes[r];
    return AD_OK;
}

static ad_status broadcast(const ad_communicator *c, void *data, size_t bytes, int root, ad_error *error)
{
    (void)data, (void)root, (void)error;
    of(c)->broadcast.calls++;
    of(c)->broadcast.bytes += bytes;
    return AD_OK;
}

static ad_status barrier(const ad_communicator *c, double seconds, ad_error *error)
{
    (void)c, (void)seconds, (void)error;
    return AD_OK;
}

static void end(const ad_communicator *c, int exit_status)
{
    (void)c;
    exit(exit_status);
}

/* Counts what steps send from the end of the first on, which is warm-up. */
typedef struct {
    trials_timer timer;
    counted now, first;
    size_t steps;
} training;

static bool step_done(void *context)
{
    training *t = context;
    if (t->steps++ == 0) t->first = t->now;
    return trials_step_done(&t->timer);
}

static void print(const char *name, const traffic *now, const traffic *first, size_t steps)
{
    printf(", \"%s\": {\"calls\": %.4g, \"bytes\": %.6g, \"messages\": %.4g}", name,
           (double)(now->calls - first->calls) / (double)steps, (double)(now->bytes - first->bytes) / (double)steps,
           (double)(now->messages - first->messages) / (double)steps);
}

enum { BATCHES = 4, DIFFERENT_ROWS = 4096 };

/* Many rows, of which few are different. */
static double *repeated_data(size_t rows, size_t dim)
{
    const size_t block = DIFFERENT_ROWS * dim;
    double *x = ad_alloc(rows, dim * sizeof *x);
    for (size_t i = 0; x && i < rows * dim; i++) x[i] = i < block ? ad_random_normal(1, 0, i) : x[i - block];
    return x;
}

ad_status measure_alone(nf_flow *flow, size_t batch, int ranks, ad_error *error)
{
    training t = {.steps = 0};
    trials rate = {0};
    t.timer.steps_per_second = &rate;
    const ad_communicator c = {"nobody", ranks - 1, ranks, 1, &t.now, exchange, gather, broadcast, barrier, end};
    double *x = repeated_data(BATCHES * batch, nf_flow_dim(flow));
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d batches of %zu rows", BATCHES, batch);
    ad_pool *pool = ad_pool_new(1, error);
    ad_status status = pool ? ad_pool_set_communicator(pool, &c, error) : error->status;
    if (!status)
        status = nf_fit(flow, x, BATCHES * batch,
                        &(nf_fit_options){.epochs = INT_MAX,
                                          .batch = batch,
                                          .optimizer.learning_rate = 1e-4,
                                          .val_fraction = -1,
                                          .pool = pool,
                                          .interrupted = step_done,
                                          .context = &t},
                        NULL, error);
    if (!status) {
        putchar('{');
        trials_print(&rate, "steps_per_second");
        print("exchange", &t.now.exchange, &t.first.exchange, t.steps - 1);
        print("gather", &t.now.gather, &t.first.gather, t.steps - 1);
        print("broadcast", &t.now.broadcast, &t.first.broadcast, t.steps - 1);
        printf(", \"parameters\": %zu}\n", nf_flow_trained_elements(flow));
    }
    ad_pool_free(pool);
    ad_free(x);
    return status;
}
