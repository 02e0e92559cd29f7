"""Write circle.csv: angles of two features, and log p there of independent von Mises distributions, by scipy.stats, for
each of these concentrations and locations: (0.02, 1), (3, -2), (60, 0.5); the second feature's are twice the first's
concentration and the negative of its location."""

from pathlib import Path

import numpy as np
from scipy import stats

x = np.random.default_rng(11).uniform(-np.pi, np.pi, size=(20, 2))
x[:5] += 2 * np.pi * np.array([[1, 0], [0, -1], [3, 3], [-2, 5], [100, -100]])
columns = [
    stats.vonmises.logpdf(x[:, 0], kappa, loc) + stats.vonmises.logpdf(x[:, 1], 2 * kappa, -loc)
    for kappa, loc in [(0.02, 1), (3, -2), (60, 0.5)]
]
np.savetxt(
    Path(__file__).parent / "circle.csv", np.column_stack([x, *columns]), "%.17g", ",", header="x1,x2,a,b,c", comments=""
)
