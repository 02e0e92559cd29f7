/* Annealed importance sampling, as plans that are run once for each intermediate density. */
#ifndef WEIR_MODELS_VI_ANNEALING_H
#define WEIR_MODELS_VI_ANNEALING_H

#include <weir/target.h>

/* It goes to q^(1-alpha) p^(alpha beta), by densities of evenly growing powers. */
typedef struct {
    const nf_flow *flow;
    const nf_target *target;
    const char *transition; /* a formula */
    double alpha;
    size_t distributions, rows; /* rows: at most, of a run */
    /* Made by nf__annealing_open(): */
    nf_flow *steps;                /* the transition */
    ad_plan *start, *move, *end;   /* x_0 and log q; x_m and ΔS; log q and log p of the last */
    void *x, *moved_x;             /* [rows][dim] of the flow's dtype, before and after a transition */
    void *number;                  /* [rows], ΔS or log q */
    void *log_p;                   /* [rows] */
    double power_of_q, power_of_p; /* room for an element of the flow's dtype */
    double moved;                  /* part of the draws, in the last run */
} nf__annealing;

/* flow … rows are the caller's. nf__annealing_close() comes in any case. */
ad_status nf__annealing_open(nf__annealing *a, ad_error *error);
void nf__annealing_close(nf__annealing *a);
/* run->rows draws, into a->x, with their log weights. */
ad_status nf__annealing_run(nf__annealing *a, const ad_run *run, double beta, double *log_weight, ad_error *error);

#endif
