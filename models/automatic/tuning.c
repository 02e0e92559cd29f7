/* Tuning: successive halving (Jamieson & Talwalkar 2016) over flows that are drawn at random from a space of sizes and
 * kinds. Many are trained for a ninth of their epochs, the best third of them for a third, and the best third of those
 * in full; then it begins anew with others, until the time is over. What is stacked in the end are all that were tried:
 * those that were cut short have weights that say how little they know. */
#include "automatic/search.h"
#include <weir/memory.h>
#include <weir/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_RUNG = 27, RUNGS = 3, DRAWING_STREAM = 11 };

/* A whole number below `below`, number i of a stream that nothing else has. */
static size_t drawn(const nf__search *s, uint64_t number, uint64_t i, size_t below)
{
    return (size_t)(ad_random_uniform(s->o.seed + number, DRAWING_STREAM, i) * (double)below) % below;
}

/* Number `number` of the space. In one dimension there is nothing to couple with, and no order to turn around. */
static void draw(const nf__search *s, uint64_t number, char formula[static 200], nf__suggestion *suggestion)
{
    static const char *const hidden[] = {"32,32", "64,64", "128,128", "64,64,64"},
                             *const activation[] = {"relu", "silu"},
                             *const last[] = {"", "-whiten", "-marginal", "-whiten-marginal"};
    static const struct {
        const char *term, *between;
        bool has_bins;
    } kind[] = {{"rqs", "flip", true}, {"rqs", "lu", true}, {"rqsar", "flip", true}, {"maf", "flip", false}};
    static const size_t bins[] = {8, 16, 32}, layers[] = {2, 3, 5, 8}, batch[] = {64, 128, 256};
    static const double rate[] = {.001, .003, .006}, decay[] = {0, 0, .01, .1}, ema[] = {.99, .999};
    const size_t k = s->dim == 1 ? 2 : drawn(s, number, 0, 4);
    char splines[32] = "";
    if (kind[k].has_bins) snprintf(splines, sizeof splines, ",bins=%zu", bins[drawn(s, number, 1, 3)]);
    snprintf(formula, 200, "(%s(%s%s,activation=%s)-%s)*%zu%s", kind[k].term, hidden[drawn(s, number, 2, 4)], splines,
             activation[drawn(s, number, 3, 2)], kind[k].between, layers[drawn(s, number, 4, 4)],
             last[drawn(s, number, 5, 4)]);
    *suggestion = (nf__suggestion){.formula = formula,
                                   .epochs = nf__epochs(s, 1e6, 150),
                                   .batch = batch[drawn(s, number, 6, 3)],
                                   .learning_rate = rate[drawn(s, number, 7, 3)],
                                   .weight_decay = decay[drawn(s, number, 8, 4)],
                                   .ema = ema[drawn(s, number, 9, 2)],
                                   .seed = s->o.seed + 1000 * (number + 100)};
}

typedef struct {
    uint64_t number;
    double nll;
} contender;

static int by_nll(const void *a, const void *b)
{
    const double x = ((const contender *)a)->nll, y = ((const contender *)b)->nll;
    return (x > y) - (x < y);
}

/* One rung: each of `count` for a part of its epochs; they are sorted, the best first. */
static ad_status climb(nf__search *s, contender *all, size_t count, size_t part, double until, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t i = 0; i < count && status == AD_OK; i++) {
        char formula[200];
        nf__suggestion suggestion;
        size_t index;
        all[i].nll = INFINITY;
        status = nf__search_look(s, error);
        const double left = until - s->now;
        if (status) break;
        if (s->stopped || left <= 0 || s->n_candidate == NF__MOST_CANDIDATES) continue;
        draw(s, all[i].number, formula, &suggestion);
        suggestion.epochs = (suggestion.epochs - 1) / part + 1;
        suggestion.seconds = left / (double)(count - i) / (double)s->n_fold;
        status = nf__try(s, &suggestion, &index, error);
        if (status == AD_OK && !s->candidate[index].failed) all[i].nll = s->candidate[index].nll;
    }
    qsort(all, count, sizeof *all, by_nll);
    return status;
}

ad_status nf__tune(nf__search *s, ad_error *error)
{
    uint64_t next = 0;
    ad_status status = nf__search_look(s, error);
    const double end = s->now + nf__search_left(s);
    while (status == AD_OK && !s->stopped && s->now < end && s->n_candidate + 3 < NF__MOST_CANDIDATES) {
        contender all[FIRST_RUNG];
        size_t count = FIRST_RUNG, part = 9;
        s->planned = s->n_candidate + FIRST_RUNG + FIRST_RUNG / 3 + FIRST_RUNG / 9;
        for (size_t i = 0; i < count; i++) all[i].number = next++;
        for (size_t rung = 0; rung < RUNGS && status == AD_OK; rung++, count /= 3, part /= 3) {
            status = nf__search_look(s, error);
            const double until = s->now + (end - s->now) / (double)(RUNGS - rung);
            if (status == AD_OK) status = climb(s, all, count, part, until, error);
        }
        if (status == AD_OK) status = nf__search_look(s, error);
    }
    return status;
}
