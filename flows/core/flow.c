/* A flow: a base distribution pushed through a bijector, with its parameters in one array, and plans that evaluate it.
 */
#include "core/internal.h"

#include <weir/flow.h>

#include <string.h>

typedef struct {
    nf_parameter *parameter;
    size_t offset; /* in flow->data, in elements */
} entry;

/* A plan that is made when it is first used, and its free ends. */
typedef struct {
    ad_plan *plan;
    ad_var in, context;
} evaluation;

enum { LOG_PROB, SAMPLE, FORWARD, INVERSE, EVALUATIONS };

struct nf_flow {
    nf_bijector *base, *bijector;
    bool borrows; /* the base: a slice's */
    ad_dtype dtype;
    entry *entry; /* trained ones first */
    size_t n_entry, n_trained;
    size_t trained_elements, elements;
    void *data;
    evaluation evaluation[EVALUATIONS];
};

/* ---- Parameters ---------------------------------------------------------------------------------------------- */

typedef struct {
    nf_flow *flow;
    bool fixed, count_only;
} collect_state;

static bool collect(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    collect_state *c = context;
    nf_flow *flow = c->flow;
    if (c->count_only) {
        flow->n_entry++;
    } else if (parameter->spec.fixed == c->fixed) {
        flow->entry[flow->n_entry++] = (entry){parameter, flow->elements};
        flow->elements += ad_shape_size(parameter->spec.shape);
    }
    return true;
}

bool nf_flow_each_parameter(const nf_flow *flow,
                            bool (*visit)(void *context, const char *name, nf_parameter *parameter), void *context)
{
    return nf_each_parameter(flow->bijector, visit, context) && nf__each_base_parameter(flow->base, visit, context);
}

static bool collect_parameters(nf_flow *flow)
{
    nf_flow_each_parameter(flow, collect, &(collect_state){.flow = flow, .count_only = true});
    flow->entry = ad_alloc(flow->n_entry, sizeof *flow->entry);
    if (!flow->entry) return false;
    flow->n_entry = 0;
    nf_flow_each_parameter(flow, collect, &(collect_state){.flow = flow});
    flow->n_trained = flow->n_entry;
    flow->trained_elements = flow->elements;
    nf_flow_each_parameter(flow, collect, &(collect_state){.flow = flow, .fixed = true});
    flow->data = ad_alloc_aligned(flow->elements, ad_dtype_size(flow->dtype));
    return flow->data != NULL;
}

nf_flow *nf_flow_new(nf_bijector *base, nf_bijector *bijector, ad_dtype dtype, ad_error *error)
{
    if (bijector && !base) base = nf_bijector_new(&nf__type_normal, bijector->dim, bijector->context, NULL, error);
    bool good = base && bijector;
    if (good && (!base->type->log_prob || !base->type->sample || base->dim != bijector->dim)) {
        ad_error_set(error, AD_ERROR_ARGUMENT,
                     "flow: '%s' of dimension %zu can't be the base distribution of dimension %zu", base->type->name,
                     base->dim, bijector->dim);
        good = false;
    }
    nf_flow *flow = good ? ad_alloc(1, sizeof *flow) : NULL;
    if (!flow) {
        if (good) ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a flow");
        nf_bijector_free(base);
        nf_bijector_free(bijector);
        return NULL;
    }
    *flow = (nf_flow){.base = base, .bijector = bijector, .dtype = dtype};
    if (!collect_parameters(flow)) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a flow");
        nf_flow_free(flow);
        return NULL;
    }
    nf_flow_push(flow);
    return flow;
}

nf_flow *nf_flow_slice(const nf_flow *flow, size_t steps, ad_error *error)
{
    nf_bijector *bijector = nf_chain_slice(flow->bijector, 0, steps, error);
    if (!bijector) return NULL;
    nf_flow *slice = ad_alloc(1, sizeof *slice);
    if (slice) *slice = (nf_flow){.base = flow->base, .bijector = bijector, .borrows = true, .dtype = flow->dtype};
    if (slice && collect_parameters(slice)) {
        nf_flow_push(slice);
        return slice;
    }
    ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a slice of a flow");
    if (slice)
        nf_flow_free(slice);
    else
        nf_bijector_free(bijector);
    return NULL;
}

nf_flow *nf_flow_parse(const char *formula, size_t dim, size_t context, ad_dtype dtype, uint64_t seed, ad_error *error)
{
    nf_bijector *base, *bijector = nf__parse_flow(formula, dim, context, seed, &base, error);
    return bijector ? nf_flow_new(base, bijector, dtype, error) : NULL;
}

void nf_flow_free(nf_flow *flow)
{
    if (!flow) return;
    for (int i = 0; i < EVALUATIONS; i++) ad_plan_free(flow->evaluation[i].plan);
    ad_free_aligned(flow->data);
    ad_free(flow->entry);
    nf_bijector_free(flow->bijector);
    if (!flow->borrows) nf_bijector_free(flow->base);
    ad_free(flow);
}

nf_bijector *nf_flow_bijector(const nf_flow *flow)
{
    return flow->bijector;
}

nf_bijector *nf_flow_base(const nf_flow *flow)
{
    return flow->base;
}

size_t nf_flow_dim(const nf_flow *flow)
{
    return flow->bijector->dim;
}

size_t nf_flow_context(const nf_flow *flow)
{
    return flow->bijector->context;
}

ad_dtype nf_flow_dtype(const nf_flow *flow)
{
    return flow->dtype;
}

void *nf_flow_parameters(const nf_flow *flow)
{
    return flow->data;
}

size_t nf_flow_parameter_count(const nf_flow *flow)
{
    return flow->trained_elements;
}

size_t nf_flow_fixed_count(const nf_flow *flow)
{
    return flow->elements - flow->trained_elements;
}

size_t nf_flow_trained_parameters(const nf_flow *flow)
{
    return flow->n_trained;
}

size_t nf_flow_all_parameters(const nf_flow *flow)
{
    return flow->n_entry;
}

const nf_parameter *nf_flow_parameter(const nf_flow *flow, size_t i, size_t *offset)
{
    *offset = flow->entry[i].offset;
    return flow->entry[i].parameter;
}

void nf_flow_push(nf_flow *flow)
{
    for (size_t e = 0; e < flow->n_entry; e++) {
        const nf_parameter *parameter = flow->entry[e].parameter;
        size_t size = ad_shape_size(parameter->spec.shape), offset = flow->entry[e].offset;
        for (size_t i = 0; i < size; i++)
            if (flow->dtype == AD_F32)
                ((float *)flow->data)[offset + i] = (float)parameter->value[i];
            else
                ((double *)flow->data)[offset + i] = parameter->value[i];
    }
}

void nf_flow_pull(nf_flow *flow)
{
    for (size_t e = 0; e < flow->n_entry; e++) {
        nf_parameter *parameter = flow->entry[e].parameter;
        size_t size = ad_shape_size(parameter->spec.shape), offset = flow->entry[e].offset;
        for (size_t i = 0; i < size; i++)
            parameter->value[i] = flow->dtype == AD_F32 ? (double)((const float *)flow->data)[offset + i]
                                                        : ((const double *)flow->data)[offset + i];
    }
}

void nf_flow_bind_plan(const nf_flow *flow, ad_plan *plan)
{
    size_t size = ad_dtype_size(flow->dtype);
    for (size_t e = 0; e < flow->n_entry; e++)
        ad_plan_set_input(plan, flow->entry[e].parameter->var, (char *)flow->data + flow->entry[e].offset * size);
}

/* ---- Recording ----------------------------------------------------------------------------------------------- */

void nf_flow_bind(const nf_flow *flow, ad_tape *tape)
{
    nf_bind(flow->bijector, tape);
    nf_bind(flow->base, tape);
    nf_set_context(flow->base, nf_context(flow->bijector));
}

static ad_var base_log_prob(const nf_flow *flow, ad_var z)
{
    ad_tape_enter(z.tape, flow->base->type->name);
    ad_var log_prob = flow->base->type->log_prob(flow->base, z);
    ad_tape_leave(z.tape);
    return log_prob;
}

ad_var nf_flow_record_log_prob(const nf_flow *flow, ad_var x)
{
    ad_var log_det, z = nf_inverse(flow->bijector, x, &log_det);
    return ad_add(base_log_prob(flow, z), log_det);
}

ad_var nf_flow_record_sample(const nf_flow *flow, ad_tape *tape, ad_var *log_prob)
{
    ad_tape_enter(tape, flow->base->type->name);
    ad_var z = flow->base->type->sample(flow->base, tape);
    ad_tape_leave(tape);
    ad_var log_det, x = nf_forward(flow->bijector, z, &log_det);
    *log_prob = ad_sub(base_log_prob(flow, z), log_det);
    return x;
}

static int record_log_prob(const nf_flow *flow, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(flow)));
    out[0] = nf_flow_record_log_prob(flow, *in);
    return 1;
}

static int record_sample(const nf_flow *flow, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = (ad_var){tape, -1};
    out[0] = nf_flow_record_sample(flow, tape, &out[1]);
    return 2;
}

static int record_forward(const nf_flow *flow, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = ad_input(tape, "z", AD_SHAPE(nf_flow_dim(flow)));
    out[0] = nf_forward(flow->bijector, *in, &out[1]);
    return 2;
}

static int record_inverse(const nf_flow *flow, ad_tape *tape, ad_var *in, ad_var out[2])
{
    *in = ad_input(tape, "x", AD_SHAPE(nf_flow_dim(flow)));
    out[0] = nf_inverse(flow->bijector, *in, &out[1]);
    return 2;
}

static evaluation *evaluation_of(nf_flow *flow, int which, ad_error *error)
{
    static int (*const record[EVALUATIONS])(const nf_flow *, ad_tape *, ad_var *, ad_var[2]) = {
        record_log_prob, record_sample, record_forward, record_inverse};
    evaluation *e = &flow->evaluation[which];
    if (e->plan) return e;
    ad_tape *tape = ad_tape_new();
    if (!tape) {
        ad_error_set(error, AD_ERROR_MEMORY, "out of memory for a tape");
        return NULL;
    }
    nf_flow_bind(flow, tape);
    ad_var out[2];
    int outputs = record[which](flow, tape, &e->in, out);
    e->context = nf_context(flow->bijector);
    for (int i = 0; i < outputs; i++) out[i] = ad_to_rows(out[i]);
    e->plan = ad_plan_new(out, outputs, &(ad_plan_options){.dtype = flow->dtype}, error);
    if (e->plan) nf_flow_bind_plan(flow, e->plan);
    ad_tape_free(tape);
    return e->plan ? e : NULL;
}

/* ---- Evaluation ---------------------------------------------------------------------------------------------- */

static void to_dtype(ad_dtype dtype, const double *from, void *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (dtype == AD_F32)
            ((float *)to)[i] = (float)from[i];
        else
            ((double *)to)[i] = from[i];
}

static void from_dtype(ad_dtype dtype, const void *from, double *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = dtype == AD_F32 ? (double)((const float *)from)[i] : ((const double *)from)[i];
}

/* The arrays of an evaluation, float64, one row after the other; those that aren't wanted or needed are NULL. */
typedef struct {
    const double *in, *context;
    size_t rows;
    uint64_t seed;
    double *vector, *scalar;
} arrays;

/* Arrays of float64 outside, of the flow's dtype inside: converted a chunk of rows at a time, so that memory stays
 * bounded. A row's result doesn't depend on its chunk. */
static ad_status evaluate(nf_flow *flow, int which, const arrays *a, ad_pool *pool, ad_error *error)
{
    enum { CHUNK = 65536 };
    size_t dim = nf_flow_dim(flow), context = nf_flow_context(flow), size = ad_dtype_size(flow->dtype);
    if (context && !a->context)
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "this flow is conditional: expected a context of %zu numbers a row", context);
    evaluation *e = evaluation_of(flow, which, error);
    if (!e) return error ? error->status : AD_ERROR_MEMORY;
    size_t most = a->rows < CHUNK ? a->rows : CHUNK;
    char *buffer = ad_alloc_aligned(most, (2 * dim + context + 1) * size);
    if (!buffer) return ad_error_set(error, AD_ERROR_MEMORY, "out of memory to evaluate %zu rows", a->rows);
    char *vector_buffer = buffer + most * dim * size, *context_buffer = vector_buffer + most * dim * size;
    char *scalar_buffer = context_buffer + most * context * size;
    ad_plan_set_input(e->plan, e->in, buffer);
    ad_plan_set_input(e->plan, e->context, context_buffer);
    ad_plan_set_output(e->plan, 0, which == LOG_PROB ? scalar_buffer : vector_buffer);
    ad_plan_set_output(e->plan, 1, a->scalar ? scalar_buffer : NULL);
    ad_status status = AD_OK;
    for (size_t first = 0; first < a->rows && status == AD_OK; first += CHUNK) {
        size_t n = a->rows - first < CHUNK ? a->rows - first : CHUNK;
        if (a->in) to_dtype(flow->dtype, a->in + first * dim, buffer, n * dim);
        if (context) to_dtype(flow->dtype, a->context + first * context, context_buffer, n * context);
        ad_run run = {.rows = n, .seed = a->seed, .first_row = first, .pool = pool};
        status = ad_plan_run(e->plan, &run, error);
        if (status == AD_OK && a->vector) from_dtype(flow->dtype, vector_buffer, a->vector + first * dim, n * dim);
        if (status == AD_OK && a->scalar) from_dtype(flow->dtype, scalar_buffer, a->scalar + first, n);
    }
    ad_free_aligned(buffer);
    return status;
}

ad_status nf_log_prob(nf_flow *flow, const double *x, const double *context, size_t rows, double *log_prob,
                      ad_pool *pool, ad_error *error)
{
    arrays a = {.in = x, .context = context, .rows = rows, .scalar = log_prob};
    return evaluate(flow, LOG_PROB, &a, pool, error);
}

ad_status nf_sample(nf_flow *flow, const double *context, size_t rows, uint64_t seed, double *x, double *log_prob,
                    ad_pool *pool, ad_error *error)
{
    arrays a = {.context = context, .rows = rows, .seed = seed, .vector = x, .scalar = log_prob};
    return evaluate(flow, SAMPLE, &a, pool, error);
}

ad_status nf_transform(nf_flow *flow, bool inverse, const double *in, const double *context, size_t rows, double *out,
                       double *log_det, ad_pool *pool, ad_error *error)
{
    arrays a = {.in = in, .context = context, .rows = rows, .vector = out, .scalar = log_det};
    return evaluate(flow, inverse ? INVERSE : FORWARD, &a, pool, error);
}
