"""Write gaussian_mixture_points.csv: points, and log p of a mixture of four normals there, by scipy.stats; and
gaussian_mixture_rows.csv: a table, and log p of each row under the mixture of three normals that scikit-learn fits to
it (to its columns in units of their standard deviations).

The four normals: log weights 0.7 k, up to a constant; means k - 0.4 d; features that are regressions on those before,
of coefficients 0.3 - 0.2 k + 0.1 i - 0.3 j for feature i on feature j, with scales exp(0.2 k - 0.3 d).
"""

from pathlib import Path

import numpy as np
from scipy import special, stats
from sklearn.mixture import GaussianMixture

HERE = Path(__file__).parent
random = np.random.default_rng(1977)
D, K = 3, 4


def write(name, x, log_prob):
    header = ",".join([f"x{i + 1}" for i in range(x.shape[1])] + ["log_prob"])
    np.savetxt(HERE / name, np.column_stack([x, log_prob]), "%.17g", ",", header=header, comments="")


def normal(k):
    regressions = np.zeros((D, D))
    for i in range(D):
        for j in range(i):
            regressions[i, j] = 0.3 - 0.2 * k + 0.1 * i - 0.3 * j
    mixing = np.linalg.inv(np.eye(D) - regressions) @ np.diag(np.exp(0.2 * k - 0.3 * np.arange(D)))
    return stats.multivariate_normal(k - 0.4 * np.arange(D), mixing @ mixing.T)


points = random.normal(size=(20, D)) * np.repeat([0.5, 2, 30, 1000], 5)[:, None]
log_weight = special.log_softmax(0.7 * np.arange(K))
each = np.stack([normal(k).logpdf(points) for k in range(K)], 1)
write("gaussian_mixture_points.csv", points, special.logsumexp(each + log_weight, axis=1))

units = np.array([1e-3, 1, 1e4])
sizes_and_means = ((60, [0, 4, 2]), (90, [3, 0, -2]), (150, [-4, -3, 1]))
parts = [random.normal(size=(n, D)) @ random.normal(size=(D, D)) * 0.7 + mean for n, mean in sizes_and_means]
rows = np.concatenate(parts) * units + 5 * units
sd = rows.std(0)
u = (rows - rows.mean(0)) / sd
fit = GaussianMixture(3, n_init=10, tol=1e-12, max_iter=100000, reg_covar=1e-12, random_state=0).fit(u)
print("weights", fit.weights_, "mean log p", fit.score(u) - np.log(sd).sum())
write("gaussian_mixture_rows.csv", rows, fit.score_samples(u) - np.log(sd).sum())
