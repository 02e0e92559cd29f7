/* weir-bench limit: the step that planar.c records, as a loop written by hand, fused as far as it goes. It is what
 * Weir's plan could be at best.
 *
 * It has the same model, energy, loss and Adam. exp, log, log1p and tanh are the functions that Weir's ops call, and
 * the noise has the same bits: Philox, then Box and Muller in float64. Products and sums may be fused, and what is
 * equal in exact arithmetic may be computed otherwise, so that the loss and its gradients are those of planar.c up to
 * rounding; tests/models/test_bench_limit.c sees to that. A block of rows goes through all layers and back while what
 * it needs for that is in the L1 cache, and its sums are added up in vectors. */
#include "limit.h"
#include "base/cpu.h"
#include "limit_kernels.h"

#include <math.h>
#include <string.h>

#define DECLARE(isa) extern const limit_kernels limit_kernels_##isa##_f32;
#define IF_CHOSEN(isa)                                                                                                 \
    if (strcmp(ad_isa_name(), #isa) == 0) return &limit_kernels_##isa##_f32;
AD_ISAS(DECLARE)

/* For what ad_isa_name() names. */
static const limit_kernels *kernels_of_isa(void)
{
    AD_ISAS(IF_CHOSEN)
    return NULL;
}

typedef struct {
    const limit_kernels *kernels;
    limit_model *model;
    ad_pool *pool;
    size_t block_rows, blocks, jobs; /* a job is a run of blocks */
} limit;

/* model->layers and model->rows are set. Blocks are of about one size, and whole vectors. */
static limit limit_of(limit_model *model, ad_pool *pool)
{
    limit l = {.kernels = kernels_of_isa(), .model = model, .pool = pool};
    const size_t lanes = l.kernels->lanes, blocks = (model->rows + LIMIT_BLOCK - 1) / LIMIT_BLOCK;
    l.block_rows = ((model->rows + blocks - 1) / blocks + lanes - 1) / lanes * lanes;
    l.blocks = (model->rows + l.block_rows - 1) / l.block_rows;
    l.jobs = l.blocks < LIMIT_JOBS ? l.blocks : LIMIT_JOBS;
    return l;
}

static void run_job(void *context, size_t job, int worker)
{
    (void)worker;
    const limit *l = context;
    limit_model *m = l->model;
    memset(m->job[job].sum, 0, (size_t)m->layers * sizeof m->job[job].sum[0]);
    m->job[job].loss = 0;
    for (size_t i = job * l->blocks / l->jobs; i < (job + 1) * l->blocks / l->jobs; i++) {
        const size_t begin = i * l->block_rows, left = m->rows - begin;
        l->kernels->rows(m, job, begin, left < l->block_rows ? left : l->block_rows);
    }
}

static void find_gradient(limit *l)
{
    l->kernels->layers(l->model);
    ad_pool_run(l->pool, l->jobs, run_job, l);
    l->kernels->gradient(l->model, l->jobs);
}

/* NULL with *error on failure. */
static limit_model *model_of(int layers, const float *parameters, size_t rows, ad_error *error)
{
    if (layers < 1 || layers > LIMIT_LAYERS || rows < 1) {
        ad_error_set(error, AD_ERROR_ARGUMENT, "expected 1 … %d layers and rows; got %d layers, %zu rows", LIMIT_LAYERS,
                     layers, rows);
        return NULL;
    }
    limit_model *m = ad_alloc_aligned(1, sizeof *m);
    if (!m) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d layers", layers);
        return NULL;
    }
    m->layers = layers;
    m->rows = rows;
    m->seed = 1;
    for (int i = 0; i < layers * PLANAR_PER_LAYER; i++)
        m->parameter[i % PLANAR_PER_LAYER * layers + i / PLANAR_PER_LAYER] = parameters[i];
    return m;
}

ad_status limit_gradient(int layers, const float *parameters, size_t rows, const float *z, float *loss, float *gradient,
                         ad_error *error)
{
    limit_model *m = model_of(layers, parameters, rows, error);
    if (!m) return error->status;
    limit l = limit_of(m, NULL);
    m->z = z;
    find_gradient(&l);
    *loss = m->loss;
    for (int i = 0; i < layers * PLANAR_PER_LAYER; i++)
        gradient[i] = m->gradient[i % PLANAR_PER_LAYER * layers + i / PLANAR_PER_LAYER];
    ad_free_aligned(m);
    return AD_OK;
}

ad_status limit_benchmark(int layers, size_t rows, int threads, trials *steps_per_second, ad_error *error)
{
    float parameters[PLANAR_MOST_LAYERS * PLANAR_PER_LAYER];
    planar_start(PLANAR_MOST_LAYERS, parameters);
    limit_model *m = model_of(layers, parameters, rows, error);
    if (!m) return error->status;
    ad_pool *pool = ad_pool_new(threads, error);
    limit l = limit_of(m, pool);
    trials_timer timer = {steps_per_second};
    for (bool enough = !pool; !enough; enough = trials_step_done(&timer)) {
        find_gradient(&l);
        l.kernels->update(m);
        m->step++;
    }
    ad_status status = pool ? AD_OK : error->status;
    if (pool && !isfinite(m->loss)) status = ad_error_set(error, AD_ERROR_NUMERIC, "the loss is %g", (double)m->loss);
    ad_pool_free(pool);
    ad_free_aligned(m);
    return status;
}
