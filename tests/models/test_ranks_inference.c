/* Inference and chains on several ranks: the bits of one process, and an end that all come to at the same step. */
#include "models/rank_tools.h"

/* ---- nf_vi() and its scores -------------------------------------------------------------------------------------- */

typedef struct {
    const char *target, *formula;
    nf_vi_options o;
    size_t interrupted, refused; /* on the last rank: when it is asked so often; 0: never */
} vi_case;

static bool vi_goes_on(void *context, const nf_vi_progress *now)
{
    (void)now;
    return !stops_now(&((asked *)context)->told);
}

static bool nuts_goes_on(void *context, const nf_nuts_progress *now)
{
    (void)now;
    return !stops_now(&((asked *)context)->told);
}

static void note_score(outcome *o, const nf_vi_score *s)
{
    NOTE(o, s->draws);
    NOTE(o, s->elbo);
    NOTE(o, s->elbo_stderr);
    NOTE(o, s->khat);
    NOTE(o, s->log_z);
    NOTE(o, s->ess);
}

static void note_report(outcome *o, const nf_vi_report *r)
{
    NOTE(o, r->outcome);
    NOTE(o, r->iterations);
    NOTE(o, r->average_loss);
    note_score(o, &r->score);
    note(o, r->history, r->n_history * sizeof *r->history);
}

static ad_status vi(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    const vi_case *c = what;
    asked a = asked_on_last(rank, ranks, c->interrupted, c->refused);
    nf_vi_report report = {0};
    nf_vi_options options = c->o;
    options.pool = pool;
    options.context = &a;
    options.seed = 7;
    options.draws = 3000;
    options.interrupted = c->interrupted ? interrupted : NULL;
    options.progress = c->refused ? vi_goes_on : NULL;
    nf_target *target = nf_target_parse(c->target, &o->error);
    nf_flow *flow = target ? nf_flow_parse(c->formula, nf_target_dim(target), 0, AD_F32, 5, &o->error) : NULL;
    const ad_status status = flow ? nf_vi(flow, target, &options, &report, &o->error) : o->error.status;
    note_report(o, &report);
    note_flow(o, flow);
    nf_flow_free(flow);
    nf_target_free(target);
    ad_free(report.history);
    return status;
}

START_TEST(objectives_have_the_same_bits)
{
    int known = 0;
    while (nf_objective_types()[known]) known++;
    for (int i = 0; i < known; i++) {
        const vi_case c = {"pot2", "planar*2-maf(8)", {.objective = nf_objective_types()[i]->name, .iters = 40}};
        assert_ranks_succeed(vi, &c, false);
    }
}
END_TEST

static const vi_case same_bits[] = {
    {"eight_schools", "scale-hh*2-loc", {.iters = 30, .mc = 300, .jitter = 0.1}},
    {"pot4", "maf(8)-loc", {.iters = 30, .anneal = 20, .schedule = "cosine", .warmup = 5}},
    {"pot1", "scale-loc", {.iters = 1000, .optimizer.learning_rate = 1e30}},
    /* asked after each step, and then between draws of the scores */
    {"pot1", "maf(8)-loc", {.iters = 1000}, .interrupted = 13},
};

START_TEST(inference_has_the_same_bits)
{
    outcome alone = assert_ranks_agree(vi, &same_bits[_i], false);
    ck_assert_msg(alone.status == AD_OK || _i == 2, "%s", alone.error.message);
    free(alone.bytes);
}
END_TEST

static const vi_case by_the_clock[] = {
    {"pot1", "maf(8)-loc", {.iters = 10000000, .mc = 10}, .refused = 2},
    {"pot1", "maf(8)-loc", {.iters = 10, .mc = 10}, .interrupted = 12},
};

START_TEST(one_rank_stops_inference)
{
    assert_ranks_succeed(vi, &by_the_clock[_i], true);
}
END_TEST

static ad_status scores(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    (void)what;
    (void)rank;
    (void)ranks;
    enum { VALUES = 100 };
    nf_target *target = nf_target_parse("eight_schools", &o->error);
    nf_flow *flow = nf_flow_parse("maf(8)-loc", nf_target_dim(target), 0, AD_F32, 5, &o->error);
    const size_t size = nf_target_size(target);
    nf_vi_moments moments[32];
    nf_vi_score score;
    double z[VALUES * 32], value[VALUES * 32], log_prob[VALUES], khat;
    ad_status status = nf_vi_evaluate(flow, target, 5000, 3, &score, pool, &o->error);
    if (!status) status = nf_vi_summarize(flow, target, 5000, 3, moments, &khat, pool, &o->error);
    if (!status) status = nf_sample(flow, NULL, VALUES, 1, z, NULL, pool, &o->error);
    if (!status) status = nf_target_values(target, z, VALUES, value, pool, &o->error);
    if (!status) status = nf_vi_log_prob(flow, target, value, VALUES, log_prob, pool, &o->error);
    if (!status) {
        note_score(o, &score);
        NOTE(o, khat);
        note(o, moments, size * sizeof *moments);
        note(o, value, VALUES * size * sizeof *value);
        note(o, log_prob, sizeof log_prob);
    }
    nf_flow_free(flow);
    nf_target_free(target);
    return status;
}

START_TEST(scores_have_the_same_bits)
{
    assert_ranks_succeed(scores, NULL, false);
}
END_TEST

/* ---- nf_nuts() --------------------------------------------------------------------------------------------------- */

static const nf_site two[] = {{.name = "x", .size = 2}};

/* Half of its gradient is missing, which is noticed where the first chain runs. */
static ad_var detached_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_neg(ad_sum(ad_mul(value[0], ad_stop_gradient(value[0]))));
}
static const nf_target detached = {.name = "detached", .site = two, .n_site = 1, .log_density = detached_density};

static ad_var nowhere_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sum(ad_log(ad_neg(ad_square(value[0]))));
}
static const nf_target nowhere = {.name = "nowhere", .site = two, .n_site = 1, .log_density = nowhere_density};

typedef struct {
    const char *target; /* or */
    const nf_target *own;
    nf_nuts_options o;
    const char *flow;
    bool start;
    size_t interrupted, refused;
} nuts_case;

static void note_chains(outcome *o, const nf_nuts_result *r)
{
    const size_t rows = r->chains * r->draws;
    NOTE(o, r->chains);
    NOTE(o, r->draws);
    NOTE(o, r->acceptance);
    NOTE(o, r->divergent);
    NOTE(o, r->cut_off);
    NOTE(o, r->gradients);
    NOTE(o, r->stopped);
    note(o, r->values, rows * r->size * sizeof *r->values);
    note(o, r->unconstrained, rows * r->dim * sizeof *r->unconstrained);
    note(o, r->step_size, r->chains * sizeof *r->step_size);
    note(o, r->bfmi, r->chains * sizeof *r->bfmi);
    for (size_t i = 0; i < rows; i++) {
        NOTE(o, r->draw[i].log_density);
        NOTE(o, r->draw[i].energy);
        NOTE(o, r->draw[i].steps);
        NOTE(o, r->draw[i].divergent);
    }
}

static ad_status nuts(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    const nuts_case *c = what;
    asked a = asked_on_last(rank, ranks, c->interrupted, c->refused);
    nf_nuts_result result = {0};
    nf_start start = {0};
    nf_target *parsed = c->target ? nf_target_parse(c->target, &o->error) : NULL;
    const nf_target *target = c->own ? c->own : parsed;
    nf_flow *flow = c->flow ? nf_flow_parse(c->flow, nf_target_dim(target), 0, AD_F64, 5, &o->error) : NULL;
    ad_status status = AD_OK;
    nf_nuts_options options = c->o;
    options.pool = pool;
    options.seed = 11;
    options.flow = flow;
    options.context = &a;
    options.interrupted = c->interrupted ? interrupted : NULL;
    options.progress = c->refused ? nuts_goes_on : NULL;
    if (c->start) {
        status = nf_find_start(target, &(nf_start_options){.searches = 5, .seed = 2, .pool = pool}, &start, &o->error);
        options.start = &start;
    }
    if (!status) status = nf_nuts(target, &options, &result, &o->error);
    if (!status) note_chains(o, &result);
    nf_nuts_free(&result);
    nf_start_free(&start);
    nf_flow_free(flow);
    nf_target_free(parsed);
    return status;
}

static const nuts_case same_chains[] = {
    {"eight_schools", .o = {.chains = 5, .tune = 60, .draws = 40}},
    {"gaussian(dim=3)", .o = {.chains = 1, .tune = 60, .draws = 40, .dense = true}},
    {"banana", .o = {.chains = 70, .tune = 40, .draws = 10}, .start = true},
    {"funnel", .o = {.chains = 7, .tune = 40, .draws = 30}, .flow = "scale-loc"},
};

START_TEST(chains_have_the_same_bits)
{
    assert_ranks_succeed(nuts, &same_chains[_i], false);
}
END_TEST

static const nuts_case failing[] = {
    {.own = &detached, .o = {.chains = 3, .tune = 10000, .draws = 10000}},
    {.own = &detached, .o = {.chains = 1}},
    {.own = &nowhere, .o = {.chains = 2}},
};

START_TEST(what_fails_on_one_fails_on_all)
{
    outcome alone = assert_ranks_agree(nuts, &failing[_i], false);
    ck_assert_int_eq(alone.status, AD_ERROR_NUMERIC);
    free(alone.bytes);
}
END_TEST

static const nuts_case stopped_chains[] = {
    {"banana", .o = {.chains = 6, .tune = 20, .draws = 40000}, .interrupted = 2},
    {"banana", .o = {.chains = 3, .tune = 20, .draws = 40000}, .refused = 1},
};

START_TEST(one_rank_stops_all_chains)
{
    assert_ranks_succeed(nuts, &stopped_chains[_i], true);
}
END_TEST

/* ---- nf_infer() -------------------------------------------------------------------------------------------------- */

typedef struct {
    const char *target, *formula;
    double budget;
    size_t interrupted, refused;
} infer_case;

static ad_status infer(const void *what, ad_pool *pool, int rank, int ranks, outcome *o)
{
    const infer_case *c = what;
    asked a = asked_on_last(rank, ranks, c->interrupted, c->refused);
    nf_inference fit = {0};
    nf_target *target = nf_target_parse(c->target, &o->error);
    const nf_infer_options options = {.formula = c->formula,
                                      .budget = c->budget,
                                      .searches = 5,
                                      .mc = 32,
                                      .draws = 500,
                                      .seed = 5,
                                      .pool = pool,
                                      .interrupted = c->interrupted ? interrupted : NULL,
                                      .progress = c->refused ? vi_goes_on : NULL,
                                      .context = &a};
    const ad_status status = nf_infer(target, &options, &fit, &o->error);
    NOTE(o, fit.held);
    NOTE(o, fit.rounds);
    NOTE(o, fit.out_of_time);
    NOTE(o, fit.start.gradients);
    for (size_t k = 0; k < fit.start.count; k++) {
        const nf_start_normal *n = &fit.start.normal[k];
        note(o, n->location, fit.start.dim * sizeof *n->location);
        note(o, n->factor, fit.start.dim * fit.start.dim * sizeof *n->factor);
        NOTE(o, n->log_mass);
        NOTE(o, n->found);
    }
    note_report(o, &fit.report);
    if (fit.flow) note_flow(o, fit.flow);
    nf_inference_free(&fit);
    nf_target_free(target);
    return status;
}

static const infer_case inferences[] = {
    {"gaussian(dim=3)", "affine-whiten", 1e6, 0, 0}, {"mixture(modes=2)", "affine-whiten", 0.3, 0, 0},
    {"banana", "affine-whiten", 1e6, 1, 0},          {"banana", "affine-whiten", 1e6, 2000, 0},
    {"banana", "affine-whiten", 1e6, 0, 2},
};

START_TEST(ranks_infer_together)
{
    assert_ranks_succeed(infer, &inferences[_i], _i > 0);
}
END_TEST

Suite *ranks_inference_suite(void)
{
    Suite *suite = suite_create("ranks_inference");
    TCase *tcase = tcase_create("ranks_inference");
    tcase_add_test(tcase, objectives_have_the_same_bits);
    tcase_add_loop_test(tcase, inference_has_the_same_bits, 0, COUNT(same_bits));
    tcase_add_loop_test(tcase, one_rank_stops_inference, 0, COUNT(by_the_clock));
    tcase_add_test(tcase, scores_have_the_same_bits);
    tcase_add_loop_test(tcase, chains_have_the_same_bits, 0, COUNT(same_chains));
    tcase_add_loop_test(tcase, what_fails_on_one_fails_on_all, 0, COUNT(failing));
    tcase_add_loop_test(tcase, one_rank_stops_all_chains, 0, COUNT(stopped_chains));
    tcase_add_loop_test(tcase, ranks_infer_together, 0, COUNT(inferences));
    suite_add_tcase(suite, tcase);
    return suite;
}
