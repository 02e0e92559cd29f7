/* What every communicator must do, done by one of a plug-in's: mpirun -n 3 weir-communicator PLUGIN. Each rank says
 * what is wrong; the exit status is that of all. With a second word, rank 0 doesn't come to a barrier, and the others
 * end all with status 42. */
#include "communicator_cases.h"

#include <weir/models.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Rank 0 doesn't come, and the others end it. */
static _Noreturn void end_late(const ad_communicator *ranks)
{
    enum { LONG = 60, ENDED = 42 };
    if (ranks->rank == 0) sleep(LONG);
    const bool ended = ranks->rank > 0 && ranks->barrier(ranks, .1, NULL) == AD_ERROR_INTERRUPTED;
    ranks->abort(ranks, ended ? ENDED : EXIT_FAILURE);
    exit(EXIT_FAILURE);
}

/* The ranks that the plug-in finds, of a pool that accepts them. */
static const ad_communicator *meet(const char *plugin, const nf_communicator_type **type)
{
    ad_error error;
    const ad_communicator *ranks = NULL;
    ad_pool *pool = ad_pool_new(1, &error);
    *type = pool && !nf_plugin_load(plugin, &error) ? nf_communicator_types()[0] : NULL;
    if (*type) ranks = (*type)->open(*type, &error);
    if (ranks && ad_pool_set_communicator(pool, ranks, &error)) ranks = NULL;
    if (!ranks) fprintf(stderr, "%s\n", error.message);
    ad_pool_free(pool);
    return ranks;
}

int main(int count, char **words)
{
    int failed = 0;
    const nf_communicator_type *type;
    const ad_communicator *ranks = count > 1 ? meet(words[1], &type) : NULL;
    if (!ranks) return EXIT_FAILURE;
    for (const communicator_case *one = communicator_cases; one->name; one++) {
        const char *wrong = one->run(ranks);
        if (wrong) fprintf(stderr, "%s: rank %d of %d: %s\n", one->name, ranks->rank, ranks->size, wrong);
        failed = failed || wrong;
    }
    if (ranks->rank == 0 && !failed) printf("%s: %d ranks talk\n", ranks->name, ranks->size);
    fflush(stdout);
    if (count > 2) end_late(ranks);
    type->close(type);
    return failed;
}
