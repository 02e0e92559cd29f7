/* Which flows are worth a try, by the number of rows and of features. The table is what experiments over many data sets
 * came to: tools/bench/automatic has them. */
#include "automatic/search.h"

/* Of fewer rows even a small network learns nothing that a normal doesn't know. */
size_t nf__fewest_rows_of_a_flow(void)
{
    return 100;
}

typedef struct {
    const char *formula;
    size_t fewest_features, most_features, fewest_rows, most_rows; /* where it makes sense */
    double visits; /* rows seen in training: this many, but from 15 to `epochs` epochs */
    size_t epochs;
    size_t batch;
    double learning_rate, ema, weight_decay;
    uint64_t seed;
} flow;

enum { MANY = 1000000000 };

static const flow flows[] = {
    /* One feature: splines without a condition. */
    {"(rqsar(16,bins=32)-scale-loc)*2", 1, 1, 0, MANY, 1e6, 150, 256, .005, .999, 0, 1},
    /* In the plane, thousands of rows show how narrow and winding a density is. Different kinds of flows err in
     * different places: three of them, stacked, are nearer by a third than the best of them, and than one kind three
     * times. */
    {"(rqs(64,64,64,bins=32,tail=3,activation=relu)-flip)*4", 2, 3, 2000, MANY, 3.6e6, 200, 256, .005, .999, 0, 1},
    {"(rqs(128,128,bins=24,tail=4,activation=relu)-flip)*4", 2, 3, 2000, MANY, 2.7e6, 150, 256, .005, .999, 0, 1},
    {"(rqs(64,64,64,bins=16,activation=relu)-lu)*6", 2, 3, 2000, MANY, 1.8e6, 100, 256, .005, .999, 0, 1},
    {"(rqsar(64,64,64,bins=32,tail=3,activation=relu)-flip)*4", 2, 3, 2000, MANY, 1.8e6, 100, 256, .005, .999, 0, 1},
    {"(rqs(64,64,network=residual,bins=24,tail=4,activation=relu)-flip)*6", 2, 3, 2000, MANY, 1.8e6, 100, 256, .005,
     .999, 0, 1},
    {"(rqs(64,64,activation=relu)-flip)*5", 2, 3, 0, 1999, 1e6, 100, 128, .003, .99, 0, 1},
    {"(rqs(64,64,activation=relu)-flip)*5", 4, MANY, 0, MANY, 1e6, 100, 128, .003, .99, 0, 1},
    {"(rqsar(64,64,activation=relu)-flip)*3", 2, 3, 0, 1999, 1e6, 100, 128, .003, .99, 0, 1},
    {"(rqsar(64,64,activation=relu)-flip)*3", 4, MANY, 0, MANY, 1e6, 100, 128, .003, .99, 0, 1},
    {"(maf(64,64,activation=relu)-flip)*5", 4, MANY, 0, MANY, 1e6, 100, 128, .003, .99, 0, 1},
    {"(rqsar(64,64,activation=relu)-flip)*2-marginal", 4, MANY, 0, MANY, 1e6, 100, 128, .003, .99, 0, 1},
    {"(maf(64,64,activation=relu)-flip)*5-marginal", 4, MANY, 0, MANY, 1e6, 100, 128, .003, .99, 0, 1},
    {"(rqs(32,32,activation=relu)-lu)*5-whiten-marginal", 4, MANY, 0, MANY, 1e6, 100, 128, .003, .99, 0, 1},
    {"(rqs(32,32,activation=relu)-lu)*5-whiten", 4, MANY, 0, MANY, 1e6, 100, 128, .003, .99, 0, 1},
};

size_t nf__epochs(const nf__search *s, double visits, size_t most)
{
    const size_t epochs = (size_t)(visits / (double)s->fold[0].n_train) + 1;
    return epochs < 15 ? 15 : epochs > most ? most : epochs;
}

bool nf__suggest(const nf__search *s, size_t i, nf__suggestion *suggestion)
{
    size_t rows = s->fold[0].n_train;
    for (size_t k = 0; k < sizeof flows / sizeof *flows; k++) {
        const flow *f = &flows[k];
        if (s->dim < f->fewest_features || s->dim > f->most_features || rows < f->fewest_rows || rows > f->most_rows)
            continue;
        if (i-- > 0) continue;
        *suggestion = (nf__suggestion){.formula = f->formula,
                                       .epochs = nf__epochs(s, f->visits, f->epochs),
                                       .batch = f->batch,
                                       .learning_rate = f->learning_rate,
                                       .ema = f->ema,
                                       .weight_decay = f->weight_decay,
                                       .seed = s->o.seed + 1000 * f->seed};
        return true;
    }
    return false;
}
