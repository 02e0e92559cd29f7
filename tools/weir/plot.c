/* weir plot: a picture of a trained flow. */
#include "command.h"
#include "files.h"
#include "inference.h"
#include "picture.h"
#include "report.h"
#include "target_picture.h"

static const struct option options[] = {
    {.name = "data",
     .kind = OPTION_TEXT,
     .file = INPUT_FILE,
     .value = "FILE",
     .help = "data to show beside the samples: .npy, .csv, .tsv or .txt"},
    {.name = "target",
     .kind = OPTION_TEXT,
     .value = "TARGET",
     .help = "density to show beside that of the flow; the one that it was fitted to where it isn't given"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
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

/* The target that was given, or that of the record; *target stays NULL where there is none. */
static ad_status find_target(const struct arguments *arguments, const struct picture *picture, nf_target **target,
                             ad_error *error)
{
    const char *given = option_text(arguments, "target");
    const char *text = given ? given : json_string_value(json_object_get(picture->record, "target"));
    *target = text ? nf_target_parse(text, error) : NULL;
    if (!*target) return given ? error->status : AD_OK;
    size_t dim = nf_target_dim(*target);
    if (dim == nf_flow_dim(picture->flow)) return AD_OK;
    nf_target_free(*target);
    *target = NULL;
    if (!given) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "target '%s' has %zu features, but the flow has %zu", text, dim,
                        nf_flow_dim(picture->flow));
}

static ad_status draw(const struct arguments *arguments, struct picture *picture, json_t *record, ad_error *error)
{
    nf_target *target;
    nf_table samples = {0};
    if (find_target(arguments, picture, &target, error)) return error->status;
    picture->pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    ad_status status = picture->pool ? AD_OK : error->status;
    if (!status)
        status = draw_samples(picture->flow, NULL, record, option_count(arguments, "rows"),
                              option_count(arguments, "seed"), &samples, picture->pool, error);
    picture->samples = &samples;
    const char *output = option_text(arguments, "output");
    if (!status && target && !picture->data && samples.columns == 2 && nf_target_size(target) == 2)
        status = target_picture_draw(picture, target, output, error);
    else if (!status)
        status = picture_draw(picture, output, error);
    ad_free(samples.values);
    ad_pool_free(picture->pool);
    nf_target_free(target);
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
    if (!status) status = draw(arguments, &picture, record, error);
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
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
