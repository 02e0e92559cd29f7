/* The schedules that are known: Weir's own, and those registered from outside. */
#include "training/optimizer.h"

#include <math.h>

#define SCHEDULES(X) X(cosine) X(constant) X(linear) X(exponential) X(steps) X(plateau)

#define DECLARE(name) extern const nf_schedule_type nf__schedule_##name;
#define POINTER(name) &nf__schedule_##name,

SCHEDULES(DECLARE)

enum { MOST_TYPES = 256 };

static const nf_schedule_type *types[MOST_TYPES + 1] = {SCHEDULES(POINTER)};
static const nf_registry registry = {"schedule", types, MOST_TYPES};

const nf_schedule_type *const *nf_schedule_types(void)
{
    return types;
}

ad_status nf_register_schedule(const nf_schedule_type *type, ad_error *error)
{
    if (!type) return ad_error_set(error, AD_ERROR_ARGUMENT, "registering a schedule: type is NULL");
    const char *name = type->name ? type->name : "";
    if (!type->factor)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the schedule '%.60s': it has no factor", name);
    return nf_registry_add(&registry, type, error);
}

ad_status nf_schedule_parse(const char *text, nf_schedule *schedule, ad_error *error)
{
    const char *missing = !text ? "text" : !schedule ? "schedule" : NULL;
    if (missing) return ad_error_set(error, AD_ERROR_ARGUMENT, "schedule: %s is NULL", missing);
    ad_error unwanted;
    if (!error) error = &unwanted;
    schedule->type = nf_registry_parse(&registry, text, schedule->argument, error);
    return schedule->type ? AD_OK : error->status;
}

double nf__scheduled_rate(const nf_schedule *schedule, double learning_rate, size_t warmup, size_t step, size_t steps,
                          double time)
{
    if (step < warmup) return learning_rate * (double)(step + 1) / (double)warmup;
    double t = step < steps ? (double)(step - warmup) / (double)(steps - warmup) : 1;
    return learning_rate * schedule->type->factor(schedule->type, schedule->argument, fmax(t, time));
}

double nf_scheduled_rate(const nf_schedule *schedule, double learning_rate, size_t warmup, size_t step, size_t steps)
{
    if (!schedule || !schedule->type) return learning_rate;
    return nf__scheduled_rate(schedule, learning_rate, warmup, step, steps, 0);
}
