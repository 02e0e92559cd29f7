/* weir data: draw from a known distribution. */
#include "command.h"
#include "files.h"
#include "report.h"
#include "targets.h"

#include <string.h>

static const struct option options[] = {
    {.name = "rows",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "10000",
     .low = 1,
     .help = "how many to draw"},
    {.name = "noise",
     .kind = OPTION_NUMBER,
     .value = "SIGMA",
     .initial = "0.05",
     .help = "standard deviation of the moons' noise"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: .npy, .csv, .tsv or .txt"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the draw"},
    {0},
};

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output");
    size_t rows = option_count(arguments, "rows");
    double noise = option_number(arguments, "noise");
    uint64_t seed = option_count(arguments, "seed");
    if (check_table(output, error)) return error->status;
    bool moons = strcmp(arguments->positionals[0], "moons") == 0;
    nf_table table;
    ad_status status = moons ? draw_moons(rows, noise, seed, &table, error) : draw_banana(rows, seed, &table, error);
    if (status) return status;
    status = nf_table_write(output, &table, error);
    nf_table_free(&table);
    if (status) return status;
    json_object_set_new(result, "output", report_text(output));
    json_object_set_new(result, "target", json_string(arguments->positionals[0]));
    json_object_set_new(result, "rows", json_integer((json_int_t)rows));
    json_object_set_new(result, "columns", json_integer(2));
    if (moons) json_object_set_new(result, "noise", json_real(noise));
    json_object_set_new(result, "seed", json_integer((json_int_t)seed));
    return AD_OK;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: %lld rows of %s", report_text_of(result, "output"), report_count_of(result, "rows"),
            report_text_of(result, "target"));
    if (json_object_get(result, "noise")) fprintf(to, ", noise %g", report_number_of(result, "noise"));
    fprintf(to, ", seed %lld\n", report_count_of(result, "seed"));
}

const struct command data_command = {
    .name = "data",
    .summary = "Draw points from a known distribution.",
    .example = "weir data moons -n 10000 --noise 0.05 --seed 1 -o moons.npy",
    .positionals = {{"TARGET", "moons|banana",
                     "the distribution: moons, two interleaved half circles as in scikit-learn; banana, a normal bent "
                     "along a parabola"}},
    .groups = {options},
    .run = run,
    .print = print,
};
