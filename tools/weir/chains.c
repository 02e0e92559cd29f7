/* NUTS with progress on stderr. */
#include "chains.h"
#include "interrupt.h"
#include "meter.h"
#include "report.h"

#include <math.h>

struct watched {
    struct meter meter;
    const char *label;
};

/* "draws  31.2k gradients/s  0 divergent  0:01 left" */
static bool on_progress(void *context, const nf_nuts_progress *p)
{
    struct watched *watched = context;
    double fraction = (double)p->draws / (double)p->all_draws, seconds = p->seconds;
    if (!meter_is_due(&watched->meter, fraction)) return true;
    char text[256], rate[32], left[32];
    snprintf(text, sizeof text, "%s%s  %s gradients/s  %zu divergent  %s left", watched->label,
             p->tuning ? "warm-up" : "draws", report_rate((double)p->gradients / fmax(seconds, 1e-9), rate),
             p->divergent, report_duration(seconds / fmax(fraction, 1e-9) * (1 - fraction), left));
    meter_show(&watched->meter, fraction, text);
    return true;
}

ad_status draw_chains(const nf_target *target, const nf_nuts_options *options, const char *label,
                      nf_nuts_result *result, ad_error *error)
{
    struct watched watched = {meter_start(), label};
    nf_nuts_options o = *options;
    o.progress = on_progress;
    o.interrupted = interrupt_noted;
    o.context = &watched;
    ad_status status = nf_nuts(target, &o, result, error);
    meter_end(&watched.meter);
    return status;
}
