/* Flows that threads share: evaluated with one pool, trained in one of them, and inherited by a child process; and fits
 * and what is read, written and made in any floating-point environment. */
#include "environments.h"
#include "models/training_tools.h"
#include "scratch.h"

#include <weir/target.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DIM = 2, N = 500, THREADS = 3, ROUNDS = 20 };
static double x[N][DIM], expected[N];

static nf_flow *flow_for_all(void)
{
    nf_moons(N, 0.05, 1, x[0], NULL);
    nf_flow *flow = new_flow("(maf(16)-flip)*2", DIM, AD_F32);
    ASSERT_OK(nf_log_prob(flow, x[0], NULL, N, expected, NULL, &error));
    return flow;
}

/* ---- Evaluation ---------------------------------------------------------------------------------------------------
 */

typedef struct {
    const nf_flow *flow;
    ad_pool *pool;
    ad_error error;
    bool differs;
} reader;

static void *evaluate(void *argument)
{
    reader *r = argument;
    double got[N] = {0};
    for (int round = 0; round < ROUNDS && r->error.status == AD_OK; round++) {
        nf_log_prob(r->flow, x[0], NULL, N, got, r->pool, &r->error);
        r->differs |= memcmp(got, expected, sizeof got) != 0;
    }
    return NULL;
}

static void in_a_thread(void *(*act)(void *), void *argument)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, act, argument), 0);
    pthread_join(thread, NULL);
}

START_TEST(one_flow_and_one_pool)
{
    nf_flow *flow = flow_for_all();
    ad_pool *pool = ad_pool_new(3, NULL);
    pthread_t thread[THREADS];
    reader each[THREADS];
    for (int k = 0; k < THREADS; k++) {
        each[k] = (reader){.flow = flow, .pool = pool};
        ck_assert_int_eq(pthread_create(&thread[k], NULL, evaluate, &each[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) {
        pthread_join(thread[k], NULL);
        ASSERT_OK(each[k].error.status);
        ck_assert(!each[k].differs);
    }
    ad_pool_free(pool);
    nf_flow_free(flow);
}
END_TEST

static void evaluate_as_job(void *context, size_t i, int worker)
{
    (void)worker;
    evaluate((reader *)context + i);
}

START_TEST(a_job_evaluates_with_its_own_pool)
{
    nf_flow *flow = flow_for_all();
    ad_pool *pool = ad_pool_new(3, NULL);
    reader each[THREADS];
    for (int k = 0; k < THREADS; k++) each[k] = (reader){.flow = flow, .pool = pool};
    ad_pool_run(pool, THREADS, evaluate_as_job, each);
    for (int k = 0; k < THREADS; k++) ck_assert(each[k].error.status == AD_OK && !each[k].differs);
    ad_pool_free(pool);
    nf_flow_free(flow);
}
END_TEST

/* As Python's multiprocessing does, while other threads evaluate. */
START_TEST(a_child_inherits_flow_and_pool)
{
    enum { CHILDREN = 20 };
    nf_flow *flow = flow_for_all();
    ad_pool *pool = ad_pool_new(3, NULL);
    for (int child = 0; child < CHILDREN; child++) {
        pthread_t thread[THREADS];
        reader each[THREADS];
        for (int k = 0; k < THREADS; k++) {
            each[k] = (reader){.flow = flow, .pool = pool};
            ck_assert_int_eq(pthread_create(&thread[k], NULL, evaluate, &each[k]), 0);
        }
        int status;
        const pid_t id = fork();
        ck_assert_int_ge(id, 0);
        if (id == 0) {
            reader own = {.flow = flow, .pool = pool};
            evaluate(&own);
            ad_pool_free(pool);
            _exit(own.error.status || own.differs);
        }
        ck_assert_int_eq(waitpid(id, &status, 0), id);
        ck_assert_int_eq(status, 0);
        for (int k = 0; k < THREADS; k++) {
            pthread_join(thread[k], NULL);
            ck_assert(each[k].error.status == AD_OK && !each[k].differs);
        }
    }
    ad_pool_free(pool);
    nf_flow_free(flow);
}
END_TEST

/* ---- Training -----------------------------------------------------------------------------------------------------
 */

/* What becomes of the flow's other users while it is trained. */
typedef struct {
    nf_flow *flow;
    reader own, other;
    ad_error again, elsewhere;
} meanwhile;

static void *fit_elsewhere(void *argument)
{
    meanwhile *m = argument;
    nf_fit(m->flow, x[0], N, &(nf_fit_options){.epochs = 1}, NULL, &m->elsewhere);
    return NULL;
}

static bool use_meanwhile(void *context, const nf_progress *progress)
{
    (void)progress;
    meanwhile *m = context;
    evaluate(&m->own);
    in_a_thread(evaluate, &m->other);
    in_a_thread(fit_elsewhere, m);
    nf_fit(m->flow, x[0], N, &(nf_fit_options){.epochs = 1}, NULL, &m->again);
    return true;
}

/* Callbacks may evaluate; other threads may afterwards. */
START_TEST(a_flow_is_trained_by_one_thread)
{
    nf_flow *flow = flow_for_all(), *alone = flow_for_all();
    meanwhile m = {.flow = flow, .own.flow = flow, .other.flow = flow};
    nf_fit_options options = {.epochs = 2};
    ASSERT_OK(nf_fit(alone, x[0], N, &options, NULL, &error));
    options.progress = use_meanwhile;
    options.context = &m;
    ASSERT_OK(nf_fit(flow, x[0], N, &options, NULL, &error));
    ck_assert_mem_eq(nf_flow_parameters(flow), nf_flow_parameters(alone), parameter_bytes(flow));
    ASSERT_OK(m.own.error.status);
    ck_assert_int_eq(m.other.error.status, AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(m.other.error.message, "another thread is training this flow"));
    ck_assert_int_eq(m.again.status, AD_ERROR_ARGUMENT);
    ck_assert_int_eq(m.elsewhere.status, AD_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(m.elsewhere.message, "this flow is being trained"));
    m.other.error.status = AD_OK;
    in_a_thread(evaluate, &m.other);
    ASSERT_OK(m.other.error.status);
    ASSERT_OK(nf_fit(flow, x[0], N, &(nf_fit_options){.epochs = 1}, NULL, &error));
    ck_assert_int_eq(nf_flow_begin_training(NULL, &error), AD_ERROR_ARGUMENT);
    nf_flow_end_training(NULL);
    nf_flow_free(alone);
    nf_flow_free(flow);
}
END_TEST

/* A fit that fails leaves the flow to others. */
START_TEST(a_failed_fit_ends_its_training)
{
    nf_flow *flow = flow_for_all();
    ck_assert_int_ne(nf_fit(flow, x[0], N, &(nf_fit_options){.schedule = "none such"}, NULL, &error), AD_OK);
    reader other = {.flow = flow};
    in_a_thread(evaluate, &other);
    ASSERT_OK(other.error.status);
    nf_flow_free(flow);
}
END_TEST

/* ---- Environments -------------------------------------------------------------------------------------------------
 */

/* A fit, draws and their density. */
typedef struct {
    float parameters[4096];
    double draws[N][DIM], log_prob[N];
} results;

static void fit_and_draw(void (*set)(void), int threads, results *r)
{
    nf_flow *flow = new_flow("(rqs(8)-flip)*2-standardize", DIM, AD_F32);
    ck_assert_uint_le(parameter_bytes(flow), sizeof r->parameters);
    ad_pool *pool = threads ? ad_pool_new(threads, NULL) : NULL;
    nf_fit_options options = {.epochs = 2, .batch = 100, .pool = pool};
    fenv_t own;
    feholdexcept(&own);
    set();
    ad_status fitted = nf_fit(flow, x[0], N, &options, NULL, &error);
    ad_status drawn = nf_sample(flow, NULL, N, 3, r->draws[0], NULL, pool, &error);
    ad_status scored = nf_log_prob(flow, r->draws[0], NULL, N, r->log_prob, pool, &error);
    fesetenv(&own);
    ASSERT_OK(fitted);
    ASSERT_OK(drawn);
    ASSERT_OK(scored);
    memcpy(r->parameters, nf_flow_parameters(flow), parameter_bytes(flow));
    ad_pool_free(pool);
    nf_flow_free(flow);
}

START_TEST(fits_in_any_environment)
{
    static const int threads[] = {0, 1, 2, 4};
    static results normal, got;
    nf_moons(N, 0.05, 1, x[0], NULL);
    fit_and_draw(leave_as_it_is, 0, &normal);
    for (size_t i = 0; i < COUNT(threads); i++) {
        fit_and_draw(_i ? environments[_i - 1] : leave_as_it_is, threads[i], &got);
        ck_assert_mem_eq(&got, &normal, sizeof got);
    }
}
END_TEST

/* What texts and files become, and what is written: numbers that round, that overflow, and some from random ones. */
typedef struct {
    double moons[N][DIM], table[8];
    float parameters[4096];
    char formula[256], text[1 << 15];
} made;

static void copy_file(const char *path, char *to, size_t room)
{
    FILE *file = fopen(path, "rb");
    ck_assert_ptr_nonnull(file);
    size_t bytes = fread(to, 1, room, file);
    ck_assert_uint_lt(bytes, room);
    fclose(file);
}

static void make_all(void (*set)(void), made *m)
{
    static const char formula[] = "maf(8,bound=0.7)-lu-affine-rqs(8)-loc",
                      csv[] = "a,b\n0.1,inf\n1e-310,12345.678901\n";
    nf_table table, written = {.values = m->moons[0], .rows = N, .columns = DIM};
    ad_error refusal[2];
    char *text = NULL;
    file_path in = scratch_path("in.csv"), out = scratch_path("out.csv"), model = scratch_path("m.st");
    FILE *file = fopen(in.text, "wb");
    fputs(csv, file);
    fclose(file);
    memset(m, 0, sizeof *m);
    fenv_t own;
    feholdexcept(&own);
    set();
    nf_moons(N, 0.05, 1, m->moons[0], NULL);
    ad_status read = nf_table_read(in.text, &table, &error);
    ad_status wrote = nf_table_write(out.text, &written, &error);
    nf_flow *flow = nf_flow_parse(formula, DIM, 0, AD_F32, 1, &error);
    ad_status saved = nf_save(flow, NULL, model.text, &error);
    nf_flow *back = nf_load(model.text, NULL, &error);
    if (back) text = nf_flow_formula(back, false);
    nf_bijector *overflow = nf_bijector_parse("maf(8,bound=1e999)", DIM, 0, 1, &refusal[0]);
    nf_target *far = nf_target_parse("funnel(dim=1e999)", &refusal[1]);
    fesetenv(&own);
    ASSERT_OK(read);
    ASSERT_OK(wrote);
    ASSERT_OK(saved);
    ck_assert_ptr_null(overflow);
    ck_assert_ptr_null(far);
    for (int i = 0; i < 2; i++) ASSERT_FAILS(refusal[i].status, AD_ERROR_ARGUMENT, "");
    ck_assert_uint_eq(table.rows * table.columns, 4);
    memcpy(m->table, table.values, 4 * sizeof *table.values);
    ck_assert_ptr_nonnull(text);
    snprintf(m->formula, sizeof m->formula, "%s", text);
    ck_assert_uint_le(parameter_bytes(back), sizeof m->parameters);
    memcpy(m->parameters, nf_flow_parameters(back), parameter_bytes(back));
    copy_file(out.text, m->text, sizeof m->text);
    ad_free(text);
    nf_table_free(&table);
    nf_flow_free(flow);
    nf_flow_free(back);
}

START_TEST(files_and_texts_in_any_environment)
{
    static made normal, got;
    scratch_begin();
    make_all(leave_as_it_is, &normal);
    make_all(environments[_i], &got);
    ck_assert_mem_eq(&got, &normal, sizeof got);
    scratch_end();
}
END_TEST

Suite *sharing_suite(void)
{
    Suite *suite = suite_create("sharing");
    TCase *flows = tcase_create("flows");
    tcase_set_timeout(flows, 60);
    tcase_add_test(flows, one_flow_and_one_pool);
    tcase_add_test(flows, a_job_evaluates_with_its_own_pool);
    tcase_add_test(flows, a_child_inherits_flow_and_pool);
    tcase_add_test(flows, a_flow_is_trained_by_one_thread);
    tcase_add_test(flows, a_failed_fit_ends_its_training);
    tcase_add_loop_test(flows, fits_in_any_environment, 0, 1 + (int)COUNT(environments));
    tcase_add_loop_test(flows, files_and_texts_in_any_environment, 0, (int)COUNT(environments));
    suite_add_tcase(suite, flows);
    return suite;
}
