/* Processes that a launcher started to run one command together. */
#include "ranks.h"
#include "front.h"
#include "gather.h"
#include "identity.h"
#include "interrupt.h"
#include "launcher.h"
#include "parts.h"
#include "plugin_place.h"

#include <weir/plugin.h>
#include <weir/communicator_type.h>

#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* NULL: this process is alone. */
static const ad_communicator *ranks;
static const nf_communicator_type *type;
static bool launched_behind; /* a launcher has started this process, and an earlier one: it is quiet */
static int sharing = 1;      /* ranks that may use the same cores, this one included */
static int faults = -1;      /* standard error, as it was */

bool ranks_is_first(void)
{
    return !launched_behind && (!ranks || ranks->rank == 0);
}

const ad_communicator *ranks_communicator(void)
{
    return ranks;
}

/* ---- Start ----------------------------------------------------------------------------------------------------- */

/* What the user asks for. */
struct wish {
    bool with, without;
    const char *file; /* the plug-in: a file, or the name of an MPI; NULL: to be found */
};

/* Words count more than the variable, and the last of them most. */
static struct wish read_wish(int count, char **words)
{
    const char *variable = getenv("WEIR_MPI"), *value;
    struct wish wish = {.file = variable && *variable ? variable : NULL};
    if (wish.file && strcmp(wish.file, "no") == 0) wish = (struct wish){.without = true};
    enum front_option option;
    for (int at = 0; (option = front_next(count, words, &at, &value)) != FRONT_END;) {
        if (option == FRONT_NO_MPI) wish = (struct wish){.without = true};
        if (option == FRONT_MPI) wish = (struct wish){.with = true, .file = value && *value ? value : wish.file};
    }
    return wish;
}

/* Those behind the first have nothing to do; but their end, with a failure, would make the launcher end the first one
 * before it has said why. */
static void leave_to_first(const struct launch *launch)
{
    enum { SECONDS = 2 };
    launched_behind = launch->launcher && launch->rank > 0;
    if (launched_behind) sleep(SECONDS);
}

static ad_status load(const struct launch *launch, const struct wish *wish, ad_error *error)
{
    char path[PLUGIN_PLACE];
    size_t before = 0;
    if (!plugin_place_find(wish->file, launch->mpi, path))
        return ad_error_set(error, AD_ERROR_IO,
                            "%s%s, and Weir's plug-in for MPI is not there%s%.200s%s: install Weir where MPI is, or "
                            "say where the plug-in is (weir --mpi=FILE …, or the variable WEIR_MPI); for runs that "
                            "have nothing to do with each other: weir --no-mpi …",
                            launch->launcher ? launch->launcher : "--mpi is given",
                            launch->launcher ? " started this as one of several processes" : "",
                            wish->file ? " by the name '" : "", wish->file ? wish->file : "", wish->file ? "'" : "");
    while (nf_communicator_types()[before]) before++;
    if (nf_plugin_load(path, error)) return error->status;
    type = nf_communicator_types()[before];
    return type ? AD_OK : ad_error_set(error, AD_ERROR_FORMAT, "plug-in '%s' brings no communicator", path);
}

/* A process that an MPI doesn't know to be one of several is the only one to it. */
static ad_status check_size(const struct launch *launch, ad_error *error)
{
    if (launch->size == 0 || launch->size == ranks->size) return AD_OK;
    return ad_error_set(
        error, AD_ERROR_IO,
        "%s started %d processes, but the MPI of Weir's plug-in sees %d: the launcher and the plug-in are of "
        "different MPIs (weir --mpi=mpich …, --mpi=openmpi or --mpi=FILE takes another plug-in), or the launcher "
        "starts none (srun --mpi=list shows what it can); for runs that have nothing to do with each other: "
        "weir --no-mpi …",
        launch->launcher, launch->size, ranks->size);
}

/* The others' messages and reports are as the first one's. */
static void silence(void)
{
    fflush(stdout);
    fflush(stderr);
    faults = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere < 0) return;
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    close(nowhere);
}

/* The cores that a rank may use, and the name of its machine. */
struct place {
    char host[64];
    cpu_set_t cores;
};

/* A launcher may have given each rank cores of its own, or all ranks the whole machine. */
static ad_status count_sharing(ad_error *error)
{
    const size_t size = (size_t)ranks->size;
    struct place *all = ad_alloc(size, sizeof *all);
    ad_status status = all ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %d ranks", ranks->size);
    if (!status) {
        struct place *own = &all[ranks->rank];
        identity_host(own->host);
        sched_getaffinity(0, sizeof own->cores, &own->cores);
        status = gather_from_all(ranks, all, sizeof *all, error);
        sharing = 0;
        for (size_t r = 0; !status && r < size; r++) {
            cpu_set_t both;
            CPU_AND(&both, &all[r].cores, &own->cores);
            sharing += strcmp(all[r].host, own->host) == 0 && CPU_COUNT(&both) > 0;
        }
        if (sharing > ranks->local_size) sharing = ranks->local_size;
        if (sharing < 1) sharing = 1;
    }
    ad_free(all);
    return status;
}

ad_status ranks_start(int count, char **words, bool together, bool *ends, ad_error *error)
{
    const struct wish wish = read_wish(count, words);
    const struct launch launch = wish.without ? (struct launch){0} : launcher_find();
    *ends = launch.launcher && !together && launch.rank > 0;
    if (!together || (!launch.launcher && !wish.with)) return AD_OK;
    ad_status status = load(&launch, &wish, error);
    if (!status) ranks = type->open(type, error);
    if (status || !ranks) {
        leave_to_first(&launch);
        return error->status;
    }
    if (check_size(&launch, error)) {
        leave_to_first(&launch);
        type->close(type);
        ranks = NULL;
        return error->status;
    }
    if (ranks->rank > 0) silence();
    if (identity_check(ranks, count, words, error)) return error->status;
    return count_sharing(error);
}

/* ---- Work ------------------------------------------------------------------------------------------------------ */

ad_status ranks_agree(ad_status status, ad_error *error)
{
    return parts_agree(ranks, status, error);
}

/* What each rank says, of this one `own`, to all: the greatest of it, and the first rank that didn't say 0, or
 * their number. */
static ad_status ask_all(int own, int *greatest, int *first)
{
    int *all = ad_alloc((size_t)ranks->size, sizeof *all);
    ad_status status = all ? AD_OK : AD_ERROR_MEMORY;
    if (!status) {
        all[ranks->rank] = own;
        status = gather_from_all(ranks, all, sizeof *all, NULL);
    }
    *greatest = 0;
    *first = ranks->size;
    for (int r = ranks->size - 1; !status && r >= 0; r--) {
        if (all[r] > *greatest) *greatest = all[r];
        if (all[r]) *first = r;
    }
    ad_free(all);
    return status;
}

/* Where they can't talk any more, what comes next says so. */
int ranks_interrupt(void)
{
    int signal, first;
    if (ranks && !ask_all(interrupt_signal(), &signal, &first)) {
        interrupt_note(signal);
        return signal;
    }
    return interrupt_signal();
}

static int usable_cores(void)
{
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

ad_pool *ranks_pool(const struct arguments *arguments, ad_error *error)
{
    int threads = (int)option_count(arguments, "threads");
    if (threads == 0 && sharing > 1) threads = usable_cores() / sharing > 1 ? usable_cores() / sharing : 1;
    ad_pool *pool = ad_pool_new(threads, error);
    if (!pool || !ranks || !ad_pool_set_communicator(pool, ranks, error)) return pool;
    ad_pool_free(pool);
    return NULL;
}

/* ---- End ------------------------------------------------------------------------------------------------------- */

/* Says itself which rank it was, where that is of interest. */
static void tell(const char *command, const char *failure, bool names_rank)
{
    char host[64];
    FILE *to = faults < 0 ? stderr : fdopen(faults, "w");
    if (!to || launched_behind) return;
    fprintf(to, "weir%s%s: ", *command ? " " : "", command);
    if (names_rank) fprintf(to, "rank %d of %d (%s): ", ranks->rank, ranks->size, identity_host(host));
    fprintf(to, "%s\n", failure);
    fflush(to);
}

/* A rank that failed alone isn't waited for by the others, which are in the midst of their work. A rank that is done
 * waits as long as the first one writes. */
int ranks_end(const char *command, const char *failure, int exit_status)
{
    enum { PATIENCE = 5 }; /* seconds */
    if (!ranks) {
        if (failure) tell(command, failure, false);
        return exit_status;
    }
    int greatest, failed;
    if (ranks->barrier(ranks, exit_status ? PATIENCE : INFINITY, NULL) || ask_all(exit_status, &greatest, &failed)) {
        if (failure) tell(command, failure, true);
        ranks_exit(exit_status ? exit_status : EXIT_FAILURE);
    }
    if (failure && ranks->rank == failed) tell(command, failure, failed > 0);
    if (failed < ranks->size) ranks->barrier(ranks, PATIENCE, NULL); /* it has been told */
    type->close(type);
    ranks = NULL;
    return greatest;
}

_Noreturn void ranks_exit(int exit_status)
{
    if (ranks) ranks->abort(ranks, exit_status);
    exit(exit_status);
}
