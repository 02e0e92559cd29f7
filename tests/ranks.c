/* Ranks as threads, which meet at every call. */
#include "ranks.h"

#include <weir/memory.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

enum { MOST_RANKS = 16 };

typedef enum { EXCHANGE, GATHER, BROADCAST, BARRIER, KINDS } call_kind;
static const char *const kind_name[KINDS] = {"exchange", "gather", "broadcast", "barrier"};

/* What a rank calls with. */
typedef struct {
    call_kind kind;
    int root;
    const void *send;
    void *receive;
    const size_t *send_bytes, *receive_bytes;
    size_t bytes;
} call;

typedef struct {
    pthread_mutex_t mutex;
    pthread_cond_t met;
    int size, arrived;
    size_t meetings; /* so far */
    int gone;        /* a rank that has returned or aborted, from 1; 0: none */
    bool late;       /* a barrier's time was over: nothing can follow */
    char wrong[300]; /* how the ranks' calls differ */
    call called[MOST_RANKS];
    ranks_seen seen;
} job;

typedef struct {
    job *job;
    ad_communicator communicator;
    void (*body)(const ad_communicator *c, void *context);
    void *context;
    pthread_t thread;
} rank_thread;

/* ---- Meetings --------------------------------------------------------------------------------------------------- */

static struct timespec deadline_in(double seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    const double at = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec + fmin(seconds, 1e6);
    return (struct timespec){.tv_sec = (time_t)at, .tv_nsec = (long)(1e9 * (at - floor(at)))};
}

/* Wait until all ranks are here; the last one calls `last` first. False where that can't be. */
static bool meet(job *j, double seconds, void (*last)(job *j))
{
    const struct timespec deadline = deadline_in(seconds);
    pthread_mutex_lock(&j->mutex);
    const size_t before = j->meetings;
    if (++j->arrived == j->size) {
        if (last) last(j);
        j->arrived = 0;
        j->meetings++;
        pthread_cond_broadcast(&j->met);
    }
    while (j->meetings == before && !j->gone && !j->late)
        if (pthread_cond_timedwait(&j->met, &j->mutex, &deadline) == ETIMEDOUT) {
            j->late = true;
            pthread_cond_broadcast(&j->met);
        }
    const bool met = j->meetings > before;
    pthread_mutex_unlock(&j->mutex);
    return met;
}

/* ---- Do the calls fit each other? -------------------------------------------------------------------------------- */

static void compare_parts(job *j, int p, int q)
{
    const call *a = &j->called[p], *b = &j->called[q];
    if (a->kind == EXCHANGE && a->send_bytes[q] != b->receive_bytes[p])
        snprintf(j->wrong, sizeof j->wrong, "rank %d sends %zu bytes to rank %d, which expects %zu", p,
                 a->send_bytes[q], q, b->receive_bytes[p]);
    if (a->kind == GATHER && a->send_bytes[q] != b->send_bytes[q])
        snprintf(j->wrong, sizeof j->wrong, "rank %d gathers %zu bytes of rank %d, which has %zu", p, a->send_bytes[q],
                 q, b->send_bytes[q]);
    if (a->kind == BROADCAST && (a->root != b->root || a->bytes != b->bytes))
        snprintf(j->wrong, sizeof j->wrong, "rank %d broadcasts %zu bytes from rank %d, and rank %d %zu from %d", p,
                 a->bytes, a->root, q, b->bytes, b->root);
}

static size_t traffic(const job *j, int p)
{
    const call *a = &j->called[p];
    const size_t others = (size_t)j->size - 1;
    size_t bytes = 0;
    for (int q = 0; a->kind == EXCHANGE && q < j->size; q++) bytes += q != p ? a->send_bytes[q] : 0;
    if (a->kind == GATHER) bytes = others * a->send_bytes[p];
    if (a->kind == BROADCAST && a->root == p) bytes = others * a->bytes;
    return bytes;
}

static void compare(job *j)
{
    for (int p = 0; p < j->size && !*j->wrong; p++)
        for (int q = 0; q < j->size && !*j->wrong; q++)
            if (j->called[p].kind != j->called[q].kind)
                snprintf(j->wrong, sizeof j->wrong, "rank %d calls %s, but rank %d calls %s", p,
                         kind_name[j->called[p].kind], q, kind_name[j->called[q].kind]);
            else
                compare_parts(j, p, q);
    j->seen.calls++;
    for (int p = 0; p < j->size && !*j->wrong; p++) j->seen.bytes += traffic(j, p);
}

/* ---- The calls --------------------------------------------------------------------------------------------------- */

/* From one rank's memory to another's; those with nothing to copy may have NULL. */
static void copy(void *to, const void *from, size_t bytes)
{
    if (bytes > 0 && to != from) memmove(to, from, bytes);
}

static size_t sum(const size_t *bytes, int count)
{
    size_t total = 0;
    for (int i = 0; i < count; i++) total += bytes[i];
    return total;
}

static void take(const job *j, int rank)
{
    const call *own = &j->called[rank];
    for (int q = 0; q < j->size; q++) {
        const call *from = &j->called[q];
        if (own->kind == EXCHANGE)
            copy((char *)own->receive + sum(own->receive_bytes, q),
                 (const char *)from->send + sum(from->send_bytes, rank), own->receive_bytes[q]);
        if (own->kind == GATHER && q != rank) {
            const size_t at = sum(own->send_bytes, q);
            copy((char *)own->receive + at, (const char *)from->receive + at, own->send_bytes[q]);
        }
    }
    if (own->kind == BROADCAST) copy(own->receive, j->called[own->root].receive, own->bytes);
}

static ad_status failed(const job *j, const char *what, ad_error *error)
{
    if (*j->wrong) return ad_error_set(error, AD_ERROR_IO, "%s: %s", what, j->wrong);
    if (j->late) return ad_error_set(error, AD_ERROR_INTERRUPTED, "%s: not all ranks came in time", what);
    return ad_error_set(error, AD_ERROR_IO, "%s: rank %d has ended", what, j->gone - 1);
}

/* Ranks meet to see what each calls with, take what is for them, and meet again: then nobody reads it any more. */
static ad_status collective(const ad_communicator *c, const call *own, double seconds, ad_error *error)
{
    job *j = ((rank_thread *)c->data)->job;
    j->called[c->rank] = *own;
    if (!meet(j, seconds, compare) || *j->wrong) return failed(j, kind_name[own->kind], error);
    take(j, c->rank);
    return meet(j, INFINITY, NULL) ? AD_OK : failed(j, kind_name[own->kind], error);
}

static ad_status exchange(const ad_communicator *c, const void *send, const size_t *send_bytes, void *receive,
                          const size_t *receive_bytes, ad_error *error)
{
    const call own = {EXCHANGE, 0, send, receive, send_bytes, receive_bytes, 0};
    return collective(c, &own, INFINITY, error);
}

static ad_status gather(const ad_communicator *c, void *all, const size_t *bytes, ad_error *error)
{
    return collective(c, &(call){GATHER, 0, NULL, all, bytes, NULL, 0}, INFINITY, error);
}

static ad_status broadcast(const ad_communicator *c, void *data, size_t bytes, int root, ad_error *error)
{
    return collective(c, &(call){BROADCAST, root, NULL, data, NULL, NULL, bytes}, INFINITY, error);
}

static ad_status barrier(const ad_communicator *c, double seconds, ad_error *error)
{
    return collective(c, &(call){.kind = BARRIER}, seconds, error);
}

/* ---- Ranks ------------------------------------------------------------------------------------------------------ */

static void leave(job *j, int rank)
{
    pthread_mutex_lock(&j->mutex);
    if (!j->gone) j->gone = rank + 1; /* who fails for its sake ends as well */
    pthread_cond_broadcast(&j->met);
    pthread_mutex_unlock(&j->mutex);
}

static void end_all(const ad_communicator *c, int status)
{
    job *j = ((rank_thread *)c->data)->job;
    pthread_mutex_lock(&j->mutex);
    j->seen.aborted = status;
    pthread_mutex_unlock(&j->mutex);
    leave(j, c->rank);
    pthread_exit(NULL);
}

static void *run(void *argument)
{
    rank_thread *r = argument;
    r->body(&r->communicator, r->context);
    leave(r->job, r->communicator.rank);
    return NULL;
}

ranks_seen on_ranks(int size, void (*body)(const ad_communicator *c, void *context), void *context)
{
    job j = {.size = size < MOST_RANKS ? size : MOST_RANKS, .seen.aborted = -1};
    rank_thread ranks[MOST_RANKS];
    pthread_mutex_init(&j.mutex, NULL);
    pthread_cond_init(&j.met, NULL);
    for (int r = 0; r < j.size; r++) {
        ranks[r] = (rank_thread){.job = &j, .body = body, .context = context};
        ranks[r].communicator = (ad_communicator){.name = "threads",
                                                  .rank = r,
                                                  .size = j.size,
                                                  .local_size = j.size,
                                                  .data = &ranks[r],
                                                  .exchange = exchange,
                                                  .gather = gather,
                                                  .broadcast = broadcast,
                                                  .barrier = barrier,
                                                  .abort = end_all};
        pthread_create(&ranks[r].thread, NULL, run, &ranks[r]);
    }
    for (int r = 0; r < j.size; r++) pthread_join(ranks[r].thread, NULL);
    pthread_cond_destroy(&j.met);
    pthread_mutex_destroy(&j.mutex);
    return j.seen;
}
