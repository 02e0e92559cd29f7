/* weir plot: a picture of a trained flow. */
#include "command.h"
#include "context.h"
#include "files.h"
#include "inference.h"
#include "pictures/picture.h"
#include "report.h"
#include "pictures/steps_picture.h"
#include "pictures/target_picture.h"

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
    {.name = "context",
     .kind = OPTION_TEXT,
     .value = "CONTEXT",
     .help = "of a conditional flow, numbers, as in '0.5,1': the picture is of the density there"},
    {.name = "steps",
     .kind = OPTION_FLAG,
     .help = "show samples after each step of the formula's chain, in the first two features"},
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
    struct context context = {0};
    size_t rows = option_count(arguments, "rows");
    if (find_target(arguments, picture, &target, error)) return error->status;
    picture->pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    ad_status status = picture->pool ? AD_OK : error->status;
    if (!status) status = context_repeat(picture->context, nf_flow_context_size(picture->flow), rows, &context, error);
    if (!status)
        status = draw_samples(picture->flow, context.values, record, rows, option_count(arguments, "seed"), &samples,
                              picture->pool, error);
    context_free(&context);
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

static ad_status draw_steps(const struct arguments *arguments, const struct picture *picture, ad_error *error)
{
    ad_pool *pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!pool) return error->status;
    ad_status status = steps_picture_draw(picture->flow, picture->context, option_count(arguments, "seed"),
                                          option_text(arguments, "output"), pool, error);
    ad_pool_free(pool);
    return status;
}

static ad_status read_points(const char *path, const nf_flow *flow, const json_t *record, const char *model,
                             nf_table *data, ad_error *error)
{
    struct context context;
    ad_status status = context_read_points(path, NULL, flow, record, model, data, &context, error);
    if (!status) context_free(&context);
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
    ad_status status = input ? read_points(input, flow, record, model, &data, error) : AD_OK;
    if (!status) status = check_output(output, error);
    struct picture picture = {
        .flow = flow, .record = record, .data = input ? &data : NULL, .context = option_text(arguments, "context")};
    if (!status && option_flag(arguments, "steps"))
        status = draw_steps(arguments, &picture, error);
    else if (!status)
        status = draw(arguments, &picture, record, error);
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
