/* Plans of a flow that are kept for the next call. A call takes one that no other thread is using, or makes one; so
 * there are as many as threads have called at once. And who uses the flow: many that evaluate it, or one that trains
 * it. */
#ifndef WEIR_FLOWS_CORE_EVALUATIONS_H
#define WEIR_FLOWS_CORE_EVALUATIONS_H

#include <weir/plan.h>

/* The kinds, and how many they are. */
enum { NF__LOG_PROB, NF__SAMPLE, NF__FORWARD, NF__INVERSE, NF__LOG_PROB_GRADIENT, NF__SAMPLE_GRADIENT, NF_EVALUATIONS };

/* A plan, and its free ends. */
typedef struct nf__evaluation {
    ad_plan *plan;
    ad_var in, context;
    ad_var weight; /* of gradients: of each row's log p */
    struct nf__evaluation *next;
} nf__evaluation;

typedef struct nf__evaluations nf__evaluations;

/* NULL when memory is out. */
nf__evaluations *nf__evaluations_new(void);
void nf__evaluations_free(nf__evaluations *evaluations);
/* Free the idle plans: what they were made of has changed. */
void nf__evaluations_forget(nf__evaluations *evaluations);
/* One of this kind, which is the caller's until it is given back; NULL: all are in use. From any thread. */
nf__evaluation *nf__evaluations_take(nf__evaluations *evaluations, int kind);
void nf__evaluations_give_back(nf__evaluations *evaluations, int kind, nf__evaluation *evaluation);

/* May this thread evaluate the flow, until it leaves? Not while another one trains it. */
bool nf__evaluations_enter(nf__evaluations *evaluations);
void nf__evaluations_leave(nf__evaluations *evaluations);
/* May this thread train the flow, until it has done? Not while another one trains or evaluates it. */
bool nf__evaluations_begin_training(nf__evaluations *evaluations);
void nf__evaluations_end_training(nf__evaluations *evaluations);

#endif
