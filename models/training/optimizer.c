/* An optimiser at work: clip by global norm, then update, in chunks on threads. Elementwise, and the norm's chunks are
 * added in order: the same bits at any number of threads. Where the norm is known, a step is one pass over memory. */
#include "training/optimizer.h"

#include <weir/environment.h>

#include <math.h>
#include <string.h>

struct nf_optimizer {
    nf_optimizer_options o; /* with the defaults filled in */
    char *name;             /* its own copy of that of the options */
    const nf_optimizer_type *type;
    double argument[NF_MOST_ARGUMENTS];
    size_t count;
    ad_dtype dtype;
    uint64_t steps; /* done */
    void *state;
    size_t state_bytes;
    double *partial; /* sums of squares, of each chunk */
    const nf__optimizer_set *kernels;
};

/* ---- Options ------------------------------------------------------------------------------------------------- */

static size_t number_of(const nf_optimizer_type *type, const char *argument)
{
    size_t i = 0;
    while (type->argument && type->argument[i].name && strcmp(type->argument[i].name, argument) != 0) i++;
    return i;
}

/* The arguments once more, with a loop's own default in the place of the optimiser's. */
static bool parse_again(nf_optimizer *optimizer, const nf__optimizer_defaults *defaults, ad_error *error)
{
    const nf_optimizer_type *type = optimizer->type;
    nf_argument argument[NF_MOST_ARGUMENTS + 1] = {0};
    for (size_t i = 0; type->argument[i].name; i++) argument[i] = type->argument[i];
    argument[number_of(type, defaults->argument)].value = defaults->value;
    return nf_parse_arguments(optimizer->o.name, strlen(type->name), argument, optimizer->argument, error);
}

static ad_status resolve(nf_optimizer *optimizer, const nf__optimizer_defaults *defaults, ad_error *error)
{
    nf_optimizer_options *o = &optimizer->o;
    const nf_optimizer_type *type = nf__optimizer_parse(o->name, optimizer->argument, error);
    if (!type) return error->status;
    optimizer->type = type;
    double rate = type->learning_rate;
    if (defaults && strcmp(type->name, defaults->optimizer) == 0) {
        rate = defaults->learning_rate;
        if (!parse_again(optimizer, defaults, error)) return error->status;
    }
    const struct {
        const char *name;
        double *value, initial;
    } numbers[] = {
        {"learning rate", &o->learning_rate, rate},
        {"weight decay", &o->weight_decay, type->weight_decay},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (*numbers[i].value == 0) *numbers[i].value = numbers[i].initial;
        if (*numbers[i].value >= 0 && *numbers[i].value < INFINITY) continue;
        return ad_error_set(error, AD_ERROR_ARGUMENT, "%s: expected a positive number, got %g; %s's default is %g",
                            numbers[i].name, *numbers[i].value, type->name, numbers[i].initial);
    }
    if (isnan(o->clip)) return ad_error_set(error, AD_ERROR_ARGUMENT, "clip: expected a number, got %g", o->clip);
    if (o->clip <= 0) o->clip = INFINITY;
    return AD_OK;
}

const nf_optimizer_options *nf_optimizer_settings(const nf_optimizer *optimizer)
{
    if (!optimizer) return NULL;
    return &optimizer->o;
}

double nf_optimizer_argument(const nf_optimizer *optimizer, const char *name)
{
    if (!optimizer || !name) return 0;
    const nf_argument *argument = optimizer->type->argument;
    size_t i = number_of(optimizer->type, name);
    return argument && argument[i].name ? optimizer->argument[i] : NAN;
}

/* ---- Making one ---------------------------------------------------------------------------------------------- */

enum { CHUNK = 8192 };

static ad_status start(nf_optimizer *optimizer, const nf__optimizer_defaults *defaults, ad_error *error)
{
    optimizer->name = ad_strdup(optimizer->o.name ? optimizer->o.name : "adam");
    if (!optimizer->name) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for an optimiser");
    optimizer->o.name = optimizer->name;
    ad_status status = resolve(optimizer, defaults, error);
    if (status) return status;
    const nf_optimizer_type *type = optimizer->type;
    size_t states = type->states_of ? type->states_of(type, optimizer->argument) : type->states;
    size_t bytes = states * ad_dtype_size(optimizer->dtype);
    optimizer->kernels = nf__optimizers(optimizer->dtype);
    optimizer->state = ad_alloc_aligned(optimizer->count, bytes);
    optimizer->partial = ad_alloc(optimizer->count / CHUNK + 1, sizeof *optimizer->partial);
    if (!optimizer->state || !optimizer->partial)
        return ad_error_set(error, AD_ERROR_MEMORY, "out of memory for the optimiser of %zu parameters",
                            optimizer->count);
    optimizer->state_bytes = optimizer->count * bytes;
    return AD_OK;
}

static nf_optimizer *make(const nf_optimizer_options *options, const nf__optimizer_defaults *defaults, size_t count,
                          ad_dtype dtype, ad_error *error)
{
    ad_error unwanted;
    if (!error) error = &unwanted;
    nf_optimizer *optimizer = ad_alloc(1, sizeof *optimizer);
    if (!optimizer) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for an optimiser");
        return NULL;
    }
    *optimizer = (nf_optimizer){.o = options ? *options : (nf_optimizer_options){0}, .count = count, .dtype = dtype};
    if (start(optimizer, defaults, error) == AD_OK) return optimizer;
    nf_optimizer_free(optimizer);
    return NULL;
}

nf_optimizer *nf_optimizer_new(const nf_optimizer_options *options, size_t count, ad_dtype dtype, ad_error *error)
{
    return make(options, NULL, count, dtype, error);
}

void nf_optimizer_free(nf_optimizer *optimizer)
{
    if (!optimizer) return;
    ad_free(optimizer->partial);
    ad_free_aligned(optimizer->state);
    ad_free(optimizer->name);
    ad_free(optimizer);
}

nf_optimizer *nf__optimizer_take(nf_optimizer *resume, const nf_optimizer_options *options,
                                 const nf__optimizer_defaults *defaults, size_t count, ad_dtype dtype, ad_error *error)
{
    if (!resume) return make(options, defaults, count, dtype, error);
    if (resume->count == count && resume->dtype == dtype) return resume;
    ad_error_set(error, AD_ERROR_ARGUMENT, "the optimiser to resume is for %zu %s parameters; this flow has %zu of %s",
                 resume->count, ad_dtype_name(resume->dtype), count, ad_dtype_name(dtype));
    return NULL;
}

/* ---- What it remembers --------------------------------------------------------------------------------------- */

uint64_t nf_optimizer_steps(const nf_optimizer *optimizer)
{
    return optimizer ? optimizer->steps : 0;
}

size_t nf_optimizer_state_size(const nf_optimizer *optimizer)
{
    return optimizer ? optimizer->state_bytes + sizeof optimizer->steps : 0;
}

void nf_optimizer_save(const nf_optimizer *optimizer, void *state)
{
    if (!optimizer || !state) return;
    memcpy(state, optimizer->state, optimizer->state_bytes);
    memcpy((char *)state + optimizer->state_bytes, &optimizer->steps, sizeof optimizer->steps);
}

void nf_optimizer_restore(nf_optimizer *optimizer, const void *state)
{
    if (!optimizer || !state) return;
    memcpy(optimizer->state, state, optimizer->state_bytes);
    memcpy(&optimizer->steps, (const char *)state + optimizer->state_bytes, sizeof optimizer->steps);
}

void nf__optimizer_list(nf_optimizer *optimizer, nf__state *state)
{
    static const nf__field steps[] = {NF__FIELD(nf_optimizer, steps, NF__STEPS)};
    nf__state_array(state, "moments", optimizer->dtype, optimizer->state,
                    optimizer->state_bytes / ad_dtype_size(optimizer->dtype));
    nf__state_structs(state, "optimizer", steps, 1, optimizer, sizeof *optimizer, 1);
}

void nf__optimizer_settings(const nf_optimizer *optimizer, nf__state *state)
{
    const nf_optimizer_options *o = &optimizer->o;
    nf__state_setting(state, "optimizer", "%s", optimizer->type->name);
    for (size_t i = 0; optimizer->type->argument && optimizer->type->argument[i].name; i++)
        nf__state_number(state, optimizer->type->argument[i].name, optimizer->argument[i]);
    nf__state_number(state, "learning rate", o->learning_rate);
    nf__state_number(state, "weight decay", o->weight_decay);
    nf__state_number(state, "clip", o->clip);
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

typedef struct {
    const nf_optimizer *optimizer;
    const void *gradient;
} summation;

static size_t count_chunks(const nf_optimizer *optimizer)
{
    return (optimizer->count + CHUNK - 1) / CHUNK;
}

static size_t chunk_end(const nf_optimizer *optimizer, size_t chunk)
{
    size_t end = (chunk + 1) * CHUNK;
    return end < optimizer->count ? end : optimizer->count;
}

static void sum_chunk(void *context, size_t chunk, int worker)
{
    (void)worker;
    const summation *at = context;
    const nf_optimizer *optimizer = at->optimizer;
    optimizer->partial[chunk] = optimizer->kernels->squares(at->gradient, chunk * CHUNK, chunk_end(optimizer, chunk));
}

static double sum_squares(const nf_optimizer *optimizer, const void *gradient, ad_pool *pool)
{
    summation at = {optimizer, gradient};
    double sum = 0;
    ad_pool_run(pool, count_chunks(optimizer), sum_chunk, &at);
    for (size_t i = 0; i < count_chunks(optimizer); i++) sum += optimizer->partial[i];
    return sum;
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

typedef struct {
    const nf_optimizer *optimizer;
    const nf__step *step;
    nf_optimizer_update update;
} work;

/* All that is done with a chunk's parameters, while they are in the cache. */
static void run_chunk(void *context, size_t chunk, int worker)
{
    (void)worker;
    const work *at = context;
    const nf_optimizer *optimizer = at->optimizer;
    const nf__step *step = at->step;
    const size_t begin = chunk * CHUNK, end = chunk_end(optimizer, chunk);
    unsigned before = flush_subnormals();
    optimizer->type->update[optimizer->dtype](&at->update, begin, end);
    if (step->average) optimizer->kernels->average(step->average, step->parameters, begin, end, step->part);
    restore_subnormals(before);
}

ad_status nf__optimizer_step(nf_optimizer *optimizer, const nf__step *step, ad_pool *pool, double *norm,
                             ad_error *error)
{
    const nf_optimizer_options *o = &optimizer->o;
    const double length = sqrt(step->squares);
    if (norm) *norm = length;
    if (!isfinite(length))
        return ad_error_set(error, AD_ERROR_NUMERIC, "optimizer: the gradient's norm is not finite: %g", length);
    work at = {optimizer,
               step,
               {.type = optimizer->type,
                .argument = optimizer->argument,
                .count = optimizer->count,
                .step = optimizer->steps + 1,
                .learning_rate = step->learning_rate,
                .weight_decay = o->weight_decay,
                .scale = length > o->clip ? o->clip / length : 1,
                .decay = optimizer->type->decays ? 0 : o->weight_decay,
                .gradient = step->gradient,
                .parameter = step->parameters,
                .state = optimizer->state}};
    ad_pool_run(pool, count_chunks(optimizer), run_chunk, &at);
    optimizer->steps++;
    return AD_OK;
}

ad_status nf_optimizer_step(nf_optimizer *optimizer, void *parameters, const void *gradient, double learning_rate,
                            ad_pool *pool, double *norm, ad_error *error)
{
    AD_DEFAULT_ENVIRONMENT;
    const size_t needed = optimizer ? optimizer->count : 0;
    const char *missing = !optimizer              ? "optimizer"
                          : needed && !parameters ? "parameters"
                          : needed && !gradient   ? "gradient"
                                                  : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "optimizer: %s is NULL", missing);
    const nf__step step = {.parameters = parameters,
                           .gradient = gradient,
                           .squares = sum_squares(optimizer, gradient, pool),
                           .learning_rate = learning_rate};
    return nf__optimizer_step(optimizer, &step, pool, norm, error);
}
