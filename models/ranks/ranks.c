/* What ranks decide together, and divide among them. */
#include "ranks/ranks.h"
#include "training/clock.h"

#include <weir/memory.h>

/* NULL where there is nobody to talk to. */
static const ad_communicator *others(const ad_pool *pool)
{
    const ad_communicator *c = ad_pool_communicator(pool);
    return c && c->size > 1 ? c : NULL;
}

int nf__rank(const ad_pool *pool)
{
    const ad_communicator *c = others(pool);
    return c ? c->rank : 0;
}

int nf__ranks(const ad_pool *pool)
{
    const ad_communicator *c = others(pool);
    return c ? c->size : 1;
}

static nf__share share_of(int rank, int ranks, size_t things)
{
    const size_t r = (size_t)rank, n = (size_t)ranks, each = things / n, longer = things % n;
    return (nf__share){r * each + (r < longer ? r : longer), (r + 1) * each + (r + 1 < longer ? r + 1 : longer)};
}

nf__share nf__share_of(const ad_pool *pool, size_t things)
{
    return share_of(nf__rank(pool), nf__ranks(pool), things);
}

ad_status nf__gather(const ad_pool *pool, void *all, size_t things, size_t bytes, ad_error *error)
{
    const ad_communicator *c = others(pool);
    if (!c) return AD_OK;
    size_t *part = ad_alloc((size_t)c->size, sizeof *part);
    if (!part) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to gather from %d ranks", c->size);
    for (int r = 0; r < c->size; r++) {
        const nf__share share = share_of(r, c->size, things);
        part[r] = (share.end - share.first) * bytes;
    }
    const ad_status status = c->gather(c, all, part, error);
    ad_free(part);
    return status;
}

/* What a rank has to say. */
typedef struct {
    double clock;
    bool yes;
} vote;

ad_status nf__agree(const ad_pool *pool, bool *yes, double *clock, ad_error *error)
{
    const size_t ranks = (size_t)nf__ranks(pool);
    const vote own = {.clock = clock ? nf__clock() : 0, .yes = yes && *yes};
    if (clock) *clock = own.clock;
    if (ranks == 1) return AD_OK;
    vote *said = ad_alloc(ranks, sizeof *said);
    if (!said) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to ask %zu ranks", ranks);
    said[nf__rank(pool)] = own;
    const ad_status status = nf__gather(pool, said, ranks, sizeof *said, error);
    for (size_t r = 0; r < ranks && yes && !status; r++) *yes |= said[r].yes;
    if (clock && !status) *clock = said[0].clock;
    ad_free(said);
    return status;
}

ad_status nf__agree_on_failure(const ad_pool *pool, ad_status status, ad_error *error)
{
    const size_t ranks = (size_t)nf__ranks(pool);
    bool failed = status != AD_OK;
    if (ranks == 1) return status;
    const ad_status asked = nf__agree(pool, &failed, NULL, status ? NULL : error);
    if (asked || !failed) return status ? status : asked;
    ad_error *each = ad_alloc(ranks, sizeof *each);
    if (!each) return status ? status : ad_error_set(error, AD_ERROR_MEMORY, "out of memory to hear %zu ranks", ranks);
    if (status) each[nf__rank(pool)] = *error;
    status = nf__gather(pool, each, ranks, sizeof *each, error);
    for (size_t r = ranks; r-- > 0 && !status;)
        if (each[r].status) *error = each[r];
    ad_free(each);
    return status ? status : error->status;
}
