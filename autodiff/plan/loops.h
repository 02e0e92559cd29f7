/* How a plan runs ops that give loops: which runs of numbers to call them on is found once, when values are bound. */
#ifndef WEIR_AUTODIFF_PLAN_LOOPS_H
#define WEIR_AUTODIFF_PLAN_LOOPS_H

#include <weir/op.h>

/* `count` runs of n numbers, one behind the other in the result. */
typedef struct {
    ad_loop *loop;
    size_t n;
    const void *in[AD_MAX_LOOP_ARGUMENTS];
    size_t stride[AD_MAX_LOOP_ARGUMENTS]; /* within a run: 1, or 0 where one number serves all of it */
    void *out;
    const double *attribute;
    bool plain; /* a single run, in which a stride is 1 */
    bool fill;  /* in which none is: one number fills it */
    size_t count;
    size_t step[AD_MAX_LOOP_ARGUMENTS], out_step; /* from run to run, in bytes */
} ad__runs;

/* The runs that evaluate an op of arguments in[0] … in[n_in - 1] in tiles of so many rows, into `runs` unless that is
 * NULL; returns their number, which depends on shapes alone. */
size_t ad__find_runs(const ad_tensor *out, const ad_tensor *in, int n_in, size_t rows, size_t element_bytes,
                     ad_loop *loop, const double *attribute, ad__runs *runs);

/* All but plain ones. */
void ad__run_several(const ad__runs *runs);

static inline void ad__run(const ad__runs *runs)
{
    if (runs->plain)
        runs->loop(runs->n, runs->in, runs->stride, runs->out, runs->attribute);
    else
        ad__run_several(runs);
}

#endif
