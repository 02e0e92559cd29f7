/* Weir NUTS: draws from a target by the No-U-Turn Sampler, the self-tuning Hamiltonian Monte Carlo of Stan.
 *
 *     nf_nuts_result result;
 *     if (nf_nuts(target, &(nf_nuts_options){.chains = 8, .seed = 1}, &result, &error)) …
 *     nf_summary *summary = …;                                       // of each of result.size values
 *     nf_summarize(result.values, result.chains, result.draws, result.size, summary, NULL, &error);
 *     nf_nuts_free(&result);
 *
 * Any function here may be called from several threads at once, for the same target and flow too, with one pool or
 * with several.
 */
#ifndef WEIR_NUTS_H
#define WEIR_NUTS_H

#include <weir/checkpoint.h>
#include <weir/diagnostics.h>
#include <weir/start.h>
#include <weir/target.h>

WEIR_BEGIN_DECLARATIONS

/* How far all chains together are. */
typedef struct {
    size_t draws, all_draws; /* done, planned; of the warm-up too */
    size_t tuning;           /* chains that still are in their warm-up */
    size_t gradients;        /* computed so far */
    size_t divergent;        /* draws after the warm-up */
    double seconds;          /* since the start */
} nf_nuts_progress;

/* A zero means the default; new members will be added at the end. */
typedef struct {
    size_t chains;        /* 4 */
    size_t tune;          /* 1000 draws of warm-up for each chain, which learns its own step size and mass matrix */
    size_t draws;         /* 1000 for each chain, after the warm-up */
    double target_accept; /* 0.8: mean acceptance that the step size is tuned to; closer to 1 are smaller steps */
    size_t max_depth;     /* 10: a trajectory has less than 2^max_depth steps */
    bool dense;           /* a full mass matrix instead of a diagonal one: for strongly correlated posteriors */
    /* Precondition (NeuTra: Hoffman et al. 2019): the chains run on the z of x = forward(z), in float64, where a flow
     * that fits the target makes it nearly normal. NULL: on x itself. */
    const nf_flow *flow;
    uint64_t seed;
    ad_pool *pool; /* NULL: this thread */
    /* Some times a second; false stops, with the draws so far. NULL: none. */
    bool (*progress)(void *context, const nf_nuts_progress *progress);
    /* Polled as often: true stops as well (ctrl-C). NULL: none. */
    bool (*interrupted)(void *context);
    void *context;
    /* Of nf_find_start(): chains begin at draws from it, spread over its modes by their mass, with its first normal's
     * covariance as their mass matrix. NULL, or with a flow: at points from (-2, 2), with the unit matrix. */
    const nf_start *start;
    /* Written some times a second at most; one that was read is gone on from, to the same bits. All draws so far are in
     * it: where they are many, writing takes long, and the default of its seconds sees to it that it comes rarely. NULL:
     * none. */
    nf_checkpoint *checkpoint;
} nf_nuts_options;

/* How a draw came about. */
typedef struct {
    double log_density; /* of the unconstrained draw */
    double energy;      /* of its trajectory: -log density + kinetic energy, at the start */
    double acceptance;  /* mean over the trajectory's states of min(1, e^-(energy error)) */
    uint32_t steps;     /* leapfrog steps: gradients */
    uint32_t depth;     /* doublings; max_depth: the trajectory was cut off */
    bool divergent;     /* the energy error went beyond 1000, which makes draws from there doubtful */
} nf_nuts_draw;

typedef struct {
    size_t chains, draws;  /* draws of each chain: fewer than planned when stopped */
    size_t dim, size;      /* of the unconstrained event, and of all sites on the user's scale */
    double *values;        /* (chains, draws, size), on the user's scale, elements as nf_target_element() names them */
    double *unconstrained; /* (chains, draws, dim) */
    nf_nuts_draw *draw;    /* (chains, draws) */
    double *step_size;     /* (chains) */
    /* (chains): E-BFMI, Σ (E_n - E_(n-1))² / Σ (E_n - mean E)² of the energies (Betancourt 2016, "Diagnosing suboptimal
     * cotangent disintegrations in Hamiltonian Monte Carlo"); below 0.3 momenta change the energy too little for the
     * draws to reach the tails. NaN with less than 2 draws. */
    double *bfmi;
    double acceptance; /* mean over all draws */
    size_t divergent;  /* draws */
    size_t cut_off;    /* draws whose trajectory reached max_depth */
    size_t gradients;  /* in all, of the warm-up too */
    double seconds;
    bool stopped; /* by progress or interrupted */
} nf_nuts_result;

/* Fill *result, to be released with nf_nuts_free(); on failure it is empty. options may be NULL, for the defaults, and
 * so may error. A chain starts at a draw from options.start or else at a point drawn uniformly from (-2, 2), up to 100
 * times until density and gradient are finite there; the gradient is checked at the first one. Its draws are a function
 * of seed, of its number and of the options that shape it: the same bits beside any number of other chains and with any
 * pool. Where the pool has a communicator, ranks divide the chains, and all have the result; progress tells of all
 * chains, and what fails on one rank fails on all. */
ad_status nf_nuts(const nf_target *target, const nf_nuts_options *options, nf_nuts_result *result, ad_error *error);
void nf_nuts_free(nf_nuts_result *result);

WEIR_END_DECLARATIONS

#endif
