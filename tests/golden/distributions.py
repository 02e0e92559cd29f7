"""Write distributions.csv: points of three features, and log p of each base distribution there, by scipy.stats.

Parameters: loc_d = 0.3 d - 0.5, scale_d = 0.5 + 0.25 d; of the mixture's component k: logit_k = 0.7 k,
loc_kd = k - 0.4 d, scale_kd = 0.4 + 0.1 k + 0.2 d. Student's t has 3.5 degrees of freedom; the uniform is on (-2, 3);
power_d = 0.8 + 1.1 d; and factor_ij = 0.5 + 0.25 i on the diagonal, 0.3 i - 0.2 j below it.
"""

from pathlib import Path

import numpy as np
from scipy import special, stats

D, K, POINTS = 3, 4, 20
x = np.random.default_rng(7).normal(size=(POINTS, D)) * np.repeat([0.5, 2, 30, 1000], POINTS // 4)[:, None]
d, k = np.arange(D), np.arange(K)[:, None]
loc, scale = 0.3 * d - 0.5, 0.5 + 0.25 * d
log_weight = special.log_softmax(0.7 * np.arange(K))
each = stats.norm.logpdf(x[:, None, :], k - 0.4 * d, 0.4 + 0.1 * k + 0.2 * d).sum(2)
columns = {
    "normal": stats.norm.logpdf(x).sum(1),
    "diagonal_normal": stats.norm.logpdf(x, loc, scale).sum(1),
    "uniform": stats.uniform.logpdf(x, -2, 5).sum(1),
    "student": stats.t.logpdf(x, 3.5).sum(1),
    "mixture": special.logsumexp(each + log_weight, axis=1),
}
power = 0.8 + 1.1 * d
factor = np.tril(0.3 * d[:, None] - 0.2 * d, -1) + np.diag(scale)
columns |= {
    "laplace": (-np.abs(x) - np.log(2)).sum(1),  # scipy's takes the logarithm of a density that underflows
    "logistic": stats.logistic.logpdf(x).sum(1),
    "generalized_normal": stats.gennorm.logpdf(x, power).sum(1),
    "multivariate_normal": stats.multivariate_normal.logpdf(x, loc, factor @ factor.T),
}
table = np.column_stack([x, *columns.values()])
names = ["x1", "x2", "x3", *columns]
np.savetxt(Path(__file__).parent / "distributions.csv", table, "%.17g", ",", header=",".join(names), comments="")
