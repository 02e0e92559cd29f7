#include "core/evaluations.h"

#include <weir/memory.h>

#include <pthread.h>
#include <stdatomic.h>

struct nf__evaluations {
    nf__evaluation *idle[NF_EVALUATIONS];
    atomic_int users;              /* calls that evaluate; TRAINED by another thread */
    _Atomic(const char *) trainer; /* the `self` of the thread that trains, or NULL */
};

enum { TRAINED = -1 };
static _Thread_local char self; /* its address tells threads apart */

/* One lock for those of all flows: it is held for a moment only, and fork() has one to wait for. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool heeds_forks;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

static void heed_forks(void)
{
    heeds_forks = pthread_atfork(before_fork, after_fork, after_fork) == 0;
}

nf__evaluations *nf__evaluations_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, heed_forks);
    return heeds_forks ? ad_alloc(1, sizeof(nf__evaluations)) : NULL;
}

void nf__evaluations_forget(nf__evaluations *evaluations)
{
    for (int kind = 0; kind < NF_EVALUATIONS; kind++)
        for (nf__evaluation *e; (e = nf__evaluations_take(evaluations, kind));) {
            ad_plan_free(e->plan);
            ad_free(e);
        }
}

void nf__evaluations_free(nf__evaluations *evaluations)
{
    if (!evaluations) return;
    nf__evaluations_forget(evaluations);
    ad_free(evaluations);
}

nf__evaluation *nf__evaluations_take(nf__evaluations *evaluations, int kind)
{
    pthread_mutex_lock(&lock);
    nf__evaluation *e = evaluations->idle[kind];
    if (e) evaluations->idle[kind] = e->next;
    pthread_mutex_unlock(&lock);
    return e;
}

void nf__evaluations_give_back(nf__evaluations *evaluations, int kind, nf__evaluation *evaluation)
{
    pthread_mutex_lock(&lock);
    evaluation->next = evaluations->idle[kind];
    evaluations->idle[kind] = evaluation;
    pthread_mutex_unlock(&lock);
}

bool nf__evaluations_enter(nf__evaluations *evaluations)
{
    if (atomic_load(&evaluations->trainer) == &self) return true;
    int users = atomic_load(&evaluations->users);
    while (users != TRAINED)
        if (atomic_compare_exchange_weak(&evaluations->users, &users, users + 1)) return true;
    return false;
}

void nf__evaluations_leave(nf__evaluations *evaluations)
{
    if (atomic_load(&evaluations->trainer) != &self) atomic_fetch_sub(&evaluations->users, 1);
}

bool nf__evaluations_begin_training(nf__evaluations *evaluations)
{
    int users = 0;
    if (!atomic_compare_exchange_strong(&evaluations->users, &users, TRAINED)) return false;
    atomic_store(&evaluations->trainer, &self);
    return true;
}

void nf__evaluations_end_training(nf__evaluations *evaluations)
{
    atomic_store(&evaluations->trainer, NULL);
    atomic_store(&evaluations->users, 0);
}
