/* Of the public functions of models, those of distributions to try a flow on: with NULL for each pointer that they
 * take.
 */
#ifndef WEIR_TESTS_NULL_TOYS_H
#define WEIR_TESTS_NULL_TOYS_H

#include "null_cases.h"

#include <weir/data.h>

static inline void call_toys(void)
{
    double values[8];
    int labels[4];
    const nf_toy *toy = nf_toys();
    CASE(nf_toy_named) QUIET(nf_toy_named(HARMLESS(name, "moons")));
    CASE(nf_toy_draw)
    QUIET(nf_toy_draw(HARMLESS(toy, toy), 4, 0.1, 1, HARMLESS(values, values), OPTIONAL(labels, labels)));
    CASE(nf_moons) QUIET(nf_moons(4, 0.1, 1, HARMLESS(values, values), OPTIONAL(labels, labels)));
    CASE(nf_banana) QUIET(nf_banana(4, 1, HARMLESS(values, values)));
}

#endif
