/* weir plot: a picture of a trained flow. */
#include "columns.h"
#include "context.h"
#include "images.h"
#include "nearest.h"
#include "pictures/pairs_picture.h"
#include "pictures/sheet_picture.h"
#include "pictures/steps_picture.h"
#include "pictures/target_picture.h"
#include "points.h"
#include "ranks.h"
#include "report.h"

#include <math.h>
#include <string.h>

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
     .help = "of a conditional flow, values, as in '0.5,Oslo' or 'city=Oslo,age=0.5': the picture is of the density "
             "there"},
    {.name = "show",
     .kind = OPTION_TEXT,
     .value = "COLUMNS",
     .help =
         "columns to show, names or numbers, as in 'age,dose' or '3,4'; the first 24 where not given, in a terminal "
         "the first three"},
    {.name = "steps",
     .kind = OPTION_FLAG,
     .help = "show samples after each step of the formula's chain, in the first two features"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where the picture goes: .png, .svg or .pdf; '-', where that is a terminal, shows it there, as sixels or "
             "text, and is a PNG otherwise"},
    {.name = "title",
     .kind = OPTION_TEXT,
     .value = "TEXT",
     .empty = true,
     .help = "in the place of the flow's formula; '' leaves the title out"},
    {.name = "size",
     .kind = OPTION_TEXT,
     .value = "WxH",
     .help = "width and height, as in '1200x800', in pixels, of which a PDF has 192 to the inch; in a terminal, in "
             "characters"},
    {.name = "dark", .kind = OPTION_FLAG, .help = "light on dark"},
    {.name = "rows",
     .letter = 'n',
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "10000",
     .low = 1,
     .help = "how many samples to draw; of a flow of images, which is shown as a sheet of them, at most 96"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the samples"},
    OPTION_HEADER,
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

/* The first columns of samples, but where there are too many, for those that tell nothing. */
static size_t choose_first(const nf_table *all, const nf_columns *columns, size_t most, size_t *order)
{
    size_t count = 0;
    for (size_t c = 0, at = 0; c < nf_columns_count(columns) && count < most && at < all->columns; c++) {
        const nf_column *column = nf_columns_column(columns, c);
        if (column->kind == NF_COLUMN_DROPPED) continue;
        if (all->columns <= most || column->features > 0) order[count++] = at;
        at++;
    }
    /* Of a target there may be more columns than features. */
    for (; count < most && count < all->columns && nf_columns_count(columns) < all->columns; count++)
        order[count] = count;
    return count;
}

/* The columns that are shown, of a table of all. */
static ad_status choose(const char *text, const char *path, const nf_table *all, const nf_columns *columns, size_t most,
                        size_t *order, size_t *count, ad_error *error)
{
    *count = choose_first(all, columns, most, order);
    if (!text) return AD_OK;
    bool *taken = ad_alloc(all->columns, sizeof *taken);
    if (!taken) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", all->columns);
    ad_status status = columns_parse(text, "show", path, all, order, taken, count, error);
    ad_free(taken);
    if (status || *count <= PAIRS_MOST) return status;
    return ad_error_set(error, AD_ERROR_ARGUMENT, "--show: %zu columns are more than the %d that can be made out",
                        *count, PAIRS_MOST);
}

/* The labels of a table are indices of its own list: make them those of another's, NaN where that has none. */
static void take_labels(nf_table *table, const nf_table *other)
{
    for (size_t c = 0; table->labels && other->labels && c < table->columns; c++) {
        char **from = table->labels[c], **to = other->labels[c];
        for (size_t r = 0; from && to && r < table->rows; r++) {
            double *value = &table->values[r * table->columns + c];
            size_t k = 0;
            if (isnan(*value)) continue;
            while (to[k] && strcmp(to[k], from[(size_t)*value]) != 0) k++;
            *value = to[k] ? (double)k : NAN;
        }
    }
}

/* Of the features of the data, those that samples have too. */
static ad_status keep(const nf_table *all, const nf_columns *columns, nf_table *kept, ad_error *error)
{
    size_t *order = ad_alloc(all->columns, sizeof *order), count = 0;
    if (!order) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", all->columns);
    for (size_t c = 0; c < all->columns; c++)
        if (nf_columns_column(columns, c)->kind != NF_COLUMN_DROPPED) order[count++] = c;
    ad_status status = columns_select(all, order, count, kept, error);
    ad_free(order);
    return status;
}

/* Of the rows, those that are near a conditional picture's context. */
static ad_status keep_near(const struct points *points, struct picture *picture, nf_table *data, ad_error *error)
{
    const size_t size = nf_flow_context_size(picture->flow);
    if (size == 0 || data->rows == 0) return AD_OK;
    size_t *rows = ad_alloc(data->rows, sizeof *rows);
    if (!rows) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for the numbers of %zu rows", data->rows);
    ad_status status = nearest_rows(points->context, data->rows, size, picture->given, rows, &picture->near, error);
    for (size_t i = 0; i < picture->near; i++)
        memmove(data->values + i * data->columns, data->values + rows[i] * data->columns,
                data->columns * sizeof *data->values);
    if (!status) data->rows = picture->near;
    ad_free(rows);
    return status;
}

/* With the columns that were chosen in the place of all. */
static ad_status draw_chosen(const struct arguments *arguments, struct canvas *canvas, struct picture *picture,
                             const nf_table *samples, const nf_table *data, size_t *drawn, ad_error *error)
{
    enum { TEXT_MOST = 3 };
    const char *model = arguments->positionals[0];
    nf_table shown = {0}, shown_data = {0};
    if (data && data->columns != samples->columns)
        return ad_error_set(error, AD_ERROR_FORMAT, "--data: its %zu columns can't be shown beside %zu of %s",
                            data->columns, samples->columns, model);
    size_t count, *order = ad_alloc(samples->columns + PAIRS_MOST, sizeof *order);
    if (!order) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu columns", samples->columns);
    ad_status status = choose(option_text(arguments, "show"), model, samples, picture->features,
                              canvas_is_text(canvas) ? TEXT_MOST : PAIRS_MOST, order, &count, error);
    if (!status) status = columns_select(samples, order, count, &shown, error);
    if (!status && data) status = columns_select(data, order, count, &shown_data, error);
    if (!status && data) take_labels(&shown_data, &shown);
    picture->samples = &shown;
    picture->data = data ? &shown_data : NULL;
    picture->columns = samples->columns;
    *drawn = count;
    if (!status) status = picture_draw(picture, canvas, error);
    nf_table_free(&shown_data);
    nf_table_free(&shown);
    ad_free(order);
    return status;
}

static ad_status draw(const struct arguments *arguments, const struct model *model, struct canvas *canvas,
                      struct picture *picture, const struct points *points, const struct context *context,
                      size_t *drawn, ad_error *error)
{
    nf_target *target;
    nf_table samples = {0}, data = {0};
    if (find_target(arguments, picture, &target, error)) return error->status;
    ad_status status = model_sample(model, context->values, 0, option_count(arguments, "rows"),
                                    option_count(arguments, "seed"), &samples, picture->pool, error);
    if (!status && points) status = keep(&points->features, model->features, &data, error);
    if (!status && points) status = keep_near(points, picture, &data, error);
    picture->samples = &samples;
    if (!status && target && !points && samples.columns == 2 && nf_target_size(target) == 2)
        status = target_picture_draw(picture, target, canvas, error);
    else if (!status)
        status = draw_chosen(arguments, canvas, picture, &samples, points ? &data : NULL, drawn, error);
    nf_table_free(&data);
    nf_table_free(&samples);
    nf_target_free(target);
    return status;
}

/* Of images, as many samples as a sheet has room for, unless fewer are asked for. */
static ad_status draw_sheet(const struct arguments *arguments, const struct model *model, const struct picture *picture,
                            const struct points *points, struct canvas *canvas, ad_error *error)
{
    enum { MOST = SHEET_ACROSS * SHEET_DOWN };
    const size_t asked = option_count(arguments, "rows"), rows = asked < MOST ? asked : MOST;
    nf_table samples = {0};
    ad_status status =
        model_sample(model, picture->given, 0, rows, option_count(arguments, "seed"), &samples, picture->pool, error);
    if (!status)
        status = sheet_picture_draw(images_of_flow(model->flow), model->features, &samples,
                                    points ? &points->features : NULL, canvas, error);
    nf_table_free(&samples);
    return status;
}

static ad_status draw_model(const struct arguments *arguments, const struct model *model, struct canvas *canvas,
                            const struct points *points, size_t *columns, size_t *drawn, ad_error *error)
{
    struct context context = {0};
    struct picture picture = {.flow = model->flow,
                              .record = model->record,
                              .features = model->features,
                              .context = option_text(arguments, "context"),
                              .pool = ranks_pool(arguments, error)};
    if (!picture.pool) return error->status;
    ad_status status = context_read(picture.context, model, false, option_count(arguments, "rows"), &context, error);
    picture.given = context.values;
    if (!status && option_flag(arguments, "steps"))
        status = steps_picture_draw(&picture, option_count(arguments, "seed"), canvas, error);
    else if (!status && images_of_flow(model->flow).rank && !option_named(arguments, "show"))
        status = draw_sheet(arguments, model, &picture, points, canvas, error);
    else if (!status)
        status = draw(arguments, model, canvas, &picture, points, &context, drawn, error);
    *columns = picture.columns;
    context_free(&context);
    ad_pool_free(picture.pool);
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *output = option_text(arguments, "output");
    const char *input = option_text(arguments, "data");
    struct canvas canvas = {
        .path = output, .title = option_text(arguments, "title"), .dark = option_flag(arguments, "dark")};
    if (canvas_check(output, error) || canvas_parse_size(option_text(arguments, "size"), &canvas, error))
        return error->status;
    struct model model;
    if (model_open(path, &model, error)) return error->status;
    struct points points = {0};
    ad_status status = check_output(output, error);
    size_t columns = 0, drawn = 0;
    if (!status && input)
        status = points_read(input, NULL, (nf_header)option_choice(arguments, "header"), &model, &points, error);
    if (!status) status = draw_model(arguments, &model, &canvas, input ? &points : NULL, &columns, &drawn, error);
    if (!status) {
        json_object_set_new(result, "model", report_text(path));
        if (input) json_object_set_new(result, "data", report_text(input));
        json_object_set_new(result, "output", report_text(output));
        json_object_set_new(result, "rows", json_integer((json_int_t)option_count(arguments, "rows")));
        json_object_set_new(result, "seed", json_integer((json_int_t)option_count(arguments, "seed")));
        if (columns > 0) json_object_set_new(result, "columns", json_integer((json_int_t)columns));
        if (columns > 0) json_object_set_new(result, "columns_shown", json_integer((json_int_t)drawn));
    }
    points_free(&points);
    model_close(&model);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    fprintf(to, "%s: picture of %s\n", report_text_of(result, "output"), report_text_of(result, "model"));
    long long all = report_count_of(result, "columns"), shown = report_count_of(result, "columns_shown");
    if (shown < all) fprintf(to, "%lld of the %lld columns are shown; --show names others\n", shown, all);
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
