/* weir fit: train a flow on the rows of a file. */
#include "files.h"
#include "interrupt.h"
#include "report.h"
#include "training.h"

static const struct option options[] = {
    {.name = "context",
     .kind = OPTION_TEXT,
     .value = "COLUMNS",
     .help = "columns that condition the flow and are not modelled: names or numbers, as in 'age,dose' or '3,4'"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "MODEL",
     .required = true,
     .help = "where the trained flow goes: a safetensors file"},
    {0},
};

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *input = arguments->positionals[0], *output = option_text(arguments, "output");
    nf_table data;
    if (read_data(input, &data, error)) return error->status;
    struct trained trained = {0};
    struct context context = {0};
    const char *columns = option_text(arguments, "context");
    ad_status status = check_output(output, error);
    if (!status) status = context_take(columns, input, &data, &context, error);
    interrupt_catch();
    if (!status) status = train(arguments, input, &data, columns ? &context : NULL, &trained, error);
    nf_table_free(&data);
    context_free(&context);
    if (trained.flow) {
        if (columns) json_object_set_new(trained.record, "context", report_text(columns));
        status = save_trained(&trained, status, output, error);
        json_object_update(result, trained.result);
        if (*trained.kept) json_object_set_new(result, "output", report_text(trained.kept));
    }
    interrupt_release();
    trained_free(&trained);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    print_training(result, to);
    if (json_object_get(result, "output")) fprintf(to, "saved       %s\n", report_text_of(result, "output"));
}

const struct command fit_command = {
    .name = "fit",
    .summary = "Train a flow on the rows of a file, by maximum likelihood.",
    .example = "weir fit moons.npy --flow '(maf(128,128)-flip)*3' --epochs 60 --schedule cosine -o moons.safetensors",
    .positionals = {{"DATA", NULL, "table of numbers, a row for each event: .npy, .csv, .tsv or .txt", INPUT_FILE}},
    .groups = {options, training_options},
    .run = run,
    .print = print,
};
