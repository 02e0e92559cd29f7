/* Optimisers: clip by global norm, then update, in chunks on threads. Elementwise, and the norm's chunks are added in
 * order: the same bits at any number of threads. */
#include "optimizer.h"

#include <math.h>

enum { CHUNK = 8192 };

const char *nf_optimizer_name(nf_optimizer optimizer)
{
    return optimizer == NF_ADAM ? "adam" : "sgd";
}

const char *nf_schedule_name(nf_schedule schedule)
{
    return schedule == NF_CONSTANT ? "constant" : "cosine";
}

double nf_scheduled_rate(nf_schedule schedule, double learning_rate, size_t step, size_t steps)
{
    if (schedule == NF_CONSTANT || steps == 0) return learning_rate;
    return learning_rate * 0.5 * (1 + cos(3.14159265358979323846 * (double)step / (double)steps));
}

ad_status nf_optimizer_start(nf_optimizer_state *state, ad_error *error)
{
    size_t size = ad_dtype_size(state->dtype);
    state->steps = 0;
    state->first = ad_alloc_aligned(state->count, size);
    state->second = ad_alloc_aligned(state->kind == NF_ADAM ? state->count : 0, size);
    state->partial = ad_alloc(state->count / CHUNK + 1, sizeof *state->partial);
    if (state->first && state->second && state->partial) return AD_OK;
    nf_optimizer_stop(state);
    return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the optimiser of %zu parameters", state->count);
}

void nf_optimizer_stop(nf_optimizer_state *state)
{
    ad_free_aligned(state->first);
    ad_free_aligned(state->second);
    ad_free(state->partial);
    state->first = state->second = NULL;
    state->partial = NULL;
}

typedef struct {
    const nf_optimizer_state *state;
    void *parameters;
    const void *gradient;
    double clip_factor, decay;
    double rate;              /* Adam's lr / (1 - β1^t) */
    double second_correction; /* 1 / √(1 - β2^t) */
} update;

static const double beta1 = 0.9, epsilon = 1e-8;

/* One chunk [begin, end) of each kind of work, for each dtype. */
#define DEFINE_CHUNKS(real, suffix, square_root)                                                                       \
    static double squares_##suffix(const real *g, size_t begin, size_t end)                                            \
    {                                                                                                                  \
        double sum[8] = {0};                                                                                           \
        for (; begin + 8 <= end; begin += 8)                                                                           \
            for (int k = 0; k < 8; k++) sum[k] += (double)g[begin + (size_t)k] * (double)g[begin + (size_t)k];         \
        for (; begin < end; begin++) sum[0] += (double)g[begin] * (double)g[begin];                                    \
        return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));                      \
    }                                                                                                                  \
    static void adam_##suffix(const update *u, size_t begin, size_t end)                                               \
    {                                                                                                                  \
        real *restrict w = u->parameters, *restrict m = u->state->first, *restrict v = u->state->second;               \
        const real *restrict gradient = u->gradient;                                                                   \
        const real factor = (real)u->clip_factor, decay = (real)u->decay, rate = (real)u->rate;                        \
        const real correction = (real)u->second_correction, b1 = (real)beta1, b2 = (real)u->state->beta2;              \
        const real c1 = (real)(1 - beta1), c2 = (real)(1 - u->state->beta2), e = (real)epsilon;                        \
        for (size_t i = begin; i < end; i++) {                                                                         \
            real g = factor * gradient[i] + decay * w[i];                                                              \
            m[i] = b1 * m[i] + c1 * g;                                                                                 \
            v[i] = b2 * v[i] + c2 * g * g;                                                                             \
            w[i] -= rate * m[i] / (square_root(v[i]) * correction + e);                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static void sgd_##suffix(const update *u, size_t begin, size_t end)                                                \
    {                                                                                                                  \
        real *restrict w = u->parameters, *restrict m = u->state->first;                                               \
        const real *restrict gradient = u->gradient;                                                                   \
        const real factor = (real)u->clip_factor, decay = (real)u->decay, rate = (real)u->rate;                        \
        const real momentum = (real)u->state->momentum;                                                                \
        for (size_t i = begin; i < end; i++) {                                                                         \
            m[i] = momentum * m[i] + (factor * gradient[i] + decay * w[i]);                                            \
            w[i] -= rate * m[i];                                                                                       \
        }                                                                                                              \
    }
DEFINE_CHUNKS(float, f32, sqrtf)
DEFINE_CHUNKS(double, f64, sqrt)

static size_t chunk_end(const nf_optimizer_state *state, size_t chunk)
{
    size_t end = (chunk + 1) * CHUNK;
    return end < state->count ? end : state->count;
}

static void sum_chunk(void *context, size_t chunk, int worker)
{
    (void)worker;
    const update *u = context;
    size_t begin = chunk * CHUNK, end = chunk_end(u->state, chunk);
    u->state->partial[chunk] =
        u->state->dtype == AD_F32 ? squares_f32(u->gradient, begin, end) : squares_f64(u->gradient, begin, end);
}

/* Moments of unused weights decay towards zero, and arithmetic on subnormal numbers is some hundred times slower. */
#if defined(__x86_64__)
static unsigned flush_subnormals(void)
{
    const unsigned flush_to_zero = 0x8000, subnormals_are_zero = 0x0040;
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | flush_to_zero | subnormals_are_zero);
    return before;
}

static void restore_subnormals(unsigned before)
{
    __builtin_ia32_ldmxcsr(before);
}
#else
static unsigned flush_subnormals(void)
{
    return 0;
}

static void restore_subnormals(unsigned before)
{
    (void)before;
}
#endif

static void update_chunk(void *context, size_t chunk, int worker)
{
    (void)worker;
    static void (*const table[2][2])(const update *, size_t,
                                     size_t) = {[NF_ADAM] = {adam_f32, adam_f64}, [NF_SGD] = {sgd_f32, sgd_f64}};
    const update *u = context;
    unsigned before = flush_subnormals();
    table[u->state->kind][u->state->dtype](u, chunk * CHUNK, chunk_end(u->state, chunk));
    restore_subnormals(before);
}

bool nf_optimizer_step(nf_optimizer_state *state, void *parameters, const void *gradient, double learning_rate,
                       ad_pool *pool, double *norm)
{
    size_t chunks = (state->count + CHUNK - 1) / CHUNK;
    update u = {.state = state, .parameters = parameters, .gradient = gradient, .decay = state->weight_decay};
    ad_pool_run(pool, chunks, sum_chunk, &u);
    double squares = 0;
    for (size_t i = 0; i < chunks; i++) squares += state->partial[i];
    *norm = sqrt(squares);
    if (!isfinite(*norm)) return false;
    double t = (double)++state->steps;
    u.clip_factor = *norm > state->clip ? state->clip / *norm : 1;
    u.rate = state->kind == NF_ADAM ? learning_rate / (1 - pow(beta1, t)) : learning_rate;
    u.second_correction = 1 / sqrt(1 - pow(state->beta2, t));
    ad_pool_run(pool, chunks, update_chunk, &u);
    return true;
}
