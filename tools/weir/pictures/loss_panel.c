/* The panel of how a fit went. */
#include "pictures/loss_panel.h"
#include "pictures/inference_picture.h"
#include "report.h"

#include <math.h>

/* Lines of epoch, train and validation loss; NaN where there is none. */
static size_t write_history(FILE *script, const json_t *record)
{
    const json_t *history = json_object_get(record, "history"), *epoch = json_object_get(history, "epoch"),
                 *train_nll = json_object_get(history, "train_nll"), *val_nll = json_object_get(history, "val_nll");
    size_t count = json_array_size(epoch);
    if (count == 0) return 0;
    fprintf(script, "$loss << EOD\n");
    for (size_t i = 0; i < count; i++) {
        const json_t *train = json_array_get(train_nll, i), *val = json_array_get(val_nll, i);
        fprintf(script, "%lld %.8g %.8g\n", json_integer_value(json_array_get(epoch, i)),
                json_is_number(train) ? json_number_value(train) : NAN,
                json_is_number(val) ? json_number_value(val) : NAN);
    }
    fprintf(script, "EOD\n");
    return count;
}

bool loss_write(FILE *script, const json_t *record)
{
    bool inferred = json_object_get(record, "target") != NULL;
    return (inferred ? inference_history(script, record) : write_history(script, record)) > 0;
}

/* The fall of the first epochs may leave the picture: what matters is where the curves end. */
static struct range loss_range(const json_t *record)
{
    static const char *const names[] = {"train_nll", "val_nll"};
    struct range range = {INFINITY, -INFINITY};
    for (size_t n = 0; n < 2; n++) {
        const json_t *losses = json_object_get(json_object_get(record, "history"), names[n]), *loss;
        size_t i, count = json_array_size(losses);
        json_array_foreach(losses, i, loss)
        {
            if (!json_is_number(loss)) continue;
            range.low = fmin(range.low, json_number_value(loss));
            if (i >= count / 20) range.high = fmax(range.high, json_number_value(loss));
        }
    }
    return with_margin(range);
}

void loss_draw(FILE *script, struct box box, const json_t *record)
{
    if (json_object_get(record, "target")) {
        inference_curve(script, box, record, INFERENCE_LOSS);
        return;
    }
    long long best = report_count_of(record, "best_epoch"), epochs = report_count_of(record, "epochs");
    double val_nll = report_number_of(record, "val_nll"), test_nll = report_number_of(record, "test_nll");
    bool validation = report_count_of(record, "val_rows") > 0;
    char title[160];
    size_t filled = (size_t)snprintf(title, sizeof title, "Loss");
    if (!isnan(val_nll))
        filled += (size_t)snprintf(title + filled, sizeof title - filled, ": validation %.3f", val_nll);
    if (!isnan(test_nll)) snprintf(title + filled, sizeof title - filled, ", test %.3f nats", test_nll);
    panel_begin(script, box, title);
    panel_ranges(script, range_of_count(epochs), loss_range(record));
    panel_label(script, "x", "epoch", "");
    panel_label(script, "y", "negative log-likelihood (nats)", "");
    fprintf(script, "set key @key_place samplen 1 font small; set title offset 0, 1\n");
    if (epochs < 5) fprintf(script, "set xtics 1\n");
    if (best > 0)
        fprintf(script,
                "set arrow from %lld, graph 0 to %lld, graph 0.58 nohead dt 2 lw 1.5 lc rgb faint\n"
                "set label ' best epoch: %lld ' at %lld, graph 0.63 %s textcolor rgb faint\n",
                best, best, best, best, 2 * best > epochs ? "right" : "left");
    /* A single epoch has no line. */
    const char *style = epochs > 1 ? "lines" : "points pt mark ps dot * 4";
    fprintf(script, "plot $loss using 1:2 with %s lw 2.5 lc rgb data_colour title 'training'", style);
    if (validation) fprintf(script, ", $loss using 1:3 with %s lw 2.5 lc rgb sample_colour title 'validation'", style);
    fprintf(script, "\n");
}
