/* Showing on stderr how far a training is. */
#include "progress.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double redraw_seconds = 0.1, least_seconds = 0.5, line_seconds = 5, line_fraction = 0.1;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

struct progress progress_start(size_t epochs, size_t rows, size_t batch)
{
    const char *kind = getenv("TERM");
    double time = now();
    return (struct progress){
        .terminal = isatty(STDERR_FILENO) && kind && strcmp(kind, "dumb") != 0,
        .epochs = epochs,
        .epoch_steps = (rows + batch - 1) / batch,
        .step_rows = batch < rows ? batch : rows,
        .last = {.train_nll = NAN, .val_nll = NAN},
        .started = time,
        .shown = time,
    };
}

/* Each start but the one that is trained on adds its trial to the epochs. */
static double fraction_done(const struct progress *p)
{
    double part = p->epoch_steps ? (double)(p->step - p->last.step) / (double)p->epoch_steps : 0;
    size_t others = p->last.starts ? p->last.starts - 1 : 0;
    size_t before = p->last.epoch <= p->last.start_epochs && p->last.start ? p->last.start - 1 : others;
    return ((double)(p->last.epoch + before * p->last.start_epochs) + fmin(part, 1)) /
           (double)(p->epochs + others * p->last.start_epochs);
}

/* "start 2/4  epoch 12/100  1.1M rows/s  0:07 left  train 0.412  val 0.431" */
static void describe(const struct progress *p, char *text, size_t size)
{
    double seconds = now() - p->started, fraction = fraction_done(p);
    size_t steps = p->step > p->last.step ? p->step - p->last.step : 0;
    double rows = (double)p->last.rows + (double)(steps * p->step_rows);
    char rate[32], left[32], start[64] = "";
    if (p->last.starts > 1 && p->last.epoch <= p->last.start_epochs)
        snprintf(start, sizeof start, "start %zu/%zu  ", p->last.start, p->last.starts);
    size_t n = (size_t)snprintf(text, size, "%sepoch %zu/%zu  %s rows/s  %s left", start, p->last.epoch, p->epochs,
                                report_rate(rows / fmax(seconds, 1e-9), rate),
                                report_duration(seconds / fmax(fraction, 1e-9) * (1 - fraction), left));
    if (!isnan(p->last.train_nll) && n < size)
        n += (size_t)snprintf(text + n, size - n, "  train %.4g", p->last.train_nll);
    if (!isnan(p->last.val_nll) && n < size) snprintf(text + n, size - n, "  val %.4g", p->last.val_nll);
}

static size_t terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* The text comes first; the bar gets what room it leaves. */
static void draw_bar(const struct progress *p)
{
    enum { LONGEST = 40, SHORTEST = 10 };
    char text[256], bar[LONGEST + 1] = "";
    describe(p, text, sizeof text);
    size_t columns = terminal_columns();
    size_t taken = strlen(text) + sizeof "[] 100%  ";
    size_t length = columns > taken ? columns - taken : 0;
    if (length > LONGEST) length = LONGEST;
    int percent = (int)(100 * fraction_done(p));
    if (length < SHORTEST) {
        fprintf(stderr, "\r\033[K%.*s", (int)columns - 1, text);
        return;
    }
    size_t full = (size_t)(fraction_done(p) * (double)length);
    memset(bar, '=', full);
    memset(bar + full, ' ', length - full);
    if (full < length) bar[full] = '>';
    fprintf(stderr, "\r\033[K[%s] %3d%%  %s", bar, percent, text);
}

static void show(struct progress *p)
{
    double time = now(), fraction = fraction_done(p);
    if (p->terminal) {
        if (time - p->shown < redraw_seconds) return;
        draw_bar(p);
    } else {
        bool due = fraction >= p->announced + line_fraction && time - p->shown >= least_seconds;
        if (!due && time - p->shown < line_seconds) return;
        char text[256];
        describe(p, text, sizeof text);
        fprintf(stderr, "%3d%%  %s\n", (int)(100 * fraction), text);
        p->announced = line_fraction * floor(fraction / line_fraction + 1e-9);
    }
    fflush(stderr);
    p->shown = time;
}

void progress_step(struct progress *p)
{
    p->step++;
    show(p);
}

void progress_epoch(struct progress *p, const nf_progress *done)
{
    p->last = *done;
    p->step = done->step;
    p->epoch_steps = done->step / done->epoch;
    show(p);
}

void progress_end(struct progress *p)
{
    if (p->terminal) fprintf(stderr, "\r\033[K");
    fflush(stderr);
}
