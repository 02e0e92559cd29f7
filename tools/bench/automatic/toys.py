"""Eight densities in the plane, each with its exact log-density: how far 'weir fit' without options is from the truth.

    python3 tools/bench/automatic/toys.py [--weir .build/weir] [--rows 20000] [--seeds 1,2,3] [--budget 60s] [NAME …]

prints, for each, the mean of log p - log q over 20,000 fresh rows: nats that the fit is off by. Needs numpy and scipy.
Seven are FFJORD's (Grathwohl et al. 2019, toy_data.py), with their constants; moons are those of 'weir data'."""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
from scipy.special import ive, logsumexp, ndtr

FRESH_SEED, FRESH_ROWS = 1000, 20000

# ---- Rows ------------------------------------------------------------------------------------------------------------


def moons(n, g):
    t = np.pi * g.random(n)
    upper = g.random(n) < 0.5
    x = np.where(upper[:, None], np.c_[np.cos(t), np.sin(t)], np.c_[1 - np.cos(t), 0.5 - np.sin(t)])
    return x + 0.05 * g.standard_normal((n, 2))


CIRCLES, RINGS = ((0.5, 1), 0.08), ((0.25, 0.5, 0.75, 1), 0.08 / 3)


def on_circles(n, g, radii, sd):
    t, r = 2 * np.pi * g.random(n), np.array(radii)[g.integers(len(radii), size=n)]
    return 3 * (np.c_[r * np.cos(t), r * np.sin(t)] + sd * g.standard_normal((n, 2)))


def swissroll(n, g):
    t = 1.5 * np.pi * (1 + 2 * g.random(n))
    return (np.c_[t * np.cos(t), t * np.sin(t)] + g.standard_normal((n, 2))) / 5


def gaussians(n, g):
    a = 2 * np.pi * g.integers(8, size=n) / 8
    return (4 * np.c_[np.cos(a), np.sin(a)] + 0.5 * g.standard_normal((n, 2))) / np.sqrt(2)


def pinwheel(n, g):
    f = g.standard_normal((n, 2)) * (0.3, 0.1) + (1, 0)
    a = 2 * np.pi * g.integers(5, size=n) / 5 + 0.25 * np.exp(f[:, 0])
    c, s = np.cos(a), np.sin(a)
    return 2 * np.c_[c * f[:, 0] - s * f[:, 1], s * f[:, 0] + c * f[:, 1]]


def spirals(n, g):
    t = np.sqrt(g.random(n)) * 3 * np.pi
    d = np.c_[-np.cos(t) * t, np.sin(t) * t] + 0.5 * g.random((n, 2))
    return np.where(g.random(n)[:, None] < 0.5, d, -d) / 3 + 0.1 * g.standard_normal((n, 2))


def checkerboard(n, g):
    x1 = 4 * g.random(n) - 2
    x2 = g.random(n) - 2 * g.integers(2, size=n) + np.floor(x1) % 2
    return 2 * np.c_[x1, x2]


# ---- Log-densities, in closed form or by quadrature over what the noise is around --------------------------------------


def by_blocks(log_prob):
    return lambda x: np.concatenate([log_prob(x[b : b + 500]) for b in range(0, len(x), 500)])


def around(points, sd):
    """A mixture of equal normals at these points."""

    @by_blocks
    def log_prob(x):
        d2 = ((x[:, None, :] - points) ** 2).sum(2)
        return logsumexp(-d2 / (2 * sd**2), axis=1) - np.log(len(points) * 2 * np.pi * sd**2)

    return log_prob


def circles_log_prob(x, radii, sd):
    d, r = np.hypot(x[:, 0], x[:, 1])[:, None] / 3, np.array(radii)
    each = -((d - r) ** 2) / (2 * sd**2) + np.log(ive(0, d * r / sd**2))
    return logsumexp(each, axis=1) - np.log(len(radii) * 2 * np.pi * sd**2 * 9)


def pinwheel_log_prob(x):
    """The rotation by an angle that the rotated point decides is undone by Newton's method, for each of five arms."""
    rho, theta, each = np.hypot(x[:, 0], x[:, 1]) / 2, np.arctan2(x[:, 1], x[:, 0]), []
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
def spirals_log_prob(x):
    """Each arm's noise is uniform and normal: two differences of normal integrals."""
    t = np.sqrt((np.arange(2000) + 0.5) / 2000) * 3 * np.pi
    c, p = np.c_[-np.cos(t) * t, np.sin(t) * t] / 3, 0
    for y in (x[:, None, :], -x[:, None, :]):
        side = (ndtr((y - c) / 0.1) - ndtr((y - c - 0.5 / 3) / 0.1)) / (0.5 / 3)
        p = p + side.prod(2).mean(1) / 2
    return np.log(np.maximum(p, 1e-300))


HALF = np.pi * (np.arange(2000) + 0.5) / 2000
MOONS = np.r_[np.c_[np.cos(HALF), np.sin(HALF)], np.c_[1 - np.cos(HALF), 0.5 - np.sin(HALF)]]
ROLL = 1.5 * (np.pi + 2 * HALF)
EIGHT = 2 * np.pi * np.arange(8) / 8

# Rows, and their log-densities.
TOYS = {
    "moons": (moons, around(MOONS, 0.05)),
    "swissroll": (swissroll, around(np.c_[ROLL * np.cos(ROLL), ROLL * np.sin(ROLL)] / 5, 0.2)),
    "circles": (lambda n, g: on_circles(n, g, *CIRCLES), lambda x: circles_log_prob(x, *CIRCLES)),
    "pinwheel": (pinwheel, pinwheel_log_prob),
    "gaussians": (gaussians, around(4 * np.c_[np.cos(EIGHT), np.sin(EIGHT)] / np.sqrt(2), 0.5 / np.sqrt(2))),
    "spirals": (spirals, spirals_log_prob),
    "checkerboard": (checkerboard, lambda x: np.full(len(x), -np.log(32.0))),
    "rings": (lambda n, g: on_circles(n, g, *RINGS), lambda x: circles_log_prob(x, *RINGS)),
}


def fit_and_score(weir, rows, test, options=()):
    """log q of the test rows under 'weir fit' to the others, without options but those given."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(pathlib.Path(folder, name)) for name in ("rows.npy", "test.npy", "model.safetensors", "logp.npy")]
        np.save(files[0], rows)
        np.save(files[1], test)
        subprocess.run([weir, "fit", files[0], "-o", files[2], *options], check=True, capture_output=True)
        subprocess.run([weir, "logprob", files[2], files[1], "-o", files[3]], check=True, capture_output=True)
        return np.load(files[3]).ravel()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(TOYS))
    parser.add_argument("--weir", default=".build/weir")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--budget", default="60s")
    given = parser.parse_args()
    for name in given.names or TOYS:
        draw, log_prob = TOYS[name]
        test, gaps = draw(FRESH_ROWS, np.random.default_rng(FRESH_SEED)), []
        for seed in given.seeds.split(","):
            rows = draw(given.rows, np.random.default_rng(int(seed)))
            log_q = fit_and_score(given.weir, rows, test, ["--budget", given.budget, "--seed", seed])
            gaps.append((log_prob(test) - log_q).mean())
        print(f"{name:12} {np.median(gaps):7.4f}   {' '.join(f'{gap:.4f}' for gap in gaps)}", flush=True)


if __name__ == "__main__":
    main()
