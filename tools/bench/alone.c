#include "alone.h"
#include "training.h"
#include "trials.h"

#include <weir/communicator.h>
#include <weir/training.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A call: what this rank sends, and in how many messages; or what a gather has it receive. */
typedef struct {
    const char *function;
    size_t bytes, messages;
} call;

/* Those of the step under way, and of the step so far that had the fewest: some have what an epoch's end needs too. */
enum { MOST_CALLS = 256 };

typedef struct {
    trials *steps_per_second;
    double began, trial_began; /* in seconds of computing, which other programs don't change */
    size_t steps;              /* of the trial so far */
    call made[MOST_CALLS], fewest[MOST_CALLS];
    size_t calls, least;
} training;

static void add(const ad_communicator *c, const char *function, size_t bytes, size_t messages)
{
    training *t = c->data;
    if (t->calls < MOST_CALLS) t->made[t->calls++] = (call){function, bytes, messages};
}

static ad_status exchange(const ad_communicator *c, const void *send, const size_t *send_bytes, void *receive,
                          const size_t *receive_bytes, ad_error *error)
{
    (void)send, (void)receive, (void)receive_bytes, (void)error;
    size_t bytes = 0, messages = 0;
    for (int r = 0; r < c->rank; r++) {
        bytes += send_bytes[r];
        messages += send_bytes[r] > 0;
    }
    add(c, "exchange", bytes, messages);
    return AD_OK;
}

static ad_status gather(const ad_communicator *c, void *all, const size_t *bytes, ad_error *error)
{
    (void)all, (void)error;
    size_t received = 0;
    for (int r = 0; r < c->rank; r++) received += bytes[r];
    add(c, "gather", received, 0);
    return AD_OK;
}

static ad_status broadcast(const ad_communicator *c, void *data, size_t bytes, int root, ad_error *error)
{
    (void)data, (void)root, (void)error;
    add(c, "broadcast", bytes, 0);
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

static double computed(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The first step is warm-up. */
static bool step_done(void *context)
{
    training *t = context;
    const double at = computed();
    if (t->began == 0) t->began = t->trial_began = at;
    if (at > t->began && (t->least == 0 || t->calls < t->least)) {
        memcpy(t->fewest, t->made, sizeof t->made);
        t->least = t->calls;
    }
    t->steps += at > t->began;
    t->calls = 0;
    if (at < t->trial_began + TRIAL_SECONDS) return false;
    trials_add(t->steps_per_second, (double)t->steps / (at - t->trial_began));
    t->steps = 0;
    t->trial_began = at;
    return at > t->began + CASE_SECONDS / 2;
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
    trials rate = {0};
    training t = {.steps_per_second = &rate};
    const ad_communicator c = {"nobody", ranks - 1, ranks, 1, &t, exchange, gather, broadcast, barrier, end};
    double *x = repeated_data(BATCHES * batch, nf_flow_dim(flow));
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d batches of %zu rows", BATCHES, batch);
    ad_pool *pool = ad_pool_new(1, error);
    ad_status status = pool ? ad_pool_set_communicator(pool, &c, error) : error->status;
    if (!status) status = train_until(flow, x, BATCHES * batch, batch, pool, step_done, &t, error);
    if (!status) {
        putchar('{');
        trials_print(&rate, "steps_per_second");
        for (size_t i = 0; i < t.least; i++)
            printf("%s[\"%s\", %zu, %zu]", i ? ", " : ", \"calls\": [", t.fewest[i].function, t.fewest[i].bytes,
                   t.fewest[i].messages);
        printf("%s, \"parameters\": %zu}\n", t.least ? "]" : ", \"calls\": []", nf_flow_trained_elements(flow));
    }
    ad_pool_free(pool);
    ad_free(x);
    return status;
}
