/* Weir's own schedules of the learning rate. */
#include <weir/optimizer.h>

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

static double plateau(const nf_schedule_type *self, const double *argument, size_t stale, double scale)
{
    (void)self;
    if (stale < (size_t)argument[0]) return scale;
    double lower = scale * argument[1];
    return lower < argument[2] ? 0 : lower;
}

static const nf_argument exponential_arguments[] = {
    {.name = "end", .value = 0.01, .low = 1e-30, .high = 1, .kind = NF_NUMBER, .help = "where it ends"}, {0}};
static const nf_argument steps_arguments[] = {
    {.name = "count", .value = 3, .low = 1, .high = 1000, .kind = NF_COUNT, .help = "rates, each as long"},
    {.name = "factor", .value = 0.1, .low = 1e-30, .high = 1, .kind = NF_NUMBER, .help = "of each to that before it"},
    {0}};
static const nf_argument plateau_arguments[] = {
    {.name = "patience", .value = 10, .low = 1, .high = 1e6, .kind = NF_COUNT, .help = "epochs without a better loss"},
    {.name = "factor",
     .value = 0.5,
     .low = 1e-30,
     .high = 0.999,
     .kind = NF_NUMBER,
     .help = "of each rate to that before it"},
    {.name = "end", .value = 0.01, .low = 1e-30, .high = 1, .kind = NF_NUMBER, .help = "training stops below it"},
    {0}};

const nf_schedule_type nf__schedule_cosine = {
    .name = "cosine",
    .help = "(1 + cos πt) / 2, t from 0 to 1 (Loshchilov & Hutter 2017)",
    .factor = cosine,
};
const nf_schedule_type nf__schedule_constant = {.name = "constant", .help = "1", .factor = constant};
const nf_schedule_type nf__schedule_linear = {.name = "linear", .help = "1 - t", .factor = linear};
const nf_schedule_type nf__schedule_exponential = {
    .name = "exponential",
    .help = "endᵗ",
    .argument = exponential_arguments,
    .factor = exponential,
};
const nf_schedule_type nf__schedule_steps = {
    .name = "steps",
    .help = "1, factor, factor², …",
    .argument = steps_arguments,
    .factor = steps_down,
};
const nf_schedule_type nf__schedule_plateau = {
    .name = "plateau",
    .help = "1, times factor after each `patience` epochs without a better validation loss, down to `end`; fits only",
    .argument = plateau_arguments,
    .factor = constant,
    .adapt = plateau,
};
