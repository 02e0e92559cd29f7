/* Rates of many short trials, of which compare.py takes the median and the spread. */
#ifndef WEIR_TOOLS_BENCH_TRIALS_H
#define WEIR_TOOLS_BENCH_TRIALS_H

#include <stdbool.h>
#include <stddef.h>

enum { MOST_TRIALS = 400 };
/* A case goes on for so long, in trials that last at least so long. */
#define CASE_SECONDS  2.0
#define TRIAL_SECONDS 0.05

typedef struct {
    double rate[MOST_TRIALS];
    size_t count;
} trials;

double now(void); /* in seconds */
void trials_add(trials *all, double rate);
/* Steps per second, in trials of TRIAL_SECONDS: trials_step_done() is told of each step, the first of which is warm-up,
 * and says whether CASE_SECONDS are over. Begins with zeros but for where the rates go. */
typedef struct {
    trials *steps_per_second;
    double began, trial_began;
    size_t steps; /* of the trial so far */
} trials_timer;

bool trials_step_done(void *timer);
/* "name": [rate, …] */
void trials_print(const trials *all, const char *name);

#endif
