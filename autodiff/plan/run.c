/* Running a plan: instructions, tiles, and the shared part of each stage. Passes are in pass.c. */
#include "base/gemm.h"
#include "plan/execution.h"
#include "plan/run.h"
#include "plan/worker.h"

#include <weir/environment.h>

#include <math.h>
#include <string.h>

typedef ad__execution execution;

/* ---- Instructions -------------------------------------------------------------------------------------------- */

static ad_tensor tensor_of(const ad_plan *plan, const ad__operand *operand, const ad__worker *worker, size_t rows)
{
    return ad__tensor_at(operand, operand->per_row ? worker->tile + operand->at * rows * ad_dtype_size(plan->dtype)
                                                   : plan->shared[operand->value].data);
}

static double element(const ad_tensor *tensor, ad_dtype dtype, size_t i)
{
    return dtype == AD_F32 ? (double)((const float *)tensor->data)[i] : ((const double *)tensor->data)[i];
}

static bool row_is_finite(const ad_tensor *tensor, const ad_tile *tile, ad_dtype dtype, size_t row)
{
    size_t stride = tensor->per_row ? tile->rows : 1, at = tensor->per_row ? row : 0;
    for (size_t f = 0; f < tensor->size; f++)
        if (!isfinite(element(tensor, dtype, f * stride + at))) return false;
    return true;
}

/* Which rows have finite arguments; to be found before the op runs, for it may run in place. */
static void find_finite_rows(const execution *e, const ad_tile *tile, bool *finite)
{
    const ad_dtype dtype = e->plan->dtype;
    bool shared = true;
    for (int j = 0; j < tile->n_in && shared; j++)
        if (!tile->in[j].per_row) shared = row_is_finite(&tile->in[j], tile, dtype, 0);
    for (size_t r = 0; r < tile->valid; r++) {
        finite[r] = shared;
        for (int j = 0; j < tile->n_in && finite[r]; j++)
            if (tile->in[j].per_row) finite[r] = row_is_finite(&tile->in[j], tile, dtype, r);
    }
}

static void report_fault(execution *e, const ad__instruction *instruction, const char *where)
{
    e->status = AD_ERROR_NUMERIC;
    ad_error_set(e->error, AD_ERROR_NUMERIC, "op '%s' (%%%d%s%s) made the first NaN or infinity, in %s",
                 instruction->op->name, instruction->node, *instruction->scope ? ", in " : "", instruction->scope,
                 where);
}

static size_t row_of_run(const execution *e, const ad_tile *tile, size_t row)
{
    return (size_t)(tile->first_row - e->run->first_row) + row;
}

/* Has the op made a fault? Sums show when all their rows are added. */
static void look_for_fault(execution *e, const ad__instruction *instruction, const ad_tile *tile, const bool *finite)
{
    const bool sums = instruction->op->flags & AD_OP_SUMS_ROWS;
    char where[64] = "a shared value";
    for (size_t r = 0; r < (tile->out.per_row || sums ? tile->valid : 1) && !e->status; r++) {
        if (sums) e->sums_faults |= !finite[r];
        if (sums || !finite[r] || row_is_finite(&tile->out, tile, e->plan->dtype, r)) continue;
        if (tile->out.per_row) snprintf(where, sizeof where, "row %zu", row_of_run(e, tile, r));
        report_fault(e, instruction, where);
    }
}

static void look_at_sum(execution *e, const ad__instruction *sum)
{
    const ad_tensor total = {.data = e->plan->shared[sum->out.value].data, .size = sum->out.size};
    if (e->status || e->sums_faults || row_is_finite(&total, NULL, e->plan->dtype, 0)) return;
    report_fault(e, sum, "a sum over finite rows");
}

static void look_at_load(execution *e, const ad__load *load, const ad_tensor *loaded, const ad_tile *tile)
{
    for (size_t r = 0; r < tile->valid && !e->status; r++) {
        if (row_is_finite(loaded, tile, e->plan->dtype, r)) continue;
        e->status = AD_ERROR_NUMERIC;
        ad_error_set(e->error, AD_ERROR_NUMERIC, "input '%s' has a NaN or infinity, in row %zu",
                     e->plan->slot[load->slot].name, row_of_run(e, tile, r));
    }
}

static void look_at_parameters(execution *e)
{
    for (size_t i = 0; i < e->plan->n_shared && !e->status; i++) {
        const ad__shared *value = &e->plan->shared[i];
        const ad_tensor parameter = {.data = value->data, .size = value->size};
        if (value->slot < 0 || row_is_finite(&parameter, NULL, e->plan->dtype, 0)) continue;
        e->status = AD_ERROR_NUMERIC;
        ad_error_set(e->error, AD_ERROR_NUMERIC, "parameter '%s' has a NaN or infinity",
                     e->plan->slot[value->slot].name);
    }
}

static void bind_steps(const ad_plan *plan, const ad__run_step *step, size_t count, const ad__worker *worker,
                       size_t rows, const ad__binding *binding)
{
    for (size_t i = 0; i < count && plan->code; i++)
        if (step[i].loop)
            ad__bind_loop(plan, step[i].loop, worker, rows, binding->pointer + step[i].loop->first_pointer);
}

/* The worker's values for tiles of so many rows, `whole` ones or the last. */
static const ad__binding *bind(const ad_plan *plan, ad__worker *worker, size_t rows, bool whole)
{
    ad__binding *binding = &worker->binding[whole ? 0 : 1];
    if (binding->rows == rows && binding->bindings == plan->bindings) return binding;
    for (size_t s = 0; s < plan->n_stage; s++) {
        const ad__stage *stage = &plan->stage[s];
        for (size_t i = 0; i < stage->n_shared + stage->n_row; i++) {
            const ad__instruction *instruction =
                i < stage->n_shared ? &stage->shared[i] : &stage->row[i - stage->n_shared];
            ad_tensor *tensor = &binding->tensor[instruction->tensor];
            if (!instruction->sums_rows) tensor[0] = tensor_of(plan, &instruction->out, worker, rows);
            for (int j = 0; j < instruction->n_in; j++)
                tensor[1 + j] = tensor_of(plan, &instruction->in[j], worker, rows);
            if (instruction->n_run)
                ad__find_runs(tensor, tensor + 1, instruction->n_in, rows, ad_dtype_size(plan->dtype),
                              instruction->op->loop[plan->dtype], instruction->attribute,
                              &binding->run[instruction->first_run]);
        }
        bind_steps(plan, stage->shared_step, stage->n_shared_step, worker, rows, binding);
        bind_steps(plan, stage->row_step, stage->n_row_step, worker, rows, binding);
    }
    binding->rows = rows;
    binding->bindings = plan->bindings;
    return binding;
}

static inline void call(const ad__instruction *instruction, const ad__binding *binding, const ad_tile *tile)
{
    const ad__runs *run = &binding->run[instruction->first_run];
    for (size_t i = 0; i < instruction->n_run; i++) ad__run(&run[i]);
    if (instruction->evaluate) instruction->evaluate(tile);
}

/* The tile's instruction-independent members are set; and `out`, for sums over rows. */
static void evaluate_on(execution *e, const ad__instruction *instruction, const ad__worker *worker,
                        const ad__binding *binding, ad_tile *tile)
{
    const ad_tensor *tensor = &binding->tensor[instruction->tensor];
    tile->in = tensor + 1;
    if (!instruction->sums_rows) tile->out = *tensor;
    tile->n_in = instruction->n_in;
    tile->attribute = instruction->attribute;
    tile->n_attribute = instruction->n_attribute;
    tile->object = instruction->object;
    tile->state = worker->state[instruction->state];
    if (e->run->find_nan) find_finite_rows(e, tile, worker->finite);
    call(instruction, binding, tile);
    if (e->run->find_nan) look_for_fault(e, instruction, tile, worker->finite);
}

/* What is all loops needs no tile. */
static inline void evaluate(execution *e, const ad__instruction *instruction, const ad__worker *worker,
                            const ad__binding *binding, ad_tile *tile)
{
    if (instruction->evaluate || e->run->find_nan)
        evaluate_on(e, instruction, worker, binding, tile);
    else
        call(instruction, binding, tile);
}

/* Looking for faults, ops are run one by one; and so are those whose sums are added up later. */
static void run_steps(execution *e, const ad__instruction *all, const ad__run_step *step, size_t count,
                      size_t accumulator, const ad__keeping *keeping, ad__worker *worker, const ad__binding *binding,
                      ad_tile *tile)
{
    const bool fused = e->plan->code && !e->run->find_nan;
    for (size_t s = 0; s < count; s++) {
        const ad__instruction *first = all + step[s].first;
        if (step[s].loop && fused && (!keeping || step[s].loop->n_sum == 0)) {
            ad__run_loop(e->plan, step[s].loop, first, worker, binding, tile, accumulator);
            continue;
        }
        for (size_t i = 0; i < step[s].count && !e->status; i++) {
            if (first[i].sums_rows && keeping) {
                ad__keep(e->plan, &first[i], worker->tile, tile->rows, keeping);
                continue;
            }
            if (first[i].sums_rows)
                tile->out = (ad_tensor){.data = ad__accumulator_at(e->plan, &first[i], accumulator),
                                        .shape = first[i].out.shape,
                                        .size = first[i].out.size};
            evaluate(e, &first[i], worker, binding, tile);
        }
    }
}

/* ---- Tiles --------------------------------------------------------------------------------------------------- */

enum { FEATURES_AT_ONCE = 16 };

/* By features so few that the lines which they take in the tile stay in the L1 cache from row to row. */
#define DEFINE_TRANSFER(real, suffix)                                                                                  \
    /* data[row][size] to tile[size][rows], the padding copied from the last row */                                    \
    static void load_##suffix(real *tile, const real *data, size_t size, size_t rows, size_t valid, size_t first,      \
                              const uint32_t *index)                                                                   \
    {                                                                                                                  \
        if (size == 1 && !index) {                                                                                     \
            memcpy(tile, data + first, valid * sizeof *tile);                                                          \
            for (size_t r = valid; r < rows; r++) tile[r] = tile[valid - 1];                                           \
            return;                                                                                                    \
        }                                                                                                              \
        for (size_t begin = 0, end; begin < size; begin = end) {                                                       \
            end = size - begin < FEATURES_AT_ONCE ? size : begin + FEATURES_AT_ONCE;                                   \
            for (size_t r = 0; r < rows; r++) {                                                                        \
                size_t row = first + (r < valid ? r : valid - 1);                                                      \
                const real *from = data + (index ? index[row] : row) * size;                                           \
                for (size_t f = begin; f < end; f++) tile[f * rows + r] = from[f];                                     \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void store_##suffix(real *data, const real *tile, size_t size, size_t rows, size_t valid, size_t first)     \
    {                                                                                                                  \
        if (size == 1) {                                                                                               \
            memcpy(data + first, tile, valid * sizeof *tile);                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (size_t begin = 0, end; begin < size; begin = end) {                                                       \
            end = size - begin < FEATURES_AT_ONCE ? size : begin + FEATURES_AT_ONCE;                                   \
            for (size_t r = 0; r < valid; r++)                                                                         \
                for (size_t f = begin; f < end; f++) data[(first + r) * size + f] = tile[f * rows + r];                \
        }                                                                                                              \
    }
DEFINE_TRANSFER(float, f32)
DEFINE_TRANSFER(double, f64)

void ad__run_rows(execution *e, size_t first, size_t valid, size_t accumulator, bool accumulate,
                  const ad__keeping *keeping, ad__worker *worker)
{
    const ad_plan *plan = e->plan;
    const ad__stage *stage = e->stage;
    size_t rows = (valid + AD_ROW_QUANTUM - 1) / AD_ROW_QUANTUM * AD_ROW_QUANTUM;
    const ad__binding *binding = bind(plan, worker, rows, rows == e->cut.piece_rows);
    ad_tile tile = {.rows = rows,
                    .valid = valid,
                    .scratch = worker->scratch,
                    .seed = e->run->seed,
                    .step = e->run->step,
                    .first_row = e->run->first_row + first,
                    .total_rows = e->run->rows,
                    .accumulate = accumulate};
    for (size_t i = 0; i < stage->n_load; i++) {
        const ad__load *load = &stage->load[i];
        const void *data = plan->slot[load->slot].data;
        const ad_source *source = plan->slot[load->slot].source;
        const ad_tensor to = tensor_of(plan, &load->to, worker, rows);
        if (source) {
            if (!ad__read_source(e, source, first, valid, rows, &to)) return;
        } else if (plan->dtype == AD_F32)
            load_f32(to.data, data, to.size, rows, valid, first, e->run->index);
        else
            load_f64(to.data, data, to.size, rows, valid, first, e->run->index);
        if (e->run->find_nan) look_at_load(e, load, &to, &tile);
    }
    run_steps(e, stage->row, stage->row_step, stage->n_row_step, accumulator, keeping, worker, binding, &tile);
    for (size_t i = 0; i < stage->n_store; i++) {
        const ad__store *store = &stage->store[i];
        void *data = plan->output[store->output].data;
        const void *from = tensor_of(plan, &store->from, worker, rows).data;
        if (!data) continue;
        if (plan->dtype == AD_F32)
            store_f32(data, from, store->from.size, rows, valid, first);
        else
            store_f64(data, from, store->from.size, rows, valid, first);
    }
}

/* ---- Shared stages ------------------------------------------------------------------------------------------- */

static void run_shared_steps(execution *e, const ad__instruction *all, const ad__run_step *step, size_t count,
                             ad__worker *worker)
{
    const ad__binding *binding = bind(e->plan, worker, e->cut.piece_rows, true);
    ad_tile tile = {.rows = 1,
                    .valid = 1,
                    .scratch = worker->scratch,
                    .seed = e->run->seed,
                    .step = e->run->step,
                    .total_rows = e->run->rows};
    run_steps(e, all, step, count, 0, NULL, worker, binding, &tile);
}

static void run_of_wave(void *context, size_t i, int worker)
{
    execution *e = context;
    run_shared_steps(e, e->wave + i, &(ad__run_step){.count = 1}, 1, &e->plan->worker[worker]);
}

static void run_shared(execution *e)
{
    const ad__stage *stage = e->stage;
    if (!stage->shared_is_work) {
        run_shared_steps(e, stage->shared, stage->shared_step, stage->n_shared_step, &e->plan->worker[0]);
        return;
    }
    if (!e->pool) {
        run_shared_steps(e, stage->shared, &(ad__run_step){.count = stage->n_shared}, 1, &e->plan->worker[0]);
        return;
    }
    for (size_t i = 0, n; i < stage->n_shared; i += n) {
        for (n = 1; i + n < stage->n_shared && stage->shared[i + n].wave == stage->shared[i].wave;) n++;
        e->wave = &stage->shared[i];
        ad_pool_run(e->pool, n, run_of_wave, e);
    }
}

/* ---- The run ------------------------------------------------------------------------------------------------- */

static ad_status check(ad_plan *plan, const ad_run *run, ad_error *error)
{
    if (!plan) return ad_error_set(error, AD_ERROR_ARGUMENT, "run: there is no plan");
    if (plan->error.status != AD_OK) return ad_error_set(error, plan->error.status, "%s", plan->error.message);
    bool rows_wanted = false;
    for (size_t s = 0; s < plan->n_stage; s++) rows_wanted |= plan->stage[s].n_row + plan->stage[s].n_store > 0;
    if (rows_wanted && run->rows == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "run: expected at least 1 row, got 0");
    if (run->step > UINT32_MAX)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "run: step must be below 2^32, got %llu",
                            (unsigned long long)run->step);
    for (size_t i = 0; i < plan->n_slot; i++)
        if (!plan->slot[i].data && !plan->slot[i].source)
            return ad_error_set(error, AD_ERROR_ARGUMENT,
                                "run: '%s' is not bound; give its data with ad_plan_set_input()", plan->slot[i].name);
    return ad__plan_check_apart(plan, run, error);
}

/* Point every shared value at its data; a computed one goes straight to the output that wants it. */
static void bind_shared(ad_plan *plan)
{
    if (plan->bound == plan->bindings) return;
    plan->bound = plan->bindings;
    size_t size = ad_dtype_size(plan->dtype);
    for (size_t i = 0; i < plan->n_shared; i++) {
        ad__shared *value = &plan->shared[i];
        value->data = value->slot >= 0 ? (void *)(uintptr_t)plan->slot[value->slot].data /* never written */
                                       : plan->shared_arena + value->arena_offset * size;
    }
    for (int i = plan->n_output; i-- > 0;) {
        const ad__output *output = &plan->output[i];
        if (output->from.per_row || !output->data) continue;
        ad__shared *value = &plan->shared[output->from.value];
        if (value->slot < 0 && !value->constant) value->data = output->data;
    }
    plan->squares_wanted = false;
    for (size_t i = 0; i < plan->n_shared; i++) plan->shared[i].squared = false;
    for (int i = 0; i < plan->n_output; i++) {
        const ad__output *output = &plan->output[i];
        if (output->squares) plan->squares_wanted = plan->shared[output->from.value].squared = true;
    }
}

static void copy_outputs(const ad_plan *plan)
{
    for (int i = 0; i < plan->n_output; i++) {
        const ad__output *output = &plan->output[i];
        if (output->from.per_row || !output->data) continue;
        const void *from = plan->shared[output->from.value].data;
        if (from != output->data) memcpy(output->data, from, output->from.size * ad_dtype_size(plan->dtype));
    }
}

ad_status ad__plan_run_within(ad_plan *plan, const ad_run *run, bool again, ad_error *error)
{
    /* Looking for faults, each rank runs all rows, for which none is to wait. */
    ad_pool *pool = run->find_nan ? NULL : run->pool;
    const ad_communicator *communicator = ad_pool_communicator(pool);
    const int threads = ad_pool_threads(pool);
    execution e = {.plan = plan,
                   .run = run,
                   .pool = pool,
                   .communicator = communicator && communicator->size > 1 ? communicator : NULL,
                   .lanes = ad__plan_lanes(plan, run->rows, communicator),
                   .error = error};
    ad_status status = ad__plan_reserve(plan, run->rows, threads, communicator, error);
    if (status != AD_OK) return status;
    bind_shared(plan);
    e.cut = ad__plan_cut(plan, run->rows, &e.lanes, threads);
    if (run->find_nan) look_at_parameters(&e);
    for (size_t s = 0; s < plan->n_stage && !e.status; s++) {
        e.stage = &plan->stage[s];
        if (s > 0 || !again) run_shared(&e);
        if (!e.status) ad__run_pass(&e);
        for (size_t i = 0; i < e.stage->n_sum && run->find_nan; i++) look_at_sum(&e, e.stage->sum[i]);
    }
    if (e.status) return e.status;
    copy_outputs(plan);
    ad__give_squares(plan, pool);
    return AD_OK;
}

ad_status ad_plan_run(ad_plan *plan, const ad_run *run, ad_error *error)
{
    static const ad_run nothing = {0};
    if (!run) run = &nothing;
    const int threads = ad_pool_threads(run->pool);
    if (plan && atomic_exchange(&plan->running, true))
        return ad_error_set(error, AD_ERROR_ARGUMENT,
                            "run: this plan is running, in another thread or in one of its own ops; make one for each");
    AD_DEFAULT_ENVIRONMENT;
    ad_status status = check(plan, run, error);
    if (status == AD_OK) status = ad__gemm_enter(threads, error);
    if (status == AD_OK) {
        status = ad__plan_run_within(plan, run, false, error);
        ad__gemm_leave(threads);
    }
    if (plan) atomic_store(&plan->running, false);
    return status;
}
