/* Measures what tools/bench/run ranks needs of an MPI that is here, and checks its model by; under mpirun:
 *
 *     weir-bench-ranks PLUGIN talk                               what exchanges and gathers cost, by their bytes
 *     weir-bench-ranks PLUGIN train FORMULA DIM BATCH THREADS    speed of nf_fit() on all ranks
 *
 * Rank 0 prints a JSON object. */
#include "training.h"
#include "trials.h"

#include <weir/communicator_type.h>
#include <weir/models.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

enum { LEAST_BYTES = 8, MOST_BYTES = 4 << 20, TIMES = 4, LEAST_TURNS = 200, TALK_TRIALS = 12 };

typedef ad_status talking(const ad_communicator *c, char *room, size_t *bytes, ad_error *error);

/* To each rank, and from each, so many bytes. */
static ad_status exchange(const ad_communicator *c, char *room, size_t *bytes, ad_error *error)
{
    return c->exchange(c, room, bytes, room + (size_t)c->size * bytes[0], bytes, error);
}

static ad_status gather(const ad_communicator *c, char *room, size_t *bytes, ad_error *error)
{
    return c->gather(c, room, bytes, error);
}

/* Seconds of one call, in the trial that was disturbed least. */
static ad_status time_one(const ad_communicator *c, talking *call, char *room, size_t *bytes, double *seconds,
                          ad_error *error)
{
    const size_t whole = bytes[0] * (size_t)c->size, turns = whole < 65536 ? LEAST_TURNS : 10;
    ad_status status = AD_OK;
    *seconds = INFINITY;
    for (int trial = 0; trial < TALK_TRIALS && !status; trial++) {
        status = c->barrier(c, INFINITY, error);
        const double began = now();
        for (size_t turn = 0; turn < turns && !status; turn++) status = call(c, room, bytes, error);
        *seconds = fmin(*seconds, (now() - began) / (double)turns);
    }
    return status;
}

/* Of parts that grow: "name": [[bytes, seconds], …] */
static ad_status talk_of(const ad_communicator *c, const char *name, talking *call, char *room, size_t *bytes,
                         ad_error *error)
{
    ad_status status = AD_OK;
    if (c->rank == 0) printf("\"%s\": [", name);
    for (size_t size = LEAST_BYTES; size <= MOST_BYTES && !status; size *= TIMES) {
        double seconds;
        for (int r = 0; r < c->size; r++) bytes[r] = size;
        status = time_one(c, call, room, bytes, &seconds, error);
        if (c->rank == 0) printf("%s[%zu, %.4g]", size > LEAST_BYTES ? ", " : "", size, seconds);
    }
    if (c->rank == 0) printf("]");
    return status;
}

static ad_status talk(const ad_communicator *c, ad_error *error)
{
    const size_t ranks = (size_t)c->size;
    char *room = ad_alloc(2 * ranks, MOST_BYTES);
    size_t *bytes = ad_alloc(ranks, sizeof *bytes);
    ad_status status = room && bytes ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for messages");
    if (c->rank == 0) printf("{\"ranks\": %d, ", c->size);
    if (!status) status = talk_of(c, "exchange", exchange, room, bytes, error);
    if (c->rank == 0) printf(", ");
    if (!status) status = talk_of(c, "gather", gather, room, bytes, error);
    if (c->rank == 0) puts("}");
    ad_free(bytes);
    ad_free(room);
    return status;
}

/* ---- Training ---------------------------------------------------------------------------------------------------- */

static ad_status train(const ad_communicator *c, char **words, ad_error *error)
{
    enum { BATCHES = 4 };
    const size_t dim = strtoul(words[1], NULL, 10), batch = strtoul(words[2], NULL, 10);
    trials rate = {0};
    trials_timer timer = {.steps_per_second = &rate};
    nf_flow *flow = nf_flow_parse(words[0], dim, 0, AD_F32, 1, error);
    double *x = flow ? random_data(BATCHES * batch, dim) : NULL;
    ad_pool *pool = x ? ad_pool_new((int)strtol(words[3], NULL, 10), error) : NULL;
    ad_status status = pool ? ad_pool_set_communicator(pool, c, error) : flow && !x ? AD_ERROR_MEMORY : error->status;
    if (!status) status = train_until(flow, x, BATCHES * batch, batch, pool, trials_step_done, &timer, error);
    if (!status && c->rank == 0) {
        printf("{\"ranks\": %d, ", c->size);
        trials_print(&rate, "steps_per_second");
        puts("}");
    }
    ad_pool_free(pool);
    ad_free(x);
    nf_flow_free(flow);
    return status;
}

int main(int argc, char **argv)
{
    ad_error error = {AD_OK, ""};
    const bool talks = argc == 3 && strcmp(argv[2], "talk") == 0, trains = argc == 7 && strcmp(argv[2], "train") == 0;
    if (!talks && !trains) {
        fputs("usage: weir-bench-ranks PLUGIN talk\n"
              "       weir-bench-ranks PLUGIN train FORMULA DIM BATCH THREADS\n",
              stderr);
        return 2;
    }
    const nf_communicator_type *type = nf_plugin_load(argv[1], &error) ? NULL : nf_communicator_types()[0];
    const ad_communicator *c = type ? type->open(type, &error) : NULL;
    if (!c) {
        fprintf(stderr, "weir-bench-ranks: %s\n", error.message);
        return EXIT_FAILURE;
    }
    const ad_status status = talks ? talk(c, &error) : train(c, argv + 3, &error);
    if (status) {
        fprintf(stderr, "weir-bench-ranks: %s\n", error.message);
        c->abort(c, EXIT_FAILURE);
    }
    type->close(type);
    return EXIT_SUCCESS;
}
