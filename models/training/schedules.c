/* Schedules of the learning rate. */
#include <weir/optimizer.h>

#include <math.h>

static double cosine(double t)
{
    return 0.5 * (1 + cos(3.14159265358979323846 * t));
}

static double constant(double t)
{
    (void)t;
    return 1;
}

static double linear(double t)
{
    return 1 - t;
}

static double exponential(double t)
{
    return pow(0.01, t);
}

static double steps_down(double t)
{
    return pow(0.1, floor(3 * t));
}

static const struct {
    const char *name;
    double (*factor)(double t); /* 0 <= t < 1 */
} schedules[NF_SCHEDULES] = {
    [NF_DEFAULT_SCHEDULE] = {"default", constant},   [NF_COSINE] = {"cosine", cosine},
    [NF_CONSTANT] = {"constant", constant},          [NF_LINEAR] = {"linear", linear},
    [NF_EXPONENTIAL] = {"exponential", exponential}, [NF_STEPS] = {"steps", steps_down},
};

const char *nf_schedule_name(nf_schedule schedule)
{
    return schedules[schedule].name;
}

double nf_scheduled_rate(nf_schedule schedule, double learning_rate, size_t warmup, size_t step, size_t steps)
{
    if (step < warmup) return learning_rate * (double)(step + 1) / (double)warmup;
    double t = step < steps ? (double)(step - warmup) / (double)(steps - warmup) : 1;
    return learning_rate * schedules[schedule].factor(t);
}
