/* What inference allocates, and when memory runs out. */
#include "models/training_tools.h"

static int objectives_known(void)
{
    int count = 0;
    while (nf_objective_types()[count]) count++;
    return count;
}

static size_t allocations;

static void *counted(size_t bytes)
{
    allocations++;
    return malloc(bytes);
}

static void *counted_again(void *old, size_t bytes)
{
    allocations++;
    return realloc(old, bytes);
}

typedef struct {
    nf_callback callback;
    size_t at[2];
} counter;

static bool count_allocations(nf_callback *self, const nf_iteration *at)
{
    counter *c = (counter *)self;
    c->at[at->iteration > 1] = allocations;
    return true;
}

START_TEST(a_step_allocates_nothing)
{
    ad_set_allocator(&(ad_allocator){counted, counted_again, free});
    nf_target *target = target_of("pot4");
    nf_flow *flow = new_flow("maf(4)-loc", 2, AD_F32);
    counter c = {.callback.call = count_allocations};
    nf_vi_options o = {.objective = nf_objective_types()[_i]->name,
                       .iters = 1500,
                       .mc = 10,
                       .draws = 100,
                       .callbacks = (nf_callback *[]){&c.callback, NULL}};
    ASSERT_OK(nf_vi(flow, target, &o, NULL, &error));
    ck_assert_uint_gt(c.at[0], 0);
    ck_assert_uint_eq(c.at[1], c.at[0]);
    nf_flow_free(flow);
    nf_target_free(target);
    memory_unlimited();
}
END_TEST

START_TEST(memory_runs_out)
{
    bool denied = true;
    for (size_t allowed = 0; denied; allowed++) {
        memory_limit(allowed);
        nf_vi_report report = {0};
        nf_target *target = nf_target_parse("funnel(dim=2)", &error);
        nf_flow *flow = target ? nf_flow_parse("scale-loc", 2, 0, AD_F32, 1, &error) : NULL;
        nf_vi_options o = {.objective = _i ? "dreg" : "stl", .iters = 3, .mc = 3, .draws = 50};
        ad_status status = flow ? nf_vi(flow, target, &o, &report, &error) : error.status;
        denied = memory.denied;
        ck_assert_msg(status == (denied ? AD_ERROR_MEMORY : AD_OK), "after %zu: %d: %s", allowed, status,
                      error.message);
        ad_free(report.history);
        nf_flow_free(flow);
        nf_target_free(target);
    }
    memory_unlimited();
}
END_TEST

Suite *vi_memory_suite(void);

Suite *vi_memory_suite(void)
{
    Suite *suite = suite_create("vi_memory");
    TCase *tests = tcase_create("vi memory");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_step_allocates_nothing, 0, objectives_known());
    tcase_add_loop_test(tests, memory_runs_out, 0, 2);
    suite_add_tcase(suite, tests);
    return suite;
}
