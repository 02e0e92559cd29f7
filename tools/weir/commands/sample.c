/* weir sample: draw from a trained flow. */
#include "beside.h"
#include "context.h"
#include "parts.h"
#include "ranks.h"
#include "report.h"

#include <string.h>
#include <strings.h>

static const struct option options[] = {
    {.name = "context",
     .kind = OPTION_TEXT,
     .file = INPUT_FILE,
     .value = "CONTEXT",
     .help = "of a conditional flow: values, as in '0.5,Oslo' or 'city=Oslo,age=0.5', or a file whose rows are used "
             "in turn"},
    {.name = "write-context",
     .kind = OPTION_CHOICE,
     .value = "WHEN",
     .initial = "auto",
     .choices = "auto|yes|no",
     .help = "write the context's columns beside the samples; auto: in text, not in a .npy"},
    {.name = "rows",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "10000",
     .low = 1,
     .help = "how many to draw"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: .npy, .csv, .tsv or .txt"},
    {.name = "steps",
     .kind = OPTION_COUNT,
     .value = "N",
     .help = "end after the first N steps of the formula's chain; 0: the base distribution"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the draw"},
    OPTION_THREADS,
    {0},
};

/* What there is to draw from: the model, or the first steps of its flow, whose draws are numbers without names, on no
 * target's scale. */
static ad_status cut(const struct arguments *arguments, const struct model *model, struct model *part, ad_error *error)
{
    size_t all = nf_chain_steps(nf_flow_bijector(model->flow)), steps = option_count(arguments, "steps");
    *part = *model;
    if (!option_given(arguments, "steps", OPTION_COUNT)) return AD_OK;
    if (steps > all) {
        char *formula = nf_flow_formula(model->flow, false);
        ad_error_set(error, AD_ERROR_ARGUMENT, "--steps: %s has %zu step%s, got %zu", formula ? formula : "the flow",
                     all, all == 1 ? "" : "s", steps);
        ad_free(formula);
        return error->status;
    }
    part->flow = nf_flow_slice(model->flow, steps, error);
    if (!part->flow || steps == all) return part->flow ? AD_OK : error->status;
    part->record = NULL;
    part->target = NULL;
    part->features = nf_columns_plain(nf_flow_dim(model->flow), NULL, error);
    return part->features ? AD_OK : error->status;
}

static void cut_free(struct model *part, const struct model *model)
{
    if (part->features != model->features) nf_columns_free(part->features);
    if (part->flow != model->flow) nf_flow_free(part->flow);
}

/* Where it isn't said, a model that knows no kinds of a context writes what it always did, and so does an array. */
static bool writes_context(const struct arguments *arguments, const struct model *model)
{
    enum { AUTO, YES, NO };
    const char *dot = strrchr(option_text(arguments, "output"), '.');
    size_t choice = option_choice(arguments, "write-context");
    bool of_course = json_object_get(model->record, "context_kinds") && !(dot && strcasecmp(dot, ".npy") == 0);
    return model->conditions && (choice == YES || (choice == AUTO && of_course));
}

/* What is drawn, and where it goes. */
struct drawing {
    const struct arguments *arguments;
    const struct model *model;
    const struct context *context;
    bool beside;
    ad_pool *pool;
    nf_table_writer *writer; /* the first rank's, from the first rows on */
    size_t columns;
};

/* Rows from number `first` on, with names and numbers as the training data had them, or the target; and beside them
 * their context, where it is written. */
struct part {
    nf_table samples, beside; /* the second has names and labels of the first */
};

static void part_free(struct part *part)
{
    nf_table_free(&part->beside);
    nf_table_free(&part->samples);
}

static ad_status draw_part(const struct drawing *drawing, size_t first, size_t rows, struct part *part, ad_error *error)
{
    const struct model *model = drawing->model;
    const size_t size = nf_flow_context_size(model->flow);
    double *context = size > 0 ? ad_alloc(rows, size * sizeof *context) : NULL;
    if (size > 0 && !context)
        return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the context of %zu rows", rows);
    context_rows(drawing->context, size, first, rows, context);
    ad_status status = model_sample(model, context, first, rows, option_count(drawing->arguments, "seed"),
                                    &part->samples, drawing->pool, error);
    ad_free(context);
    if (!status && drawing->beside)
        status = put_beside(&part->samples, first, drawing->context, model, &part->beside, error);
    return status;
}

static ad_status write_part(void *context, const nf_table *part, ad_error *error)
{
    struct drawing *drawing = context;
    if (!drawing->writer) {
        nf_table head = *part;
        head.rows = option_count(drawing->arguments, "rows");
        drawing->writer = nf_table_create(option_text(drawing->arguments, "output"), &head, error);
    }
    return drawing->writer ? nf_table_append(drawing->writer, part, error) : error->status;
}

static ad_status draw_all(struct drawing *drawing, ad_error *error)
{
    const size_t rows = option_count(drawing->arguments, "rows");
    const struct model *model = drawing->model;
    struct parts parts =
        parts_begin(parts_ranks(drawing->pool), rows, nf_flow_dim(model->flow) + nf_flow_context_size(model->flow));
    ad_status status = AD_OK;
    bool more = true;
    while (!status && more) {
        const size_t first = parts_first(&parts), rest = first < rows ? rows - first : 0;
        struct part part = {0};
        const nf_table *table = drawing->beside ? &part.beside : &part.samples;
        if (rest > 0) status = draw_part(drawing, first, rest < parts.rows ? rest : parts.rows, &part, error);
        status = parts_next(&parts, status, table, write_part, drawing, &more, error);
        if (drawing->columns == 0) drawing->columns = table->columns;
        part_free(&part);
    }
    parts_end(&parts);
    if (!status && drawing->writer) {
        status = nf_table_commit(drawing->writer, error);
        drawing->writer = NULL;
    }
    nf_table_abort(drawing->writer);
    return parts_agree(parts.ranks, status, error);
}

static ad_status draw(struct drawing *drawing, ad_error *error)
{
    drawing->pool = ranks_pool(drawing->arguments, error);
    if (!drawing->pool) return error->status;
    ad_status status = draw_all(drawing, error);
    ad_pool_free(drawing->pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *output = option_text(arguments, "output");
    struct model model, part = {0};
    if (model_open(path, &model, error)) return error->status;
    struct context context = {0};
    struct drawing drawing = {
        .arguments = arguments, .model = &part, .context = &context, .beside = writes_context(arguments, &model)};
    ad_status status = check_table(output, error);
    if (!status) status = cut(arguments, &model, &part, error);
    if (!status) status = columns_check_output(part.features, output, error);
    if (!status && drawing.beside) status = columns_check_output(model.conditions, output, error);
    if (!status) status = context_read(option_text(arguments, "context"), &model, true, 0, &context, error);
    if (!status) status = draw(&drawing, error);
    context_free(&context);
    cut_free(&part, &model);
    if (!status) {
        json_object_set_new(result, "model", report_text(path));
        json_object_set_new(result, "output", report_text(output));
        json_object_set_new(result, "rows", json_integer((json_int_t)option_count(arguments, "rows")));
        json_object_set_new(result, "columns", json_integer((json_int_t)drawing.columns));
        json_object_set_new(result, "seed", json_integer((json_int_t)option_count(arguments, "seed")));
    }
    model_close(&model);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: %lld samples of %s, seed %lld\n", report_text_of(result, "output"),
            report_count_of(result, "rows"), report_text_of(result, "model"), report_count_of(result, "seed"));
}

const struct command sample_command = {
    .name = "sample",
    .summary = "Draw samples from a trained flow.",
    .example = "weir sample moons.safetensors -n 10000 --seed 2 -o samples.npy",
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it", INPUT_FILE}},
    .groups = {options},
    .together = true,
    .run = run,
    .print = print,
};
