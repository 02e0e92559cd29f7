/* What the library knows by name, for options that take one. */
#include "known.h"

#include <math.h>
#include <string.h>

/* ---- Optimisers ---------------------------------------------------------------------------------------------- */

static const char *optimizer_name(size_t i)
{
    const nf_optimizer_type *type = nf_optimizer_types()[i];
    return type ? type->name : NULL;
}

/* One for no parameters. */
static ad_status check_optimizer(const char *text, ad_error *error)
{
    nf_optimizer *made = nf_optimizer_new(&(nf_optimizer_options){.name = text}, 0, AD_F32, error);
    nf_optimizer_free(made);
    return made ? AD_OK : error->status;
}

const struct known known_optimizers = {optimizer_name, check_optimizer};

static bool has_argument(const char *optimizer, const char *argument)
{
    nf_optimizer *made = nf_optimizer_new(&(nf_optimizer_options){.name = optimizer}, 0, AD_F32, NULL);
    bool has = made && !isnan(nf_optimizer_argument(made, argument));
    nf_optimizer_free(made);
    return has;
}

nf_optimizer_options optimizer_chosen(const struct arguments *arguments, double clip, char text[static OPTIMIZER_TEXT])
{
    const char *given = option_text(arguments, "optimizer"), *end = strrchr(given, ')');
    double beta2 = option_number(arguments, "beta2");
    int length = end ? (int)(end - given) : (int)strlen(given);
    snprintf(text, OPTIMIZER_TEXT, "%s", given);
    if (beta2 > 0 && has_argument(given, "beta2"))
        snprintf(text, OPTIMIZER_TEXT, "%.*s%sbeta2=%.17g)", length, given, end ? "," : "(", beta2);
    return (nf_optimizer_options){.name = text,
                                  .learning_rate = option_number(arguments, "lr"),
                                  .weight_decay = option_number(arguments, "weight-decay"),
                                  .clip = clip};
}

/* ---- Schedules ----------------------------------------------------------------------------------------------- */

static const char *schedule_name(size_t i)
{
    const nf_schedule_type *type = nf_schedule_types()[i];
    return type ? type->name : NULL;
}

static ad_status check_schedule(const char *text, ad_error *error)
{
    return nf_schedule_parse(text, &(nf_schedule){0}, error);
}

const struct known known_schedules = {schedule_name, check_schedule};

/* ---- Objectives ---------------------------------------------------------------------------------------------- */

static const char *objective_name(size_t i)
{
    const nf_objective_type *type = nf_objective_types()[i];
    return type ? type->name : NULL;
}

static ad_status check_objective(const char *text, ad_error *error)
{
    return nf_objective_parse(text, &(nf_objective){0}, error);
}

const struct known known_objectives = {objective_name, check_objective};
