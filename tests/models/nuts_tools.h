/* For tests of NUTS: sampling, and what the means of draws must be. */
#ifndef WEIR_TESTS_NUTS_TOOLS_H
#define WEIR_TESTS_NUTS_TOOLS_H

#include "flows/flow_tools.h"

#include <weir/nuts.h>

#include <math.h>

/* One site of so many numbers. */
static const nf_site one[] = {{.name = "x", .size = 1}};
static const nf_site four[] = {{.name = "x", .size = 4}};

static inline nf_nuts_result sample(const nf_target *target, const nf_nuts_options *options)
{
    nf_nuts_result result;
    ASSERT_OK(nf_nuts(target, options, &result, &error));
    return result;
}

static inline nf_nuts_result sample_named(const char *text, const nf_nuts_options *options)
{
    nf_target *target = target_of(text);
    nf_nuts_result result = sample(target, options);
    nf_target_free(target);
    return result;
}

/* A function of a draw's values: of (size) to (count). */
typedef void (*function)(const double *x, size_t size, double *f);

/* Means over the draws are as expected, within `errors` of their standard errors, and the chains agree. */
static inline void assert_means(const nf_nuts_result *r, function f, size_t count, const double *expected,
                                double errors)
{
    size_t rows = r->chains * r->draws;
    double *all = calloc(rows * count, sizeof *all);
    nf_summary *summary = calloc(count, sizeof *summary);
    for (size_t i = 0; i < rows; i++) f(r->values + i * r->size, r->size, all + i * count);
    ASSERT_OK(nf_summarize(all, r->chains, r->draws, count, summary, NULL, &error));
    for (size_t k = 0; k < count; k++) {
        double off = (summary[k].mean - expected[k]) / summary[k].mcse_mean;
        ck_assert_msg(fabs(off) <= errors, "mean %zu is %g ± %g, not %g", k, summary[k].mean, summary[k].mcse_mean,
                      expected[k]);
        ck_assert_msg(summary[k].rhat < 1.03, "mean %zu: rhat %g", k, summary[k].rhat);
    }
    free(all);
    free(summary);
}

/* The values, and their products two by two. */
static inline void moments(const double *x, size_t size, double *f)
{
    for (size_t i = 0; i < size; i++) *f++ = x[i];
    for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j <= i; j++) *f++ = x[i] * x[j];
}

static inline double mean_steps(const nf_nuts_result *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->chains * r->draws; i++) sum += r->draw[i].steps;
    return sum / (double)(r->chains * r->draws);
}

#endif
