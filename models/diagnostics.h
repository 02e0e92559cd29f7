/* Weir diagnostics: what Markov chains say of a distribution, and how far to trust it. nf_summarize() may be called
 * from several threads at once, with one pool or with several. */
#ifndef WEIR_DIAGNOSTICS_H
#define WEIR_DIAGNOSTICS_H

#include <weir/error.h>
#include <weir/pool.h>

WEIR_BEGIN_DECLARATIONS

/* What is told of one parameter, from all draws of all chains. Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021,
 * "Rank- normalization, folding, and localization: an improved R̂ for assessing convergence of MCMC"; chains are split
 * in halves. Estimates can be trusted where rhat < 1.01 and both ESS are above 100 for each chain. */
typedef struct {
    double mean, sd;
    double mcse_mean, mcse_sd; /* Monte-Carlo standard errors of these */
    double q5, median, q95;    /* quantiles, interpolated linearly */
    double rhat;     /* the larger one of rank-normalised split R̂ and that of the folded draws |x - median| */
    double ess_bulk; /* effective sample size of the rank-normalised draws: for mean and median */
    double ess_tail; /* the smaller one of those of x <= q5 and x <= q95 */
} nf_summary;

/* Summarise draws (chains, n, dim), one parameter after the other, into summary (dim). pool NULL: this thread; error
 * may be NULL. mcse, rhat and ess are NaN with less than 4 draws in a chain and for draws that are all the same;
 * everything is NaN where a draw is not finite. Of several ranks each does all of this. */
ad_status nf_summarize(const double *draws, size_t chains, size_t n, size_t dim, nf_summary *summary, ad_pool *pool,
                       ad_error *error);

WEIR_END_DECLARATIONS

#endif
