/* Showing on stderr how far a training is. */
#include "progress.h"
#include "report.h"

#include <math.h>

struct progress progress_start(size_t epochs, size_t rows, size_t batch)
{
    return (struct progress){
        .meter = meter_start(),
        .epochs = epochs,
        .epoch_steps = (rows + batch - 1) / batch,
        .step_rows = batch < rows ? batch : rows,
        .last = {.train_nll = NAN, .val_nll = NAN},
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
    double seconds = p->earlier + meter_seconds(&p->meter), fraction = fraction_done(p);
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

static void show(struct progress *p)
{
    double fraction = fraction_done(p);
    if (!meter_is_due(&p->meter, fraction)) return;
    char text[256];
    describe(p, text, sizeof text);
    meter_show(&p->meter, fraction, text);
}

void progress_step(struct progress *p)
{
    p->step++;
    show(p);
}

void progress_epoch(struct progress *p, const nf_progress *done)
{
    p->last = *done;
    p->earlier = fmax(0, done->seconds - meter_seconds(&p->meter));
    p->step = done->step;
    p->epoch_steps = done->step / done->epoch;
    show(p);
}

void progress_end(struct progress *p)
{
    meter_end(&p->meter);
}
