/* What the posteriors of this folder share: data made from each model by a counter-based generator, so that they are
 * the same everywhere, and the shapes that models are written in. */
#ifndef WEIR_BENCH_POSTERIORS_H
#define WEIR_BENCH_POSTERIORS_H

#include <math.h>
#include <string.h>
#include <weir/models.h>

enum { SEED = 2026 };

/* The i-th draw of a stream: of N(0, 1), of a uniform on (0, 1), of a Poisson distribution by inversion. */
static inline double normal_draw(uint64_t stream, size_t i)
{
    return ad_random_normal(SEED, stream, i);
}

static inline double uniform_draw(uint64_t stream, size_t i)
{
    return ad_random_uniform(SEED, stream, i);
}

static inline double poisson_draw(uint64_t stream, size_t i, double mean)
{
    double u = uniform_draw(stream, i), p = exp(-mean), count = 0;
    for (; u > p && count < 1000; p *= mean / ++count) u -= p;
    return count;
}

static inline ad_var number(ad_var like, double value)
{
    return ad_scalar(like.tape, value);
}

static inline ad_var vector(ad_var like, size_t n, const double *value)
{
    return ad_constant(like.tape, AD_SHAPE(n), value);
}

static inline ad_var matrix(ad_var like, size_t m, size_t n, const double *value)
{
    return ad_constant(like.tape, AD_SHAPE(m, n), value);
}

static inline ad_var sum_of(const ad_var *term, int count)
{
    ad_var sum = term[0];
    for (int i = 1; i < count; i++) sum = ad_add(sum, term[i]);
    return sum;
}

/* log p of independent terms: SUM(a, b, c). */
#define SUM(...) sum_of((ad_var[]){__VA_ARGS__}, (int)(sizeof((ad_var[]){__VA_ARGS__}) / sizeof(ad_var)))

#define POSTERIOR(identifier, text, sites_of_it, density)                                                              \
    const nf_target_type identifier = {                                                                                \
        .name = #identifier,                                                                                           \
        .help = text,                                                                                                  \
        .target = {.site = sites_of_it,                                                                                \
                   .n_site = sizeof(sites_of_it) / sizeof *(sites_of_it),                                              \
                   .log_density = density,                                                                             \
                   .log_z = NAN},                                                                                      \
    }

/* All of them, in plugin.c too. */
#define POSTERIORS(X)                                                                                                  \
    X(kidscore)                                                                                                        \
    X(logistic_regression)                                                                                             \
    X(poisson_regression)                                                                                              \
    X(ordered_regression)                                                                                              \
    X(radon_centered)                                                                                                  \
    X(radon_noncentered)                                                                                               \
    X(surgical)                                                                                                        \
    X(correlated_effects)                                                                                              \
    X(garch)                                                                                                           \
    X(autoregression)                                                                                                  \
    X(hidden_markov)                                                                                                   \
    X(gaussian_process)                                                                                                \
    X(normal_mixture)
#define DECLARE_POSTERIOR(name) extern const nf_target_type name;
POSTERIORS(DECLARE_POSTERIOR)

#endif
