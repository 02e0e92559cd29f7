"""Rates of many short trials, as trials.h takes them."""

import time

CASE_SECONDS, TRIAL_SECONDS, MOST_TRIALS = 2.0, 0.05, 400


def rates_of_steps(step, amount):
    """`amount` of something a second, in trials of as many calls of step() as take so long; the first is warm-up."""
    step()
    rates, end = [], time.perf_counter() + CASE_SECONDS
    while not rates or (time.perf_counter() < end and len(rates) < MOST_TRIALS):
        begin, steps, seconds = time.perf_counter(), 0, 0.0
        while seconds < TRIAL_SECONDS:
            step()
            steps += 1
            seconds = time.perf_counter() - begin
        rates.append(amount * steps / seconds)
    return rates


def rates_of_loops(run, amount):
    """As rates_of_steps(), where run(count) makes `count` steps at once."""
    run(1)
    count, seconds = 1, 0.0
    while seconds < TRIAL_SECONDS:
        count = count if seconds == 0 else int(count * min(10, 1 + 1.2 * TRIAL_SECONDS / seconds))
        begin = time.perf_counter()
        run(count)
        seconds = time.perf_counter() - begin
    rates, end = [], time.perf_counter() + CASE_SECONDS
    while not rates or (time.perf_counter() < end and len(rates) < MOST_TRIALS):
        begin = time.perf_counter()
        run(count)
        rates.append(amount * count / (time.perf_counter() - begin))
    return rates
