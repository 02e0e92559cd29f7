/* Schedules: the formulas of ours, and what goes for every one that is known, with one of this file's own among them.
 */
#include "flows/flow_tools.h"

#include <weir/optimizer.h>

#include <math.h>

static nf_schedule parsed_schedule(const char *text)
{
    nf_schedule schedule;
    ck_assert_msg(nf_schedule_parse(text, &schedule, &error) == AD_OK, "%s", error.message);
    return schedule;
}

/* ---- Formulas -------------------------------------------------------------------------------------------------- */

START_TEST(schedules_follow_their_formulas)
{
    enum { STEPS_HERE = 90 };
    for (size_t warmup = 0; warmup <= 30; warmup += 15)
        for (size_t step = 0; step < STEPS_HERE; step++) {
            double t = ((double)step - (double)warmup) / (double)(STEPS_HERE - warmup);
            double third = floor(3 * (double)(step - warmup) / (double)(STEPS_HERE - warmup));
            const struct {
                const char *text;
                double factor;
            } expected[] = {
                {"cosine", pow(cos(acos(-1) * t / 2), 2)},
                {"constant", 1},
                {"linear", (double)(STEPS_HERE - step) / (double)(STEPS_HERE - warmup)},
                {"exponential", exp(-2 * log(10) * t)},
                {"exponential(0.5)", exp2(-t)},
                {"steps", third == 0   ? 1
                          : third == 1 ? 0.1
                                       : 0.01},
                {"steps(count=2, factor=0.25)", 2 * (step - warmup) < STEPS_HERE - warmup ? 1 : 0.25},
            };
            for (size_t i = 0; i < COUNT(expected); i++) {
                nf_schedule schedule = parsed_schedule(expected[i].text);
                double factor = step < warmup ? (double)(step + 1) / (double)warmup : expected[i].factor;
                ck_assert_double_eq_tol(nf_scheduled_rate(&schedule, 0.02, warmup, step, STEPS_HERE), 0.02 * factor,
                                        1e-15);
            }
        }
    nf_schedule linear = parsed_schedule("linear");
    ck_assert_double_eq(nf_scheduled_rate(&linear, 1, 50, 49, 20), 1); /* warms up to the end, and beyond */
}
END_TEST

/* ---- A schedule from outside ----------------------------------------------------------------------------------- */

/* As 1 / √(1 + rounds t / unit), of which the unit is its author's. */
static double inverse_root(const nf_schedule_type *self, const double *argument, double t)
{
    return 1 / sqrt(1 + argument[0] * t / *(const double *)self->data);
}

static const nf_argument rounds[] = {
    {.name = "rounds", .value = 8, .low = 0, .high = 1e6, .kind = NF_NUMBER, .help = "how far it goes"}, {0}};
static const double unit = 2;
static const nf_schedule_type own = {"inverse_root", "1 / sqrt(1 + rounds t / 2)", rounds, inverse_root, &unit};

static int known(void)
{
    int count = 0;
    while (nf_schedule_types()[count]) count++;
    return count;
}

static void add_own(void)
{
    nf_register_schedule(&own, NULL);
    ck_assert_ptr_eq(nf_schedule_types()[known() - 1], &own);
}

START_TEST(registering_is_checked)
{
    nf_schedule_type type = own;
    ASSERT_FAILS(nf_register_schedule(&type, &error), AD_ERROR_ARGUMENT, "'inverse_root' is taken");
    type.name = "2nd";
    ASSERT_FAILS(nf_register_schedule(&type, &error), AD_ERROR_ARGUMENT, "isn't a name");
    type.name = "second";
    type.factor = NULL;
    ASSERT_FAILS(nf_register_schedule(&type, &error), AD_ERROR_ARGUMENT, "no factor");
    ck_assert_int_eq(nf_register_schedule(&type, NULL), AD_ERROR_ARGUMENT);
    nf_schedule schedule = parsed_schedule("inverse_root(rounds=6)");
    ck_assert_double_eq(nf_scheduled_rate(&schedule, 3, 0, 1, 1), 1.5);
    ASSERT_FAILS(nf_schedule_parse("sine", &schedule, &error), AD_ERROR_ARGUMENT,
                 "unknown schedule 'sine'; expected one of cosine, constant, linear, exponential, ");
    ck_assert_msg(strstr(error.message, ", inverse_root") != NULL, "%s", error.message);
    ASSERT_FAILS(nf_schedule_parse("steps(0)", &schedule, &error), AD_ERROR_ARGUMENT, "from 1 to 1000");
    ck_assert_int_eq(nf_schedule_parse("sine", &schedule, NULL), AD_ERROR_ARGUMENT);
}
END_TEST

/* ---- Every schedule -------------------------------------------------------------------------------------------- */

START_TEST(factors_are_parts_of_one)
{
    enum { POINTS = 1000 };
    const nf_schedule schedule = parsed_schedule(nf_schedule_types()[_i]->name);
    const nf_schedule_type *type = schedule.type;
    ck_assert_ptr_nonnull(type->help);
    ck_assert_double_gt(type->factor(type, schedule.argument, 0), 0); /* or the first step were none */
    for (int i = 0; i <= POINTS; i++) {
        double t = (double)i / POINTS, factor = type->factor(type, schedule.argument, t);
        ck_assert_msg(factor >= 0 && factor <= 1, "%s(%g) = %g", type->name, t, factor);
        ck_assert_double_eq(type->factor(type, schedule.argument, t), factor);
    }
}
END_TEST

START_TEST(rates_warm_up_and_follow)
{
    enum { WARMUP = 10, STEPS_HERE = 50 };
    const nf_schedule schedule = parsed_schedule(nf_schedule_types()[_i]->name);
    for (size_t step = 0; step < STEPS_HERE; step++) {
        double t = ((double)step - WARMUP) / (STEPS_HERE - WARMUP);
        double factor =
            step < WARMUP ? (double)(step + 1) / WARMUP : schedule.type->factor(schedule.type, schedule.argument, t);
        ck_assert_double_eq_tol(nf_scheduled_rate(&schedule, 0.3, WARMUP, step, STEPS_HERE), 0.3 * factor, 1e-15);
    }
}
END_TEST

/* The sum of the scales after epochs of a loss that never gets better; 0 where the schedule doesn't mind. */
static double sum_of_scales(const nf_schedule *schedule)
{
    double sum = 0, scale = 1;
    size_t stale = 0;
    for (int epoch = 0; epoch < 1000 && schedule->type->adapt && scale > 0; epoch++) {
        double before = scale;
        scale = schedule->type->adapt(schedule->type, schedule->argument, ++stale, before);
        if (scale != before) stale = 0;
        sum += scale;
    }
    return sum;
}

/* Halves are exact. */
START_TEST(a_plateau_lowers_the_rate)
{
    const nf_schedule schedule = parsed_schedule("plateau(patience=3, factor=0.5, end=0.25)");
    ck_assert_double_eq(schedule.type->factor(schedule.type, schedule.argument, 0.5), 1);
    static const double next[][3] = {{1, 1, 1},      {2, 1, 1},      {3, 1, 0.5},  {2, 0.5, 0.5},
                                     {3, 0.5, 0.25}, {9, 0.5, 0.25}, {3, 0.25, 0}, {2, 0.25, 0.25}};
    for (size_t i = 0; i < COUNT(next); i++)
        ck_assert_double_eq(schedule.type->adapt(schedule.type, schedule.argument, (size_t)next[i][0], next[i][1]),
                            next[i][2]);
    ck_assert_double_eq(sum_of_scales(&schedule), 2 * 1 + 3 * 0.5 + 3 * 0.25);
}
END_TEST

START_TEST(arguments_change_factors)
{
    const nf_schedule first = parsed_schedule(nf_schedule_types()[_i]->name);
    for (const nf_argument *argument = first.type->argument; argument && argument->name; argument++) {
        ck_assert_ptr_nonnull(argument->help);
        ck_assert_double_le(argument->low, argument->value);
        ck_assert_double_le(argument->value, argument->high);
        double other = (argument->low + argument->value) / 2, difference = 0;
        if (argument->kind == NF_COUNT) other = floor(other);
        char text[128];
        snprintf(text, sizeof text, "%s(%s=%.17g)", first.type->name, argument->name, other);
        const nf_schedule second = parsed_schedule(text);
        for (size_t step = 0; step < 100; step++)
            difference +=
                fabs(nf_scheduled_rate(&first, 1, 0, step, 100) - nf_scheduled_rate(&second, 1, 0, step, 100));
        difference += fabs(sum_of_scales(&first) - sum_of_scales(&second));
        ck_assert_double_gt(difference, 1e-3);
    }
}
END_TEST

Suite *schedule_types_suite(void);

Suite *schedule_types_suite(void)
{
    Suite *suite = suite_create("schedule_types");
    TCase *every = tcase_create("every schedule");
    tcase_add_checked_fixture(every, add_own, NULL);
    const int count = known() + 1;
    tcase_add_test(every, schedules_follow_their_formulas);
    tcase_add_test(every, registering_is_checked);
    tcase_add_test(every, a_plateau_lowers_the_rate);
    tcase_add_loop_test(every, factors_are_parts_of_one, 0, count);
    tcase_add_loop_test(every, rates_warm_up_and_follow, 0, count);
    tcase_add_loop_test(every, arguments_change_factors, 0, count);
    suite_add_tcase(suite, every);
    return suite;
}
