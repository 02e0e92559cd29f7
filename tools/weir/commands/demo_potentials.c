/* weir demo potentials: figure 3 of Rezende & Mohamed 2015, "Variational inference with normalizing flows": four
 * energies, and what 2, 8 and 32 planar layers make of them, over [-4, 4]². Those without a normaliser, U2 … U4, have
 * walls there, as targets u2 … u4. */
#include "files.h"
#include "pictures/gnuplot.h"
#include "pictures/panels.h"
#include "inference.h"
#include "ranks.h"
#include "report.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { TARGETS = 4, DEPTHS = 3, GRID = 200, WIDTH = 1300, HEIGHT = 1340 };

static const char *const targets[TARGETS] = {"pot1", "u2", "u3", "u4"};
static const unsigned depths[DEPTHS] = {2, 8, 32};
static const struct range window = {-4, 4};

static const struct option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .value = "DIR",
     .initial = "weir-demo",
     .help = "directory for the models and the picture"},
    {.name = "iters", .kind = OPTION_COUNT, .value = "N", .initial = "20000", .low = 1, .help = "steps of each fit"},
    {.name = "mc", .kind = OPTION_COUNT, .value = "N", .initial = "4096", .low = 1, .help = "draws a step"},
    {.name = "lr",
     .kind = OPTION_NUMBER,
     .value = "RATE",
     .initial = "0.005",
     .above_low = true,
     .help = "learning rate, at the start"},
    {.name = "seed", .kind = OPTION_COUNT, .value = "N", .initial = "1", .help = "of the initial parameters and draws"},
    OPTION_THREADS,
    {0},
};

struct work {
    const struct arguments *arguments;
    ad_pool *pool;
    FILE *script;
    json_t *fits;
};

static ad_status write_target(const struct work *w, const nf_target *target, size_t row, ad_error *error)
{
    struct grid grid;
    char block[32];
    snprintf(block, sizeof block, "target%zu", row);
    ad_status status = grid_make(&grid, window, window, GRID, error);
    if (!status) status = nf_target_log_densities(target, grid.points, GRID * GRID, grid.log_density, w->pool, error);
    if (!status) grid_write(w->script, block, &grid, grid_peak(&grid));
    grid_free(&grid);
    return status;
}

static ad_status write_flow(const struct work *w, nf_flow *flow, size_t row, size_t column, ad_error *error)
{
    struct grid grid;
    char block[32];
    snprintf(block, sizeof block, "flow%zu_%zu", row, column);
    ad_status status = grid_make(&grid, window, window, GRID, error);
    if (!status) status = grid_flow(&grid, flow, option_count(w->arguments, "seed"), w->pool, error);
    if (!status) grid_write(w->script, block, &grid, grid_peak(&grid));
    grid_free(&grid);
    return status;
}

/* Half of the iterations on a flatter target, as in the paper: all its parts are found. */
static ad_status fit(const struct work *w, const nf_target *target, size_t row, size_t column, ad_error *error)
{
    const struct arguments *arguments = w->arguments;
    char formula[32], label[32], path[PATH_MAX];
    uint64_t seed = option_count(arguments, "seed");
    snprintf(formula, sizeof formula, "planar*%u", depths[column]);
    snprintf(label, sizeof label, "U%zu K=%u  ", row + 1, depths[column]);
    snprintf(path, sizeof path, "%s/%s-%u.safetensors", option_text(arguments, "output"), target->name, depths[column]);
    nf_flow *flow = nf_flow_parse(formula, 2, 0, AD_F32, seed, error);
    if (!flow) return error->status;
    size_t iters = option_count(arguments, "iters");
    nf_vi_options o = {.iters = iters,
                       .mc = option_count(arguments, "mc"),
                       .anneal = iters / 2,
                       .schedule = "cosine",
                       .optimizer.learning_rate = option_number(arguments, "lr"),
                       .seed = seed,
                       .pool = w->pool};
    nf_vi_report report = {0};
    ad_status status;
    json_t *record = infer_and_keep(flow, target, &o, label, path, &report, &status, error);
    if (!status) {
        json_array_append_new(w->fits, json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "target", target->name,
                                                 "layers", (json_int_t)depths[column], "average_loss",
                                                 report_number(report.average_loss), "exact_log_z",
                                                 report_number(target->log_z), "khat", report_number(report.score.khat),
                                                 "seconds", report_number(report.seconds), "model", report_text(path)));
        status = write_flow(w, flow, row, column, error);
    }
    json_decref(record);
    ad_free(report.history);
    nf_flow_free(flow);
    return status;
}

/* In the corner of a flow its divergence: the loss is KL(q‖p) - log Z. */
static void draw_panel(const struct work *w, size_t row, size_t column, const char *block, const char *title)
{
    const struct grid axes = {.x = window, .y = window, .cells = GRID};
    double width = 0.232, height = 0.225, left = 0.05 + (double)column * 0.237, top = 0.93 - (double)row * 0.23;
    panel_begin(w->script, (struct box){left, left + width, top - height, top}, row == 0 ? title : "");
    panel_ranges(w->script, window, window);
    fprintf(w->script, "unset tics; unset xlabel; unset ylabel\n");
    if (column == 0) fprintf(w->script, "set ylabel 'U_%zu'\n", row + 1);
    const json_t *fit = column > 0 ? json_array_get(w->fits, row * DEPTHS + column - 1) : NULL;
    if (fit)
        fprintf(w->script, "set label 1 '%.3f' at graph 0.95, graph 0.06 right front textcolor rgb 'white'\n",
                report_number_of(fit, "average_loss") + report_number_of(fit, "exact_log_z"));
    panel_heat_map(w->script, block, &axes);
}

static ad_status draw(const struct work *w, const char *path, ad_error *error)
{
    struct canvas canvas = {.path = path};
    canvas_begin(w->script, &canvas, WIDTH, HEIGHT);
    panels_title(w->script, &canvas,
                 "Four energies over [-4, 4]², and planar flows of K layers with their Kullback-Leibler divergences");
    fprintf(w->script, "unset colorbox\n");
    for (size_t row = 0; row < TARGETS; row++)
        for (size_t column = 0; column <= DEPTHS; column++) {
            char block[32], title[32] = "target";
            if (column > 0) snprintf(title, sizeof title, "K = %u", depths[column - 1]);
            if (column > 0) snprintf(block, sizeof block, "flow%zu_%zu", row, column - 1);
            if (column == 0) snprintf(block, sizeof block, "target%zu", row);
            draw_panel(w, row, column, block, title);
        }
    panels_end(w->script);
    return gnuplot_finish(w->script, path, error);
}

static ad_status fit_all(const struct work *w, ad_error *error)
{
    ad_status status = AD_OK;
    for (size_t row = 0; row < TARGETS && !status; row++) {
        nf_target *target = nf_target_parse(targets[row], error);
        if (!target) return error->status;
        status = write_target(w, target, row, error);
        for (size_t column = 0; column < DEPTHS && !status; column++) status = fit(w, target, row, column, error);
        nf_target_free(target);
    }
    return status;
}

static ad_status run(const struct arguments *arguments, json_t *result, ad_error *error)
{
    const char *directory = option_text(arguments, "output");
    char picture[PATH_MAX];
    if (make_directory(directory, error)) return error->status;
    snprintf(picture, sizeof picture, "%s/potentials.png", directory);
    if (check_output(picture, error)) return error->status;
    struct work w = {.arguments = arguments, .fits = json_array()};
    json_object_set_new(result, "fits", w.fits);
    w.pool = ranks_pool(arguments, error);
    w.script = w.pool ? gnuplot_begin(error) : NULL;
    ad_status status = w.script ? fit_all(&w, error) : error->status;
    if (!status) {
        status = draw(&w, picture, error);
        if (!status) json_object_set_new(result, "picture", report_text(picture));
    } else if (w.script) {
        fclose(w.script);
    }
    ad_pool_free(w.pool);
    return status;
}

static void print(const json_t *result, FILE *to)
{
    const json_t *fits = json_object_get(result, "fits"), *one;
    double seconds = 0;
    char text[32];
    size_t i;
    if (json_array_size(fits) > 0) fprintf(to, "target  layers      loss    -log Z       gap     k-hat      time\n");
    json_array_foreach(fits, i, one)
    {
        double loss = report_number_of(one, "average_loss"), best = -report_number_of(one, "exact_log_z");
        seconds += report_number_of(one, "seconds");
        fprintf(to, "%-6s  %6lld  %8.4f  %8.4f  %8.4f  %8.2f  %8s\n", report_text_of(one, "target"),
                report_count_of(one, "layers"), loss, best, loss - best, report_number_of(one, "khat"),
                report_seconds(report_number_of(one, "seconds"), text));
    }
    if (json_object_get(result, "picture"))
        fprintf(to, "\nall fits    %s\npicture     %s\n", report_seconds(seconds, text),
                report_text_of(result, "picture"));
}

const struct command demo_potentials_command = {
    .name = "demo potentials",
    .summary = "Fit planar flows of 2, 8 and 32 layers to the four energies of Rezende & Mohamed (2015).",
    .example = "weir demo potentials",
    .groups = {options},
    .run = run,
    .print = print,
};
