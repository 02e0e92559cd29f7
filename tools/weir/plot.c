/* weir plot: a picture of a trained flow. */
#include "command.h"
#include "files.h"
#include "picture.h"
#include "report.h"

static const struct option options[] = {
    {.name = "data",
     .kind = OPTION_TEXT,
     .value = "FILE",
     .help = "data to show beside the samples: .npy, .csv, .tsv or .txt"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .value = "FILE",
     .required = true,
     .help = "where the picture goes: .png or .svg"},
    {.name = "rows",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "10000",
     .low = 1,
     .help = "how many samples to draw"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the samples"},
    OPTION_THREADS,
    {0},
};

static ad_status draw(const struct arguments *arguments, struct picture *picture, ad_error *error)
{
    size_t rows = option_count(arguments, "rows"), dim = nf_flow_dim(picture->flow);
    picture->pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!picture->pool) return error->status;
    nf_table samples = {.rows = rows, .columns = dim, .values = ad_alloc(rows, dim * sizeof(double))};
    picture->samples = &samples;
    uint64_t seed = option_count(arguments, "seed");
    ad_status status = samples.values ? AD_OK : ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu samples", rows);
    if (!status) status = nf_sample(picture->flow, NULL, rows, seed, samples.values, NULL, picture->pool, error);
    if (!status) status = picture_draw(picture, option_text(arguments, "output"), error);
    ad_free(samples.values);
    ad_pool_free(picture->pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *model = arguments->positionals[0], *output = option_text(arguments, "output");
    const char *input = option_text(arguments, "data");
    if (picture_check_name(output, error)) return error->status;
    json_t *record;
    nf_flow *flow = load_model(model, &record, error);
    if (!flow) return error->status;
    nf_table data = {0};
    ad_status status = input ? read_data(input, nf_flow_dim(flow), model, &data, error) : AD_OK;
    if (!status) status = check_output(output, model, error);
    struct picture picture = {.flow = flow, .record = record, .data = input ? &data : NULL};
    if (!status) status = draw(arguments, &picture, error);
    if (!status) {
        json_object_set_new(result, "model", report_text(model));
        if (input) json_object_set_new(result, "data", report_text(input));
        json_object_set_new(result, "output", report_text(output));
        json_object_set_new(result, "rows", json_integer((json_int_t)option_count(arguments, "rows")));
        json_object_set_new(result, "seed", json_integer((json_int_t)option_count(arguments, "seed")));
    }
    nf_table_free(&data);
    json_decref(record);
    nf_flow_free(flow);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: picture of %s\n", report_text_of(result, "output"), report_text_of(result, "model"));
}

const struct command plot_command = {
    .name = "plot",
    .summary = "Draw a trained flow: its density, samples, and how it was trained.",
    .example = "weir plot moons.safetensors --data moons.npy -o density.png",
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it"}},
    .groups = {options},
    .run = run,
    .print = print,
};
