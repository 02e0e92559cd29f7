/* weir demo nfvi: the targets of PyMC3's notebook on normalizing flows, fitted with its formulas under its settings,
 * and with one formula for all four that comes near the best possible; beside them the moments by NUTS, on the target
 * itself and through the fitted flow, and by quadrature. */
#include "chains.h"
#include "files.h"
#include "inference.h"
#include "interrupt.h"
#include "ranks.h"
#include "report.h"
#include "pictures/target_picture.h"

#include <limits.h>
#include <math.h>
#include <string.h>

/* Of the last feature alone, and of the first given the last. Weights p/q are bounded where q has the heavier tails:
 * past the first spline they are Student's, whose scale is learned from the bulk that the spline leaves as it is. The
 * second one, on the target's scale, makes branches, and a network of sines the waves. */
static const char best_flow[] = "student(df=6):rqsar(32,32,bins=16,tail=4)-scale-"
                                "rqsar(32,32,activation=sin,bins=16,tail=8)-maf(64,activation=sin)-flip-loc";
static const char ours[] = "our formula";

#define NOTEBOOK .jitter = 1, .optimizer.learning_rate = 0.01
#define BEST                                                                                                           \
    .iters = 24000, .mc = 256, .anneal = 8000, .beta_start = 0.3, .schedule = "cosine", .optimizer.learning_rate = 0.002

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
     .help = "iterations of each fit; 24000 and, of the notebook's formulas, 25000 where it isn't given"},
    {.name = "nuts-draws",
     .kind = OPTION_COUNT,
     .value = "N",
     .initial = "1500",
     .low = 4,
     .help = "of each of 16 chains, after as many of warm-up, up to 1000"},
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

static void add_row(const struct work *w, const nf_target *target, const char *method, const double mean[2],
                    const double sd[2], json_t *rest)
{
    json_t *row = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "target", target->name, "method", method, "mean1",
                            report_number(mean[0]), "sd1", report_number(sd[0]), "mean2", report_number(mean[1]), "sd2",
                            report_number(sd[1]));
    json_object_update(row, rest);
    json_decref(rest);
    json_array_append_new(w->rows, row);
}

/* Of draws (chains, draws, 2). */
static ad_status add_row_of_draws(const struct work *w, const nf_target *target, const char *method,
                                  const double *values, size_t chains, size_t draws, json_t *rest, ad_error *error)
{
    nf_summary s[2];
    ad_status status = nf_summarize(values, chains, draws, 2, s, w->pool, error);
    if (status) {
        json_decref(rest);
        return status;
    }
    if (chains > 1) {
        json_object_set_new(rest, "rhat", report_number(fmax(s[0].rhat, s[1].rhat)));
        json_object_set_new(rest, "ess", report_number(fmin(s[0].ess_bulk, s[1].ess_bulk)));
    }
    add_row(w, target, method, (double[]){s[0].mean, s[1].mean}, (double[]){s[0].sd, s[1].sd}, rest);
    return AD_OK;
}

/* Picture, and the row. */
static ad_status show(const struct work *w, size_t number, nf_flow *flow, const nf_target *target, json_t *record,
                      const char *model, ad_error *error)
{
    char picture[PATH_MAX];
    nf_table samples = {0};
    snprintf(picture, sizeof picture, "%s/nfvi-%zu-%s.png", w->directory, number, target->name);
    ad_status status = draw_samples(flow, NULL, record, 0, 20000, w->seed, &samples, w->pool, error);
    struct picture shown = {flow, record, NULL, &samples, w->pool};
    if (!status) status = target_picture_draw(&shown, target, &(struct canvas){.path = picture}, error);
    if (!status) {
        json_t *rest = json_pack("{s:s, s:o, s:o}", "flow", fits[number].flow, "model", report_text(model), "picture",
                                 report_text(picture));
        static const char *const copied[] = {"average_loss", "khat", "seconds"};
        for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
            json_object_set(rest, copied[i], json_object_get(record, copied[i]));
        double best = -target->log_z, gap = report_number_of(record, "average_loss") - best;
        json_object_set_new(rest, "minus_log_z", report_number(best));
        json_object_set_new(rest, "gap", report_number(gap));
        const char *method = fits[number].flow == best_flow ? ours : fits[number].flow;
        status = add_row_of_draws(w, target, method, samples.values, 1, samples.rows, rest, error);
    }
    ad_free(samples.values);
    return status;
}

/* *flow is the caller's. */
static ad_status fit(const struct work *w, size_t number, const nf_target *target, nf_flow **flow, ad_error *error)
{
    char label[64], model[PATH_MAX];
    snprintf(label, sizeof label, "fit %zu/%d, %s  ", number + 1, FITS, target->name);
    snprintf(model, sizeof model, "%s/nfvi-%zu-%s.safetensors", w->directory, number, target->name);
    if (check_output(model, error)) return error->status;
    *flow = nf_flow_parse(fits[number].flow, 2, 0, AD_F32, w->seed, error);
    if (!*flow) return error->status;
    nf_vi_options o = fits[number].options;
    if (w->iters) {
        o.anneal = o.anneal * w->iters / o.iters;
        o.iters = w->iters;
    }
    o.seed = w->seed;
    o.pool = w->pool;
    nf_vi_report report = {0};
    ad_status status;
    json_t *record = infer_and_keep(*flow, target, &o, label, model, &report, &status, error);
    if (!status) status = show(w, number, *flow, target, record, model, error);
    json_decref(record);
    ad_free(report.history);
    return status;
}

/* On the target itself, or through a flow. */
static ad_status sample(const struct work *w, const nf_target *target, const nf_flow *flow, ad_error *error)
{
    char label[64];
    const char *method = flow ? "NUTS through the flow" : "NUTS";
    nf_nuts_result drawn;
    nf_nuts_options o = {.chains = 16,
                         .tune = w->nuts_draws < 1000 ? w->nuts_draws : 1000,
                         .draws = w->nuts_draws,
                         .flow = flow,
                         .seed = w->seed,
                         .pool = w->pool};
    snprintf(label, sizeof label, "%s, %s  ", method, target->name);
    interrupt_catch();
    ad_status status = draw_chains(target, &o, label, &drawn, error);
    interrupt_release();
    if (status) return status;
    if (drawn.stopped)
        status = ad_error_set(error, AD_ERROR_INTERRUPTED, "interrupted while NUTS drew from %s", target->name);
    else
        status = add_row_of_draws(w, target, method, drawn.values, drawn.chains, drawn.draws,
                                  json_pack("{s:o}", "seconds", report_number(drawn.seconds)), error);
    nf_nuts_free(&drawn);
    return status;
}

/* The trapezoidal rule, on a box beyond which no target has more than 1e-8 of its mass; steps are a few to each
 * standard deviation, and one is on the edge that |z1| makes. */
static ad_status integrate(const struct work *w, const nf_target *target, ad_error *error)
{
    enum { ACROSS = 4001, UP = 161, NODES = ACROSS * UP };
    const double step[2] = {0.1, 0.1};
    double *z = ad_alloc(NODES, 3 * sizeof *z), *log_density = z ? z + 2 * (size_t)NODES : NULL;
    if (!z) return ad_error_set(error, AD_ERROR_MEMORY, "no memory for %d nodes", NODES);
    for (int i = 0; i < NODES; i++) {
        z[2 * i] = (i / UP - ACROSS / 2) * step[0];
        z[2 * i + 1] = (i % UP - UP / 2) * step[1];
    }
    ad_status status = nf_target_log_densities(target, z, NODES, log_density, w->pool, error);
    double mass = 0, sum[2] = {0}, squares[2] = {0}, mean[2], sd[2];
    for (int i = 0; i < NODES && !status; i++) {
        double density = exp(log_density[i]);
        mass += density;
        for (int k = 0; k < 2; k++) {
            sum[k] += density * z[2 * i + k];
            squares[k] += density * z[2 * i + k] * z[2 * i + k];
        }
    }
    ad_free(z);
    if (status) return status;
    for (int k = 0; k < 2; k++) {
        mean[k] = sum[k] / mass;
        sd[k] = sqrt(squares[k] / mass - mean[k] * mean[k]);
    }
    add_row(w, target, "quadrature", mean, sd, json_object());
    return AD_OK;
}

/* The fits of a target, then its moments by other means, so that one can look from one to the other. */
static ad_status run_all(const struct work *w, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t i = 0; i < FITS && !status; i++) {
        nf_target *target = nf_target_parse(fits[i].target, error);
        if (!target) return error->status;
        nf_flow *flow = NULL;
        bool last = i + 1 == FITS || strcmp(fits[i + 1].target, fits[i].target) != 0;
        status = fit(w, i, target, &flow, error);
        if (!status && last) status = sample(w, target, flow, error);
        if (!status && last) status = sample(w, target, NULL, error);
        if (!status && last) status = integrate(w, target, error);
        nf_flow_free(flow);
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
    w.pool = ranks_pool(arguments, error);
    ad_status status = w.pool ? run_all(&w, error) : error->status;
    ad_pool_free(w.pool);
    json_object_set_new(result, "directory", report_text(w.directory));
    return status;
}

static const struct {
    const char *key, *heading;
    int width, digits;
} columns[] = {
    {"average_loss", "loss", 9, 4}, {"minus_log_z", "-log Z", 9, 4},
    {"gap", "gap", 8, 4},           {"khat", "k-hat", 7, 2},
    {"rhat", "R-hat", 7, 3},        {"seconds", "seconds", 9, 1},
    {"mean1", "z1: mean", 11, 3},   {"sd1", "sd", 8, 3},
    {"mean2", "z2: mean", 11, 3},   {"sd2", "sd", 8, 3},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* A blank where there is no number. */
static void print_row(const json_t *row, bool first, FILE *to)
{
    fprintf(to, "%-7s %-22s", first ? report_text_of(row, "target") : "", report_text_of(row, "method"));
    for (size_t k = 0; k < COLUMNS; k++) {
        double number = report_number_of(row, columns[k].key);
        if (isnan(number))
            fprintf(to, "%*s", columns[k].width, "");
        else
            fprintf(to, "%*.*f", columns[k].width, columns[k].digits, fabs(number) < 1e-6 ? 0 : number);
    }
    fprintf(to, "\n");
}

static void print(const json_t *result, FILE *to)
{
    const json_t *rows = json_object_get(result, "rows"), *row;
    const char *before = "";
    size_t i;
    if (json_array_size(rows) == 0) return;
    fprintf(to, "%-7s %-22s", "target", "method");
    for (size_t k = 0; k < COLUMNS; k++) fprintf(to, "%*s", columns[k].width, columns[k].heading);
    fprintf(to, "\n");
    json_array_foreach(rows, i, row)
    {
        print_row(row, strcmp(before, report_text_of(row, "target")) != 0, to);
        before = report_text_of(row, "target");
    }
    fprintf(to, "\n%s: %s\nmodels and pictures are in %s\n", ours, best_flow, report_text_of(result, "directory"));
}

const struct command demo_nfvi_command = {
    .name = "demo nfvi",
    .summary = "Fit the targets of PyMC3's notebook on normalizing flows, and compare with NUTS.",
    .example = "weir demo nfvi",
    .groups = {options},
    .run = run,
    .print = print,
};
