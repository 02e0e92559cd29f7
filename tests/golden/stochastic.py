"""Write stochastic.csv: draws of flows with steps that draw, and the log-densities of their paths, with a NumPy that knows
nothing of tapes: noise by Philox as autodiff/ops/noise.c has it, transitions with their proposals and acceptances, and
Langevin steps with their path weights (Wu, Köhler & Noé 2020). The target is many_well in two features. Lines are
formula;x1,x2;log q(path), for rows 0, 1, … of seed 5."""
import re
from pathlib import Path

import numpy as np

from permutation import philox

SEED, ROWS = 5, 6


def uniforms(row, stream, count, normal=False):
    """The numbers of a stream of a run's row: those of features 2k and 2k + 1 come from one counter."""
    source = stream << 20 | (0 if normal else 1 << 19)
    numbers = []
    for pair in range((count + 1) // 2):
        w = philox(SEED, source + pair << 32, row)
        numbers += [((hi << 32 | lo) >> 12) * 2.0**-52 + 2.0**-53 for hi, lo in ((w[0], w[1]), (w[2], w[3]))]
    return np.array(numbers)


def noise(row, stream, shape):
    count = int(np.prod(shape))
    u = uniforms(row, stream, count, normal=True)
    radius, angle = np.sqrt(-2 * np.log(u[0::2])), 2 * np.pi * u[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:count].reshape(shape)


def log_density(reached, x):
    base = -0.5 * (x**2).sum() - np.log(2 * np.pi)
    target = -x[0] ** 4 + 6 * x[0] ** 2 + x[0] / 2 - x[1] ** 2 / 2
    return (1 - reached) * base + reached * target


def gradient(reached, x):
    target = np.array([-4 * x[0] ** 3 + 12 * x[0] + 0.5, -x[1]])
    return -(1 - reached) * x + reached * target


def langevin(x, row, stream, reached, steps, size):
    change = 0
    for eta in noise(row, stream, (steps, 2)):
        y = x + size * gradient(reached, x) + np.sqrt(2 * size) * eta
        # log-densities of N(mean, 2 size), there and back
        there = -((y - x - size * gradient(reached, x)) ** 2).sum() / (4 * size)
        back = -((x - y - size * gradient(reached, y)) ** 2).sum() / (4 * size)
        change += back - there
        x = y
    return x, change


def metropolis(x, row, stream, reached, steps, size):
    start = log_density(reached, x)
    for eta, u in zip(noise(row, stream, (steps, 2)), uniforms(row, stream + 1, steps)):
        y = x + size * eta
        if u < min(1, np.exp(log_density(reached, y) - log_density(reached, x))):
            x = y
    return x, start - log_density(reached, x)


def hmc(x, row, stream, reached, steps, leapfrog, size):
    start = log_density(reached, x)
    for v, u in zip(noise(row, stream, (steps, 2)), uniforms(row, stream + 1, steps)):
        y, w = x, v
        for _ in range(leapfrog):
            w = w + size / 2 * gradient(reached, y)
            y = y + size * w
            w = w + size / 2 * gradient(reached, y)
        energies = log_density(reached, y) - w @ w / 2, log_density(reached, x) - v @ v / 2
        if u < min(1, np.exp(energies[0] - energies[1])):
            x = y
    return x, start - log_density(reached, x)


formulas = [
    "langevin(steps=3,step=0.02)",
    "metropolis(steps=5,step=0.6)",
    "hmc(steps=4,leapfrog=3,step=0.3)",
    "metropolis(steps=3,step=1.1)-langevin(steps=2,step=0.05)-hmc(steps=2,leapfrog=2,step=0.35)-metropolis(steps=2,step=0.3)",
]
with open(Path(__file__).parent / "stochastic.csv", "w") as out:
    for formula in formulas:
        terms = formula.split("-")
        for row in range(ROWS):
            x = noise(row, 0, (2,))
            log_q = -0.5 * (x**2).sum() - np.log(2 * np.pi)
            for k, term in enumerate(terms, 1):
                name, *values = re.findall(r"^\w+|(?<==)[\d.]+", term)
                arguments = [float(v) if "." in v else int(v) for v in values]
                x, change = globals()[name](x, row, 3001 + 4 * k, k / len(terms), *arguments)
                log_q -= change
            print(formula, ",".join(f"{v:.17g}" for v in x), f"{log_q:.17g}", sep=";", file=out)
