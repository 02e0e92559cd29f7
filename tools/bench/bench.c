/* Measures one case of tools/bench/run, and prints it as a JSON object:
 *
 *     weir-bench train FORMULA DIM BATCH THREADS     speed of nf_fit() on random data
 *     weir-bench memory FORMULA DIM BATCH ROWS       its peak memory
 *     weir-bench sample FORMULA DIM BATCH THREADS    of nf_log_prob() and nf_sample()
 *     weir-bench planar LAYERS ROWS THREADS          variational inference of small ops, see planar.c
 *     weir-bench compile FORMULA DIM fit|vi          what stands between a formula and the first step of its training
 */
#include <weir/models.h>
#include "compile.h"
#include "peak.h"
#include "planar.h"
#include "sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Epochs are short, so that some of them have the cores to themselves on a busy machine: about 0.03 s at 100 GFLOP/s.
 */
static const double epoch_flops = 3e9, seconds = 2;
enum { FEWEST_EPOCHS = 4, MOST_EPOCHS = 1000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double *random_data(size_t rows, size_t dim)
{
    double *x = ad_alloc(rows, dim * sizeof *x);
    for (size_t i = 0; x && i < rows * dim; i++) x[i] = ad_random_normal(1, 0, i);
    return x;
}

/* Multiplications of weights, forward and backward, that a dense network would do for a row. */
static bool count_products(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    double *products = context;
    if (parameter->spec.shape.rank == 2) *products += 3 * (double)ad_shape_size(parameter->spec.shape);
    return true;
}

/* The best over the epochs, and the best of the peaks measured between them. */
typedef struct {
    size_t rows; /* of an epoch */
    int threads;
    double began, epoch_began, rows_per_second, peak;
} training;

static bool epoch_done(void *context, const nf_progress *progress)
{
    training *best = context;
    best->rows_per_second = fmax(best->rows_per_second, (double)best->rows / (now() - best->epoch_began));
    best->peak = fmax(best->peak, peak_flops(best->threads));
    best->epoch_began = now();
    return progress->epoch < FEWEST_EPOCHS || best->epoch_began < best->began + seconds;
}

static ad_status train(nf_flow *flow, size_t batch, int threads, ad_error *error)
{
    double products = 0;
    nf_each_parameter(nf_flow_bijector(flow), count_products, &products);
    double flops_per_row = 2 * products;
    size_t batches = (size_t)(epoch_flops / flops_per_row) / batch;
    training best = {.rows = (batches ? batches : 1) * batch, .threads = threads};
    double *x = random_data(best.rows, nf_flow_dim(flow));
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %zu rows", best.rows);
    ad_pool *pool = ad_pool_new(threads, error);
    ad_status status = pool ? AD_OK : AD_ERROR_MEMORY;
    best.began = best.epoch_began = now();
    if (pool)
        status = nf_fit(flow, x, best.rows,
                        &(nf_fit_options){.epochs = MOST_EPOCHS,
                                          .batch = batch,
                                          .optimizer.learning_rate = 1e-4,
                                          .val_fraction = -1,
                                          .pool = pool,
                                          .progress = epoch_done,
                                          .context = &best},
                        NULL, error);
    double flops = best.rows_per_second * flops_per_row;
    if (status == AD_OK)
        printf("{\"rows_per_second\": %.6g, \"gflops\": %.4g, \"peak_gflops\": %.4g, \"fraction_of_peak\": %.4g, "
               "\"isa\": \"%s\", \"gemm\": \"%s\"}\n",
               best.rows_per_second, 1e-9 * flops, 1e-9 * best.peak, flops / best.peak, ad_isa_name(), ad_gemm_name());
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

static ad_status planar(int layers, size_t rows, int threads, ad_error *error)
{
    double rate;
    ad_status status = planar_benchmark(layers, rows, threads, &rate, error);
    if (status == AD_OK) printf("{\"steps_per_second\": %.6g}\n", rate);
    return status;
}

static size_t number(const char *text)
{
    return strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    ad_error error = {0};
    ad_status status;
    if (argc == 5 && strcmp(argv[1], "planar") == 0) {
        status = planar((int)number(argv[2]), number(argv[3]), (int)number(argv[4]), &error);
    } else if (argc == 5 && strcmp(argv[1], "compile") == 0) {
        nf_flow *flow = nf_flow_parse(argv[2], number(argv[3]), 0, AD_F32, 1, &error);
        status = flow ? measure_compilation(flow, *argv[4] == 'v', &error) : error.status;
        nf_flow_free(flow);
    } else if (argc == 6 &&
               (strcmp(argv[1], "train") == 0 || strcmp(argv[1], "memory") == 0 || strcmp(argv[1], "sample") == 0)) {
        nf_flow *flow = nf_flow_parse(argv[2], number(argv[3]), 0, AD_F32, 1, &error);
        status = flow ? AD_OK : error.status;
        if (flow && *argv[1] == 't') status = train(flow, number(argv[4]), (int)number(argv[5]), &error);
        if (flow && *argv[1] == 'm') status = memory(flow, number(argv[4]), number(argv[5]), &error);
        if (flow && *argv[1] == 's') status = measure_sampling(flow, number(argv[4]), (int)number(argv[5]), &error);
        nf_flow_free(flow);
    } else {
        fputs("usage: weir-bench train FORMULA DIM BATCH THREADS\n"
              "       weir-bench memory FORMULA DIM BATCH ROWS\n"
              "       weir-bench sample FORMULA DIM BATCH THREADS\n"
              "       weir-bench planar LAYERS ROWS THREADS\n"
              "       weir-bench compile FORMULA DIM fit|vi\n",
              stderr);
        return 2;
    }
    if (status) fprintf(stderr, "weir-bench: %s\n", error.message);
    return status ? EXIT_FAILURE : EXIT_SUCCESS;
}
