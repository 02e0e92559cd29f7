"""Write targets.csv: log-densities of the built-in targets at random unconstrained points, with SciPy's distributions and
the formulas of the papers: target;z1,z2,...;log-density with the log-determinant of the constraints."""
from pathlib import Path

import numpy as np
from scipy import stats

rng = np.random.default_rng(7)


def w1(z):
    return np.sin(2 * np.pi * z[0] / 4)


def w2(z):
    return 3 * np.exp(-0.5 * ((z[0] - 1) / 0.6) ** 2)


def w3(z):
    return 3 / (1 + np.exp(-(z[0] - 1) / 0.3))


def u1(z):
    lobes = np.exp(-0.5 * ((z[0] - 2) / 0.6) ** 2) + np.exp(-0.5 * ((z[0] + 2) / 0.6) ** 2)
    return 0.5 * ((np.linalg.norm(z) - 2) / 0.4) ** 2 - np.log(lobes)


def u2(z):
    return 0.5 * ((z[1] - w1(z)) / 0.4) ** 2


def u3(z):
    return -np.log(np.exp(-0.5 * ((z[1] - w1(z)) / 0.35) ** 2) + np.exp(-0.5 * ((z[1] - w1(z) + w2(z)) / 0.35) ** 2))


def u4(z):
    return -np.log(np.exp(-0.5 * ((z[1] - w1(z)) / 0.4) ** 2) + np.exp(-0.5 * ((z[1] - w1(z) + w3(z)) / 0.35) ** 2))


def banana(b):
    def log_density(x):
        bent = x.copy()
        bent[1] += b * (x[0] ** 2 - 100)
        return stats.norm(0, [10] + [1] * (len(x) - 1)).logpdf(bent).sum()

    return log_density


def funnel(x):
    return stats.norm(0, 3).logpdf(x[0]) + stats.norm(0, np.exp(x[0] / 2)).logpdf(x[1:]).sum()


def mixture(modes, radius, sd):
    def log_density(x):
        angle = 2 * np.pi * np.arange(modes) / modes
        means = np.zeros((modes, len(x)))
        means[:, 0], means[:, 1] = radius * np.cos(angle), radius * np.sin(angle)
        return np.log(np.mean([stats.multivariate_normal(m, sd**2 * np.eye(len(x))).pdf(x) for m in means]))

    return log_density


def gaussian(r):
    def log_density(x):
        i = np.arange(len(x))
        return stats.multivariate_normal(np.zeros(len(x)), r ** np.abs(i[:, None] - i)).logpdf(x)

    return log_density


def many_well(x):
    first, second = x[0::2], x[1::2]
    return (-(first**4) + 6 * first**2 + first / 2 - second**2 / 2).sum()


def schools(centred):
    y = np.array([28, 8, -3, 7, -1, 1, 18, 12.0])
    sigma = np.array([15, 10, 16, 11, 9, 11, 10, 18.0])

    def log_density(z):
        mu, log_tau, last = z[0], z[1], z[2:]
        tau = np.exp(log_tau)
        theta = last if centred else mu + tau * last
        prior = stats.norm(mu, tau) if centred else stats.norm()
        return (stats.norm(0, 5).logpdf(mu) + stats.halfcauchy(0, 5).logpdf(tau) + log_tau + prior.logpdf(last).sum()
                + stats.norm(theta, sigma).logpdf(y).sum())

    return log_density


confined = lambda u: lambda z: -u(z) - 0.1 * abs(z[0])
walled = lambda u: lambda z: -u(z) - 0.5 * (max(abs(z[0]) - 4, 0) / 0.1) ** 2
cases = [
    ("pot1", 2, 1.5, lambda z: -u1(z)),
    ("pot2", 2, 1.5, confined(u2)),
    ("pot3", 2, 1.5, confined(u3)),
    ("pot4", 2, 1.5, confined(u4)),
    ("u2", 2, 3, walled(u2)),
    ("u3", 2, 3, walled(u3)),
    ("u4", 2, 3, walled(u4)),
    ("banana", 2, 3, banana(0.03)),
    ("banana(dim=5, b=0.1)", 5, 3, banana(0.1)),
    ("funnel", 10, 1.5, funnel),
    ("funnel(dim=3)", 3, 1.5, funnel),
    ("mixture", 2, 3, mixture(8, 4, 0.5)),
    ("mixture(dim=4, modes=3, radius=2, sd=1.5)", 4, 2, mixture(3, 2, 1.5)),
    ("gaussian", 2, 1, gaussian(0.9)),
    ("gaussian(dim=20, correlation=-0.6)", 20, 1, gaussian(-0.6)),
    ("eight_schools", 10, 1.5, schools(False)),
    ("eight_schools_centered", 10, 1.5, schools(True)),
]
# Behind the others: their points stay what they were.
cases += [("many_well", 2, 1.5, many_well), ("many_well(dim=6)", 6, 1.5, many_well)]
with open(Path(__file__).parent / "targets.csv", "w") as out:
    for name, dim, sd, log_density in cases:
        for _ in range(4):
            z = sd * rng.standard_normal(dim)
            print(name, ",".join(f"{v:.17g}" for v in z), f"{log_density(z):.17g}", sep=";", file=out)
