/* How far a long work is, on stderr: a bar that is redrawn on a terminal, a line now and then elsewhere. */
#ifndef WEIR_COMMAND_METER_H
#define WEIR_COMMAND_METER_H

#include <stdbool.h>

struct meter {
    bool terminal;
    double started;
    double shown;     /* when the last line or bar was */
    double announced; /* fraction at the last line */
};

struct meter meter_start(void);
double meter_seconds(const struct meter *meter); /* since the start */
/* Is it time to show something? */
bool meter_is_due(const struct meter *meter, double fraction);
void meter_show(struct meter *meter, double fraction, const char *text);
/* Would whoever writes to stderr now have to wait? Nobody is to wait for a terminal that was stopped, or for the reader
 * of a pipe that is full: the work goes on, and can be saved. */
bool meter_would_wait(void);
/* Takes the bar away. */
void meter_end(struct meter *meter);

#endif
