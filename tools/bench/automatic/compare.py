"""'weir fit' without options on real tables, beside peers at equal time: mean test log-likelihoods, nats per row.

    python3 tools/bench/automatic/tables.py tables
    python3 tools/bench/automatic/compare.py [--weir .build/weir] [--splits 10] [--seconds 60] tables/iris.npy …

Of each table a tenth is for testing, at random, anew in each split. What peers came to is kept beside the table, as
NAME.SECONDS.SPLIT.npz. All columns are taken for real ones, as peers take them: a log-density can't be compared with the
log-probability of a whole number. 'below' is how far below the normal's score of it a test row is at most. Needs scipy and
what peers.py needs."""

import argparse
import pathlib

import numpy as np

import peers
from toys import fit_and_score


def split(rows, number):
    order = np.random.default_rng(100 + number).permutation(rows)
    held = max(1, round(0.1 * rows))
    return order[held:], order[:held]


def of_peers(path, train, test, seconds, number):
    kept = path.with_suffix(f".{seconds}.{number}.npz")
    if not kept.exists():
        np.savez(kept, **peers.log_likelihoods(train, test, seconds, number))
    return dict(np.load(kept))


def mean_and_error(values):
    return np.mean(values), np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=pathlib.Path, metavar="TABLE")
    parser.add_argument("--weir", default=".build/weir")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    for path in given.tables:
        x, means, below = np.load(path), [], 0
        for number in range(given.splits):
            train, test = (x[rows] for rows in split(len(x), number))
            scores = of_peers(path, train, test, given.seconds, number)
            options = ["--budget", f"{given.seconds}s", "--seed", str(number + 1), "--columns"]
            options.append(", ".join(f"{column + 1}:real" for column in range(x.shape[1])))
            scores["weir"] = fit_and_score(given.weir, train, test, options)
            below = min(below, (scores["weir"] - scores["normal"]).min())
            means.append({name: score.mean() for name, score in scores.items()})
        print(f"{path.stem:12} weir {np.mean([mean['weir'] for mean in means]):.3f}, below {below:.1f}; above", end="")
        for peer in [name for name in means[0] if name != "weir"]:
            gap, error = mean_and_error([mean["weir"] - mean[peer] for mean in means])
            print(f"  {peer} {gap:.3f} ± {error:.3f}", end="")
        print(flush=True)


if __name__ == "__main__":
    main()
