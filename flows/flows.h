/* Weir flows: bijectors, chains, and a flow = base distribution + bijector.
 *
 * A bijector maps an event z of the base distribution to an event x of the data, both vectors of D features:
 *
 *     forward   z -> x  with log|det dx/dz|        (sampling)
 *     inverse   x -> z  with log|det dz/dx|        (density)
 *
 * It is written for one event, as ops on a tape (autodiff.h): rows and gradients are the engine's business. All
 * log-determinants and log-probabilities are in nats.
 *
 * A formula names a chain: `(maf(128,128)-flip)*3-standardize`. Terms are joined by '-', the leftmost is applied to the
 * base sample first; `term*K` is K copies, each with parameters of its own; parentheses group; `invert(…)` turns a chain
 * around, `on([1,3-5],…)` maps the listed features, in this order, and leaves the others; `conditional(…)` makes the
 * parameters of a chain those of the context; `image(8,8,3,…)`, `squeeze(…)`, `split(…)` and `glow(…)` are of images;
 * `dequantize(…)` ends a flow of whole numbers, whose log p is then one draw of a lower bound (Ho et al. 2019);
 * arguments are positional or named; spaces are free. A flow's formula may name its base distribution first:
 * `student(df=5):maf-flip`; without, it is N(0, I).
 */
#ifndef WEIR_FLOWS_H
#define WEIR_FLOWS_H

#include <weir/autodiff.h>
#include <weir/bijector.h>
#include <weir/continuous.h>
#include <weir/features.h>
#include <weir/flow.h>
#include <weir/networks.h>
#include <weir/registry.h>
#include <weir/stochastic.h>
#include <weir/transformer.h>

#endif
