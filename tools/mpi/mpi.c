/* A plug-in: the ranks that an MPI launcher started, as a communicator.
 *
 * The weir command loads it by itself when mpirun, mpiexec or srun have started it. The build makes one for each MPI
 * that it finds; for another one:
 *
 *     mpicc -shared -fPIC tools/mpi/mpi.c $(pkg-config --cflags weir) -o mpi.so
 *     mpirun -n 4 -x WEIR_MPI=./mpi.so weir fit …
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for cpu_set_t */
#endif
#define OMPI_SKIP_MPICXX  1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <weir/communicator_type.h>
#include <weir/memory.h>
#include <weir/plugin.h>

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Counts are int in MPI: what is larger goes in pieces, all but the last of this size. Tests have smaller ones. */
#ifndef PIECE
#define PIECE (1 << 30)
#endif
static const size_t piece = PIECE;

/* Barriers have a communicator of their own: one that timed out must not be taken for something else. */
static MPI_Comm all, meeting;
static bool started_here; /* MPI, by open and not by the program */
static bool crowded;      /* ranks outnumber cores: who waits must leave its core to others */

static ad_status check(int code, const char *what, ad_error *error)
{
    if (code == MPI_SUCCESS) return AD_OK;
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int length;
    MPI_Error_string(code, text, &length);
    return ad_error_set(error, AD_ERROR_IO, "MPI: %s failed: %.600s", what, text);
}

/* MPI itself would look without a pause. */
static int wait_for(MPI_Request *request, int count)
{
    int code = MPI_SUCCESS;
    if (!crowded) return MPI_Waitall(count, request, MPI_STATUSES_IGNORE);
    for (int arrived = 0; code == MPI_SUCCESS; sched_yield()) {
        code = MPI_Testall(count, request, &arrived, MPI_STATUSES_IGNORE);
        if (arrived) break;
    }
    return code;
}

/* ---- Messages -------------------------------------------------------------------------------------------------- */

static size_t pieces(size_t bytes)
{
    return (bytes + piece - 1) / piece;
}

static int piece_bytes(size_t bytes, size_t at)
{
    return (int)(bytes - at < piece ? bytes - at : piece);
}

/* Messages under way: those of the exchanges so far had room for `room` of them. */
static struct {
    MPI_Request *request;
    size_t room;
    int count;
} flight;

static bool make_room(const size_t *send_bytes, const size_t *receive_bytes, int size)
{
    size_t needed = 0;
    for (int r = 0; r < size; r++) needed += pieces(send_bytes[r]) + pieces(receive_bytes[r]);
    flight.count = 0;
    if (needed <= flight.room) return true;
    ad_free(flight.request);
    flight.request = ad_alloc(needed, sizeof *flight.request);
    flight.room = flight.request ? needed : 0;
    return flight.request != NULL;
}

/* Messages between two ranks stay in order, so that pieces need no names. */
static int start_receiving(char *to, size_t bytes, int from)
{
    int code = MPI_SUCCESS;
    for (size_t at = 0; at < bytes && code == MPI_SUCCESS; at += piece)
        code = MPI_Irecv(to + at, piece_bytes(bytes, at), MPI_BYTE, from, 0, all, &flight.request[flight.count++]);
    return code;
}

static int start_sending(const char *from, size_t bytes, int to)
{
    int code = MPI_SUCCESS;
    for (size_t at = 0; at < bytes && code == MPI_SUCCESS; at += piece)
        code = MPI_Isend(from + at, piece_bytes(bytes, at), MPI_BYTE, to, 0, all, &flight.request[flight.count++]);
    return code;
}

/* MPI_Alltoallv counts in int, and no rank knows the sizes of all, from which to see whether that is enough. */
static ad_status exchange(const ad_communicator *c, const void *send, const size_t *send_bytes, void *receive,
                          const size_t *receive_bytes, ad_error *error)
{
    if (!make_room(send_bytes, receive_bytes, c->size))
        return ad_error_set(error, AD_ERROR_MEMORY, "MPI: no memory for the messages of %d ranks", c->size);
    int code = MPI_SUCCESS;
    char *to = receive, *own = receive;
    for (int r = 0; r < c->size && code == MPI_SUCCESS; to += receive_bytes[r++]) {
        if (r == c->rank) own = to;
        if (r != c->rank) code = start_receiving(to, receive_bytes[r], r);
    }
    const char *from = send;
    for (int r = 0; r < c->size && code == MPI_SUCCESS; from += send_bytes[r++]) {
        if (r == c->rank && send_bytes[r] > 0) memcpy(own, from, send_bytes[r]);
        if (r != c->rank) code = start_sending(from, send_bytes[r], r);
    }
    if (code == MPI_SUCCESS) code = wait_for(flight.request, flight.count);
    return check(code, "an exchange", error);
}

static int send_piece_to_all(char *data, int bytes, int root)
{
    MPI_Request request;
    if (!crowded) return MPI_Bcast(data, bytes, MPI_BYTE, root, all);
    const int code = MPI_Ibcast(data, bytes, MPI_BYTE, root, all, &request);
    return code == MPI_SUCCESS ? wait_for(&request, 1) : code;
}

static int send_to_all(char *data, size_t bytes, int root)
{
    int code = MPI_SUCCESS;
    for (size_t at = 0; at < bytes && code == MPI_SUCCESS; at += piece)
        code = send_piece_to_all(data + at, piece_bytes(bytes, at), root);
    return code;
}

static ad_status broadcast(const ad_communicator *c, void *data, size_t bytes, int root, ad_error *error)
{
    (void)c;
    return check(send_to_all(data, bytes, root), "a broadcast", error);
}

/* Counts and places of the parts, as MPI has them; room for all ranks, made by open. */
static int *part_bytes, *part_at;

static int gather_parts(void *parts)
{
    MPI_Request request;
    if (!crowded) return MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, parts, part_bytes, part_at, MPI_BYTE, all);
    const int code =
        MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, parts, part_bytes, part_at, MPI_BYTE, all, &request);
    return code == MPI_SUCCESS ? wait_for(&request, 1) : code;
}

static ad_status gather(const ad_communicator *c, void *parts, const size_t *bytes, ad_error *error)
{
    size_t total = 0;
    for (int r = 0; r < c->size; total += bytes[r++]) {
        part_bytes[r] = (int)(bytes[r] & INT_MAX);
        part_at[r] = (int)(total & INT_MAX);
    }
    if (total <= piece) return check(gather_parts(parts), "a gather", error);
    int code = MPI_SUCCESS;
    char *at = parts;
    for (int r = 0; r < c->size && code == MPI_SUCCESS; at += bytes[r++]) code = send_to_all(at, bytes[r], r);
    return check(code, "a gather", error);
}

/* ---- Waiting, and the end -------------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Who waits long leaves the core to others: ranks wait so while one of them works alone. */
static ad_status barrier(const ad_communicator *c, double seconds, ad_error *error)
{
    enum { SPINS = 1000, SHORTEST = 10000, LONGEST = 10000000 }; /* nanoseconds */
    (void)c;
    const double end = now() + seconds;
    MPI_Request request;
    int arrived = 0, code = MPI_Ibarrier(meeting, &request);
    struct timespec pause = {0, SHORTEST};
    for (int i = 0; code == MPI_SUCCESS; i++) {
        code = MPI_Test(&request, &arrived, MPI_STATUS_IGNORE);
        if (arrived || code != MPI_SUCCESS) break;
        if (now() > end)
            return ad_error_set(error, AD_ERROR_INTERRUPTED, "MPI: after %g s not all ranks have come", seconds);
        if (i < SPINS) continue;
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < LONGEST) pause.tv_nsec *= 2;
    }
    return check(code, "a barrier", error);
}

static void end_all(const ad_communicator *c, int exit_status)
{
    (void)c;
    MPI_Abort(MPI_COMM_WORLD, exit_status);
    _Exit(exit_status);
}

/* ---- Start ----------------------------------------------------------------------------------------------------- */

static ad_communicator ranks = {.name = "mpi",
                                .exchange = exchange,
                                .gather = gather,
                                .broadcast = broadcast,
                                .barrier = barrier,
                                .abort = end_all};

/* Pools have threads, but only one at a time talks. */
static ad_status start(ad_error *error)
{
    int started = 0, level = MPI_THREAD_SINGLE;
    MPI_Initialized(&started);
    started_here = !started;
    int code = started ? MPI_Query_thread(&level) : MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    if (code == MPI_SUCCESS && level < MPI_THREAD_SERIALIZED)
        return ad_error_set(
            error, AD_ERROR_ARGUMENT,
            "MPI: it allows a program no threads (MPI_THREAD_SERIALIZED); another MPI, or its settings, "
            "may");
    return check(code, "its start", error);
}

/* Each may have cores of its own, or all of them the same. */
static int count_cores(MPI_Comm here)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    sched_getaffinity(0, sizeof cores, &cores);
    const int code = MPI_Allreduce(MPI_IN_PLACE, &cores, sizeof cores, MPI_BYTE, MPI_BOR, here);
    crowded = CPU_COUNT(&cores) < ranks.local_size;
    return code;
}

static ad_status meet(ad_error *error)
{
    MPI_Comm here = MPI_COMM_NULL;
    int code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, &all);
    if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, &meeting);
    if (code == MPI_SUCCESS) code = MPI_Comm_rank(all, &ranks.rank);
    if (code == MPI_SUCCESS) code = MPI_Comm_size(all, &ranks.size);
    if (code == MPI_SUCCESS) code = MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
    if (code == MPI_SUCCESS) code = MPI_Comm_size(here, &ranks.local_size);
    if (code == MPI_SUCCESS) code = count_cores(here);
    if (here != MPI_COMM_NULL) MPI_Comm_free(&here);
    return check(code, "the meeting of its ranks", error);
}

static const ad_communicator *open_ranks(const nf_communicator_type *self, ad_error *error)
{
    (void)self;
    if (start(error) || meet(error)) return NULL;
    part_bytes = ad_alloc((size_t)ranks.size, sizeof *part_bytes);
    part_at = ad_alloc((size_t)ranks.size, sizeof *part_at);
    if (part_bytes && part_at) return &ranks;
    ad_error_set(error, AD_ERROR_MEMORY, "MPI: no memory for the places of %d ranks", ranks.size);
    return NULL;
}

static void close_ranks(const nf_communicator_type *self)
{
    (void)self;
    ad_free(part_bytes);
    ad_free(part_at);
    ad_free(flight.request);
    MPI_Comm_free(&meeting);
    MPI_Comm_free(&all);
    if (started_here) MPI_Finalize();
}

static const nf_communicator_type type = {
    .name = "mpi", .help = "ranks that mpirun, mpiexec or srun started", .open = open_ranks, .close = close_ranks};

static ad_status register_type(ad_error *error)
{
    return nf_register_communicator(&type, error);
}

WEIR_PLUGIN("mpi", WEIR_VERSION, register_type)
