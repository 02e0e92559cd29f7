/* For tests: flows, targets and points made in one line. */
#ifndef WEIR_TESTS_FLOW_TOOLS_H
#define WEIR_TESTS_FLOW_TOOLS_H

#include <weir/target.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static ad_error error;

#define ASSERT_OK(status) ck_assert_msg((status) == AD_OK, "%s", error.message)
/* The status, and a message that has `part` in it. */
#define ASSERT_FAILS(status, expected, part)                                                                           \
    do {                                                                                                               \
        ck_assert_int_eq(status, expected);                                                                            \
        ck_assert_msg(strstr(error.message, part) != NULL, "'%s' is not in: %s", part, error.message);                 \
    } while (0)

static inline nf_bijector *parsed(const char *formula, size_t dim, uint64_t seed)
{
    nf_bijector *bijector = nf_bijector_parse(formula, dim, 0, seed, &error);
    ck_assert_msg(bijector != NULL, "%s: %s", formula, error.message);
    return bijector;
}

static inline bool move_parameter(void *context, const char *name, nf_parameter *parameter)
{
    (void)name;
    uint64_t *stream = context;
    size_t size = ad_shape_size(parameter->spec.shape);
    for (size_t i = 0; i < size; i++) parameter->value[i] += 0.6 * (ad_random_uniform(3, *stream, i) - 0.5);
    ++*stream;
    return true;
}

/* A flow well away from the identity, which initial values are near to. */
static inline nf_flow *moved_flow(const char *formula, size_t dim, ad_dtype dtype)
{
    nf_bijector *bijector = parsed(formula, dim, 1);
    nf_each_parameter(bijector, move_parameter, &(uint64_t){0});
    nf_flow *flow = nf_flow_new(NULL, bijector, dtype, &error);
    ck_assert_msg(flow != NULL, "%s", error.message);
    return flow;
}

static inline nf_target *target_of(const char *text)
{
    nf_target *target = nf_target_parse(text, &error);
    ck_assert_msg(target != NULL, "%s", error.message);
    return target;
}

/* Independent normals; free(). */
static inline double *normals(size_t count, double sd, uint64_t seed)
{
    double *x = malloc(count * sizeof *x);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < count; i++) x[i] = sd * ad_random_normal(seed, 0, i);
    return x;
}

#endif
