/* Runs of numbers over which every argument is either contiguous or constant, as long as they can be. */
#include "plan/loops.h"

#include <assert.h>

typedef struct {
    int axes; /* those with an extent above 1, neighbours merged; outermost first */
    size_t extent[AD_MAX_RANK + 1];
    size_t stride[AD_MAX_LOOP_ARGUMENTS][AD_MAX_RANK + 1]; /* in numbers; 0 where an argument is stretched */
} nest;

static void add_axis(nest *all, size_t extent, const size_t stride[], int n_in)
{
    if (extent == 1) return;
    bool merges = all->axes > 0;
    for (int i = 0; i < n_in && merges; i++) merges = all->stride[i][all->axes - 1] == stride[i] * extent;
    int axis = merges ? all->axes - 1 : all->axes++;
    all->extent[axis] = merges ? all->extent[axis] * extent : extent;
    for (int i = 0; i < n_in; i++) all->stride[i][axis] = stride[i];
}

/* In a tile the rows are the innermost axis. */
static nest nest_of(const ad_tensor *out, const ad_tensor *in, int n_in, size_t rows)
{
    nest all = {0};
    size_t remaining[AD_MAX_LOOP_ARGUMENTS]; /* numbers in the axes not yet added */
    for (int i = 0; i < n_in; i++) remaining[i] = in[i].size * (in[i].per_row ? rows : 1);
    size_t stride[AD_MAX_LOOP_ARGUMENTS];
    for (int axis = 0; axis < out->shape.rank; axis++) {
        for (int i = 0; i < n_in; i++) {
            const ad_shape *shape = &in[i].shape;
            int own = axis - (out->shape.rank - shape->rank);
            size_t extent = own < 0 ? 1 : shape->dim[own];
            remaining[i] /= extent;
            stride[i] = extent == 1 ? 0 : remaining[i];
        }
        add_axis(&all, out->shape.dim[axis], stride, n_in);
    }
    for (int i = 0; i < n_in; i++) stride[i] = in[i].per_row ? 1 : 0;
    if (out->per_row) add_axis(&all, rows, stride, n_in);
    return all;
}

size_t ad__find_runs(const ad_tensor *out, const ad_tensor *in, int n_in, size_t rows, size_t element_bytes,
                     ad_loop *loop, const double *attribute, ad__runs *runs)
{
    assert(n_in <= AD_MAX_LOOP_ARGUMENTS);
    const nest all = nest_of(out, in, n_in, rows);
    const int inner = all.axes - 1, outer = all.axes - 2; /* the axes of a record; it takes one for each of the rest */
    size_t records = 1;
    for (int axis = 0; axis < outer; axis++) records *= all.extent[axis];
    if (!runs) return records;

    ad__runs record = {.loop = loop,
                       .attribute = attribute,
                       .n = inner < 0 ? 1 : all.extent[inner],
                       .count = outer < 0 ? 1 : all.extent[outer],
                       .out = out->data,
                       .fill = inner >= 0};
    record.out_step = record.n * element_bytes;
    for (int i = 0; i < n_in; i++) {
        record.in[i] = in[i].data;
        record.stride[i] = inner < 0 ? 1 : all.stride[i][inner];
        record.step[i] = outer < 0 ? 0 : all.stride[i][outer] * element_bytes;
        record.fill &= record.stride[i] == 0;
    }
    record.plain = record.count == 1 && !record.fill;
    size_t counter[AD_MAX_RANK + 1] = {0};
    for (size_t r = 0; r < records; r++) {
        runs[r] = record;
        record.out = (char *)record.out + record.count * record.out_step;
        for (int axis = outer - 1; axis >= 0; axis--) {
            const bool ends = ++counter[axis] == all.extent[axis];
            for (int i = 0; i < n_in; i++) {
                const size_t bytes = all.stride[i][axis] * element_bytes;
                record.in[i] = (const char *)record.in[i] + bytes - (ends ? bytes * all.extent[axis] : 0);
            }
            if (!ends) break;
            counter[axis] = 0;
        }
    }
    return records;
}

/* The first of n numbers, all over. */
static void spread(void *out, size_t n, size_t bytes)
{
    float *single = out;
    double *twice = out;
    for (size_t i = 1; i < n && bytes == sizeof *single; i++) single[i] = *single;
    for (size_t i = 1; i < n && bytes == sizeof *twice; i++) twice[i] = *twice;
}

void ad__run_several(const ad__runs *runs)
{
    static const size_t ones[AD_MAX_LOOP_ARGUMENTS] = {1, 1, 1};
    const void *in[AD_MAX_LOOP_ARGUMENTS];
    for (int k = 0; k < AD_MAX_LOOP_ARGUMENTS; k++) in[k] = runs->in[k];
    char *out = runs->out;
    for (size_t i = 0; i < runs->count; i++, out += runs->out_step) {
        if (runs->fill) {
            runs->loop(1, in, ones, out, runs->attribute);
            spread(out, runs->n, runs->out_step / runs->n);
        } else {
            runs->loop(runs->n, in, runs->stride, out, runs->attribute);
        }
        for (int k = 0; k < AD_MAX_LOOP_ARGUMENTS; k++)
            if (in[k]) in[k] = (const char *)in[k] + runs->step[k];
    }
}
