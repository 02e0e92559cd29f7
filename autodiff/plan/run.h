/* Runs within runs. */
#ifndef WEIR_AUTODIFF_PLAN_RUN_H
#define WEIR_AUTODIFF_PLAN_RUN_H

#include <weir/plan.h>

/* As ad_plan_run(), for an op that runs a plan of its own while a run evaluates it, on this thread: what the outer run
 * has reserved for matrix products serves both. Everything must be bound: that is not checked. again: what is bound to
 * shared inputs is as it was in the run before, so what is computed of that alone is known. */
ad_status ad__plan_run_within(ad_plan *plan, const ad_run *run, bool again, ad_error *error);

#endif
