/* Warm-up of Hamiltonian Monte Carlo. */
#include "nuts/nuts_chain.h"
#include "nuts/warmup.h"

#include <math.h>

/* ---- Step size ----------------------------------------------------------------------------------------------- */

void nf__step_size_restart(nf__step_size *state, double step_size)
{
    *state = (nf__step_size){.target = state->target, .mu = log(10 * step_size)};
}

double nf__step_size_learn(nf__step_size *state, double acceptance)
{
    static const double gamma = 0.05, t0 = 10, kappa = 0.75;
    state->count++;
    double eta = 1 / (state->count + t0);
    state->error_sum += eta * (state->target - acceptance - state->error_sum); /* a running mean */
    double log_step = state->mu - state->error_sum * sqrt(state->count) / gamma;
    state->log_mean += pow(state->count, -kappa) * (log_step - state->log_mean);
    return exp(log_step);
}

double nf__step_size_mean(const nf__step_size *state)
{
    return exp(state->log_mean);
}

/* ---- Windows ------------------------------------------------------------------------------------------------- */

/* Where the next window would not fit, this one takes what is left. */
static void place(nf__windows *w, size_t first)
{
    bool last = first + 3 * w->window > w->end;
    w->close = last ? w->end - 1 : first + w->window - 1;
}

nf__windows nf__windows_of(size_t warmup)
{
    nf__windows w = {.draws = warmup, .begin = 75, .end = warmup - 50, .window = 25};
    if (warmup < 20) {
        w.begin = w.end = 0;
    } else if (warmup < 150) {
        w.begin = warmup * 15 / 100;
        w.end = warmup - warmup / 10;
        w.window = w.end - w.begin;
    }
    place(&w, w.begin);
    return w;
}

bool nf__windows_learn(const nf__windows *w, size_t draw)
{
    return draw >= w->begin && draw < w->end;
}

bool nf__windows_close(nf__windows *w, size_t draw)
{
    if (!nf__windows_learn(w, draw) || draw != w->close) return false;
    w->window *= 2;
    place(w, draw + 1);
    return true;
}
