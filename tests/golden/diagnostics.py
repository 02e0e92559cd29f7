"""Draws of Markov chains, and what ArviZ 0.21 (pip install arviz 'matplotlib<3.9') says of them.

Writes diagnostics_N_draws.npy (chains * N, parameters), float32, and diagnostics_N.csv, a row for each parameter.
"""
from pathlib import Path

import numpy as np
from arviz.stats import diagnostics

here = Path(__file__).parent
rng = np.random.default_rng(1)
columns = ["mean", "sd", "mcse_mean", "mcse_sd", "q5", "median", "q95", "rhat", "ess_bulk", "ess_tail"]


def autoregressive(chains, n, phi):
    x = np.empty((chains, n))
    x[:, 0] = rng.standard_normal(chains)
    for t in range(1, n):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1 - phi**2) * rng.standard_normal(chains)
    return x


for chains, n in [(4, 101), (1, 60), (3, 40), (2, 4)]:
    draws = [
        autoregressive(chains, n, 0),
        autoregressive(chains, n, 0.9),
        autoregressive(chains, n, -0.8),  # antithetic
        rng.standard_cauchy((chains, n)),
        rng.standard_normal((chains, n)) + np.arange(chains)[:, None],  # other places
        rng.standard_normal((chains, n)) * (1 + 2 * np.arange(chains))[:, None],  # other scales
        np.round(rng.exponential(3, (chains, n))),  # ties
        1e6 + rng.standard_normal((chains, n)).cumsum(axis=1),  # a random walk
    ]
    draws = [x.astype(np.float32).astype(np.float64) for x in draws]
    np.save(here / f"diagnostics_{n}_draws.npy", np.stack(draws, axis=-1).reshape(chains * n, -1).astype(np.float32))
    with open(here / f"diagnostics_{n}.csv", "w") as file:
        print(",".join(columns), file=file)
        for x in draws:
            mcse_mean, mcse_sd, ess_bulk, ess_tail, rhat = diagnostics._multichain_statistics(x)
            if chains == 1:  # ArviZ wants two of them; the formula does not, since the chain is split
                folded = np.abs(x - np.median(x))
                scaled = [diagnostics._z_scale(diagnostics._split_chains(y)) for y in (x, folded)]
                rhat = max(diagnostics._rhat(z) for z in scaled)
            row = [x.mean(), x.std(ddof=1), mcse_mean, mcse_sd, *np.quantile(x, [0.05, 0.5, 0.95]), rhat, ess_bulk,
                   ess_tail]
            print(",".join(repr(float(value)) for value in row), file=file)
