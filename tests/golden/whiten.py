"""Write whiten_*.csv: tables, and log p of each row under the normal that is fitted to the table, by SciPy.

Correlations are shrunk by the factor 1 - lambda: that of 10^(-6 + i/4), i = 0 ... 24, under which the rows are
likeliest, each with mean and correlations of the others, in the standard deviations (over n) of all. There are many
rows; few; fewer than columns; two; and a column that repeats another.
"""

from pathlib import Path

import numpy as np
from scipy.stats import multivariate_normal

HERE = Path(__file__).parent
random = np.random.default_rng(2004)


def shrunk(u, mean, keep):
    covariance = (u - mean).T @ (u - mean) / len(u) * keep
    return covariance + (1 - keep) * np.eye(u.shape[1])


def left_out(u, keep):
    total = 0
    for k in range(len(u)):
        others = np.delete(u, k, 0)
        mean = others.mean(0)
        total += multivariate_normal(mean, shrunk(others, mean, keep), allow_singular=True).logpdf(u[k])
    return total


def log_prob(name, x):
    sd = x.std(0)
    u = (x - x.mean(0)) / sd
    lambdas = 10 ** (-6 + np.arange(25) / 4)
    best = max(lambdas, key=lambda each: left_out(u, 1 - each))
    print(name, "lambda", best)
    return multivariate_normal(cov=shrunk(u, 0, 1 - best)).logpdf(u) - np.log(sd).sum()


units = np.array([1e-3, 1, 30, 1e5])
many = random.standard_t(5, size=(40, 4)) @ random.normal(size=(4, 4)) * units + 7 * units
few = random.normal(size=(3, 11)) @ random.normal(size=(11, 11))
two = random.normal(size=(2, 3))
same = random.normal(size=(30, 2))[:, [0, 1, 0]] * [1, 2, 100]
some = random.normal(size=(9, 2)) @ random.normal(size=(2, 5)) + 0.3 * random.normal(size=(9, 5))
for name, x in {"many": many, "some": some, "few": few, "two": two, "same": same}.items():
    header = ",".join([f"x{i + 1}" for i in range(x.shape[1])] + ["log_prob"])
    table = np.column_stack([x, log_prob(name, x)])
    np.savetxt(HERE / f"whiten_{name}.csv", table, "%.17g", ",", header=header, comments="")
