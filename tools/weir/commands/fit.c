/* weir fit: train a flow on the rows of a file. */
#include "automatic.h"
#include "checkpoints.h"
#include "describe.h"
#include "images.h"
#include "interrupt.h"
#include "report.h"
#include "roles.h"
#include "stream.h"
#include "survey.h"
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
    {.name = "shape",
     .kind = OPTION_TEXT,
     .value = "H,W[,C]",
     .help =
         "rows are images of this height, width and number of channels, channels last, whose pixels are the columns; "
         "a .npy file of 3 or 4 dimensions says so itself. The flow is of images then, glow where none is given, and "
         "whole numbers get uniform noise: see 'weir help formulas'"},
    {.name = "dequantization",
     .kind = OPTION_CHOICE,
     .value = "HOW",
     .initial = "uniform",
     .choices = "uniform|variational",
     .help =
         "of images of whole numbers: log p is that of pixels with noise, averaged over it, which is uniform; or one "
         "that is learned, by a flow which sees the pixels, and log p is a lower bound then (Ho et al. 2019)"},
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
    {.name = "shuffle",
     .kind = OPTION_CHOICE,
     .value = "HOW",
     .initial = "auto",
     .choices = "auto|rows|blocks",
     .help =
         "rows: DATA is in memory, and every order is alike; blocks: a .npy file is read as its rows are needed, in "
         "blocks of 128 KiB, 512 at a time, whose rows are shuffled, and validation rows are whole blocks, so that "
         "its size is no matter; auto: blocks for a file above 64 MiB, unless there are weights; without settings "
         "such a file is fitted by a sample"},
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
    nf_table file; /* or a sample of it */
    struct stream stream;
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
    stream_end(&input->stream);
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

/* In the order of --shuffle. */
enum shuffle { SHUFFLE_AUTO, SHUFFLE_ROWS, SHUFFLE_BLOCKS };

static ad_status is_streamed(const struct arguments *arguments, bool *is, ad_error *error)
{
    const enum shuffle shuffle = (enum shuffle)option_choice(arguments, "shuffle");
    const char *path = arguments->positionals[0], *weights = option_text(arguments, "weights");
    *is = shuffle == SHUFFLE_BLOCKS || (shuffle == SHUFFLE_AUTO && !weights && stream_is_worth_it(path));
    if (!weights || !*is) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "--shuffle blocks: rows with --weights must be in memory");
}

/* A sample that is fitted to in the place of all rows, or one by which columns are known. */
static ad_status take_sample(const struct arguments *arguments, const nf_npy *npy, bool instead, nf_table *sample,
                             ad_error *error)
{
    enum { NUMBERS = 1 << 22, MOST = 1 << 16, MOST_INSTEAD = 1 << 19 };
    const char *path = arguments->positionals[0];
    const size_t most = instead ? MOST_INSTEAD : MOST, fit = NUMBERS / nf_npy_columns(npy) + 1;
    ad_pool *pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    if (!pool) return error->status;
    ad_status status =
        survey_sample(npy, fit < most ? fit : most, option_count(arguments, "seed"), pool, sample, error);
    if (!status && instead && sample->rows < nf_npy_rows(npy))
        warn("%s is large: this is fitted to %zu of its %zu rows, drawn at random; --flow FORMULA --epochs N fits to "
             "all of them",
             path, sample->rows, nf_npy_rows(npy));
    if (!status && !instead && sample->rows < nf_npy_rows(npy))
        status = survey_extremes(npy, path, pool, sample, error);
    if (!status) status = nf_npy_check(npy, error);
    ad_pool_free(pool);
    return status;
}

/* Of a file whose rows stay there, a sample. */
static ad_status read_file(const struct arguments *arguments, struct input *input, bool is_automatic, nf_npy **npy,
                           ad_error *error)
{
    const char *path = arguments->positionals[0];
    bool streamed;
    *npy = NULL;
    if (is_streamed(arguments, &streamed, error)) return error->status;
    if (!streamed) return read_table(path, (nf_header)option_choice(arguments, "header"), &input->file, error);
    *npy = nf_npy_open(path, error);
    if (*npy) return take_sample(arguments, *npy, is_automatic, &input->file, error);
    const bool is_wanted = option_choice(arguments, "shuffle") == SHUFFLE_BLOCKS;
    if (!is_wanted || error->status != AD_ERROR_FORMAT) return error->status;
    const ad_error why = *error;
    return ad_error_set(error, why.status,
                        "%.900s (--shuffle blocks reads a whole .npy file, as 'weir data convert' writes it)",
                        why.message);
}

/* Pixels are all alike: options that tell of single columns aren't for them. */
static ad_status check_images(const struct arguments *arguments, ad_shape size, ad_error *error)
{
    static const char *const none[] = {"drop", "weights", "budget", "tune"};
    for (size_t i = 0; size.rank && i < sizeof none / sizeof *none; i++)
        if (option_named(arguments, none[i]))
            return ad_error_set(error, AD_ERROR_ARGUMENT, "--%s isn't for images, which the rows of %s are", none[i],
                                arguments->positionals[0]);
    return AD_OK;
}

static ad_status check_pixels(ad_shape size, const char *path, const struct roles *roles, ad_error *error)
{
    const size_t pixels = ad_shape_size(size);
    if (size.rank == 0 || pixels == roles->table.columns) return AD_OK;
    return ad_error_set(error, AD_ERROR_ARGUMENT,
                        "--shape: %zu x %zu pixels of %zu channel%s are %zu numbers, but a row of %s has %zu%s",
                        size.dim[0], size.dim[1], size.dim[2], size.dim[2] == 1 ? "" : "s", pixels, path,
                        roles->table.columns, roles->given ? " without its context" : "");
}

/* Where noise is the flow's to make, pixels are features as they are. */
static ad_status leave_noise(const char *path, struct input *input, ad_error *error)
{
    const nf_column *pixel = nf_columns_column(input->roles.features, 0);
    const bool whole = pixel->kind == NF_COLUMN_INTEGER;
    if (!whole || pixel->low < 0 || pixel->high < 1 || pixel->high >= 0x1p24)
        return ad_error_set(error, AD_ERROR_FORMAT,
                            "--dequantization variational: expected pixels of whole numbers from 0 on, up to 16777215 "
                            "at most, got %s from %.10g to %.10g in %s",
                            whole ? "whole numbers" : "numbers with fractions", pixel->least, pixel->most, path);
    nf_columns *plain =
        nf_columns_plain(input->roles.table.columns, (const char *const *)input->roles.table.names, error);
    if (!plain) return error->status;
    input->data.levels = (size_t)pixel->high + 1;
    nf_columns_free(input->roles.features);
    input->data.features = input->roles.features = plain;
    return AD_OK;
}

static ad_status read_input(const struct arguments *arguments, bool is_automatic, ad_shape images, struct input *input,
                            ad_error *error)
{
    const char *path = arguments->positionals[0];
    const struct roles_text text = {option_text(arguments, "context"), option_text(arguments, "drop"),
                                    option_text(arguments, "weights"), option_text(arguments, "columns"),
                                    images.rank > 0};
    nf_npy *npy;
    *input = (struct input){0};
    ad_status status = read_file(arguments, input, is_automatic, &npy, error);
    if (!status) {
        status = roles_find(&input->file, path, &text, &input->roles, error);
        if (!status) status = check_pixels(images, path, &input->roles, error);
        if (status && npy && input->file.rows != nf_npy_rows(npy)) {
            const ad_error why = *error;
            ad_error_set(error, status, "%.900s (rows are those of a sample of %zu)", why.message, input->file.rows);
        }
    }
    if (status || is_automatic)
        nf_npy_close(npy);
    else if (npy)
        stream_begin(&input->stream, npy, path, &input->roles, option_count(arguments, "seed") + score_noise);
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
                                         .images = images,
                                         .weights = roles->weights,
                                         .streamed = input->stream.npy ? &input->stream.rows : NULL};
    if (images.rank == 0 && option_named(arguments, "dequantization"))
        return ad_error_set(error, AD_ERROR_ARGUMENT, "--dequantization is of images: --shape H,W says that rows are");
    if (option_choice(arguments, "dequantization") && leave_noise(path, input, error)) return error->status;
    return read_validation(arguments, input, error);
}

/* What was said of the table, beside the options of the training. */
static void tell_options(const struct arguments *arguments, json_t *record)
{
    static const char *const names[] = {"drop", "columns", "shape", "weights", "validation"};
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
    ad_shape images;
    if (fit_is_automatic(arguments, &is_automatic, error) || check_output(output, error) ||
        images_size(arguments, arguments->positionals[0], &images, error) || check_images(arguments, images, error))
        return error->status;
    is_automatic = is_automatic && images.rank == 0;
    ad_status status = read_input(arguments, is_automatic, images, &input, error);
    if (!status) status = checkpoint_open(arguments, &input.data.checkpoint, error);
    interrupt_catch();
    if (!status) table_warn(&input.file);
    if (!status)
        status = is_automatic ? fit_automatically(arguments, &input.data, &trained, error)
                              : train(arguments, &input.data, &trained, error);
    if (trained.flow) {
        if (context) json_object_set_new(trained.record, "context", report_text(context));
        tell_options(arguments, trained.record);
        if (input.data.streamed)
            json_object_set_new(json_object_get(trained.record, "options"), "shuffle", json_string("blocks"));
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
    .summary = "Fit a density to the rows of a file, by maximum likelihood.",
    .about = "\nWithout settings the flow, and how it is trained, are chosen by rows that are held out; where any of "
             "--flow to "
             "--ema is given, this one flow is trained.\n",
    .example = "weir fit people.csv -o people.safetensors",
    .positionals = {{"DATA", NULL,
                     "table, a row for each event: .npy, .csv, .tsv or .txt; empty cells, NA and ? are missing",
                     INPUT_FILE}},
    .groups = {options, training_options, checkpoint_options},
    .together = true,
    .run = run,
    .print = print,
};
