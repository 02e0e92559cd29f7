"""Write marginal_rows.csv: a table of 150 rows (a skewed column, whole numbers, and one with heavy tails); and
marginal_points.csv: points, near and far, and log p there when each column's distribution is set from the table as
flows/bijectors/marginal.c and marginal_fit.c tell, in NumPy and SciPy: integrals by a fine grid, the inverse by root
finding, slopes by differences.
"""

from pathlib import Path

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import norm

HERE = Path(__file__).parent
random = np.random.default_rng(2000)
N, BINS = 150, 24
REACH = -norm.ppf(np.sqrt(N) / N)
SHAPES = [0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.3]


def quantile_function(x):
    values, counts = np.unique(x, return_counts=True)
    middle = (values[1:] + values[:-1]) / 2
    edges = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    share = np.concatenate([[0], np.cumsum(counts) / len(x)])
    return lambda p: np.interp(p, share, edges)


def smooth(q, z):
    h = 0.5 * N**-0.2
    t = np.linspace(-8, 8, 20001)
    weight = norm.pdf(t) / norm.pdf(t).sum()
    each = q(norm.cdf(z + h * t))
    return (weight * each).sum(), (weight * each * t).sum() / h


def tail(excess, slope):
    def loss(xi, sigma):
        e = np.log(1 + xi * excess / sigma) / xi
        rows = ((1 + xi) * e + np.log(sigma) + np.log(np.sqrt(REACH**2 + 2 * e))).sum()
        return rows + ((xi - 0.2) / 0.15) ** 2 / 2 + (np.log(sigma * REACH / slope) / 0.5) ** 2 / 2

    def of_shape(xi):
        options = {"xatol": 1e-10}
        scaled = lambda s: loss(xi, slope / REACH * np.exp(s))  # noqa: E731
        return minimize_scalar(scaled, bounds=(-2, 2), method="bounded", options=options)

    xi = min(SHAPES, key=lambda each: of_shape(each).fun)
    return xi, slope / REACH * np.exp(of_shape(xi).x)


class Marginal:
    def __init__(self, x):
        q = quantile_function(x)
        self.centre, self.scale = q(0.5), (q(norm.cdf(1)) - q(norm.cdf(-1))) / 2
        self.z = np.linspace(-REACH, REACH, BINS + 1)
        self.u, self.slope = (np.array(each) for each in zip(*(smooth(q, z) for z in self.z)))
        self.u, self.slope = (self.u - self.centre) / self.scale, self.slope / self.scale
        u = (x - self.centre) / self.scale
        self.low = tail(self.u[0] - u[u < self.u[0]], self.slope[0])
        self.high = tail(u[u > self.u[-1]] - self.u[-1], self.slope[-1])
        self.slope[0], self.slope[-1] = self.low[1] * REACH, self.high[1] * REACH

    def u_of(self, z):
        if abs(z) > REACH:
            xi, sigma = self.low if z < 0 else self.high
            beyond = sigma * np.expm1(xi * (z * z - REACH * REACH) / 2) / xi
            return self.u[0] - beyond if z < 0 else self.u[-1] + beyond
        k = min(int(np.searchsorted(self.z, z, side="right")) - 1, BINS - 1)
        width, height = self.z[k + 1] - self.z[k], self.u[k + 1] - self.u[k]
        part, s, left, right = (z - self.z[k]) / width, height / width, self.slope[k], self.slope[k + 1]
        both = part * (1 - part)
        return self.u[k] + height * (s * part**2 + left * both) / (s + (left + right - 2 * s) * both)

    def log_prob(self, x):
        u = (x - self.centre) / self.scale
        z = brentq(lambda each: self.u_of(each) - u, -30, 30, xtol=1e-13, rtol=1e-14)
        h = 1e-5
        slope = (8 * (self.u_of(z + h) - self.u_of(z - h)) - self.u_of(z + 2 * h) + self.u_of(z - 2 * h)) / (12 * h)
        return norm.logpdf(z) - np.log(slope * self.scale)


rows = np.column_stack([1e5 + 1e3 * random.lognormal(0, 0.7, N), random.poisson(3, N), random.standard_t(1.5, N)])
marginals = [Marginal(rows[:, j]) for j in range(3)]
print("tails", [(m.low, m.high) for m in marginals])
centre, scale = np.array([m.centre for m in marginals]), np.array([m.scale for m in marginals])
spread = np.repeat([1, 3, 20, 1000], 6)[:, None]
points = centre + scale * spread * random.normal(size=(24, 3))
log_prob = [sum(m.log_prob(x) for m, x in zip(marginals, point)) for point in points]
np.savetxt(HERE / "marginal_rows.csv", rows, "%.17g", ",", header="x1,x2,x3", comments="")
table = np.column_stack([points, log_prob])
np.savetxt(HERE / "marginal_points.csv", table, "%.17g", ",", header="x1,x2,x3,log_prob", comments="")
