/* The C side of overhead.py: overhead FORMULA DIM ROWS EPOCHS. On each line of its input, "row", "rows" or "fit", it makes
 * the same calls as the Python side, on one thread, and prints the processor's seconds and a sum of what was computed. */
#include <weir/models.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLS = 2000, FITTED = 2000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double sum_of(const double *value, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += value[i];
    return sum;
}

int main(int argc, char **argv)
{
    if (argc != 5) return 2;
    const size_t dim = strtoul(argv[2], NULL, 10), rows = strtoul(argv[3], NULL, 10), epochs = strtoul(argv[4], NULL, 10);
    ad_error error = {0};
    ad_pool *pool = ad_pool_new(1, &error);
    nf_flow *flow = nf_flow_parse(argv[1], dim, 0, AD_F32, 1, &error);
    double *x = malloc(rows * dim * sizeof *x), *log_prob = malloc(rows * sizeof *log_prob);
    char what[8];
    if (!x || !log_prob || nf_sample(flow, NULL, rows, 1, x, NULL, pool, &error)) goto failed;
    while (scanf("%7s", what) == 1) {
        ad_status status = AD_OK;
        double result = 0, start = now(), seconds;
        if (strcmp(what, "row") == 0) {
            for (int i = 0; i < CALLS && !status; i++) status = nf_log_prob(flow, x, NULL, 1, log_prob, pool, &error);
            seconds = (now() - start) / CALLS;
            result = log_prob[0];
        } else if (strcmp(what, "rows") == 0) {
            status = nf_log_prob(flow, x, NULL, rows, log_prob, pool, &error);
            seconds = now() - start;
            result = sum_of(log_prob, rows);
        } else {
            nf_flow *fitted = nf_flow_parse(argv[1], dim, 0, AD_F32, 1, &error);
            nf_fit_report report;
            start = now();
            status = nf_fit(fitted, x, FITTED, &(nf_fit_options){.epochs = epochs, .seed = 1, .pool = pool}, &report, &error);
            seconds = now() - start;
            result = report.best_nll;
            if (!status) ad_free(report.history);
            nf_flow_free(fitted);
        }
        if (status) goto failed;
        printf("%.9g %.17g\n", seconds, result);
        fflush(stdout);
    }
    free(x);
    free(log_prob);
    nf_flow_free(flow);
    ad_pool_free(pool);
    return 0;
failed:
    fprintf(stderr, "%s\n", error.message);
    return 1;
}
