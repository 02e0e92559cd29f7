/* The lanes in which a run keeps its sums over rows. */
#include "base/cpu.h"
#include "ops/lanes.h"
#include "plan/lanes.h"

enum { PART = 8192 }; /* elements that are added at a time */

#define DECLARE(isa) extern ad__lane_adder ad__add_lanes_##isa##_f32, ad__add_lanes_##isa##_f64;
DECLARE(portable)
#ifdef AD_HAVE_X86
DECLARE(avx2)
DECLARE(avx512)
#endif

static ad__lane_adder *const adder[AD_ISA_COUNT][2] = {
    [AD_ISA_portable] = {[AD_F32] = ad__add_lanes_portable_f32, [AD_F64] = ad__add_lanes_portable_f64},
#ifdef AD_HAVE_X86
    [AD_ISA_avx2] = {[AD_F32] = ad__add_lanes_avx2_f32, [AD_F64] = ad__add_lanes_avx2_f64},
    [AD_ISA_avx512] = {[AD_F32] = ad__add_lanes_avx512_f32, [AD_F64] = ad__add_lanes_avx512_f64},
#endif
};

static bool is_wide(const ad_plan *plan, const ad__instruction *sum)
{
    return sum->op->flags & AD_OP_SUMS_IN_F64 && plan->dtype != AD_F64;
}

static size_t count_parts(size_t size)
{
    return (size + PART - 1) / PART;
}

void ad__place_lanes(ad_plan *plan, ad__stage *stage)
{
    size_t bytes[2] = {0}; /* of the plan's dtype, and wide */
    for (size_t i = 0; i < stage->n_sum; i++) {
        ad__instruction *sum = stage->sum[i];
        const bool wide = is_wide(plan, sum);
        const size_t size = wide ? sizeof(double) : ad_dtype_size(plan->dtype);
        sum->lane_element = bytes[wide];
        sum->first_part = stage->n_part;
        bytes[wide] += (sum->out.size * size + 63) & ~(size_t)63;
        stage->n_part += count_parts(sum->out.size);
        plan->shared[sum->out.value].is_sum = true;
    }
    if (bytes[0] > plan->lane_bytes) plan->lane_bytes = bytes[0];
    if (bytes[1] > plan->wide_bytes) plan->wide_bytes = bytes[1];
    if (stage->n_part > plan->n_part) plan->n_part = stage->n_part;
}

size_t ad__lane_bytes(const ad_plan *plan, size_t lanes)
{
    return lanes * plan->wide_bytes + (lanes - 1) * plan->lane_bytes;
}

/* A sum's accumulators of all lanes are neighbours: [lanes][size]; the wide ones come first. */
void *ad__lane_of(const ad_plan *plan, const ad__instruction *sum, size_t lane)
{
    const size_t capacity = plan->lane_capacity, size = sum->out.size;
    if (is_wide(plan, sum)) return plan->lanes + sum->lane_element * capacity + lane * size * sizeof(double);
    if (lane == 0) return plan->shared[sum->out.value].data;
    return plan->lanes + plan->wide_bytes * capacity + sum->lane_element * (capacity - 1) +
           (lane - 1) * size * ad_dtype_size(plan->dtype);
}

/* ---- Adding --------------------------------------------------------------------------------------------------- */

typedef struct {
    ad_plan *plan;
    const ad__stage *stage;
    size_t lanes;
    ad__lane_adder *add;
} addition;

static double add_wide(float *to, const double *lane, size_t lanes, size_t stride, size_t count)
{
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double total = 0;
        for (size_t j = 0; j < lanes; j++) total += lane[j * stride + i];
        to[i] = (float)total;
        squares += (double)to[i] * (double)to[i];
    }
    return squares;
}

/* Their first parts ascend. */
static const ad__instruction *sum_of_part(const ad__stage *stage, size_t part)
{
    size_t low = 0, high = stage->n_sum;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        *(stage->sum[middle]->first_part <= part ? &low : &high) = middle;
    }
    return stage->sum[low];
}

static void add_part(void *context, size_t part, int worker)
{
    (void)worker;
    const addition *a = context;
    const ad_plan *plan = a->plan;
    const ad__instruction *sum = sum_of_part(a->stage, part);
    const ad__shared *value = &plan->shared[sum->out.value];
    const size_t begin = (part - sum->first_part) * PART, rest = value->size - begin, count = rest < PART ? rest : PART;
    if (is_wide(plan, sum)) {
        const double *lane = ad__lane_of(plan, sum, 0);
        plan->part_squares[part] = add_wide((float *)value->data + begin, lane + begin, a->lanes, value->size, count);
    } else if (a->lanes > 1 || value->squared) {
        const size_t size = ad_dtype_size(plan->dtype);
        const char *lane = a->lanes > 1 ? ad__lane_of(plan, sum, 1) : NULL;
        plan->part_squares[part] = a->add((char *)value->data + begin * size, lane ? lane + begin * size : NULL,
                                          a->lanes - 1, value->size, count);
    }
}

void ad__add_lanes(ad_plan *plan, const ad__stage *stage, size_t lanes, ad_pool *pool)
{
    enum { WORTH_A_THREAD = 4096 }; /* bytes */
    addition a = {plan, stage, lanes, adder[ad__isa_of_cpu()][plan->dtype]};
    const bool is_work = plan->lane_bytes > WORTH_A_THREAD && (lanes > 1 || plan->squares_wanted);
    ad_pool_run(is_work ? pool : NULL, stage->n_part, add_part, &a);
    for (size_t i = 0; i < stage->n_sum; i++) {
        ad__shared *value = &plan->shared[stage->sum[i]->out.value];
        const double *squares = &plan->part_squares[stage->sum[i]->first_part];
        value->squares = 0;
        for (size_t k = 0; k < count_parts(value->size); k++) value->squares += squares[k];
    }
}

/* Of a value that is no sum itself, but made of some. */
static void square_output(void *context, size_t i, int worker)
{
    (void)worker;
    const addition *a = context;
    const ad__output *output = &a->plan->output[i];
    if (!output->squares) return;
    const ad__shared *value = &a->plan->shared[output->from.value];
    double squares = value->is_sum ? value->squares : 0;
    for (size_t begin = 0; begin < value->size && !value->is_sum; begin += PART) {
        const size_t rest = value->size - begin;
        char *data =
            (char *)value->data + begin * ad_dtype_size(a->plan->dtype); /* read only, where nothing is added */
        squares += a->add(data, NULL, 0, 0, rest < PART ? rest : PART);
    }
    *output->squares = squares;
}

void ad__give_squares(ad_plan *plan, ad_pool *pool)
{
    if (!plan->squares_wanted) return;
    addition a = {.plan = plan, .add = adder[ad__isa_of_cpu()][plan->dtype]};
    bool is_work = false;
    for (int i = 0; i < plan->n_output && !is_work; i++)
        is_work = plan->output[i].squares && !plan->shared[plan->output[i].from.value].is_sum &&
                  plan->output[i].from.size > PART;
    ad_pool_run(is_work ? pool : NULL, (size_t)plan->n_output, square_output, &a);
}
