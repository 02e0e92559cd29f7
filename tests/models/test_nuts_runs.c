/* NUTS: bits of its chains, stopping, and mistakes. */
#include "models/nuts_tools.h"
#include <weir/densities.h>

#include "scratch.h"

/* ---- Bits
 * ---------------------------------------------------------------------------------------------------------------- */

static void assert_same_chain(const nf_nuts_result *a, const nf_nuts_result *b, size_t chain, size_t draws)
{
    size_t from_a = chain * a->draws, from_b = chain * b->draws;
    ck_assert_mem_eq(a->values + from_a * a->size, b->values + from_b * b->size, draws * a->size * sizeof(double));
    for (size_t i = 0; i < draws; i++) {
        ck_assert_double_eq(a->draw[from_a + i].energy, b->draw[from_b + i].energy);
        ck_assert_double_eq(a->draw[from_a + i].log_density, b->draw[from_b + i].log_density);
        ck_assert_uint_eq(a->draw[from_a + i].steps, b->draw[from_b + i].steps);
    }
    ck_assert_double_eq(a->step_size[chain], b->step_size[chain]);
}

START_TEST(chains_depend_neither_on_each_other_nor_on_threads)
{
    ad_pool *pool = ad_pool_new(3, &error);
    nf_nuts_options o = {.chains = 50, .tune = 60, .draws = 30, .seed = 1, .dense = _i};
    nf_nuts_result many = sample_named("eight_schools", &o);
    o.pool = pool;
    nf_nuts_result threads = sample_named("eight_schools", &o);
    o.chains = 3;
    nf_nuts_result few = sample_named("eight_schools", &o);
    o.seed = 2;
    nf_nuts_result other = sample_named("eight_schools", &o);
    for (size_t c = 0; c < many.chains; c++) assert_same_chain(&many, &threads, c, many.draws);
    for (size_t c = 0; c < few.chains; c++) assert_same_chain(&many, &few, c, few.draws);
    ck_assert_uint_eq(many.gradients, threads.gradients);
    ck_assert_double_ne(few.values[0], other.values[0]);
    ck_assert_double_ne(few.values[0], few.values[few.draws * few.size]);
    nf_nuts_free(&many);
    nf_nuts_free(&threads);
    nf_nuts_free(&few);
    nf_nuts_free(&other);
    ad_pool_free(pool);
}
END_TEST

/* ---- Stopping
 * -------------------------------------------------------------------------------------------------------------- */

typedef struct {
    bool after_tuning;
    int calls;
    nf_nuts_progress last;
} watcher;

static bool until_enough(void *context, const nf_nuts_progress *p)
{
    watcher *w = context;
    w->calls++;
    ck_assert_uint_ge(p->draws, w->last.draws);
    ck_assert_uint_gt(p->gradients, w->last.gradients);
    ck_assert_uint_eq(p->all_draws, 3 * 1000500);
    w->last = *p;
    return w->after_tuning ? p->tuning > 0 : false;
}

static bool at_once(void *context)
{
    return ++((watcher *)context)->calls > 0;
}

START_TEST(stopped_keeps_the_draws_so_far)
{
    nf_target *target = target_of("gaussian(dim=3)");
    watcher w = {.after_tuning = _i};
    nf_nuts_options o = {
        .chains = 3, .tune = 500, .draws = 1000000, .seed = 1, .progress = until_enough, .context = &w};
    nf_nuts_result stopped = sample(target, &o);
    ck_assert(stopped.stopped);
    ck_assert_uint_lt(stopped.draws, 1000000);
    if (w.after_tuning) ck_assert_uint_eq(w.last.tuning, 0);
    o = (nf_nuts_options){.chains = 3, .tune = 500, .draws = stopped.draws > 100 ? 100 : stopped.draws, .seed = 1};
    if (stopped.draws > 0) {
        nf_nuts_result whole = sample(target, &o);
        ck_assert(!whole.stopped);
        for (size_t c = 0; c < 3; c++) assert_same_chain(&stopped, &whole, c, whole.draws);
        nf_nuts_free(&whole);
    }
    nf_nuts_free(&stopped);
    nf_target_free(target);
}
END_TEST

START_TEST(interrupted)
{
    watcher w = {0};
    nf_nuts_options o = {.chains = 2, .tune = 1000000, .seed = 1, .interrupted = at_once, .context = &w};
    nf_nuts_result r = sample_named("gaussian(dim=3)", &o);
    ck_assert(r.stopped);
    ck_assert_int_eq(w.calls, 1);
    ck_assert_uint_eq(r.draws, 0);
    nf_nuts_free(&r);
}
END_TEST

/* ---- Mistakes
 * -------------------------------------------------------------------------------------------------------------- */

static ad_var nan_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_log(ad_add_scalar(ad_neg(ad_sum(ad_square(value[0]))), -1));
}
static const nf_target nowhere = {.name = "nowhere", .site = four, .n_site = 1, .log_density = nan_density};

/* log 0 everywhere */
static ad_var impossible_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_log(ad_mul_scalar(ad_sum(ad_square(value[0])), 0));
}
static const nf_target impossible = {
    .name = "impossible", .site = four, .n_site = 1, .log_density = impossible_density};

static ad_var flat_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_mul_scalar(ad_sum(value[0]), 0);
}
static const nf_target flat = {.name = "flat", .site = four, .n_site = 1, .log_density = flat_density};

/* An interval whose ends were forgotten. */
static const nf_site share = {.name = "share", .size = 1, .constraint = NF_SITE_INTERVAL};
static const nf_target endless = {.name = "endless", .site = &share, .n_site = 1, .log_density = flat_density};

/* Half of its gradient is missing. */
static ad_var detached_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_neg(ad_sum(ad_mul(value[0], ad_stop_gradient(value[0]))));
}
static const nf_target detached = {.name = "detached", .site = four, .n_site = 1, .log_density = detached_density};

/* NaN where x < 0: half of the starts need another attempt. */
static ad_var half_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    return ad_sub(ad_mul_scalar(ad_sum(ad_log(value[0])), 2), ad_sum(value[0]));
}
static const nf_target half = {.name = "half", .site = one, .n_site = 1, .log_density = half_density};

static void assert_fails(const nf_target *target, nf_nuts_options options, ad_status status, const char *part)
{
    nf_nuts_result r;
    ASSERT_FAILS(nf_nuts(target, &options, &r, &error), status, part);
    ck_assert_ptr_null(r.values);
    ck_assert_ptr_null(r.draw);
}

START_TEST(densities_that_cannot_be_sampled)
{
    assert_fails(&nowhere, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "no start for chain 1");
    assert_fails(&nowhere, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "density is NaN");
    assert_fails(&nowhere, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "op 'log'");
    assert_fails(&impossible, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "-inf");
    assert_fails(&flat, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "proper");
    assert_fails(&detached, (nf_nuts_options){0}, AD_ERROR_NUMERIC, "its gradient disagrees with its value");
    assert_fails(&endless, (nf_nuts_options){0}, AD_ERROR_ARGUMENT, "site 'share' (size 1) is an interval");
}
END_TEST

START_TEST(a_start_outside_the_support_is_drawn_again)
{
    nf_nuts_result r = sample(&half, &(nf_nuts_options){.chains = 20, .tune = 300, .draws = 300, .seed = 1});
    assert_means(&r, moments, 2, (double[]){3, 12}, 4);
    nf_nuts_free(&r);
}
END_TEST

/* Far away, and of scales that a warm-up of a few draws can't learn: they come with the start, and trajectories are as
 * short as those of N(0, I). */
static const double far_sd[] = {0.01, 0.1, 1, 10};

static ad_var far_density(const nf_target *self, const ad_var *value)
{
    (void)self;
    ad_tape *tape = value[0].tape;
    return nf_log_normal(value[0], ad_scalar(tape, 500), ad_constant(tape, AD_SHAPE(4), far_sd));
}

START_TEST(from_a_start)
{
    const nf_target target = {.name = "far", .site = four, .n_site = 1, .log_density = far_density, .log_z = NAN};
    nf_start start;
    ASSERT_OK(nf_find_start(&target, NULL, &start, &error));
    for (int dense = 0; dense < 2; dense++) {
        nf_nuts_options o = {.chains = 8, .tune = 15, .draws = 500, .seed = 1, .dense = dense, .start = &start};
        nf_nuts_result r = sample(&target, &o);
        ck_assert_double_lt(mean_steps(&r), 10);
        for (size_t i = 0; i < 4; i++) {
            double mean = 0, squares = 0;
            for (size_t d = 0; d < 4000; d++) mean += (r.values[4 * d + i] - 500) / far_sd[i] / 4000;
            for (size_t d = 0; d < 4000; d++) squares += pow((r.values[4 * d + i] - 500) / far_sd[i], 2) / 4000;
            ck_assert_double_eq_tol(mean, 0, 0.1);
            ck_assert_double_eq_tol(squares, 1, 0.1);
        }
        nf_nuts_free(&r);
    }
    nf_target *other = target_of("gaussian");
    nf_nuts_result none;
    ASSERT_FAILS(nf_nuts(other, &(nf_nuts_options){.start = &start}, &none, &error), AD_ERROR_ARGUMENT,
                 "the start has 4 features, but target 'gaussian' has 2");
    nf_target_free(other);
    nf_start_free(&start);
}
END_TEST

START_TEST(options_are_checked)
{
    nf_flow *flow = moved_flow("scale", 3, AD_F32);
    assert_fails(&flat, (nf_nuts_options){.target_accept = 1}, AD_ERROR_ARGUMENT, "between 0 and 1, got 1");
    assert_fails(&flat, (nf_nuts_options){.target_accept = NAN}, AD_ERROR_ARGUMENT, "got nan");
    assert_fails(&flat, (nf_nuts_options){.max_depth = 25}, AD_ERROR_ARGUMENT, "got 25");
    assert_fails(&flat, (nf_nuts_options){.draws = SIZE_MAX}, AD_ERROR_ARGUMENT, "draws");
    assert_fails(&flat, (nf_nuts_options){.flow = flow}, AD_ERROR_ARGUMENT,
                 "target 'flat' has 4 unconstrained features, but the flow is of dimension 3");
    nf_flow_free(flow);
}
END_TEST

START_TEST(without_memory)
{
    nf_target *target = target_of("gaussian(dim=2)");
    nf_nuts_options o = {.chains = 2, .tune = 5, .draws = 5, .seed = 1, .dense = true};
    nf_nuts_result r;
    size_t allowed = 0;
    do {
        memory_limit(allowed++);
        ad_status status = nf_nuts(target, &o, &r, &error);
        ck_assert_msg(status == (memory.denied ? AD_ERROR_MEMORY : AD_OK), "%s", error.message);
    } while (memory.denied);
    memory_unlimited();
    nf_nuts_free(&r);
    nf_target_free(target);
}
END_TEST

Suite *nuts_runs_suite(void)
{
    Suite *suite = suite_create("nuts_runs");
    TCase *runs = tcase_create("runs");
    tcase_set_timeout(runs, 120);
    tcase_add_loop_test(runs, chains_depend_neither_on_each_other_nor_on_threads, 0, 2);
    tcase_add_loop_test(runs, stopped_keeps_the_draws_so_far, 0, 2);
    tcase_add_test(runs, interrupted);
    tcase_add_test(runs, from_a_start);
    suite_add_tcase(suite, runs);
    TCase *mistakes = tcase_create("mistakes");
    tcase_set_timeout(mistakes, 120);
    tcase_add_test(mistakes, densities_that_cannot_be_sampled);
    tcase_add_test(mistakes, a_start_outside_the_support_is_drawn_again);
    tcase_add_test(mistakes, options_are_checked);
    tcase_add_test(mistakes, without_memory);
    suite_add_tcase(suite, mistakes);
    return suite;
}
