/* Measures one case of tools/bench/run, and prints it as a JSON object:
 *
 *     weir-bench train FORMULA DIM BATCH THREADS     speed of nf_fit() on random data
 *     weir-bench memory FORMULA DIM BATCH ROWS       its peak memory
 *     weir-bench sample FORMULA DIM BATCH THREADS    of nf_log_prob() and nf_sample()
 *     weir-bench planar LAYERS ROWS THREADS          variational inference of small ops, see planar.c
 *     weir-bench limit LAYERS ROWS THREADS           the same as a loop written by hand, see limit.c
 *     weir-bench compile FORMULA DIM fit|vi          what stands between a formula and the first step of its training
 *     weir-bench width FORMULA DIM BATCH             how a training step would fill more cores, see width.h
 *     weir-bench width planar LAYERS ROWS            the same of planar.c's
 *     weir-bench alone FORMULA DIM BATCH RANKS       what a step costs one of so many ranks, see alone.h
 */
#include <weir/models.h>
#include "alone.h"
#include "compile.h"
#include "limit.h"
#include "peak.h"
#include "planar.h"
#include "sample.h"
#include "training.h"
#include "trials.h"
#include "width.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Steps are timed where the fit asks after each whether to go on: all that a step needs counts, and of what comes after
 * an epoch as much as its length leaves. The peak is measured between the trials. */
typedef struct {
    size_t batch, steps; /* of the trial so far */
    int threads;
    double began, trial_began, peak;
    trials rows_per_second;
} training;

static bool step_done(void *context)
{
    training *t = context;
    double at = now();
    if (t->began == 0) { /* the first step is warm-up */
        t->began = t->trial_began = at;
        return false;
    }
    t->steps++;
    if (at < t->trial_began + TRIAL_SECONDS) return false;
    trials_add(&t->rows_per_second, (double)(t->steps * t->batch) / (at - t->trial_began));
    t->peak = fmax(t->peak, peak_flops(t->threads));
    t->steps = 0;
    t->trial_began = now();
    return t->trial_began > t->began + CASE_SECONDS;
}

static ad_status train(nf_flow *flow, size_t batch, int threads, ad_error *error)
{
    enum { BATCHES = 64 }; /* of an epoch */
    training t = {.batch = batch, .threads = threads};
    double *x = random_data(BATCHES * batch, nf_flow_dim(flow));
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d batches of %zu rows", BATCHES, batch);
    ad_pool *pool = ad_pool_new(threads, error);
    ad_status status = pool ? AD_OK : AD_ERROR_MEMORY;
    if (pool) status = train_until(flow, x, BATCHES * batch, batch, pool, step_done, &t, error);
    if (status == AD_OK || status == AD_ERROR_INTERRUPTED) {
        status = AD_OK;
        putchar('{');
        trials_print(&t.rows_per_second, "rows_per_second");
        printf(", \"peak_flops\": %.4g, \"isa\": \"%s\", \"gemm\": \"%s\"}\n", t.peak, ad_isa_name(), ad_gemm_name());
    }
    ad_pool_free(pool);
    ad_free(x);
    return status;
}

static bool after_three_steps(void *context)
{
    int *steps = context;
    return ++*steps >= 3;
}

static double peak_bytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1024 * (double)usage.ru_maxrss;
}

static ad_status memory(nf_flow *flow, size_t batch, size_t rows, ad_error *error)
{
    double *x = random_data(rows, nf_flow_dim(flow));
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows", rows);
    double before = peak_bytes();
    int steps = 0;
    ad_status status = nf_fit(
        flow, x, rows,
        &(nf_fit_options){
            .epochs = 3, .batch = batch, .val_fraction = -1, .interrupted = after_three_steps, .context = &steps},
        NULL, error);
    ad_free(x);
    if (status == AD_OK || status == AD_ERROR_INTERRUPTED) {
        printf("{\"data_bytes\": %.0f, \"bytes_before\": %.0f, \"peak_bytes\": %.0f}\n",
               (double)(rows * nf_flow_dim(flow) * sizeof *x), before, peak_bytes());
        status = AD_OK;
    }
    return status;
}

typedef ad_status steps_benchmark(int layers, size_t rows, int threads, trials *steps_per_second, ad_error *error);

static ad_status steps(steps_benchmark *measure, int layers, size_t rows, int threads, ad_error *error)
{
    trials rate = {0};
    ad_status status = measure(layers, rows, threads, &rate, error);
    if (status) return status;
    putchar('{');
    trials_print(&rate, "steps_per_second");
    puts("}");
    return AD_OK;
}

static size_t number(const char *text)
{
    return strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    ad_error error = {0};
    ad_status status;
    if (argc == 5 && strcmp(argv[1], "width") == 0 && strcmp(argv[2], "planar") == 0) {
        status = measure_planar_width((int)number(argv[3]), number(argv[4]), &error);
    } else if (argc == 5 && strcmp(argv[1], "width") == 0) {
        nf_flow *flow = nf_flow_parse(argv[2], number(argv[3]), 0, AD_F32, 1, &error);
        status = flow ? measure_width(flow, number(argv[4]), &error) : error.status;
        nf_flow_free(flow);
    } else if (argc == 5 && (strcmp(argv[1], "planar") == 0 || strcmp(argv[1], "limit") == 0)) {
        steps_benchmark *measure = *argv[1] == 'p' ? planar_benchmark : limit_benchmark;
        status = steps(measure, (int)number(argv[2]), number(argv[3]), (int)number(argv[4]), &error);
    } else if (argc == 5 && strcmp(argv[1], "compile") == 0) {
        nf_flow *flow = nf_flow_parse(argv[2], number(argv[3]), 0, AD_F32, 1, &error);
        status = flow ? measure_compilation(flow, *argv[4] == 'v', &error) : error.status;
        nf_flow_free(flow);
    } else if (argc == 6 && (strcmp(argv[1], "train") == 0 || strcmp(argv[1], "memory") == 0 ||
                             strcmp(argv[1], "sample") == 0 || strcmp(argv[1], "alone") == 0)) {
        nf_flow *flow = nf_flow_parse(argv[2], number(argv[3]), 0, AD_F32, 1, &error);
        status = flow ? AD_OK : error.status;
        if (flow && *argv[1] == 't') status = train(flow, number(argv[4]), (int)number(argv[5]), &error);
        if (flow && *argv[1] == 'm') status = memory(flow, number(argv[4]), number(argv[5]), &error);
        if (flow && *argv[1] == 'a') status = measure_alone(flow, number(argv[4]), (int)number(argv[5]), &error);
        if (flow && *argv[1] == 's') status = measure_sampling(flow, number(argv[4]), (int)number(argv[5]), &error);
        nf_flow_free(flow);
    } else {
        fputs("usage: weir-bench train FORMULA DIM BATCH THREADS\n"
              "       weir-bench memory FORMULA DIM BATCH ROWS\n"
              "       weir-bench sample FORMULA DIM BATCH THREADS\n"
              "       weir-bench planar LAYERS ROWS THREADS\n"
              "       weir-bench limit LAYERS ROWS THREADS\n"
              "       weir-bench compile FORMULA DIM fit|vi\n"
              "       weir-bench width FORMULA DIM BATCH\n"
              "       weir-bench width planar LAYERS ROWS\n"
              "       weir-bench alone FORMULA DIM BATCH RANKS\n",
              stderr);
        return 2;
    }
    if (status) fprintf(stderr, "weir-bench: %s\n", error.message);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
