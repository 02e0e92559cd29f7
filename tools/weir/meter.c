/* How far a long work is, on stderr. */
#include "meter.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
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

struct meter meter_start(void)
{
    const char *kind = getenv("TERM");
    double time = now();
    return (struct meter){
        .terminal = isatty(STDERR_FILENO) && kind && strcmp(kind, "dumb") != 0, .started = time, .shown = time};
}

double meter_seconds(const struct meter *meter)
{
    return now() - meter->started;
}

bool meter_is_due(const struct meter *meter, double fraction)
{
    double waited = now() - meter->shown;
    if (meter->terminal) return waited >= redraw_seconds;
    return waited >= line_seconds || (waited >= least_seconds && fraction >= meter->announced + line_fraction);
}

static size_t terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool meter_would_wait(void)
{
    struct pollfd it = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&it, 1, 0) == 0;
}

/* The text comes first; the bar gets what room it leaves. */
static void draw_bar(double fraction, const char *text)
{
    enum { LONGEST = 40, SHORTEST = 10 };
    char bar[LONGEST + 1] = "";
    size_t columns = terminal_columns();
    size_t taken = strlen(text) + sizeof "[] 100%  ";
    size_t length = columns > taken ? columns - taken : 0;
    if (length > LONGEST) length = LONGEST;
    if (length < SHORTEST) {
        fprintf(stderr, "\r\033[K%.*s", (int)columns - 1, text);
        return;
    }
    size_t full = (size_t)(fraction * (double)length);
    memset(bar, '=', full);
    memset(bar + full, ' ', length - full);
    if (full < length) bar[full] = '>';
    fprintf(stderr, "\r\033[K[%s] %3d%%  %s", bar, (int)(100 * fraction), text);
}

void meter_show(struct meter *meter, double fraction, const char *text)
{
    meter->shown = now();
    if (meter_would_wait()) return;
    if (meter->terminal) {
        draw_bar(fraction, text);
    } else {
        fprintf(stderr, "%3d%%  %s\n", (int)(100 * fraction), text);
        meter->announced = line_fraction * floor(fraction / line_fraction + 1e-9);
    }
    fflush(stderr);
}

void meter_end(struct meter *meter)
{
    if (meter_would_wait()) return;
    if (meter->terminal) fprintf(stderr, "\r\033[K");
    fflush(stderr);
}
