/* What options name: targets, optimisers, schedules and objectives, of which the text may be any. A target's text
 * parses to the same target, and its density at a point is a number or an error. */
#include "fuzz.h"

#include <weir/models.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 64 }; /* features of a target that is evaluated */

static void try_target(const char *text)
{
    ad_error error;
    nf_target *target = nf_target_parse(text, &error);
    if (!target) {
        fuzz_check_error(&error);
        return;
    }
    nf_target *copy = nf_target_parse(target->text, &error);
    fuzz_require(copy || error.status == AD_ERROR_MEMORY, "a target's text parses");
    fuzz_require(!copy || strcmp(copy->text, target->text) == 0, "a target's text parses to the same target");
    fuzz_require(!copy || nf_target_dim(copy) == nf_target_dim(target), "a target's text parses to as many features");
    double z[FEW], log_density;
    for (size_t i = 0; i < FEW; i++) z[i] = 0.25 * (double)i - 1;
    if (nf_target_dim(target) <= FEW && nf_target_log_densities(target, z, 1, &log_density, NULL, &error))
        fuzz_check_error(&error);
    nf_target_free(copy);
    nf_target_free(target);
}

static void try_optimizer(const char *text)
{
    ad_error error;
    float parameters[2] = {1, -1}, gradient[2] = {0.5F, -2};
    nf_optimizer *optimizer = nf_optimizer_new(&(nf_optimizer_options){.name = text}, 2, AD_F32, &error);
    if (!optimizer) {
        fuzz_check_error(&error);
        return;
    }
    if (nf_optimizer_step(optimizer, parameters, gradient, 0.1, NULL, NULL, &error)) fuzz_check_error(&error);
    nf_optimizer_free(optimizer);
}

static void try_schedule(const char *text)
{
    ad_error error;
    nf_schedule schedule;
    if (nf_schedule_parse(text, &schedule, &error)) {
        fuzz_check_error(&error);
        return;
    }
    double rate = nf_scheduled_rate(&schedule, 0.1, 0, 3, 10);
    fuzz_require(isfinite(rate) && rate >= 0, "a schedule's learning rate is a number");
}

static void try_objective(const char *text)
{
    ad_error error;
    nf_objective objective;
    if (nf_objective_parse(text, &objective, &error)) fuzz_check_error(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_limit_memory();
    char *text = fuzz_text(data, size);
    try_target(text);
    try_optimizer(text);
    try_schedule(text);
    try_objective(text);
    free(text);
    return 0;
}
