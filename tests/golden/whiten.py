"""Write whiten_*.csv: tables, and log p of each row under the normal that is fitted to the table, by SciPy.

The covariance: scikit-learn's Ledoit-Wolf shrinkage of the columns in units of their standard deviations (over n), at
least max(1/n, 1e-6), and back in the columns' own units. There are many rows; fewer than columns; two; and a column that
repeats another.
"""

from pathlib import Path

import numpy as np
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf_shrinkage

HERE = Path(__file__).parent
random = np.random.default_rng(2004)


def log_prob(x):
    sd = x.std(0)
    u = (x - x.mean(0)) / sd
    keep = 1 - max(ledoit_wolf_shrinkage(u, assume_centered=True), 1 / len(x), 1e-6)
    correlation = np.corrcoef(u.T) * keep
    np.fill_diagonal(correlation, 1)
    return multivariate_normal(cov=correlation).logpdf(u) - np.log(sd).sum()


units = np.array([1e-3, 1, 30, 1e5])
many = random.standard_t(5, size=(40, 4)) @ random.normal(size=(4, 4)) * units + 7 * units
few = random.normal(size=(3, 11)) @ random.normal(size=(11, 11))
two = random.normal(size=(2, 3))
same = random.normal(size=(30, 2))[:, [0, 1, 0]] * [1, 2, 100]
for name, x in {"many": many, "few": few, "two": two, "same": same}.items():
    header = ",".join([f"x{i + 1}" for i in range(x.shape[1])] + ["log_prob"])
    table = np.column_stack([x, log_prob(x)])
    np.savetxt(HERE / f"whiten_{name}.csv", table, "%.17g", ",", header=header, comments="")
