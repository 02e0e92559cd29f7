#include "core/evaluations.h"

#include <weir/memory.h>

#include <pthread.h>

struct nf__evaluations {
    pthread_mutex_t lock;
    nf__evaluation *idle[NF_EVALUATIONS];
};

nf__evaluations *nf__evaluations_new(void)
{
    nf__evaluations *evaluations = ad_alloc(1, sizeof *evaluations);
    if (evaluations) pthread_mutex_init(&evaluations->lock, NULL);
    return evaluations;
}

void nf__evaluations_free(nf__evaluations *evaluations)
{
    if (!evaluations) return;
    for (int kind = 0; kind < NF_EVALUATIONS; kind++)
        for (nf__evaluation *e = evaluations->idle[kind], *next; e; e = next) {
            next = e->next;
            ad_plan_free(e->plan);
            ad_free(e);
        }
    pthread_mutex_destroy(&evaluations->lock);
    ad_free(evaluations);
}

nf__evaluation *nf__evaluations_take(nf__evaluations *evaluations, int kind)
{
    pthread_mutex_lock(&evaluations->lock);
    nf__evaluation *e = evaluations->idle[kind];
    if (e) evaluations->idle[kind] = e->next;
    pthread_mutex_unlock(&evaluations->lock);
    return e;
}

void nf__evaluations_give_back(nf__evaluations *evaluations, int kind, nf__evaluation *evaluation)
{
    pthread_mutex_lock(&evaluations->lock);
    evaluation->next = evaluations->idle[kind];
    evaluations->idle[kind] = evaluation;
    pthread_mutex_unlock(&evaluations->lock);
}
