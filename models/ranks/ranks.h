/* What ranks decide together, and divide among them. With a pool that has no communicator, or one of a single rank, all
 * of this is what one process does alone, and costs nothing.
 *
 * Ranks compute the same bits, so that what follows from them is decided alike by each. Two things differ: clocks, and
 * what the caller's functions say, such as whether ctrl-C was typed. Whatever goes by those asks nf__agree() first.
 *
 * Functions here are collective: each rank calls the same ones in the same order. */
#ifndef WEIR_MODELS_RANKS_RANKS_H
#define WEIR_MODELS_RANKS_RANKS_H

#include <weir/communicator.h>

/* This rank's number, and how many there are; 0 and 1 in one process. */
int nf__rank(const ad_pool *pool);
int nf__ranks(const ad_pool *pool);

/* *yes, this rank's, becomes whether any rank said yes, and *clock rank 0's nf__clock(). Either may be NULL. */
ad_status nf__agree(const ad_pool *pool, bool *yes, double *clock, ad_error *error);

/* This rank's share of so many things: those from `first` until `end`; none, where there are fewer things than ranks
 * and others have them. Shares are in the order of ranks. */
typedef struct {
    size_t first, end;
} nf__share;
nf__share nf__share_of(const ad_pool *pool, size_t things);

/* Every rank gets all things, of `bytes` each; those of its share are at their places in `all` already. */
ad_status nf__gather(const ad_pool *pool, void *all, size_t things, size_t bytes, ad_error *error);

/* What has failed on some ranks only fails on all of them, with the message of the first: each rank gives its own
 * status, that of *error where it isn't AD_OK. */
ad_status nf__agree_on_failure(const ad_pool *pool, ad_status status, ad_error *error);

#endif
