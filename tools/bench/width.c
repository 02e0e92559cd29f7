#include "width.h"
#include "base/observed.h"
#include "planar.h"
#include "training.h"
#include "trials.h"

#include <weir/training.h>

#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Times of each part of a step, of steps that were alike: what comes before a run of jobs, the jobs, …, what comes
 * after the last run. */
enum { TURNS = 3, MOST_STEPS = 200, MOST_PARTS = 1 << 18, MOST_RUNS = 1 << 14, WARM_UP = 2 }; /* steps of a turn */

typedef struct {
    double *part, *steps; /* of this step; [step][parts] */
    size_t *jobs, *first; /* of each run of this step, and of those that are kept */
    size_t parts, runs, first_parts, first_runs, kept, kept_before, seen; /* before: in earlier turns */
    double last, until;
    bool full;
} recorder;

static void add_part(recorder *r)
{
    const double at = now();
    r->full |= r->parts == MOST_PARTS;
    if (!r->full) r->part[r->parts++] = at - r->last;
    r->last = now();
}

static void begins(void *context, size_t jobs)
{
    recorder *r = context;
    add_part(r);
    r->full |= r->runs == MOST_RUNS;
    if (!r->full) r->jobs[r->runs++] = jobs;
}

static void job_done(void *context)
{
    add_part(context);
}

/* The first step that isn't warm-up says what a step is; what else there is, as at an epoch's end, is left out. */
static bool is_alike(recorder *r)
{
    if (r->seen++ < WARM_UP) return false;
    if (r->kept == 0) {
        r->first_parts = r->parts;
        r->first_runs = r->runs;
        memcpy(r->first, r->jobs, r->runs * sizeof *r->jobs);
    }
    return r->parts == r->first_parts && r->runs == r->first_runs &&
           memcmp(r->first, r->jobs, r->runs * sizeof *r->jobs) == 0;
}

static bool step_done(void *context)
{
    recorder *r = context;
    add_part(r);
    if (is_alike(r)) {
        double *steps = ad_realloc(r->steps, (r->kept + 1) * r->parts, sizeof *steps);
        r->full |= !steps;
        if (steps) {
            r->steps = steps;
            memcpy(steps + r->kept++ * r->parts, r->part, r->parts * sizeof *steps);
        }
    }
    r->parts = r->runs = 0;
    r->last = now();
    const size_t kept = r->kept - r->kept_before;
    return r->full || kept == MOST_STEPS || (kept > 2 && r->last > r->until);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lower quartile: what disturbs makes some jobs longer than others, and all wait for the longest. */
static double time_of_part(const recorder *r, size_t part)
{
    double time[TURNS * MOST_STEPS];
    for (size_t s = 0; s < r->kept; s++) time[s] = r->steps[s * r->first_parts + part];
    qsort(time, r->kept, sizeof *time, by_size);
    return time[r->kept / 4];
}

/* ---- The model ----------------------------------------------------------------------------------------------- */

typedef struct {
    atomic_int here, wanted;
} meeting;

/* Waits for all other jobs, so that each thread has one, and leaves the core to others if that takes long. */
static void meet(void *context, size_t i, int worker)
{
    (void)i;
    (void)worker;
    meeting *m = context;
    atomic_fetch_add(&m->here, 1);
    for (int spins = 0; atomic_load(&m->here) < m->wanted; spins++)
        if (spins > 10000) sched_yield();
}

/* What a run of no work on all threads costs for each, as measured on all cores that there are, when other programs
 * disturb least. Threads take turns at what they share, so with more of them it is as much for each. */
static double cost_of_thread(void)
{
    enum { TRIALS = 2000 };
    double time[TRIALS];
    ad_pool *pool = ad_pool_new(0, NULL);
    const int threads = ad_pool_threads(pool);
    for (int i = 0; i < TRIALS; i++) {
        meeting m = {.wanted = threads};
        const double began = now();
        ad_pool_run(pool, (size_t)threads, meet, &m);
        time[i] = (now() - began) / threads;
    }
    ad_pool_free(pool);
    qsort(time, TRIALS, sizeof *time, by_size);
    return time[TRIALS / 10];
}

typedef struct {
    double work, span, placed; /* of all jobs and what is between them; of the longest chain; on so many threads */
    size_t runs;               /* which have costs of their own */
} model;

static double makespan(const double *job, size_t jobs, int threads)
{
    enum { MOST_THREADS = 64 };
    double busy[MOST_THREADS] = {0}, last = 0;
    for (size_t j = 0; j < jobs; j++) {
        int first = 0;
        for (int t = 1; t < threads; t++)
            if (busy[t] < busy[first]) first = t;
        busy[first] += job[j];
        if (busy[first] > last) last = busy[first];
    }
    return last;
}

/* `time` is of each part. */
static model place(const recorder *r, const double *time, int threads)
{
    model m = {.runs = r->first_runs};
    const double *at = time;
    for (size_t i = 0; i < r->first_runs; i++) {
        const double between = *at++;
        double longest = 0;
        for (size_t j = 0; j < r->first[i]; j++) {
            m.work += at[j];
            if (at[j] > longest) longest = at[j];
        }
        m.work += between;
        m.span += between + longest;
        m.placed += between + makespan(at, r->first[i], threads);
        at += r->first[i];
    }
    m.work += *at;
    m.span += *at;
    m.placed += *at;
    return m;
}

/* ---- Measuring ----------------------------------------------------------------------------------------------- */

/* What makes steps on a pool until step_done(r) says that it's enough. */
typedef struct {
    nf_flow *flow; /* NULL: planar layers */
    const double *x;
    size_t batch;
    int layers;
} subject;

enum { BATCHES = 8 }; /* of an epoch */

static ad_status make_steps(const subject *s, ad_pool *pool, recorder *r, ad_error *error)
{
    r->last = now();
    r->until = r->last + CASE_SECONDS / 10;
    r->kept_before = r->kept;
    r->seen = 0;
    if (!s->flow) return planar_steps(s->layers, s->batch, pool, step_done, r, error);
    ad_status status = train_until(s->flow, s->x, BATCHES * s->batch, s->batch, pool, step_done, r, error);
    return status == AD_ERROR_INTERRUPTED ? AD_OK : status;
}

/* One turn. */
static ad_status measure(const subject *s, int threads, recorder *r, ad_error *error)
{
    const ad__pool_observer observer = {begins, job_done, r};
    ad_pool *pool = ad__pool_observed(threads, &observer, error);
    ad_status status = pool ? make_steps(s, pool, r, error) : error->status;
    if (!status && (r->full || r->kept == r->kept_before))
        status = ad_error_set(error, AD_ERROR_ARGUMENT, "a step has too many jobs to be timed");
    ad_pool_free(pool);
    return status;
}

static bool start(recorder *r)
{
    *r = (recorder){.part = ad_alloc(MOST_PARTS, sizeof *r->part),
                    .jobs = ad_alloc(MOST_RUNS, sizeof *r->jobs),
                    .first = ad_alloc(MOST_RUNS, sizeof *r->first)};
    return r->part && r->jobs && r->first;
}

static void stop(recorder *r)
{
    ad_free(r->first);
    ad_free(r->jobs);
    ad_free(r->steps);
    ad_free(r->part);
}

enum { COUNT = 5 };
static const int threads[COUNT] = {1, 2, 4, 16, 64};

static void report(recorder *r, double barrier)
{
    model m[COUNT];
    for (int i = 0; i < COUNT; i++) {
        for (size_t p = 0; p < r[i].first_parts; p++) r[i].part[p] = time_of_part(&r[i], p);
        m[i] = place(&r[i], r[i].part, threads[i]);
    }
    printf("{\"step_s\": %.4g", m[0].work);
    for (int i = 1; i < COUNT; i++) {
        const double time = m[i].placed + (double)m[i].runs * barrier * threads[i];
        printf(", \"speedup_%d\": %.4g, \"work_%d\": %.4g, \"span_%d\": %.4g", threads[i], m[0].work / time, threads[i],
               m[i].work / m[0].work, threads[i], m[i].span / m[0].work);
    }
    printf(", \"barrier_s_per_thread\": %.3g", barrier);
    puts("}");
}

static ad_status measure_all(const subject *s, ad_error *error)
{
    recorder r[COUNT];
    bool good = true;
    for (int i = 0; i < COUNT; i++) good &= start(&r[i]);
    ad_status status = AD_OK;
    if (!good) status = ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the times of jobs");
    double barrier = 1;
    for (int turn = 0; turn < TURNS && !status; turn++) {
        barrier = fmin(barrier, cost_of_thread());
        for (int i = 0; i < COUNT && !status; i++) status = measure(s, threads[i], &r[i], error);
    }
    if (!status) report(r, barrier);
    for (int i = 0; i < COUNT; i++) stop(&r[i]);
    return status;
}

ad_status measure_width(nf_flow *flow, size_t batch, ad_error *error)
{
    double *x = random_data(BATCHES * batch, nf_flow_dim(flow));
    if (!x) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for %d batches of %zu rows", BATCHES, batch);
    ad_status status = measure_all(&(subject){.flow = flow, .x = x, .batch = batch}, error);
    ad_free(x);
    return status;
}

ad_status measure_planar_width(int layers, size_t rows, ad_error *error)
{
    return measure_all(&(subject){.batch = rows, .layers = layers}, error);
}
