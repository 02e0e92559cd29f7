/* Communicators: what every one of them must do; what a pool takes for one; and the tests' own, which notices what
 * ranks do differently. */
#include "autodiff/engine.h"
#include "communicator_cases.h"
#include "ranks.h"

#include <semaphore.h>

enum { MOST = 5 };

/* ---- What they must do ------------------------------------------------------------------------------------------ */

typedef struct {
    const communicator_case *what;
    const char *wrong[MOST];
} conformance;

static void conform(const ad_communicator *c, void *context)
{
    conformance *at = context;
    at->wrong[c->rank] = at->what->run(c);
}

START_TEST(conforms)
{
    for (int size = 1; size <= MOST; size++)
        for (const communicator_case *one = communicator_cases; one->name; one++) {
            conformance at = {one, {NULL}};
            on_ranks(size, conform, &at);
            for (int r = 0; r < size; r++)
                ck_assert_msg(!at.wrong[r], "%s: rank %d of %d: %s", one->name, r, size, at.wrong[r]);
        }
}
END_TEST

/* ---- Faults ------------------------------------------------------------------------------------------------------ */

typedef struct {
    ad_error error[MOST];
    sem_t waited; /* rank 0 has, in vain */
} outcome;

static void one_is_gone(const ad_communicator *c, void *context)
{
    outcome *o = context;
    size_t bytes[MOST] = {0};
    if (c->rank > 0) c->gather(c, NULL, bytes, &o->error[c->rank]);
}

static void one_aborts(const ad_communicator *c, void *context)
{
    outcome *o = context;
    if (c->rank == 1) c->abort(c, 42);
    c->barrier(c, INFINITY, &o->error[c->rank]);
}

static void one_is_late(const ad_communicator *c, void *context)
{
    outcome *o = context;
    if (c->rank == 1) sem_wait(&o->waited);
    c->barrier(c, 0.02, &o->error[c->rank]);
    if (c->rank == 0) sem_post(&o->waited);
}

START_TEST(nobody_waits_for_ever)
{
    outcome o = {0};
    on_ranks(3, one_is_gone, &o);
    assert_message(&o.error[1], AD_ERROR_IO, "rank 0 has ended");
    assert_message(&o.error[2], AD_ERROR_IO, "gather");
    ck_assert_int_eq(on_ranks(3, one_aborts, &o).aborted, 42);
    assert_message(&o.error[0], AD_ERROR_IO, "rank 1 has ended");
    assert_message(&o.error[2], AD_ERROR_IO, "barrier");
    ck_assert_int_eq(sem_init(&o.waited, 0, 0), 0);
    on_ranks(2, one_is_late, &o);
    sem_destroy(&o.waited);
    assert_message(&o.error[0], AD_ERROR_INTERRUPTED, "in time");
}
END_TEST

static void call_others(const ad_communicator *c, void *context)
{
    outcome *o = context;
    size_t bytes[MOST] = {0};
    if (c->rank == 1)
        c->barrier(c, INFINITY, &o->error[1]);
    else
        c->gather(c, NULL, bytes, &o->error[c->rank]);
}

static void send_other_sizes(const ad_communicator *c, void *context)
{
    outcome *o = context;
    char room[16 * MOST] = {0}, all[16 * MOST];
    const size_t bytes[] = {8, 8, 8}, more[] = {8, 9, 8};
    c->exchange(c, room, c->rank == 2 ? more : bytes, all, bytes, &o->error[c->rank]);
}

static void gather_other_sizes(const ad_communicator *c, void *context)
{
    outcome *o = context;
    char all[16 * MOST] = {0};
    const size_t bytes[] = {8, 8, 8}, more[] = {8, 9, 8};
    c->gather(c, all, c->rank == 0 ? more : bytes, &o->error[c->rank]);
}

static void broadcast_from_others(const ad_communicator *c, void *context)
{
    outcome *o = context;
    char byte = 0;
    c->broadcast(c, &byte, 1, c->rank == 1, &o->error[c->rank]);
}

START_TEST(what_ranks_do_differently_is_told)
{
    const struct {
        void (*body)(const ad_communicator *c, void *context);
        const char *message;
    } faults[] = {{call_others, "rank 0 calls gather, but rank 1 calls barrier"},
                  {send_other_sizes, "rank 2 sends 9 bytes to rank 1, which expects 8"},
                  {gather_other_sizes, "rank 0 gathers 9 bytes of rank 1, which has 8"},
                  {broadcast_from_others, "rank 0 broadcasts 1 bytes from rank 0, and rank 1 1 from 1"}};
    for (size_t i = 0; i < COUNT(faults); i++) {
        outcome o = {0};
        on_ranks(3, faults[i].body, &o);
        for (int r = 0; r < 3; r++) assert_message(&o.error[r], AD_ERROR_IO, faults[i].message);
    }
}
END_TEST

static void send_some(const ad_communicator *c, void *context)
{
    (void)context;
    char all[3 * 10] = {0};
    c->gather(c, all, (size_t[]){10, 10, 10}, NULL);
    c->broadcast(c, all, 5, 2, NULL);
}

START_TEST(traffic_is_counted)
{
    const ranks_seen seen = on_ranks(3, send_some, NULL);
    ck_assert_uint_eq(seen.calls, 2);
    ck_assert_uint_eq(seen.bytes, 3 * 2 * 10 + 2 * 5);
    ck_assert_int_eq(seen.aborted, -1);
}
END_TEST

/* ---- Pools ------------------------------------------------------------------------------------------------------- */

static void give_to_a_pool(const ad_communicator *c, void *context)
{
    outcome *o = context;
    ad_pool *pool = ad_pool_new(1, NULL);
    bool good = !ad_pool_communicator(pool) && !ad_pool_set_communicator(pool, c, &o->error[c->rank]);
    good = good && ad_pool_communicator(pool) == c && !ad_pool_set_communicator(pool, NULL, NULL);
    good = good && !ad_pool_communicator(pool) && !ad_pool_communicator(NULL);
    ad_communicator part = *c;
    part.gather = NULL;
    good = good && ad_pool_set_communicator(pool, &part, NULL) == AD_ERROR_ARGUMENT;
    part = *c;
    part.rank = part.size;
    ad_pool_set_communicator(pool, &part, &o->error[c->rank]);
    if (!good) o->error[c->rank].status = AD_OK;
    ad_pool_free(pool);
}

START_TEST(a_pool_has_one)
{
    outcome o = {0};
    on_ranks(2, give_to_a_pool, &o);
    for (int r = 0; r < 2; r++) assert_message(&o.error[r], AD_ERROR_ARGUMENT, "got rank 2 of 2");
}
END_TEST

Suite *communicator_suite(void)
{
    Suite *suite = suite_create("communicator");
    TCase *tcase = tcase_create("communicator");
    tcase_add_test(tcase, conforms);
    tcase_add_test(tcase, nobody_waits_for_ever);
    tcase_add_test(tcase, what_ranks_do_differently_is_told);
    tcase_add_test(tcase, traffic_is_counted);
    tcase_add_test(tcase, a_pool_has_one);
    suite_add_tcase(suite, tcase);
    return suite;
}
