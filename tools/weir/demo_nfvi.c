/* weir demo nfvi: the targets of PyMC3's notebook on normalizing flows, fitted with its formulas under its settings,
 * and with one formula for all four that comes near the best possible; beside them the moments that NUTS finds. */
#include "files.h"
#include "inference.h"
#include "nuts.h"
#include "report.h"
#include "target_picture.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* Of the last feature alone, and of the first given the last: tails by a spline, branches by another on the target's
 * scale, and waves by a network of sines. */
static const char best_flow[] =
    "rqsar(32,32,bins=16,tail=5)-scale-rqsar(32,32,activation=sin,bins=16,tail=6)-maf(64,activation=sin)-flip-loc";

#define NOTEBOOK .jitter = 1, .schedule = NF_CONSTANT, .optimizer.learning_rate = 0.01
#define BEST     .iters = 16000, .mc = 256, .anneal = 5000, .beta_start = 0.3, .optimizer.learning_rate = 0.002

/* What is fitted: the notebook's fits, as it has them, and ours. */
static const struct fit {
    const char *target, *flow;
    nf_vi_options options;
} fits[] = {
    {"pot1", "planar*8", {.iters = 25000, .mc = 100, NOTEBOOK}},
    {"pot1", best_flow, {BEST}},
    {"pot2", best_flow, {BEST}},
    {"pot3", best_flow, {BEST}},
    {"pot4", "planar*10", {.iters = 25000, .mc = 10, NOTEBOOK}},
    {"pot4", best_flow, {BEST}},
};
enum { FITS = sizeof fits / sizeof *fits };

static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .value = "DIR",
     .initial = "weir-demo",
     .help = "directory for the models and the pictures"},
    {.name = "iters",
     .kind = OPTION_COUNT,
     .value = "N",
     .low = 1,
     .help = "iterations of each fit; 16000 and, of the notebook's formulas, 25000 where it isn't given"},
    {.name = "nuts-draws",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "3000",
     .low = 4,
     .help = "of each of 8 chains"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the initial parameters and draws"},
    OPTION_THREADS,
    {0},
};

struct work {
    const char *directory;
    uint64_t seed;
    size_t iters, nuts_draws; /* iters 0: as fits has them */
    ad_pool *pool;
    json_t *rows; /* of the table */
};

/* ---- Rows ----------------------------------------------------------------------------------------------------- */

static void add_moments(json_t *row, const nf_summary summary[2])
{
    static const char *const names[2][2] = {{"mean1", "sd1"}, {"mean2", "sd2"}};
    for (size_t i = 0; i < 2; i++) {
        json_object_set_new(row, names[i][0], report_number(summary[i].mean));
        json_object_set_new(row, names[i][1], report_number(summary[i].sd));
    }
}

/* Picture, model, and the row. */
static ad_status keep(const struct work *w, size_t number, nf_flow *flow, const nf_target *target, json_t *record,
                      ad_error *error)
{
    char model[PATH_MAX], picture[PATH_MAX];
    nf_table samples = {0};
    nf_summary summary[2];
    snprintf(model, sizeof model, "%s/nfvi-%zu-%s.safetensors", w->directory, number, target->name);
    snprintf(picture, sizeof picture, "%s/nfvi-%zu-%s.png", w->directory, number, target->name);
    ad_status status = save_model(flow, record, model, error);
    if (!status) status = draw_samples(flow, NULL, record, 20000, w->seed, &samples, w->pool, error);
    if (!status) status = nf_summarize(samples.values, 1, samples.rows, 2, summary, w->pool, error);
    struct picture shown = {flow, record, NULL, &samples, w->pool};
    if (!status) status = target_picture_draw(&shown, target, picture, error);
    ad_free(samples.values);
    if (status) return status;
    json_t *row = json_pack("{s:s, s:s, s:s, s:s}", "target", target->name, "method", fits[number].flow, "model", model,
                            "picture", picture);
    static const char *const copied[] = {"average_loss", "exact_log_z", "khat", "seconds"};
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        json_object_set(row, copied[i], json_object_get(record, copied[i]));
    add_moments(row, summary);
    json_array_append_new(w->rows, row);
    return AD_OK;
}

static ad_status fit(const struct work *w, size_t number, const nf_target *target, ad_error *error)
{
    char label[64];
    snprintf(label, sizeof label, "fit %zu/%d, %s  ", number + 1, FITS, target->name);
    nf_flow *flow = nf_flow_parse(fits[number].flow, 2, 0, AD_F32, w->seed, error);
    if (!flow) return error->status;
    nf_vi_options o = fits[number].options;
    if (w->iters) {
        o.anneal = o.anneal * w->iters / o.iters;
        o.iters = w->iters;
    }
    o.seed = w->seed;
    o.pool = w->pool;
    nf_vi_report report = {0};
    ad_status status = infer(flow, target, &o, label, &report, error);
    json_t *record = status ? NULL : inference_record(target->name, target, flow, &report, w->seed, w->pool, error);
    if (!status) status = record ? keep(w, number, flow, target, record, error) : error->status;
    json_decref(record);
    ad_free(report.history);
    nf_flow_free(flow);
    return status;
}

static ad_status sample(const struct work *w, const nf_target *target, ad_error *error)
{
    nf_nuts_result drawn;
    nf_summary summary[2];
    nf_nuts_options o = {.chains = 8, .tune = 1000, .draws = w->nuts_draws, .seed = w->seed, .pool = w->pool};
    ad_status status = nf_nuts(target, &o, &drawn, error);
    if (status) return status;
    status = nf_summarize(drawn.values, drawn.chains, drawn.draws, 2, summary, w->pool, error);
    if (!status) {
        json_t *row = json_pack("{s:s, s:s, s:o}", "target", target->name, "method", "NUTS", "seconds",
                                report_number(drawn.seconds));
        add_moments(row, summary);
        json_object_set_new(row, "rhat", report_number(fmax(summary[0].rhat, summary[1].rhat)));
        json_array_append_new(w->rows, row);
    }
    nf_nuts_free(&drawn);
    return status;
}

/* The fits of a target, then NUTS, so that one can look from one to the other. */
static ad_status run_all(const struct work *w, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t i = 0; i < FITS && !status; i++) {
        nf_target *target = nf_target_parse(fits[i].target, error);
        if (!target) return error->status;
        bool last = i + 1 == FITS || strcmp(fits[i + 1].target, fits[i].target) != 0;
        status = fit(w, i, target, error);
        if (!status && last) status = sample(w, target, error);
        nf_target_free(target);
    }
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    struct work w = {.directory = option_text(arguments, "output"),
                     .seed = option_count(arguments, "seed"),
                     .iters = option_count(arguments, "iters"),
                     .nuts_draws = option_count(arguments, "nuts-draws"),
                     .rows = json_array()};
    json_object_set_new(result, "rows", w.rows);
    if (make_directory(w.directory, error)) return error->status;
    w.pool = ad_pool_new((int)option_count(arguments, "threads"), error);
    ad_status status = w.pool ? run_all(&w, error) : error->status;
    ad_pool_free(w.pool);
    json_object_set_new(result, "directory", report_text(w.directory));
    return status;
}

static void print(const json_t *result, FILE *to)
{
    const json_t *rows = json_object_get(result, "rows"), *row;
    size_t i;
    if (json_array_size(rows) == 0) return;
    fprintf(to, "target     loss   -log Z     gap   k-hat     time  z1: mean    sd  z2: mean    sd  method\n");
    json_array_foreach(rows, i, row)
    {
        double loss = report_number_of(row, "average_loss"), best = -report_number_of(row, "exact_log_z");
        char text[32];
        fprintf(to, "%-6s ", report_text_of(row, "target"));
        if (isnan(loss))
            fprintf(to, "%32s", "");
        else
            fprintf(to, "%8.4f %8.4f %7.4f %7.2f", loss, best, loss - best, report_number_of(row, "khat"));
        fprintf(to, " %8s  %8.3f %5.2f  %8.3f %5.2f  %s\n", report_seconds(report_number_of(row, "seconds"), text),
                report_number_of(row, "mean1"), report_number_of(row, "sd1"), report_number_of(row, "mean2"),
                report_number_of(row, "sd2"), report_text_of(row, "method"));
    }
    fprintf(to, "\nmodels and pictures are in %s\n", report_text_of(result, "directory"));
}

const struct command demo_nfvi_command = {
    .name = "demo nfvi",
    .summary = "Fit the targets of PyMC3's notebook on normalizing flows, and compare with NUTS.",
    .example = "weir demo nfvi",
    .groups = {options},
    .run = run,
    .print = print,
};
