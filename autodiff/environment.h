/* The floating-point environment: rounding to nearest, numbers near 0 kept, no traps.
 *
 * Numbers must not depend on what a program, or a library that was linked with -ffast-math, has set for one of its
 * threads: fesetround(), feenableexcept(), numbers near 0 flushed. So jobs of a pool, plans, and all functions that
 * evaluate, fit, infer, read, write, or make something of a text, compute in the default environment, callbacks
 * included, and leave the caller's as it was, with its exceptions' flags: a table that has 1e999 traps nowhere.
 * Functions of single numbers and of tapes compute in the caller's, as those of <math.h> do.
 *
 * Any function here may be called from several threads at once; each has an environment of its own. */
#ifndef WEIR_ENVIRONMENT_H
#define WEIR_ENVIRONMENT_H

#include <weir/version.h>

#include <fenv.h>
#include <stdbool.h>

WEIR_BEGIN_DECLARATIONS

/* What ad_environment_leave() restores. */
typedef struct {
    bool differs;    /* from the default */
    unsigned raised; /* exceptions, where it doesn't */
    fenv_t saved;
} ad_environment;

/* From here to ad_environment_leave() this thread computes in the default environment. The pairs nest; where it is the
 * default already, they cost a few nanoseconds. */
ad_environment ad_environment_enter(void);
void ad_environment_leave(const ad_environment *environment);

#if defined(__GNUC__)
/* At the top of a function: from here to wherever it returns. */
#define AD_DEFAULT_ENVIRONMENT                                                                                         \
    const ad_environment default_environment __attribute__((unused, cleanup(ad_environment_leave))) =                  \
        ad_environment_enter()
#endif

WEIR_END_DECLARATIONS

#endif
