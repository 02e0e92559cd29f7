/* A target that takes its time, as tests that mustn't depend on time see it: by how often its density is asked for. */
#ifndef WEIR_TESTS_COSTLY_H
#define WEIR_TESTS_COSTLY_H

#include <weir/target.h>

#include <math.h>

static size_t asked, most; /* for how many densities; after how many whoever waits has had enough */

static double costly(const nf_target *self, const double *value, double *gradient)
{
    (void)self;
    asked++;
    const double x = value[0], off = value[1] - x * x;
    if (gradient) gradient[0] = 8 * x * off - x, gradient[1] = -4 * off;
    return -x * x / 2 - 2 * off * off;
}

static const nf_site costly_site = {.name = "x", .size = 2};
static const nf_target costly_target = {
    .name = "costly", .site = &costly_site, .n_site = 1, .external = costly, .log_z = NAN};

static bool had_enough(void *context)
{
    (void)context;
    return asked >= most;
}

#endif
