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
    for (int i = 0; i < 2 && gradient; i++) gradient[i] = -value[i];
    return -(value[0] * value[0] + value[1] * value[1]) / 2;
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
