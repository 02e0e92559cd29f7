/* What a flow begins as: a fit to draws near all that the searches found. */
#include "ranks/ranks.h"
#include "vi/infer.h"
#include "vi/inference.h"

#include <weir/nuts.h>
#include <weir/training.h>

#include <math.h>
#include <string.h>
#include <stdlib.h>

enum { DRAWS = 20000, ROWS = 10000 };
static const uint64_t draw_stream = (uint64_t)1 << 41, row_stream = (uint64_t)1 << 42;

/* ---- By weights -------------------------------------------------------------------------------------------------- */

/* Weights w^power, of which the largest is 1, that are worth `least` draws or more: the largest such power up to 1.
 * Weights of a poor proposal are a few points; tempered, they still move its draws towards the target. */
static void temper(const double *log_w, size_t n, double least, double *w)
{
    double most = -INFINITY, low = 0, high = 1, power = 1;
    for (size_t i = 0; i < n; i++) most = fmax(most, log_w[i]);
    for (int trial = 0; trial < 30; trial++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            w[i] = isfinite(log_w[i]) ? exp(power * (log_w[i] - most)) : 0;
            sum += w[i];
            squares += w[i] * w[i];
        }
        if (sum * sum / squares >= least) {
            if (trial == 0) return;
            low = power;
        } else {
            high = power;
        }
        power = trial == 28 ? low : (low + high) / 2;
    }
}

/* Rows of z in proportion to w, in order: systematic resampling. */
static void resample(const double *z, const double *w, size_t n, size_t dim, uint64_t seed, double *x)
{
    double sum = 0, reached = 0;
    for (size_t i = 0; i < n; i++) sum += w[i];
    const double first = ad_random_uniform(seed, row_stream, 0);
    size_t i = 0;
    for (size_t r = 0; r < ROWS; r++) {
        const double goal = ((double)r + first) / ROWS * sum;
        while (i + 1 < n && reached + w[i] < goal) reached += w[i++];
        memcpy(x + r * dim, z + i * dim, dim * sizeof *x);
    }
}

/* Draws of the start with weights, tempered: rows of x, to be freed. */
static ad_status weighted_rows(const nf_target *target, const nf_start *start, const nf_infer_options *o, double **x,
                               ad_error *error)
{
    const size_t dim = start->dim;
    double *z = ad_alloc(DRAWS, (dim + 3) * sizeof *z), *log_p = z + DRAWS * dim, *log_q = log_p + DRAWS;
    double *w = log_q + DRAWS;
    *x = ad_alloc(ROWS, dim * sizeof **x);
    ad_status status = z && *x ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d draws", DRAWS);
    if (!status) status = nf_start_draw(start, DRAWS, o->seed + draw_stream, z, error);
    if (!status) status = nf_start_log_prob(start, z, DRAWS, log_q, error);
    bool stops = nf__vi_stops((nf__vi_stop){o->interrupted, o->context});
    if (!status) status = nf__agree(o->pool, &stops, NULL, error);
    if (!status && stops)
        memcpy(log_p, log_q, DRAWS * sizeof *log_p); /* nobody waits for weights */
    else if (!status)
        status = nf_target_log_densities(target, z, DRAWS, log_p, o->pool, error);
    if (!status) {
        for (size_t i = 0; i < DRAWS; i++) log_p[i] -= log_q[i];
        temper(log_p, DRAWS, fmin(DRAWS / 4, 1000 + 20 * (double)dim), w);
        resample(z, w, DRAWS, dim, o->seed, *x);
    }
    ad_free(z);
    return status;
}

/* ---- By chains --------------------------------------------------------------------------------------------------- */

enum { CHAINS = 48, TUNE = 200, CHAIN_DRAWS = 250, LEAST_DRAWS = 20 };

typedef struct {
    const nf_infer_options *o;
    double seconds; /* that they may take */
} allowance;

static bool is_in_time(void *context, const nf_nuts_progress *now)
{
    const allowance *a = context;
    return now->seconds < a->seconds;
}

static bool is_interrupted(void *context)
{
    const allowance *a = context;
    return nf__vi_stops((nf__vi_stop){a->o->interrupted, a->o->context});
}

/* Rows of x, to be freed, drawn by chains from the start; none where the time was too short, or they failed. */
static ad_status chain_rows(const nf_target *target, const nf_start *start, const nf_infer_options *o, double **x,
                            size_t *rows, ad_error *error)
{
    allowance allowed = {o, o->budget / 5};
    nf_nuts_result drawn;
    const nf_nuts_options nuts = {.chains = CHAINS,
                                  .tune = TUNE,
                                  .draws = CHAIN_DRAWS,
                                  .max_depth = 8,
                                  .seed = o->seed,
                                  .pool = o->pool,
                                  .progress = is_in_time,
                                  .interrupted = is_interrupted,
                                  .context = &allowed,
                                  .start = start};
    bool stops = is_interrupted(&allowed);
    ad_status status = nf__agree(o->pool, &stops, NULL, error);
    *rows = 0;
    if (status || stops || nf_nuts(target, &nuts, &drawn, NULL)) return status;
    if (drawn.draws >= LEAST_DRAWS) {
        *x = drawn.unconstrained;
        *rows = drawn.chains * drawn.draws;
        drawn.unconstrained = NULL;
    }
    nf_nuts_free(&drawn);
    return AD_OK;
}

ad_status nf__infer_begin(nf_flow *flow, const nf_target *target, const nf_start *start, const nf_infer_options *o,
                          ad_error *error)
{
    double *x = NULL;
    size_t rows = 0;
    ad_status status = chain_rows(target, start, o, &x, &rows, error);
    if (rows == 0 && !status) {
        rows = ROWS;
        status = weighted_rows(target, start, o, &x, error);
    }
    const nf_fit_options fit = {.epochs = 20,
                                .batch = 256,
                                .optimizer.learning_rate = 0.003,
                                .seed = o->seed,
                                .pool = o->pool,
                                .interrupted = o->interrupted,
                                .context = o->context};
    if (!status) status = nf_fit(flow, x, rows, &fit, NULL, error);
    ad_free(x);
    return status;
}
