/* weir fit: train a flow on the rows of a file. */
#include "automatic.h"
#include "checkpoints.h"
#include "describe.h"
#include "interrupt.h"
#include "report.h"
#include "roles.h"
#include "training.h"

static const struct option options[] = {
    {.name = "context",
     .kind = OPTION_TEXT,
     .value = "COLUMNS",
     .help = "columns that condition the flow and are not modelled: names or numbers, as in 'age,dose' or '3,4'"},
    {.name = "drop", .kind = OPTION_TEXT, .value = "COLUMNS", .help = "columns to leave out: names or numbers"},
    {.name = "columns",
     .kind = OPTION_TEXT,
     .value = "KINDS",
     .help = "what columns are, where that isn't as it is found to be, as in 'income:positive, share:[0,1], "
             "visits:count, city:category, phase:angle(360)'; the others: real, integer[1,5], drop"},
    {.name = "weights",
     .kind = OPTION_TEXT,
     .value = "COLUMN",
     .help = "how much each row counts: a column of numbers, 0 or more"},
    {.name = "validation",
     .kind = OPTION_TEXT,
     .file = INPUT_FILE,
     .value = "FILE",
     .help = "a table of rows to validate with, in the place of a part of DATA"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "MODEL",
     .required = true,
     .help = "where the trained flow goes: a safetensors file"},
    {.name = "budget",
     .kind = OPTION_SECONDS,
     .value = "TIME",
     .above_low = true,
     .help = "how long to look for a density, or for how to train the flow of --flow: 30s, 5m, 1h; it takes no option "
             "from --epochs to --ema; where it isn't given, 60s without such options, and 10m with --tune"},
    {.name = "tune",
     .kind = OPTION_FLAG,
     .help = "search more flows, of other kinds and sizes, by successive halving, and take the whole time for it"},
    OPTION_HEADER,
    {0},
};

/* ---- What there is to fit to ----------------------------------------------------------------------------------- */

struct input {
    nf_table file;
    struct roles roles;
    struct points validation;
    double *validation_weights;
    struct training_data data;
};

static void input_free(struct input *input)
{
    ad_free(input->validation_weights);
    points_free(&input->validation);
    roles_free(&input->roles);
    nf_table_free(&input->file);
}

/* Rows of the same columns as those that are fitted to. */
static ad_status read_validation(const struct arguments *arguments, struct input *input, ad_error *error)
{
    const char *path = option_text(arguments, "validation");
    const char *context = option_text(arguments, "context");
    if (!path) return AD_OK;
    json_t *record = context ? json_pack("{s:s}", "context", context) : json_object();
    const struct model model = {.path = arguments->positionals[0],
                                .record = record,
                                .features = input->roles.features,
                                .conditions = input->roles.given};
    ad_status status =
        points_read(path, NULL, (nf_header)option_choice(arguments, "header"), &model, &input->validation, error);
    json_decref(record);
    if (status) return status;
    input->data.validation = &input->validation;
    if (input->roles.weights)
        status = roles_weights(&input->validation.file, path, &input->file, input->roles.weight,
                               &input->validation_weights, error);
    input->data.validation_weights = input->validation_weights;
    return status;
}

static ad_status read_input(const struct arguments *arguments, struct input *input, ad_error *error)
{
    const char *path = arguments->positionals[0];
    const struct roles_text text = {option_text(arguments, "context"), option_text(arguments, "drop"),
                                    option_text(arguments, "weights"), option_text(arguments, "columns")};
    *input = (struct input){0};
    ad_status status = read_table(path, (nf_header)option_choice(arguments, "header"), &input->file, error);
    if (!status) status = roles_find(&input->file, path, &text, &input->roles, error);
    if (status) return status;
    /* The columns have values of their own, which may be many. */
    ad_free(input->file.values);
    input->file.values = NULL;
    const struct roles *roles = &input->roles;
    input->data = (struct training_data){.name = path,
                                         .table = &roles->table,
                                         .conditions = roles->given ? &roles->conditions : NULL,
                                         .features = roles->features,
                                         .given = roles->given,
                                         .weights = roles->weights};
    return read_validation(arguments, input, error);
}

/* What was said of the table, beside the options of the training. */
static void tell_options(const struct arguments *arguments, json_t *record)
{
    static const char *const names[] = {"drop", "columns", "weights", "validation"};
    json_t *told = json_object_get(record, "options");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = option_text(arguments, names[i]);
        if (text) json_object_set_new(told, names[i], report_text(text));
    }
}

/* ---- The command ----------------------------------------------------------------------------------------------- */

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *output = option_text(arguments, "output"), *context = option_text(arguments, "context");
    struct input input;
    struct trained trained = {0};
    bool is_automatic;
    if (fit_is_automatic(arguments, &is_automatic, error) || check_output(output, error)) return error->status;
    ad_status status = read_input(arguments, &input, error);
    if (!status) status = checkpoint_open(arguments, &input.data.checkpoint, error);
    interrupt_catch();
    if (!status) table_warn(&input.file);
    if (!status)
        status = is_automatic ? fit_automatically(arguments, &input.data, &trained, error)
                              : train(arguments, &input.data, &trained, error);
    if (trained.flow) {
        if (context) json_object_set_new(trained.record, "context", report_text(context));
        tell_options(arguments, trained.record);
        status = save_trained(&trained, status, output, error);
        json_object_update(result, trained.result);
        if (context) json_object_set_new(result, "context", report_text(context));
        describe_columns(result, input.roles.features, input.roles.given);
        if (*trained.kept) json_object_set_new(result, "output", report_text(trained.kept));
    }
    status = checkpoint_close(arguments, input.data.checkpoint, status, error);
    interrupt_release();
    trained_free(&trained);
    input_free(&input);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    if (json_object_get(result, "candidates"))
        print_automatic(result, to);
    else
        print_training(result, to);
    describe_print(result, to);
    if (json_object_get(result, "output")) fprintf(to, "saved       %s\n", report_text_of(result, "output"));
}

const struct command fit_command = {
    .name = "fit",
    .summary =
        "Fit a density to the rows of a file, by maximum likelihood: one that is chosen by rows that are held out "
        "or, where any of --flow to --ema is given, this one flow.",
    .example = "weir fit people.csv -o people.safetensors",
    .positionals = {{"DATA", NULL,
                     "table, a row for each event: .npy, .csv, .tsv or .txt; empty cells, NA and ? are missing",
                     INPUT_FILE}},
    .groups = {options, training_options, checkpoint_options},
    .run = run,
    .print = print,
};
