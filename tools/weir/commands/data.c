/* weir data: draw from a known distribution. */
#include "command.h"
#include "files.h"
#include "report.h"
#include "targets.h"

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
     .help = "standard deviation of the moons' noise; 0.05 where it isn't given"},
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
    const nf_toy *toy = nf_toy_named(arguments->positionals[0]);
    const bool chosen = option_named(arguments, "noise");
    const double noise = chosen ? option_number(arguments, "noise") : toy->noise;
    size_t rows = option_count(arguments, "rows");
    uint64_t seed = option_count(arguments, "seed");
    if (check_table(output, error)) return error->status;
    if (chosen && toy->noise == 0)
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--noise: that of %s can't be chosen; it is for moons",
                            toy->name);
    nf_table table;
    ad_status status = draw_toy(toy, rows, noise, seed, &table, error);
    if (status) return status;
    status = nf_table_write(output, &table, error);
    nf_table_free(&table);
    if (status) return status;
    json_object_set_new(result, "output", report_text(output));
    json_object_set_new(result, "target", json_string(toy->name));
    json_object_set_new(result, "rows", json_integer((json_int_t)rows));
    json_object_set_new(result, "columns", json_integer(2));
    if (toy->noise > 0) json_object_set_new(result, "noise", json_real(noise));
    json_object_set_new(result, "seed", json_integer((json_int_t)seed));
    if (noise == toy->noise) json_object_set_new(result, "entropy", json_real(toy->entropy));
    return AD_OK;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: %lld rows of %s", report_text_of(result, "output"), report_count_of(result, "rows"),
            report_text_of(result, "target"));
    if (json_object_get(result, "noise")) fprintf(to, ", noise %g", report_number_of(result, "noise"));
    fprintf(to, ", seed %lld", report_count_of(result, "seed"));
    if (json_object_get(result, "entropy"))
        fprintf(to, "; their entropy is %.4f nats", report_number_of(result, "entropy"));
    fprintf(to, "\n");
}

const struct command data_command = {
    .name = "data",
    .summary = "Draw points from a known distribution.",
    .example = "weir data moons -n 10000 --noise 0.05 --seed 1 -o moons.npy",
    .about = "\nThe entropy, which it prints, is the mean of -log p under the distribution itself: no density scores "
             "less on fresh rows, but by chance.\n",
    .positionals = {{"TARGET", "moons|banana|8gaussians|checkerboard|pinwheel|2spirals|swissroll|circles|rings",
                     "the distribution: moons, two interleaved half circles as in scikit-learn; banana, a normal bent "
                     "along a parabola; and those of FFJORD's toy data: 8gaussians, checkerboard, pinwheel, 2spirals, "
                     "swissroll, circles, rings"}},
    .groups = {options},
    .run = run,
    .print = print,
};
