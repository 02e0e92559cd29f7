/* weir transform: rows to the base distribution of a trained flow, and back. */
#include "columns.h"
#include "context.h"
#include "points.h"
#include "ranks.h"
#include "report.h"

#include <string.h>

static const struct option options[] = {
    {.name = "context",
     .kind = OPTION_TEXT,
     .value = "CONTEXT",
     .help = "columns of DATA that condition the flow, by name or number; those of the training where not given. With "
             "--inverse: values, or a file, as 'weir sample' takes them"},
    {.name = "inverse", .kind = OPTION_FLAG, .help = "DATA are rows of the base distribution, to be made rows of data"},
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .file = OUTPUT_FILE,
     .value = "FILE",
     .required = true,
     .help = "where to: .npy, .csv, .tsv or .txt"},
    {.name = "seed",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "1",
     .help = "of the noise that places whole numbers, labels and missing values"},
    OPTION_HEADER,
    OPTION_THREADS,
    {0},
};

/* "z1", "z2" …: count names of 24 bytes each, in one block with the pointers to them. */
static char **number_names(size_t count, ad_error *error)
{
    enum { BYTES = 24 };
    char **names = ad_alloc(count, sizeof *names + BYTES);
    if (!names) ad_error_set(error, AD_ERROR_MEMORY, "no memory for the names of %zu columns", count);
    for (size_t i = 0; names && i < count; i++) {
        names[i] = (char *)(names + count) + i * BYTES;
        snprintf(names[i], BYTES, "z%zu", i + 1);
    }
    return names;
}

static ad_status make_table(size_t rows, size_t columns, ad_dtype dtype, nf_table *table, ad_error *error)
{
    *table = (nf_table){.rows = rows, .columns = columns, .dtype = dtype};
    table->values = ad_alloc(rows, columns * sizeof *table->values);
    if (table->values) return AD_OK;
    return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", rows);
}

/* Rows of data in, of the base out. */
static ad_status to_base(const struct arguments *arguments, const struct model *model, nf_table *out, ad_pool *pool,
                         ad_error *error)
{
    struct points points;
    ad_status status = points_read(arguments->positionals[1], option_text(arguments, "context"),
                                   (nf_header)option_choice(arguments, "header"), model, &points, error);
    if (status) return status;
    size_t rows = points.features.rows, dim = nf_flow_dim(model->flow);
    double *x = ad_alloc(rows, dim * sizeof *x);
    if (!x) status = ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", rows);
    if (!status) status = make_table(rows, dim, nf_flow_dtype(model->flow), out, error);
    if (!status)
        status = model_encode(model, &points.features, option_count(arguments, "seed") + score_noise, x, pool, error);
    if (!status) status = nf_transform(model->flow, true, x, points.context, rows, out->values, NULL, pool, error);
    if (!status && !(out->names = number_names(dim, error))) status = error->status;
    ad_free(x);
    points_free(&points);
    return status;
}

/* z1, z2 … of a table, by name where it has names, by position otherwise. */
static ad_status read_base(const char *path, nf_header header, const struct model *model, nf_table *file, nf_table *z,
                           ad_error *error)
{
    size_t dim = nf_flow_dim(model->flow);
    ad_status status = read_table(path, header, file, error);
    if (status) return status;
    size_t *order = ad_alloc(dim, sizeof *order);
    bool *taken = ad_alloc(file->columns, sizeof *taken);
    char **names = order && taken ? number_names(dim, error) : NULL;
    if (!names)
        status = ad_error_set(error, AD_ERROR_MEMORY, "no memory for the order of %zu columns", dim);
    else if (file->names)
        status = columns_match(file, path, model->path, names, dim, taken, order, error);
    else if (file->columns != dim)
        status = ad_error_set(error, AD_ERROR_FORMAT, "%s has %zu columns, but the base of %s has %zu", path,
                              file->columns, model->path, dim);
    for (size_t i = 0; i < dim && !status && !file->names; i++) order[i] = i;
    if (!status) status = columns_select(file, order, dim, z, error);
    if (!status && z->labels)
        for (size_t i = 0; i < dim && !status; i++)
            if (z->labels[i])
                status = ad_error_set(error, AD_ERROR_FORMAT,
                                      "%s: column %zu has text, for example '%.100s'; points of "
                                      "the base are numbers",
                                      path, order[i] + 1, z->labels[i][0]);
    if (!status) status = nf_table_check_finite(z, path, error);
    if (!status) table_warn(file);
    ad_free(names);
    ad_free(taken);
    ad_free(order);
    return status;
}

/* Rows of the base in, of data out. */
static ad_status to_data(const struct arguments *arguments, const struct model *model, nf_table *out, ad_pool *pool,
                         ad_error *error)
{
    nf_table file = {0}, z = {0};
    struct context context = {0};
    double *x = NULL;
    ad_status status = columns_check_output(model->features, option_text(arguments, "output"), error);
    if (!status)
        status = read_base(arguments->positionals[1], (nf_header)option_choice(arguments, "header"), model, &file, &z,
                           error);
    if (!status) status = context_read(option_text(arguments, "context"), model, true, z.rows, &context, error);
    if (!status && !(x = ad_alloc(z.rows, z.columns * sizeof *x)))
        status = ad_error_set(error, AD_ERROR_MEMORY, "no memory for %zu rows", z.rows);
    if (!status) status = nf_transform(model->flow, false, z.values, context.values, z.rows, x, NULL, pool, error);
    if (!status) status = model_decode(model, x, z.rows, out, pool, error);
    ad_free(x);
    context_free(&context);
    nf_table_free(&z);
    nf_table_free(&file);
    return status;
}

/* Each flow of a mixture has a z of its own for a row. */
static ad_status is_mixture(const struct model *model, ad_error *error)
{
    if (strcmp(nf_flow_base(model->flow)->type->name, "mixture_of") != 0) return AD_OK;
    return ad_error_set(error, AD_ERROR_FORMAT,
                        "%s is a mixture of flows, in which a row has no single place in the base distribution: fit "
                        "one flow, with weir fit --flow, as 'weir info %s' names the best of them",
                        model->path, model->path);
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *path = arguments->positionals[0], *output = option_text(arguments, "output");
    bool inverse = option_flag(arguments, "inverse");
    struct model model;
    if (model_open(path, &model, error)) return error->status;
    nf_table out = {0};
    if (is_mixture(&model, error)) {
        model_close(&model);
        return error->status;
    }
    ad_pool *pool = ranks_pool(arguments, error);
    ad_status status = pool ? check_table(output, error) : error->status;
    if (!status)
        status =
            inverse ? to_data(arguments, &model, &out, pool, error) : to_base(arguments, &model, &out, pool, error);
    if (!status) status = nf_table_write(output, &out, error);
    if (!status) {
        json_object_set_new(result, "model", report_text(path));
        json_object_set_new(result, "data", report_text(arguments->positionals[1]));
        json_object_set_new(result, "output", report_text(output));
        json_object_set_new(result, "inverse", json_boolean(inverse));
        json_object_set_new(result, "rows", json_integer((json_int_t)out.rows));
        json_object_set_new(result, "columns", json_integer((json_int_t)out.columns));
    }
    ad_pool_free(pool);
    nf_table_free(&out);
    model_close(&model);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    bool inverse = json_is_true(json_object_get(result, "inverse"));
    fprintf(to, "%s: the %lld rows of %s %s\n", report_text_of(result, "output"), report_count_of(result, "rows"),
            report_text_of(result, "data"), inverse ? "as rows of data" : "in the base distribution");
}

const struct command transform_command = {
    .name = "transform",
    .summary = "Map rows to the base distribution of a trained flow, or back.",
    .example = "weir transform moons.safetensors moons.npy -o z.npy",
    .positionals = {{"MODEL", NULL, "a trained flow, as 'weir fit' saves it", INPUT_FILE},
                    {"DATA", NULL, "table: .npy, .csv, .tsv or .txt; with --inverse, columns z1, z2 …", INPUT_FILE}},
    .groups = {options},
    .run = run,
    .print = print,
};
