"""Log-densities of what 'weir data' draws, in closed form or by quadrature over what the noise is around, as functions of
rows (n, 2): LOG_PROB["moons"](x). Needs numpy and scipy."""

import numpy as np
from scipy.special import ive, logsumexp, ndtr


def by_blocks(log_prob):
    return lambda x: np.concatenate([log_prob(x[b : b + 500]) for b in range(0, len(x), 500)])


def around(points, sd):
    """A mixture of equal normals at these points."""

    @by_blocks
    def log_prob(x):
        d2 = ((x[:, None, :] - points) ** 2).sum(2)
        return logsumexp(-d2 / (2 * sd**2), axis=1) - np.log(len(points) * 2 * np.pi * sd**2)

    return log_prob


def on_circles(radii, sd):
    """Normal noise around circles around 0."""

    def log_prob(x):
        d, r = np.hypot(x[:, 0], x[:, 1])[:, None], np.array(radii)
        each = -((d - r) ** 2) / (2 * sd**2) + np.log(ive(0, d * r / sd**2))
        return logsumexp(each, axis=1) - np.log(len(radii) * 2 * np.pi * sd**2)

    return log_prob


def banana(x):
    return -((x[:, 1] / 3) ** 2 + (x[:, 0] - x[:, 1] ** 2 / 4) ** 2) / 2 - np.log(2 * np.pi * 3)


def checkerboard(x):
    column, row = np.floor(x.T / 2).astype(int)
    return np.where((np.abs(x) < 4).all(1) & ((column + row) % 2 == 0), -np.log(32), -np.inf)


def pinwheel(x):
    """The rotation by an angle that the rotated point decides is undone by Newton's method, for each of five arms."""
    rho, theta, each = np.hypot(x[:, 0], x[:, 1]) / 2, -np.arctan2(x[:, 1], x[:, 0]), []
    for k in range(5):
        phi = np.zeros(len(x))
        for _ in range(60):
            f0, f1 = rho * np.cos(phi), rho * np.sin(phi)
            gap = (phi + 0.25 * np.exp(f0) - theta + 2 * np.pi * k / 5 + np.pi) % (2 * np.pi) - np.pi
            phi = phi - gap / np.maximum(1 - 0.25 * np.exp(f0) * f1, 0.3)
        f0, f1 = rho * np.cos(phi), rho * np.sin(phi)
        normal = -(((f0 - 1) / 0.3) ** 2 + (f1 / 0.1) ** 2) / 2 - np.log(2 * np.pi * 0.03)
        each.append(normal - np.log(np.abs(1 - 0.25 * np.exp(f0) * f1)))
    return logsumexp(each, axis=0) - np.log(20)


@by_blocks
def two_spirals(x):
    """Each arm's noise is uniform and normal: two differences of normal integrals."""
    t = np.sqrt((np.arange(1000) + 0.5) / 1000) * 3 * np.pi
    c, p = np.c_[-np.cos(t) * t, np.sin(t) * t] / 3, 0
    for y in (x[:, None, :], -x[:, None, :]):
        side = (ndtr((y - c) / 0.1) - ndtr((y - c - 0.5 / 3) / 0.1)) / (0.5 / 3)
        p = p + side.prod(2).mean(1) / 2
    return np.log(np.maximum(p, 1e-300))


HALF = np.pi * (np.arange(600) + 0.5) / 600
MOONS = np.r_[np.c_[np.cos(HALF), np.sin(HALF)], np.c_[1 - np.cos(HALF), 0.5 - np.sin(HALF)]]
ROLL = 1.5 * (np.pi + 2 * HALF)
EIGHT = 2 * np.pi * np.arange(8) / 8

LOG_PROB = {
    "moons": around(MOONS, 0.05),
    "banana": banana,
    "8gaussians": around(4 * np.c_[np.cos(EIGHT), np.sin(EIGHT)] / np.sqrt(2), 0.5 / np.sqrt(2)),
    "checkerboard": checkerboard,
    "pinwheel": pinwheel,
    "2spirals": two_spirals,
    "swissroll": around(np.c_[ROLL * np.cos(ROLL), ROLL * np.sin(ROLL)] / 5, 0.2),
    "circles": on_circles([1.5, 3], 0.24),
    "rings": on_circles([0.75, 1.5, 2.25, 3], 0.08),
}
