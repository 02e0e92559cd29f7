/* For tests of what ranks do together: a job runs alone, and then on 1, 2, 3 and 4 ranks, which must come to the same
 * bits. */
#ifndef WEIR_TESTS_RANK_TOOLS_H
#define WEIR_TESTS_RANK_TOOLS_H

#include "flows/flow_tools.h"
#include "ranks.h"

#include <weir/models.h>

#include <math.h>

enum { MOST_RANKS = 4 };

/* What a job came to on a rank: how it ended, and all bytes of its results. */
typedef struct {
    ad_status status;
    ad_error error;
    char *bytes;
    size_t count, room;
} outcome;

/* Jobs may not assert, on threads that Check doesn't know; `rank` is for those who want to stop on one only. */
typedef ad_status rank_job(const void *what, ad_pool *pool, int rank, int ranks, outcome *o);

static inline void note(outcome *o, const void *bytes, size_t count)
{
    if (!bytes) return;
    if (o->count + count > o->room) {
        o->room = 2 * (o->count + count);
        o->bytes = realloc(o->bytes, o->room);
    }
    memcpy(o->bytes + o->count, bytes, count);
    o->count += count;
}

#define NOTE(o, value) note(o, &(value), sizeof(value))

static inline void note_flow(outcome *o, const nf_flow *flow)
{
    const size_t count = nf_flow_trained_elements(flow) + nf_flow_fixed_elements(flow);
    note(o, nf_flow_parameters((nf_flow *)flow), count * ad_dtype_size(nf_flow_dtype(flow)));
}

typedef struct {
    rank_job *job;
    const void *what;
    int threads;
    outcome *each;
} rank_work;

static inline void work_on_rank(const ad_communicator *c, void *context)
{
    const rank_work *w = context;
    const int rank = c ? c->rank : 0;
    outcome *o = &w->each[rank];
    ad_pool *pool = ad_pool_new(w->threads, &o->error);
    o->status = pool ? ad_pool_set_communicator(pool, c, &o->error) : AD_ERROR_MEMORY;
    if (!o->status) o->status = w->job(w->what, pool, rank, c ? c->size : 1, o);
    ad_pool_free(pool);
}

static inline void assert_same_outcome(const outcome *o, const outcome *expected, int rank, int ranks)
{
    if (o->status) ck_assert_str_eq(o->error.message, expected->error.message);
    ck_assert_msg(o->count == expected->count, "rank %d of %d: %zu bytes, not %zu", rank, ranks, o->count,
                  expected->count);
    size_t same = 0;
    while (same < o->count && o->bytes[same] == expected->bytes[same]) same++;
    ck_assert_msg(same == o->count, "rank %d of %d: byte %zu of %zu is another", rank, ranks, same, o->count);
}

/* The ranks of each job among themselves, and unless it `depends` on their number, as the job alone. The outcome of the
 * job alone stays, to be looked at; free its bytes. */
static inline outcome assert_ranks_agree(rank_job *job, const void *what, bool depends)
{
    outcome alone = {0};
    work_on_rank(NULL, &(rank_work){job, what, 2, &alone});
    for (int ranks = 1; ranks <= MOST_RANKS; ranks++) {
        outcome each[MOST_RANKS] = {{0}};
        on_ranks(ranks, work_on_rank, &(rank_work){job, what, 1 + ranks % 2, each});
        for (int r = 0; r < ranks; r++) {
            ck_assert_msg(each[r].status == alone.status, "rank %d of %d: %s", r, ranks, each[r].error.message);
            assert_same_outcome(&each[r], depends ? &each[0] : &alone, r, ranks);
            if (r > 0) free(each[r].bytes);
        }
        free(each[0].bytes);
    }
    return alone;
}

static inline void assert_ranks_succeed(rank_job *job, const void *what, bool depends)
{
    outcome alone = assert_ranks_agree(job, what, depends);
    ck_assert_msg(alone.status == AD_OK, "%s", alone.error.message);
    ck_assert_uint_gt(alone.count, 0);
    free(alone.bytes);
}

/* Says when to stop: this rank, after so many times that it was asked. */
typedef struct {
    bool here;
    size_t after, asked;
} stopper;

static inline bool stops_now(void *context)
{
    stopper *s = context;
    return s->here && ++s->asked >= s->after;
}

/* Of the last rank: asked after each step, and told how far the work is; 0: it never wants to stop. What a test needs
 * beside it comes behind. */
typedef struct {
    stopper steps, told;
} asked;

static inline bool interrupted(void *context)
{
    return stops_now(&((asked *)context)->steps);
}

static inline asked asked_on_last(int rank, int ranks, size_t interrupted_after, size_t refused_after)
{
    const bool last = rank == ranks - 1;
    return (asked){{last && interrupted_after, interrupted_after, 0}, {last && refused_after, refused_after, 0}};
}

#endif
