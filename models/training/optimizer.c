/* An optimiser at work: clip by global norm, then update, in chunks on threads. Elementwise, and the norm's chunks are
 * added in order: the same bits at any number of threads. */
#include "training/optimizer.h"

#include <weir/optimizer.h>

#include <math.h>
#include <string.h>

/* ---- Types --------------------------------------------------------------------------------------------------- */

#define DECLARE(isa) extern const nf__optimizer_set nf__optimizers_##isa##_f32, nf__optimizers_##isa##_f64;
#define POINTERS(isa)                                                                                                  \
    {                                                                                                                  \
#isa,                                                                                                          \
        {                                                                                                              \
            [AD_F32] = &nf__optimizers_##isa##_f32, [AD_F64] = &nf__optimizers_##isa##_f64                             \
        }                                                                                                              \
    }

DECLARE(portable)
#ifdef AD_HAVE_X86
DECLARE(avx2)
DECLARE(avx512)
#endif

static const struct {
    const char *isa;
    const nf__optimizer_set *set[2];
} compiled[] = {
    POINTERS(portable),
#ifdef AD_HAVE_X86
    POINTERS(avx2),
    POINTERS(avx512),
#endif
};

/* For this CPU. */
static const nf__optimizer_set *set_of(ad_dtype dtype)
{
    size_t i = 0;
    while (strcmp(compiled[i].isa, ad_isa_name()) != 0) i++;
    return compiled[i].set[dtype];
}

static const nf_optimizer_type *type_of(nf_optimizer_kind kind)
{
    return &nf__optimizers_portable_f64.type[kind];
}

const char *nf_optimizer_name(nf_optimizer_kind kind)
{
    return type_of(kind)->name;
}

const nf_optimizer_options *nf_optimizer_settings(const nf_optimizer *optimizer)
{
    return &optimizer->o;
}

/* ---- Options ------------------------------------------------------------------------------------------------- */

static ad_status resolve(nf_optimizer_options *o, ad_error *error)
{
    enum { LARGEST_WINDOW = 1000 };
    if ((unsigned)o->kind >= NF_OPTIMIZERS)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "optimizer: there is no number %d", (int)o->kind);
    const nf_optimizer_options *defaults = &type_of(o->kind)->defaults;
    const struct {
        const char *name;
        double *value, initial, limit;
    } numbers[] = {
        {"learning rate", &o->learning_rate, defaults->learning_rate, INFINITY},
        {"momentum", &o->momentum, defaults->momentum, 1},
        {"beta1", &o->beta1, defaults->beta1, 1},
        {"beta2", &o->beta2, defaults->beta2, 1},
        {"rho", &o->rho, defaults->rho, 1},
        {"epsilon", &o->epsilon, defaults->epsilon, INFINITY},
        {"weight decay", &o->weight_decay, defaults->weight_decay, INFINITY},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (*numbers[i].value == 0) *numbers[i].value = numbers[i].initial;
        if (*numbers[i].value >= 0 && !(*numbers[i].value >= numbers[i].limit)) continue;
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "%s: expected a positive number below %g, got %g; %s's default is %g", numbers[i].name,
                            numbers[i].limit, *numbers[i].value, nf_optimizer_name(o->kind), numbers[i].initial);
    }
    if (o->window == 0 || defaults->window == 0) o->window = defaults->window;
    if (o->window > LARGEST_WINDOW)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "window: expected at most %d steps, got %zu", LARGEST_WINDOW,
                            o->window);
    if (isnan(o->clip)) return ad_error_set(error, AD_ERROR_ARGUMENT, "clip: expected a number, got %g", o->clip);
    if (o->clip <= 0) o->clip = INFINITY;
    return AD_OK;
}

/* ---- Making one ---------------------------------------------------------------------------------------------- */

enum { CHUNK = 8192 };

static ad_status start(nf_optimizer *optimizer, ad_error *error)
{
    ad_status status = resolve(&optimizer->o, error);
    if (status) return status;
    optimizer->set = set_of(optimizer->dtype);
    optimizer->type = &optimizer->set->type[optimizer->o.kind];
    size_t numbers = optimizer->type->states + optimizer->o.window;
    size_t bytes = numbers * ad_dtype_size(optimizer->dtype);
    optimizer->state = ad_alloc_aligned(optimizer->count, bytes);
    optimizer->partial = ad_alloc(optimizer->count / CHUNK + 1, sizeof *optimizer->partial);
    if (!optimizer->state || !optimizer->partial)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the optimiser of %zu parameters",
                            optimizer->count);
    optimizer->state_bytes = optimizer->count * bytes;
    return AD_OK;
}

nf_optimizer *nf_optimizer_new(const nf_optimizer_options *options, size_t count, ad_dtype dtype, ad_error *error)
{
    ad_error own;
    if (!error) error = &own;
    nf_optimizer *optimizer = ad_alloc(1, sizeof *optimizer);
    if (!optimizer) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for an optimiser");
        return NULL;
    }
    *optimizer = (nf_optimizer){.o = options ? *options : (nf_optimizer_options){0}, .count = count, .dtype = dtype};
    if (start(optimizer, error) == AD_OK) return optimizer;
    nf_optimizer_free(optimizer);
    return NULL;
}

void nf_optimizer_free(nf_optimizer *optimizer)
{
    if (!optimizer) return;
    ad_free(optimizer->partial);
    ad_free_aligned(optimizer->state);
    ad_free(optimizer);
}

nf_optimizer *nf__optimizer_take(nf_optimizer *resume, const nf_optimizer_options *options, size_t count,
                                 ad_dtype dtype, ad_error *error)
{
    if (!resume) return nf_optimizer_new(options, count, dtype, error);
    if (resume->count == count && resume->dtype == dtype) return resume;
    ad_error_set(error, AD_ERROR_ARGUMENT, "the optimiser to resume is for %zu %s parameters; this flow has %zu of %s",
                 resume->count, ad_dtype_name(resume->dtype), count, ad_dtype_name(dtype));
    return NULL;
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

typedef struct {
    const nf_optimizer *optimizer;
    nf__step step;
} work;

static size_t chunk_end(const work *at, size_t chunk)
{
    size_t end = (chunk + 1) * CHUNK;
    return end < at->step.count ? end : at->step.count;
}

static void sum_chunk(void *context, size_t chunk, int worker)
{
    (void)worker;
    const work *at = context;
    at->optimizer->partial[chunk] = at->optimizer->set->squares(at->step.gradient, chunk * CHUNK, chunk_end(at, chunk));
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

static void run_chunk(void *context, size_t chunk, int worker)
{
    (void)worker;
    const work *at = context;
    unsigned before = flush_subnormals();
    at->optimizer->type->run(&at->step, chunk * CHUNK, chunk_end(at, chunk));
    restore_subnormals(before);
}

ad_status nf_optimizer_step(nf_optimizer *optimizer, void *parameters, const void *gradient, double learning_rate,
                            ad_pool *pool, double *norm, ad_error *error)
{
    const nf_optimizer_options *o = &optimizer->o;
    size_t chunks = (optimizer->count + CHUNK - 1) / CHUNK;
    work at = {optimizer,
               {.o = o,
                .count = optimizer->count,
                .t = optimizer->steps + 1,
                .w = parameters,
                .gradient = gradient,
                .decay = optimizer->type->decays ? 0 : o->weight_decay,
                .rate = learning_rate,
                .state = optimizer->state}};
    double sum = 0;
    ad_pool_run(pool, chunks, sum_chunk, &at);
    for (size_t i = 0; i < chunks; i++) sum += optimizer->partial[i];
    double length = sqrt(sum);
    if (norm) *norm = length;
    if (!isfinite(length))
        return ad_error_set(error, AD_ERROR_NUMERIC, "optimizer: the gradient's norm is not finite: %g", length);
    at.step.clip_factor = length > o->clip ? o->clip / length : 1;
    ad_pool_run(pool, chunks, run_chunk, &at);
    optimizer->steps++;
    return AD_OK;
}
