/* Schedules of the learning rate: Weir's own, and those registered from outside. */
#include "training/optimizer.h"

#include <math.h>

static double cosine(const nf_schedule_type *self, const double *argument, double t)
{
    (void)self, (void)argument;
    return 0.5 * (1 + cos(3.14159265358979323846 * t));
}

static double constant(const nf_schedule_type *self, const double *argument, double t)
{
    (void)self, (void)argument, (void)t;
    return 1;
}

static double linear(const nf_schedule_type *self, const double *argument, double t)
{
    (void)self, (void)argument;
    return 1 - t;
}

static double exponential(const nf_schedule_type *self, const double *argument, double t)
{
    (void)self;
    return pow(argument[0], t);
}

static double steps_down(const nf_schedule_type *self, const double *argument, double t)
{
    (void)self;
    return pow(argument[1], floor(argument[0] * t));
}

static const nf_argument exponential_arguments[] = {
    {.name = "end", .value = 0.01, .low = 1e-30, .high = 1, .kind = NF_NUMBER, .help = "where it ends"}, {0}};
static const nf_argument steps_arguments[] = {
    {.name = "count", .value = 3, .low = 1, .high = 1000, .kind = NF_COUNT, .help = "rates, each as long"},
    {.name = "factor", .value = 0.1, .low = 1e-30, .high = 1, .kind = NF_NUMBER, .help = "of each to that before it"},
    {0}};

static const nf_schedule_type cosine_type = {"cosine", "(1 + cos πt) / 2, t from 0 to 1 (Loshchilov & Hutter 2017)",
                                             NULL, cosine},
                              constant_type = {"constant", "1", NULL, constant},
                              linear_type = {"linear", "1 - t", NULL, linear},
                              exponential_type = {"exponential", "endᵗ", exponential_arguments, exponential},
                              steps_type = {"steps", "1, factor, factor², …", steps_arguments, steps_down};

enum { MOST_TYPES = 256 };

static const nf_schedule_type *types[MOST_TYPES + 1] = {&cosine_type, &constant_type, &linear_type, &exponential_type,
                                                        &steps_type};
static const nf_registry registry = {"schedule", types, MOST_TYPES};

const nf_schedule_type *const *nf_schedule_types(void)
{
    return types;
}

ad_status nf_register_schedule(const nf_schedule_type *type, ad_error *error)
{
    const char *name = type->name ? type->name : "";
    if (!type->factor)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "registering the schedule '%.60s': it has no factor", name);
    ad_status status = nf__check_arguments("schedule", name, type->argument, error);
    return status ? status : nf_registry_add(&registry, type, error);
}

static const nf_argument *arguments_of(const void *type)
{
    return ((const nf_schedule_type *)type)->argument;
}

ad_status nf_schedule_parse(const char *text, nf_schedule *schedule, ad_error *error)
{
    ad_error unwanted;
    if (!error) error = &unwanted;
    schedule->type = nf_registry_parse(&registry, text, arguments_of, schedule->argument, NF_MOST_ARGUMENTS, error);
    return schedule->type ? AD_OK : error->status;
}

double nf_scheduled_rate(const nf_schedule *schedule, double learning_rate, size_t warmup, size_t step, size_t steps)
{
    if (step < warmup) return learning_rate * (double)(step + 1) / (double)warmup;
    double t = step < steps ? (double)(step - warmup) / (double)(steps - warmup) : 1;
    return learning_rate * schedule->type->factor(schedule->type, schedule->argument, t);
}
