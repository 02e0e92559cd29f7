/* Rates of many short trials, of which compare.py takes the median and the spread. */
#ifndef WEIR_TOOLS_BENCH_TRIALS_H
#define WEIR_TOOLS_BENCH_TRIALS_H

#include <weir/error.h>

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
/* Steps per second of step(context, error), in trials of TRIAL_SECONDS, until CASE_SECONDS are over or a step fails. */
ad_status trials_of_steps(trials *all, ad_status (*step)(void *context, ad_error *error), void *context,
                          ad_error *error);
/* "name": [rate, …] */
void trials_print(const trials *all, const char *name);

#endif
