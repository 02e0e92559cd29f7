"""Speed and memory of Weir, beside the same models in PyTorch (eager, and compiled where that works) and in JAX (one
jit over many steps), of whichever the python3 at hand, or $PYTHON, can import.

  training  MAFs: forward, backward, clipping and Adam
  flows     RealNVP and splines: such a step; log_prob, and samples with their log_prob, at batch 4096
  sampling  what a sample costs beside a log_prob, of flows that are sampled feature by feature
  planar    variational inference with planar flows: samples, their energy, gradient and Adam; and what part Weir
            reaches of the speed of the same step as a loop written by hand, limit.c
  memory    peak memory of training, at a small and a large batch
  compile   recording, gradient, plan and first step of long chains
  width     how training steps would fill more cores than there are, by a model of jobs timed in one thread
  ranks     training on two ranks of this machine with its MPI, and what the model of the next table says of them
  scaling   how training would go on up to 1,024 ranks of a cluster, by a model of one rank and of a network: ranks.py

'tools/bench/run families' is of its own: families of flows on toy densities, trained for the same time; see its --help.

All in float32. Programs take turns, each bound to as many cores as it has threads; a figure is the median of all
trials, with half of the distance between its quartiles. The peak is of multiply-adds in registers, measured between
Weir's trials; a fraction of it counts the multiplications and additions by weights that are not masked.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

import formulas
import ranks

THREADS = [1, 2]
HERE = pathlib.Path(__file__).parent
PEERS = {"torch": "pytorch_bench.py", "jax": "jax_bench.py"}


def spread(rates):
    """Half of the distance between the quartiles, as a part of the median."""
    low, middle, high = statistics.quantiles(rates, n=4) if len(rates) > 1 else [rates[0]] * 3
    return (high - low) / 2 / middle


class Programs:
    """weir-bench, and its counterparts where there is a python3 that can import what they need."""

    def __init__(self, bench, repeats):
        self.weir, self.repeats, self.peers = [bench], repeats, {}
        pythons = dict.fromkeys(filter(None, [os.environ.get("PYTHON"), sys.executable, shutil.which("python3")]))
        for peer, script in PEERS.items():
            for python in pythons:
                if subprocess.run([python, "-c", f"import {peer}"], stderr=subprocess.DEVNULL).returncode == 0:
                    self.peers[peer] = [python, HERE / script]
                    break
            else:
                print(f"{peer} is not installed: measuring without it", file=sys.stderr)

    def run(self, program, arguments, threads=0):
        """On as many of the last cores, for the first ones have the machine's other work; 0: all of them."""
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        result = subprocess.run([str(word) for word in [*program, *arguments]], stdout=subprocess.PIPE, check=True,
                                stderr=None if program is self.weir else subprocess.DEVNULL,
                                preexec_fn=lambda: os.sched_setaffinity(0, cores))
        return json.loads(result.stdout)

    def measure(self, kind, *case, limit=None):
        """What Weir's program prints, and what peers' do under names that begin with theirs; and under names that begin
        with limit_ what Weir's prints for another kind. Of rates, the median; what the trials of all turns were is kept
        under the name with _all."""
        turns = [("", self.weir, kind), *((name, program, kind) for name, program in self.peers.items())]
        if limit:
            turns.append(("limit", self.weir, limit))
        result = {}
        for _ in range(self.repeats):
            for name, program, what in turns:
                for key, value in self.run(program, [what, *case], int(case[-1])).items():
                    key = f"{name}_{key}" if name else key
                    if isinstance(value, list):
                        result[f"{key}_all"] = result.get(f"{key}_all", []) + value
                    elif key == "peak_flops":
                        result[key] = max(result.get(key, 0), value)
                    else:
                        result[key] = value
        return result | {key[:-4]: statistics.median(value) for key, value in result.items() if key.endswith("_all")}


def products(formula, dim):
    """Multiplications by weights in the network of one layer for one row, times layers, without those that masks take."""
    name, hidden, count = formulas.parts(formula)
    per_feature = 3 * formulas.BINS - 1 if name.startswith("rqs") else 2
    if name in ("realnvp", "rqs"):
        sizes = [dim // 2, *hidden, per_feature * (dim - dim // 2)]
        return count * sum(a * b for a, b in zip(sizes, sizes[1:]))
    degrees = formulas.degrees(dim, hidden)
    inner = sum(sum(a <= b for a in before for b in after) for before, after in zip(degrees, degrees[1:]))
    last = per_feature * sum(a < b for a in degrees[-1] for b in range(1, dim + 1))
    return count * (inner + last)


def train(programs, formula, dim, batch, threads):
    """With the fraction of the peak of each: forward, and backward to weights and to inputs, a multiplication and an
    addition each."""
    case = programs.measure("train", formula, dim, batch, threads)
    for key in [key for key in case if key.endswith("rows_per_second")]:
        case[key.replace("rows_per_second", "fraction")] = (
            case[key] * 6 * products(formula, dim) / case["peak_flops"])
    return {"formula": formula, "dim": dim, "batch": batch, "threads": threads} | case


def training(programs):
    for formula, dim in [("(maf(128,128)-flip)*3", 2), ("(maf(512,512)-flip)*5", 43)]:
        for batch in [32, 128, 256, 4096]:
            for threads in THREADS:
                yield train(programs, formula, dim, batch, threads)


def flows(programs):
    for dim, layers in [(2, "({}(64,64)-flip)*4"), (21, "({}(256,256)-flip)*5"), (63, "({}(256,256)-flip)*5")]:
        for name in ["realnvp", "rqs", "rqsar"]:
            for batch in [256, 4096]:
                for threads in THREADS:
                    case = train(programs, layers.format(name), dim, batch, threads)
                    if batch == 4096:
                        case |= programs.measure("sample", layers.format(name), dim, batch, threads)
                    yield case


def sampling(programs):
    for formula in ["(maf(512,512)-flip)*5", "(rqsar(512,512)-flip)*5"]:
        for threads in THREADS:
            case = {"formula": formula, "dim": 63, "batch": 4096, "threads": threads}
            yield case | programs.measure("sample", formula, 63, 4096, threads)


def planar(programs):
    for layers, rows in [(8, 100), (32, 4096)]:
        for threads in THREADS:
            case = {"layers": layers, "rows": rows, "threads": threads}
            yield case | programs.measure("planar", layers, rows, threads, limit="limit")


def memory(programs):
    formula, dim, rows = "(maf(128,128)-flip)*3", 2, 1_000_000
    for batch in [100, 1_000_000]:
        case = {"formula": formula, "dim": dim, "rows": rows, "batch": batch}
        case |= programs.run(programs.weir, ["memory", formula, dim, batch, rows])
        yield case | {"training_bytes": case["peak_bytes"] - case["data_bytes"]}


def compile_(programs):
    for formula, dim, kind in [("planar*100", 2, "vi"), ("planar*1600", 2, "vi"), ("(rqs(256,256)-flip)*5", 64, "fit"),
                               ("(rqs(256,256)-flip)*80", 64, "fit"), ("maf(64)*50", 2, "fit"),
                               ("maf(64)*800", 2, "fit")]:
        yield {"formula": formula, "dim": dim} | programs.run(programs.weir, ["compile", formula, dim, kind])


WIDE_THREADS = [2, 4, 16, 64]


def width(programs):
    """The widest of all turns: what disturbs makes some jobs longer than others."""
    flows = [("(maf(128,128)-flip)*3", 2), ("(maf(512,512)-flip)*5", 43), ("(realnvp(256,256)-flip)*5", 21),
             ("(rqs(256,256)-flip)*5", 63)]
    cases = [(formula, dim, batch) for formula, dim in flows for batch in [128, 256, 4096]]
    for formula, dim, batch in [*cases, ("planar*32", 2, 4096)]:
        words = ["planar", 32] if formula == "planar*32" else [formula, dim]
        turns = [programs.run(programs.weir, ["width", *words, batch]) for _ in range(programs.repeats)]
        yield {"formula": formula, "dim": dim, "batch": batch} | max(turns, key=lambda case: case["speedup_16"])


def number(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def plain(*keys):
    """Columns of the cases' own numbers and names."""
    return [(key, lambda c, key=key: str(c[key])) for key in keys]


def speed(title, key):
    """Columns of a speed and its spread, of peers', and how many times the fastest of them Weir is."""
    def shown(name):
        return lambda c: f"{number(c[name])} ±{100 * spread(c[name + '_all']):.0f}%" if name in c else "-"

    def times(case):
        best = max((case.get(f"{peer}_{key}", 0) for peer in PEERS), default=0)
        return number(case[key] / best) if best and key in case else "-"

    return [(title, shown(key)), ("PyTorch", shown(f"torch_{key}")), ("JAX", shown(f"jax_{key}")), ("times", times)]


FRACTIONS = [("of peak", lambda c: " / ".join(f"{c[key]:.2f}" if key in c else "-"
                                              for key in ["fraction", "torch_fraction", "jax_fraction"]))]

TABLES = {
    "training": (training, plain("formula", "dim", "batch", "threads") + speed("rows/s", "rows_per_second") + FRACTIONS),
    "flows": (
        flows,
        plain("formula", "dim", "batch", "threads")
        + speed("trained/s", "rows_per_second")
        + FRACTIONS
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
    "planar": (
        planar,
        plain("layers", "rows", "threads")
        + speed("steps/s", "steps_per_second")
        + [
            ("by hand", lambda c: number(c["limit_steps_per_second"])),
            ("of that", lambda c: f"{100 * c['steps_per_second'] / c['limit_steps_per_second']:.0f}%"),
        ],
    ),
    "memory": (
        memory,
        plain("formula", "dim", "rows", "batch")
        + [
            ("peak MB", lambda c: f"{c['peak_bytes'] / 1e6:.1f}"),
            ("without the data", lambda c: f"{c['training_bytes'] / 1e6:.1f}"),
        ],
    ),
    "compile": (
        compile_,
        plain("formula", "dim", "nodes")
        + [(key, lambda c, key=key: number(c[key])) for key in ["record_s", "gradient_s", "plan_s", "first_step_s"]]
        + [("all", lambda c: number(c["record_s"] + c["gradient_s"] + c["plan_s"] + c["first_step_s"]))],
    ),
    "width": (
        width,
        plain("formula", "dim", "batch")
        + [("step ms", lambda c: number(1e3 * c["step_s"]))]
        + [(f"times on {n}", lambda c, n=n: number(c[f"speedup_{n}"])) for n in WIDE_THREADS]
        + [("work on 16", lambda c: number(c["work_16"])), ("span", lambda c: number(c["span_16"]))],
    ),
}

SCALING = ranks.columns(number, plain)
TABLES["ranks"] = (ranks.here, SCALING["ranks"])
TABLES["scaling"] = (ranks.scaling, SCALING["scaling"])


def print_row(texts, columns, to):
    widths = [24 if title == "formula" else 18 if title == "of peak" else max(10, len(title)) for title, _ in columns]
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
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="turns of each program (default: 3)")
    parser.add_argument("--json", action="store_true",
                        help="print an object with an array for each table; the tables go to standard error")
    options = parser.parse_args()
    for name in options.table:
        if name not in TABLES:
            parser.error(f"there is no table '{name}': choose from {', '.join(TABLES)}")
    programs = Programs(options.bench, options.repeats)
    to = sys.stderr if options.json else sys.stdout
    cases = {name: print_table(name, programs, to) for name in options.table or TABLES}
    if options.json:
        print(json.dumps(cases, indent=1))


main()
