"""Speed and memory of Weir, beside the same models in PyTorch where that is installed.

  training  MAFs: forward, backward, clipping and Adam. GFLOP/s count the multiplications and additions that dense
            networks of these sizes would do; the peak is of multiply-adds in registers, measured between the epochs
  flows     RealNVP and splines: such a step at batch 256; log_prob, and samples with their log_prob, at batch 4096
  sampling  what a sample costs beside a log_prob, of flows that are sampled feature by feature
  planar    variational inference with planar flows: samples, their energy, gradient and Adam
  memory    peak memory of training, at a small and a large batch

All in float32. Times are the best of many short trials, of Weir and of PyTorch alike.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

THREADS = [1, 2]
HERE = pathlib.Path(__file__).parent


class Programs:
    """weir-bench, and its counterpart where there is a python3 that can import torch."""

    def __init__(self, bench):
        self.weir, self.torch = [bench], None
        for python in [sys.executable, shutil.which("python3"), "/usr/bin/python3"]:
            if python and subprocess.run([python, "-c", "import torch"], stderr=subprocess.DEVNULL).returncode == 0:
                self.torch = [python, HERE / "pytorch_bench.py"]
                return
        print("PyTorch is not installed: measuring Weir alone", file=sys.stderr)

    @staticmethod
    def run(program, arguments):
        result = subprocess.run([str(word) for word in [*program, *arguments]], stdout=subprocess.PIPE, check=True)
        return json.loads(result.stdout)

    def measure(self, *arguments):
        """What Weir's program prints, and what PyTorch's does under names that begin with torch_."""
        result = self.run(self.weir, arguments)
        if self.torch:
            result |= {f"torch_{key}": value for key, value in self.run(self.torch, arguments).items()}
        return result


def training(programs):
    for formula, dim in [("(maf(128,128)-flip)*3", 2), ("(maf(512,512)-flip)*5", 43)]:
        for batch in [32, 256, 4096]:
            for threads in THREADS:
                case = {"formula": formula, "dim": dim, "batch": batch, "threads": threads}
                yield case | programs.measure("train", formula, dim, batch, threads)


def flows(programs):
    for dim, layers in [(2, "({}(64,64)-flip)*4"), (21, "({}(256,256)-flip)*5"), (63, "({}(256,256)-flip)*5")]:
        for name in ["realnvp", "rqs", "rqsar"]:
            formula = layers.format(name)
            for threads in THREADS:
                case = {"formula": formula, "dim": dim, "threads": threads}
                case |= programs.measure("train", formula, dim, 256, threads)
                yield case | programs.measure("sample", formula, dim, 4096, threads)


def sampling(programs):
    for formula in ["(maf(512,512)-flip)*5", "(rqsar(512,512)-flip)*5"]:
        for threads in THREADS:
            case = {"formula": formula, "dim": 63, "batch": 4096, "threads": threads}
            yield case | programs.measure("sample", formula, 63, 4096, threads)


def planar(programs):
    for layers, rows in [(8, 100), (32, 4096)]:
        for threads in THREADS:
            case = {"layers": layers, "rows": rows, "threads": threads}
            yield case | programs.measure("planar", layers, rows, threads)


def memory(programs):
    formula, dim, rows = "(maf(128,128)-flip)*3", 2, 1_000_000
    for batch in [100, 1_000_000]:
        case = {"formula": formula, "dim": dim, "rows": rows, "batch": batch}
        case |= programs.run(programs.weir, ["memory", formula, dim, batch, rows])
        yield case | {"training_bytes": case["peak_bytes"] - case["data_bytes"]}


def number(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def plain(*keys):
    """Columns of the cases' own numbers and names."""
    return [(key, lambda c, key=key: str(c[key])) for key in keys]


def speed(title, key):
    """Columns of a speed, PyTorch's, and how many times as fast Weir is."""
    torch = f"torch_{key}"
    return [
        (title, lambda c: number(c[key])),
        ("PyTorch", lambda c: number(c[torch]) if torch in c else "-"),
        ("times", lambda c: number(c[key] / c[torch]) if torch in c else "-"),
    ]


TABLES = {
    "training": (
        training,
        plain("formula", "dim", "batch", "threads")
        + [
            ("GFLOP/s", lambda c: f"{c['gflops']:.1f}"),
            ("peak", lambda c: f"{c['peak_gflops']:.1f}"),
            ("of peak", lambda c: f"{c['fraction_of_peak']:.0%}"),
        ]
        + speed("rows/s", "rows_per_second"),
    ),
    "flows": (
        flows,
        plain("formula", "dim", "threads")
        + speed("trained/s", "rows_per_second")
        + speed("log_prob/s", "log_prob_rows_per_second")
        + speed("samples/s", "sample_rows_per_second"),
    ),
    "sampling": (
        sampling,
        plain("formula", "dim", "batch", "threads")
        + [
            ("log_prob us", lambda c: number(1e6 / c["log_prob_rows_per_second"])),
            ("sample us", lambda c: number(1e6 / c["sample_rows_per_second"])),
            ("ratio", lambda c: f"{c['log_prob_rows_per_second'] / c['sample_rows_per_second']:.2f}"),
        ]
        + speed("samples/s", "sample_rows_per_second"),
    ),
    "planar": (planar, plain("layers", "rows", "threads") + speed("steps/s", "steps_per_second")),
    "memory": (
        memory,
        plain("formula", "dim", "rows", "batch")
        + [
            ("peak MB", lambda c: f"{c['peak_bytes'] / 1e6:.1f}"),
            ("without the data", lambda c: f"{c['training_bytes'] / 1e6:.1f}"),
        ],
    ),
}


def print_row(texts, columns, to):
    widths = [22 if title == "formula" else max(9, len(title)) for title, _ in columns]
    print(" ".join(f"{text:>{width}}" for text, width in zip(texts, widths)), file=to, flush=True)


def print_table(name, programs, to):
    """Prints each case when it is measured; returns them."""
    measure, columns = TABLES[name]
    print(f"\n{name}", file=to)
    print_row([title for title, _ in columns], columns, to)
    cases = []
    for case in measure(programs):
        print_row([text(case) for _, text in columns], columns, to)
        cases.append(case)
    return cases


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help=argparse.SUPPRESS)
    parser.add_argument("table", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all where none is named")
    parser.add_argument("--json", action="store_true",
                        help="print an object with an array for each table; the tables go to standard error")
    options = parser.parse_args()
    for name in options.table:
        if name not in TABLES:
            parser.error(f"there is no table '{name}': choose from {', '.join(TABLES)}")
    programs = Programs(options.bench)
    to = sys.stderr if options.json else sys.stdout
    cases = {name: print_table(name, programs, to) for name in options.table or TABLES}
    if options.json:
        print(json.dumps(cases, indent=1))


main()
