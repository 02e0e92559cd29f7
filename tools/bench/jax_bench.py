"""What weir-bench measures, of the same models in JAX: one jit over many steps, whose state stays on the device. Takes
the same arguments, and prints as weir-bench does.

    jax_bench.py train FORMULA DIM BATCH THREADS
    jax_bench.py sample FORMULA DIM BATCH THREADS
    jax_bench.py planar LAYERS ROWS THREADS
"""

import functools
import json
import os
import sys

if int(sys.argv[-1]) == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
import jax.numpy as jnp

import jax_flows
import jax_planar
import trials

CLIP, BATCHES = 1.0, 64
BY_FEATURE_BATCH = 256  # of samples for which the network runs DIM times: a larger one would take minutes


def adam(parameters, gradient, state, rate):
    m, v, step = state
    step = step + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
    first, second = 1 - 0.9**step, 1 - 0.999**step
    parameters = jax.tree.map(
        lambda p, m, v: p - rate * (m / first) / (jnp.sqrt(v / second) + 1e-8), parameters, m, v)
    return parameters, (m, v, step)


def adam_state(parameters):
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return zeros, jax.tree.map(jnp.copy, zeros), jnp.zeros(())


def clipped(gradient):
    norm = jnp.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(gradient)))
    return jax.tree.map(lambda g: g * jnp.minimum(1, CLIP / (norm + 1e-6)), gradient)


def rates_of(step, state, rows):
    """Rates of trials, each of one jitted loop over as many steps as take so long. step(state, i) -> state."""

    @functools.partial(jax.jit, donate_argnums=0)
    def loop(state, begin, count):
        return jax.lax.fori_loop(begin, begin + count, lambda i, state: step(state, i), state)

    done = 0

    def run(count):
        nonlocal state, done
        state = jax.block_until_ready(loop(state, done, count))
        done += count

    return trials.rates_of_loops(run, rows)


def train(formula, dim, batch):
    flow = jax_flows.flow_of(formula, dim)
    weights = flow.initial_weights(jax.random.key(1))
    data = jax.random.normal(jax.random.key(2), (BATCHES * batch, dim))
    index = jax.random.permutation(jax.random.key(3), BATCHES * batch).reshape(BATCHES, batch)

    def step(state, i):
        weights, adams = state
        x = data[index[i % BATCHES]]
        gradient = jax.grad(lambda w: -flow.log_prob(w, x).mean())(weights)
        return adam(weights, clipped(gradient), adams, 1e-4)

    return {"rows_per_second": rates_of(step, (weights, adam_state(weights)), batch)}


def sample(formula, dim, batch):
    flow = jax_flows.flow_of(formula, dim)
    weights = flow.initial_weights(jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (batch, dim))
    samples = min(batch, BY_FEATURE_BATCH) if flow.by_feature else batch
    log_prob = jax.jit(flow.log_prob)
    draw = jax.jit(lambda weights, key: flow.sample(weights, key, samples))
    return {
        "log_prob_rows_per_second": trials.rates_of_steps(lambda: jax.block_until_ready(log_prob(weights, x)), batch),
        "sample_rows_per_second": trials.rates_of_steps(
            lambda: jax.block_until_ready(draw(weights, jax.random.key(4))), samples),
    }


def planar(layers, rows):
    parameters = jax_planar.initial_parameters(layers, jax.random.key(1))

    def step(state, i):
        parameters, adams = state
        gradient = jax.grad(jax_planar.loss)(parameters, jax.random.fold_in(jax.random.key(2), i), rows)
        return adam(parameters, gradient, adams, 1e-3)

    return {"steps_per_second": rates_of(step, (parameters, adam_state(parameters)), 1)}


def main():
    kind, *case, _ = sys.argv[1:]
    measure = {"train": train, "sample": sample, "planar": planar}[kind]
    result = measure(*[int(word) if word.isdigit() else word for word in case])
    print(json.dumps(result | {"jax": jax.__version__}))


main()
