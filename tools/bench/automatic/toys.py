"""Nine densities in the plane, each with its exact log-density: how far 'weir fit' without options is from the truth.

    python3 tools/bench/automatic/toys.py [--weir .build/weir] [--rows 20000] [--seeds 1,2,3] [--budget 60s] [NAME …]

prints, for each, the mean of log p - log q over 20,000 fresh rows: nats that the fit is off by. Needs numpy and scipy."""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parent.parent))
from toy_densities import LOG_PROB  # noqa: E402

FRESH_SEED, FRESH_ROWS = 1000, 20000


def draw(weir, name, rows, seed):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "rows.npy")
        words = [weir, "data", name, "-n", str(rows), "--seed", str(seed), "-o", str(file)]
        subprocess.run(words, check=True, capture_output=True)
        return np.load(file)


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
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(LOG_PROB))
    parser.add_argument("--weir", default=".build/weir")
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--budget", default="60s")
    given = parser.parse_args()
    for name in given.names or LOG_PROB:
        test, gaps = draw(given.weir, name, FRESH_ROWS, FRESH_SEED), []
        for seed in given.seeds.split(","):
            rows = draw(given.weir, name, given.rows, int(seed))
            log_q = fit_and_score(given.weir, rows, test, ["--budget", given.budget, "--seed", seed])
            gaps.append((LOG_PROB[name](test) - log_q).mean())
        print(f"{name:12} {np.median(gaps):7.4f}   {' '.join(f'{gap:.4f}' for gap in gaps)}", flush=True)


if __name__ == "__main__":
    main()
