"""Families of flows on five densities in the plane, trained for the same time on one core: how far each is from the
density that the rows are of, in nats, and how many rows it trains on in a second.

The time is the processor's, which other programs hardly change. A few epochs tell how many fit into it; the fit then has
so many, with a learning rate that falls by half of a cosine. The figure is the mean of log p - log q over fresh rows, p
being the density itself (toy_densities.py): the test NLL less the entropy, but for the rows' own chance. It is printed,
and in the folder are tables (families.csv, and families.md for a README) and a picture (families.png), beside rows and
models. What is there already is not measured again. Needs numpy, scipy and gnuplot; with torch and zuko it tells, too,
how many rows zuko trains on with the same family (zuko_families.py)."""

import argparse
import csv
import json
import math
import os
import pathlib
import resource
import subprocess
import sys

try:
    import numpy as np

    import families_picture
    from toy_densities import LOG_PROB
except ImportError as missing:
    sys.exit(f"{missing}: install numpy and scipy, or name a python3 that has them in $PYTHON")

try:
    import zuko_families
except ImportError:
    zuko_families = None

HERE = pathlib.Path(__file__).parent
DATA = ["moons", "8gaussians", "checkerboard", "pinwheel", "2spirals"]
ROWS, KEPT = 20000, 18000  # for training, and of those not kept for validation
TRAIN_SEED, TEST_SEED = 1, 2
COMMON = ["--threads", "1", "--checkpoint", "0", "--batch", "256", "--lr", "0.005"]


def families(path):
    """Name, formula and options of each."""
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, rest = line.split(" | ", 1)
            formula, options = rest.rsplit("|", 1)
            yield name.strip(), formula.strip(), options.split()


class Bench:
    def __init__(self, given):
        self.given, self.folder = given, given.output
        self.folder.mkdir(parents=True, exist_ok=True)

    def weir(self, *words):
        """What a command prints with --json, as an object, with the seconds that it has computed for."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run([self.given.weir, *map(str, words), "--json"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"weir {' '.join(map(str, words))}: {done.stderr.strip()}")
        computed = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        return json.loads(done.stdout) | {"computed": computed}

    def rows(self, data):
        """Files of training rows and of fresh ones; and the density's entropy."""
        files = [self.folder / f"{data}-{part}.npy" for part in ("train", "test")]
        drawn = [self.weir("data", data, "-n", ROWS, "--seed", seed, "-o", file)
                 for file, seed in zip(files, (TRAIN_SEED, TEST_SEED))]
        return *files, drawn[0]["entropy"]

    def fit(self, formula, options, train, model, epochs):
        return self.weir("fit", train, "--flow", formula, *COMMON, *options, "--epochs", epochs, "-o", model)

    def seconds_of_epoch(self, formula, options, train, model):
        """What others add to a first one, with which it also starts and scores rows: as many as take a second."""
        one, more, added = self.fit(formula, options, train, model, 1)["computed"], 0, 0
        while added < 1:
            more = max(1, 8 * more)
            added = self.fit(formula, options, train, model, 1 + more)["computed"] - one
        return added / more

    def peer(self, name):
        """Rows that zuko trains on in a second; None where it isn't installed, or has no such family."""
        kept = self.folder / f"{name}.zuko"
        if not kept.exists():
            if not zuko_families or name not in zuko_families.FAMILIES:
                return None
            words = [sys.executable, zuko_families.__file__, self.rows(DATA[0])[0], name]
            kept.write_text(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)
        return float(kept.read_text())

    def measure(self, name, formula, options, data):
        model = self.folder / f"{name} {data}.safetensors"
        kept = model.with_suffix(".json")
        if kept.exists():
            return json.loads(kept.read_text())
        train, test, entropy = self.rows(data)
        epoch = self.seconds_of_epoch(formula, options, train, model)
        fit = self.fit(formula, options, train, model, max(1, round(self.given.seconds / epoch)))
        log_q_file = model.with_suffix(".npy")
        nll = self.weir("logprob", model, test, "-o", log_q_file, "--threads", 1)["nll"]
        gaps = LOG_PROB[data](np.load(test)) - np.load(log_q_file).ravel()
        result = {"family": name, "formula": formula, "options": " ".join(options), "data": data,
                  "parameters": fit["parameters"], "epochs": fit["epochs"], "seconds": fit["computed"],
                  "rows_per_second": KEPT / epoch, "test_nll": nll, "entropy": entropy,
                  "gap": gaps.mean(), "gap_stderr": gaps.std() / len(gaps) ** 0.5}  # fmt: skip
        kept.write_text(json.dumps(result, indent=1))
        return result


def in_thousands(number):
    return f"{number / 1000:.3g}k" if number else "-"


def markdown(bench, table, data):
    """Gaps with the least of each density in bold."""
    least = {d: min(row[d]["gap"] for row in table) for d in data}
    yield "| family | parameters | rows/s | zuko's | " + " | ".join(data) + " |"
    yield "|---|--:|--:|--:|" + "--:|" * len(data)
    for row in table:
        name, parameters = row[data[0]]["family"], row[data[0]]["parameters"]
        rates = [np.median([case["rows_per_second"] for case in row.values()]), bench.peer(name)]
        gaps = [(f"**{row[d]['gap']:.3f}**" if row[d]["gap"] == least[d] else f"{row[d]['gap']:.3f}") for d in data]
        yield "| " + " | ".join([name, in_thousands(parameters), *map(in_thousands, rates), *gaps]) + " |"


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run families", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weir", help=argparse.SUPPRESS)
    parser.add_argument("family", nargs="*", metavar="FAMILY", help="of the table's names; all where none is given")
    parser.add_argument("--seconds", type=float, default=6, metavar="S",
                        help="of each fit (default: 6; all of them take half an hour)")
    parser.add_argument("--data", default=",".join(DATA), metavar="NAMES", help=f"densities (default: {','.join(DATA)})")
    parser.add_argument("--table", type=pathlib.Path, default=HERE / "families.txt", metavar="FILE",
                        help="the families (default: tools/bench/families.txt)")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path(".build/families"), metavar="FOLDER",
                        help="for rows, models, tables and the picture (default: .build/families)")
    given = parser.parse_args()
    data, all_families = given.data.split(","), list(families(given.table))
    for name in given.family:
        if name not in [family[0] for family in all_families]:
            parser.error(f"there is no family '{name}' in {given.table}")
    for name in data:
        if name not in LOG_PROB:
            parser.error(f"there is no density '{name}': choose from {', '.join(LOG_PROB)}")
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])  # the first ones have the machine's other work
    bench, table = Bench(given), []
    for name, formula, options in all_families:
        if given.family and name not in given.family:
            continue
        print(f"{name:18}", end="", flush=True)
        row = {}
        for d in data:
            row[d] = bench.measure(name, formula, options, d)
            print(f" {row[d]['gap']:8.3f}", end="", flush=True)
        print(flush=True)
        table.append(row)
    (given.output / "families.md").write_text("\n".join(markdown(bench, table, data)) + "\n")
    with open(given.output / "families.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, table[0][data[0]].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(case for row in table for case in row.values())
    families_picture.draw(bench, table, data)


if __name__ == "__main__":
    main()
