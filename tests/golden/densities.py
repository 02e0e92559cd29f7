"""Write densities.txt: log-densities by SciPy, and by mpmath where that has fewer digits, each line

    NAME COUNT (RANK EXTENT … NUMBER …) × COUNT, SIZE NUMBER …

of an argument each, and what nf_log_NAME_each() makes of them. A '!' before a name says that there are elements at the edge
of the support or outside, where no gradient is to be compared."""
from pathlib import Path

import mpmath
import numpy as np
from scipy import special, stats

rng = np.random.default_rng(3)
lines = []


def write(name, arguments, values, edge=False):
    words = ["!" + name if edge else name, str(len(arguments))]
    for a in map(np.asarray, arguments):
        words += [str(a.ndim), *map(str, a.shape), *(repr(float(v)) for v in a.ravel())]
    values = np.atleast_1d(values).ravel()
    lines.append(" ".join(words + [str(len(values)), *(repr(float(v)) for v in values)]))


def f32(*values):
    return np.float32(values).astype(float)


real = f32(-30.5, -2.25, -0.3, 0.7, 4.1)
positive = f32(0.01, 0.4, 1.3, 5.25, 40.5)
unit = f32(0.01, 0.2, 0.5, 0.83, 0.995)
counts = f32(0, 1, 3, 12, 60)
middle, scales = f32(-1.5, 0.25, 0, 2, -0.1), f32(0.3, 1.2, 5, 0.9, 2.5)
shapes, others = f32(0.4, 1, 2.5, 11.5, 30.25), f32(0.6, 3.5, 1, 25.5, 0.1)
inf, nan = np.inf, np.nan

families = {  # density, arguments beside x, x where a gradient is, x at the edge and outside
    "normal": (stats.norm.logpdf, (middle, scales), real, [inf, -inf, nan]),
    "student_t": (lambda x, d, m, s: stats.t.logpdf(x, d, m, s), (shapes, middle, scales), real, [inf, -inf, nan]),
    "cauchy": (stats.cauchy.logpdf, (middle, scales), real, [inf, -inf, nan]),
    "laplace": (stats.laplace.logpdf, (middle, scales), real, [inf, -inf, nan]),
    "logistic": (stats.logistic.logpdf, (middle, scales), real, [nan, 3000.0, -3000.0]),
    "lognormal": (lambda x, m, s: stats.lognorm.logpdf(x, s, scale=np.exp(m)), (middle, scales), positive, [0, -1, nan]),
    "half_normal": (lambda x, s: stats.halfnorm.logpdf(x, scale=s), (scales,), positive, [0, -1, nan]),
    "half_cauchy": (lambda x, s: stats.halfcauchy.logpdf(x, scale=s), (scales,), positive, [0, -1, nan]),
    "exponential": (lambda x, r: stats.expon.logpdf(x, scale=1 / r), (scales,), positive, [0, -1, nan]),
    "gamma": (lambda x, a, r: stats.gamma.logpdf(x, a, scale=1 / r), (shapes, scales), positive, [0, -1, nan]),
    "inverse_gamma": (lambda x, a, s: stats.invgamma.logpdf(x, a, scale=s), (shapes, scales), positive, [0, -1, nan]),
    "chi_square": (stats.chi2.logpdf, (shapes,), positive, [0, -1, nan]),
    "weibull": (lambda x, k, s: stats.weibull_min.logpdf(x, k, scale=s), (shapes, scales), f32(0.01, 0.4, 1.3, 1.5, 2.7),
                [0, -1, nan]),
    "beta": (stats.beta.logpdf, (shapes, others), unit, [-0.1, 1.1, nan]),
    "uniform": (lambda x, a, b: stats.uniform.logpdf(x, a, b - a), (f32(-31, -3, -1, 0, 4), f32(5, 5, 1, 1, 4.25)), real,
                [-40, 50, nan]),
    "bernoulli": (lambda x, p: special.xlogy(x, p) + special.xlog1py(1 - x, -p), (unit,), f32(0, 1, 0, 1, 1), [2, 0.5, nan]),
    "bernoulli_logit": (lambda x, t: -np.logaddexp(0, (1 - 2 * x) * t), (real,), f32(0, 1, 0, 1, 1), [2, 0.5, nan]),
    "binomial": (stats.binom.logpmf, (f32(3, 1, 20, 30, 100), unit), counts, [-1, 0.5, 101]),
    "binomial_logit": (lambda x, n, t: stats.binom.logpmf(x, n, special.expit(t)), (f32(3, 1, 20, 30, 100), middle), counts,
                       [-1, 0.5, 101]),
    "beta_binomial": (stats.betabinom.logpmf, (f32(3, 1, 20, 30, 100), shapes, others), counts, [-1, 101, 102]),
    "poisson": (stats.poisson.logpmf, (f32(0.1, 3, 4.5, 30, 48),), counts, [-1, 0.5, 1.5]),
    "poisson_log": (lambda x, t: stats.poisson.logpmf(x, np.exp(t)), (f32(-3, 1.1, 1.5, 3.4, 3.9),), counts, [-1, 0.5, 1.5]),
    "negative_binomial": (lambda x, m, p: stats.nbinom.logpmf(x, p, p / (m + p)), (f32(0.1, 3, 4.5, 30, 48), shapes), counts,
                          [-1, 0.5, 1.5]),
    "negative_binomial_log": (lambda x, t, p: stats.nbinom.logpmf(x, p, p / (np.exp(t) + p)),
                              (f32(-3, 1.1, 1.5, 3.4, 3.9), shapes), counts, [-1, 0.5, 1.5]),
}
for name, (density, parameters, inside, edge) in families.items():
    write(name, (inside, *parameters), density(inside, *parameters))
    k = 2  # one of each parameter for all x; one x for all parameters
    numbers = [p[k] for p in parameters]
    if name == "uniform":
        numbers = [-31.0, 5.0]
    if "binomial" in name and "negative" not in name:
        numbers[0] = 100.0
    write(name, (inside, *numbers), density(inside, *numbers))
    x = inside[1]
    if name != "uniform":
        write(name, (x, *parameters), density(x, *parameters))
    edge = np.array(edge, dtype=float)
    with np.errstate(all="ignore"):
        value = density(edge, *numbers)
        if name.startswith("bernoulli"):
            value = np.where((edge == 0) | (edge == 1) | np.isnan(edge), value, -inf)
    write(name, (edge, *numbers), value, edge=True)

# At 0, where the density is 0, finite or infinite; and where a weight of 0 meets log 0.
for a in (0.5, 1.0, 2.0):
    write("gamma", (0.0, a, 1.5), stats.gamma.logpdf(0, a, scale=1 / 1.5), edge=True)
    write("beta", (f32(0, 1), a, 1.5), stats.beta.logpdf([0, 1], a, 1.5), edge=True)
write("weibull", (0.0, 1.0, 2.0), stats.weibull_min.logpdf(0, 1, scale=2), edge=True)
write("bernoulli", (f32(0, 1), f32(0, 1)), [0, 0], edge=True)
write("binomial", (f32(0, 3), 3.0, f32(0, 1)), [0, 0], edge=True)
write("poisson", (f32(0, 1), 0.0), [0, -inf], edge=True)
# Parameters outside of their ranges.
for name, arguments in {"normal": (1, 0, -1), "student_t": (1, -2, 0, 1), "cauchy": (1, 0, -1), "laplace": (1, 0, -1),
                        "logistic": (1, 0, -1), "lognormal": (1, 0, -1), "half_normal": (1, -1), "half_cauchy": (1, -1),
                        "exponential": (1, -1), "gamma": (1, -1.5, 2), "inverse_gamma": (1, -1.5, 2), "chi_square": (1, -3),
                        "weibull": (1, -1, 1), "beta": (0.5, -0.5, 2), "uniform": (1, 1, 1), "bernoulli": (1, 1.5),
                        "binomial": (1, 2, -0.5), "poisson": (1, -1), "negative_binomial": (1, 2, -1.5),
                        "beta_binomial": (1, 2, -1.5, 2)}.items():
    write(name, tuple(map(float, arguments)), nan, edge=True)
# Large parameters, where lgamma would lose all.
write("student_t", (0.5, 1e6, 0.0, 1.0), stats.t.logpdf(0.5, 1e6))
mpmath.mp.dps = 40
gamma = mpmath.loggamma
x, mean, phi = mpmath.mpf(3), mpmath.mpf(5), mpmath.mpf(10) ** 6  # SciPy has lost 9 digits here
write("negative_binomial", (3.0, 5.0, 1e6), gamma(x + phi) - gamma(phi) - gamma(x + 1) + x * mpmath.log(mean / (mean + phi))
      + phi * mpmath.log(phi / (mean + phi)))

# Categories.
logits = f32(0.5, -1.25, 2, 0.1)
write("categorical_logit", (2.0, logits), special.log_softmax(logits)[2])
write("categorical_logit", (f32(0, 3, 1), logits), special.log_softmax(logits)[[0, 3, 1]])
table = f32(*rng.normal(size=12)).reshape(3, 4)
write("categorical_logit", (f32(0, 3, 1), table), special.log_softmax(table, axis=1)[[0, 1, 2], [0, 3, 1]])
write("categorical_logit", (f32(4, -1, 0.5, nan), logits), [-inf, -inf, -inf, nan], edge=True)
cuts, eta = f32(-1.5, 0.25, 0.5), f32(-2, 0.1, 0.3, 5, 40)


def ordered(x, eta, cuts):
    ends = np.concatenate([[-inf], cuts, [inf]])
    return np.log(special.expit(eta - ends[x]) - special.expit(eta - ends[x + 1]))


write("ordered_logistic", (f32(0, 1, 2, 3, 3), eta, cuts), ordered(np.array([0, 1, 2, 3, 3]), eta, cuts))
write("ordered_logistic", (f32(0, 1), 0.25, cuts), ordered(np.array([0, 1]), 0.25, cuts))
write("ordered_logistic", (1.0, 0.25, f32(0.75)), special.log_expit(0.25 - 0.75))
write("ordered_logistic", (f32(4, -1, 1.5), 0.25, cuts), [-inf] * 3, edge=True)

# Vectors.
K, N = 3, 4
factor = np.tril(f32(*rng.normal(size=K * K)).reshape(K, K), -1) + np.diag(f32(0.5, 1.5, 1.1))
x, mean = f32(*rng.normal(size=N * K)).reshape(N, K), f32(*rng.normal(size=K))
covariance, precision = factor @ factor.T, np.linalg.inv(factor @ factor.T)
for points in (x[0], x):
    write("multivariate_normal", (points, mean, factor), stats.multivariate_normal(mean, covariance).logpdf(points))
    write("multivariate_normal_precision", (points, mean, factor), stats.multivariate_normal(mean, precision).logpdf(points))
    write("multivariate_student_t", (points, 3.5, mean, factor), stats.multivariate_t(mean, covariance, 3.5).logpdf(points))
write("multivariate_normal", (x, x[::-1], factor),
      [stats.multivariate_normal(m, covariance).logpdf(p) for p, m in zip(x, x[::-1])])
simplex, a = rng.dirichlet([2, 3, 0.7], N), f32(0.5, 1, 3.25)
write("dirichlet", (simplex[0], a), stats.dirichlet.logpdf(simplex[0], a))
write("dirichlet", (simplex, a), [stats.dirichlet.logpdf(p, a) for p in simplex])
write("dirichlet", (f32(-0.25, 0.5, 0.75), a), -inf, edge=True)
tallies = f32(3, 0, 2, 1, 1, 1).reshape(2, 3)
write("multinomial", (tallies[0], simplex[0]), stats.multinomial.logpmf(tallies[0], 5, simplex[0]))
write("multinomial", (tallies, simplex[:2]), [stats.multinomial.logpmf(t, t.sum(), p) for t, p in zip(tallies, simplex)])
write("multinomial", (f32(-1, 2, 0.5), simplex[0]), -inf, edge=True)


# LKJ: the constant by quadrature over the partial correlations, whose determinants are products.
def lkj(lower, eta):
    size = len(lower)
    log_constant = 0
    for j in range(size - 1):  # of column j: Π (1 - p²)^(eta - 1 + (size - 2 - j) / 2) over the size - 1 - j partials
        b = eta - 1 + (size - 2 - j) / 2
        log_constant += (size - 1 - j) * float(mpmath.log(mpmath.quad(lambda p: (1 - p * p) ** b, [-1, 1])))
    return sum((size - k - 1 + 2 * eta - 2) * np.log(lower[k, k]) for k in range(1, size)) - log_constant


for size, eta in ((2, 1.0), (2, 2.5), (3, 1.0), (4, 0.75), (4, 3.0)):
    z = rng.normal(size=(size, 2 * size))
    write("lkj_cholesky", (np.linalg.cholesky(np.corrcoef(z)), eta), lkj(np.linalg.cholesky(np.corrcoef(z)), eta))

# Mixtures, and covariances from their formulas.
weights, components = np.log(f32(0.25, 0.5, 0.25)), f32(*rng.normal(size=6)).reshape(2, 3)
write("mixture", (weights, components[0]), special.logsumexp(weights + components[0]))
write("mixture", (weights, components), special.logsumexp(weights + components, axis=1).sum())
for name, kernel in {"squared_exponential": lambda r: np.exp(-r * r / 2),
                     "matern32": lambda r: (1 + np.sqrt(3) * r) * np.exp(-np.sqrt(3) * r),
                     "matern52": lambda r: (1 + np.sqrt(5) * r + 5 * r * r / 3) * np.exp(-np.sqrt(5) * r)}.items():
    for inputs, length in ((x[:, 0], np.float64(0.75)), (x, np.float64(1.5)), (x, f32(0.5, 2, 3))):
        scaled = (inputs if inputs.ndim == 2 else inputs[:, None]) / length
        r = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
        write(name, (inputs, 1.25, length), 1.25**2 * kernel(r) + 0.125 * np.eye(N))

(Path(__file__).parent / "densities.txt").write_text("\n".join(lines) + "\n")
