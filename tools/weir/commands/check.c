/* weir check: are the gradients, inverses and log-determinants of a flow right? */
#include "command.h"
#include <weir/models.h>
#include "report.h"

static const struct option options[] = {
    {.name = "dim",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "2",
     .low = 1,
     .high = 65536,
     .help = "features of an event"},
    {.name = "context",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "0",
     .low = 0,
     .high = 65536,
     .help = "numbers in the context vector"},
    {.name = "seed",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "1",
     .help = "of the events and weights to check at"},
    {0},
};

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    size_t dim = option_count(arguments, "dim");
    uint64_t seed = option_count(arguments, "seed");
    nf_bijector *bijector =
        nf_bijector_parse(arguments->positionals[0], dim, option_count(arguments, "context"), seed, error);
    if (!bijector) return error->status;
    nf_check_result checks[NF_MOST_CHECKS];
    int count = 0;
    ad_status status = nf_check_bijector(bijector, seed, checks, &count, error);
    char *formula = nf_formula(bijector);
    if (count > 0) {
        json_t *list = json_array();
        for (int i = 0; i < count; i++)
            json_array_append_new(list, json_pack("{s:s, s:o, s:f, s:s}", "property", checks[i].property, "worst",
                                                  report_number(checks[i].worst), "bound", checks[i].bound, "at",
                                                  checks[i].at));
        json_object_set_new(result, "formula", json_string(formula ? formula : ""));
        json_object_set_new(result, "dim", json_integer((json_int_t)dim));
        json_object_set_new(result, "passed", json_boolean(status == AD_OK));
        json_object_set_new(result, "checks", list);
    }
    ad_free(formula);
    nf_bijector_free(bijector);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    size_t i;
    json_t *check;
    fprintf(to, "%s, %lld features\n", report_text_of(result, "formula"), report_count_of(result, "dim"));
    json_array_foreach(json_object_get(result, "checks"), i, check)
    {
        double worst = report_number_of(check, "worst"), bound = report_number_of(check, "bound");
        fprintf(to, "%-6s  %-44s  worst %8.2e, bound %7.1e\n", worst <= bound ? "ok" : "WRONG",
                report_text_of(check, "property"), worst, bound);
        if (!(worst <= bound)) fprintf(to, "        at %s\n", report_text_of(check, "at"));
    }
}

const struct command check_command = {
    .name = "check",
    .summary = "Check gradients, inverse and log-determinant of a flow numerically.",
    .example = "weir check '(maf(128,128)-flip)*3' --dim 2",
    .positionals = {{"FORMULA", NULL, "the chain of bijectors; see 'weir help formulas'"}},
    .groups = {options},
    .run = run,
    .print = print,
};
