"""Speed and memory of training, beside the same model in PyTorch where it is installed.

A step is forward, backward, clipping and Adam, in float32. GFLOP/s count the multiplications and additions that dense
networks of these sizes would do; the peak is of multiply-adds in registers, measured beside each epoch.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

MODELS = [((128, 128), 3, 2), ((512, 512), 5, 43)]  # hidden sizes, layers, dimensions
BATCHES = [32, 256, 4096]
THREADS = [1, 2]
MEMORY_BATCHES = [100, 1_000_000]
MEMORY_ROWS = 1_000_000

HERE = pathlib.Path(__file__).parent


def formula(hidden, layers):
    return f"(maf({','.join(map(str, hidden))})-flip)*{layers}"


def measure(*command):
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, check=True)
    return json.loads(result.stdout)


def find_torch():
    """A python3 that can import torch, or None."""
    for python in [sys.executable, shutil.which("python3"), "/usr/bin/python3"]:
        if python and subprocess.run([python, "-c", "import torch"], stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


def speed(bench, python):
    for hidden, layers, dim in MODELS:
        for batch in BATCHES:
            for threads in THREADS:
                case = {"formula": formula(hidden, layers), "dim": dim, "batch": batch, "threads": threads}
                case |= measure(bench, "train", case["formula"], dim, batch, threads)
                if python:
                    rows = batch * max(2, round(0.2 * case["rows_per_second"] / 8 / batch))
                    torch = measure(python, HERE / "pytorch_maf.py", ",".join(map(str, hidden)), layers, dim, batch,
                                    threads, rows)
                    case["torch"] = torch["torch"]
                    case["torch_rows_per_second"] = torch["rows_per_second"]
                    case["times_torch"] = case["rows_per_second"] / torch["rows_per_second"]
                yield case


def memory(bench):
    hidden, layers, dim = MODELS[0]
    for batch in MEMORY_BATCHES:
        case = {"formula": formula(hidden, layers), "dim": dim, "rows": MEMORY_ROWS, "batch": batch}
        case |= measure(bench, "memory", case["formula"], dim, batch, MEMORY_ROWS)
        case["training_bytes"] = case["peak_bytes"] - case["data_bytes"]
        yield case


SPEED_COLUMNS = [
    ("flow", 22, lambda c: c["formula"]),
    ("dim", 4, lambda c: c["dim"]),
    ("batch", 6, lambda c: c["batch"]),
    ("threads", 8, lambda c: c["threads"]),
    ("rows/s", 10, lambda c: f"{c['rows_per_second']:.0f}"),
    ("GFLOP/s", 8, lambda c: f"{c['gflops']:.1f}"),
    ("peak", 8, lambda c: f"{c['peak_gflops']:.1f}"),
    ("of peak", 8, lambda c: f"{c['fraction_of_peak']:.0%}"),
    ("PyTorch rows/s", 15, lambda c: f"{c['torch_rows_per_second']:.0f}" if "torch" in c else "-"),
    ("times", 6, lambda c: f"{c['times_torch']:.1f}" if "torch" in c else "-"),
]
MEMORY_COLUMNS = [
    ("flow", 22, lambda c: c["formula"]),
    ("dim", 4, lambda c: c["dim"]),
    ("rows", 8, lambda c: c["rows"]),
    ("batch", 8, lambda c: c["batch"]),
    ("peak MB", 9, lambda c: f"{c['peak_bytes'] / 1e6:.1f}"),
    ("without the data", 17, lambda c: f"{c['training_bytes'] / 1e6:.1f}"),
]


def print_table(cases, columns):
    print(" ".join(f"{name:>{width}}" for name, width, _ in columns))
    for case in cases:
        print(" ".join(f"{text(case):>{width}}" for _, width, text in columns), flush=True)


def main():
    parser = argparse.ArgumentParser(prog="tools/bench/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--json", action="store_true", help="print a JSON array instead of a table")
    options = parser.parse_args()
    if options.memory:
        cases, columns = memory(options.bench), MEMORY_COLUMNS
    else:
        python = find_torch()
        if not python:
            print("PyTorch is not installed: measuring Weir alone", file=sys.stderr)
        cases, columns = speed(options.bench, python), SPEED_COLUMNS
    if options.json:
        print(json.dumps(list(cases), indent=1))
    else:
        print_table(cases, columns)


main()
