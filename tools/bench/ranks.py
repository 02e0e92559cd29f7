"""How training would go on as many ranks as a cluster has: what a step costs one rank of so many, measured here with
nobody at the other end (weir-bench alone), and by a model what its messages take on a network.

A message of n bytes takes latency + n / bandwidth (Hockney 1994, "The communication challenge for MPP"). An exchange
sends to all ranks at once, each message after the first for an overhead at the sender (Alexandrov et al. 1995, "LogGP").
A gather doubles what each has, log2(ranks) times, where it is short, and goes around a ring where it is long: Thakur,
Rabenseifner & Gropp 2005, "Optimization of collective communication operations in MPICH", whose limits these are.

The model doesn't know: ranks that wait for the slowest, or that share a link or a memory; networks that are busy, or
narrower in their middle. Each rank has one core. With C of them it computes up to C times faster, and a network is what
limits it at as many times fewer ranks.
"""

import json
import math
import os
import shutil
import subprocess

RANKS = [1, 2, 4, 16, 64, 256, 1024]
# Seconds, seconds, bytes a second: TCP over Ethernet, and InfiniBand or RoCE. Orders of magnitude of such clusters.
NETWORKS = {"10 Gbit/s": (30e-6, 2e-6, 10e9 / 8), "100 Gbit/s": (1.5e-6, 0.2e-6, 100e9 / 8)}
SHORT = 512 << 10

FLOWS = [("(maf(128,128)-flip)*3", 2), ("(maf(512,512)-flip)*5", 43), ("(rqs(256,256)-flip)*5", 63)]
GOOD = 0.8


def doublings(ranks):
    return math.ceil(math.log2(ranks))


def latency_of(call, ranks, network):
    """What is lost before the first byte of each message."""
    function, size, messages = call
    latency, overhead, _ = network
    if function == "exchange":
        return latency + max(messages - 1, 0) * overhead if messages else 0
    return latency * (ranks - 1 if function == "gather" and size >= SHORT else doublings(ranks))


def network_time(calls, ranks, network):
    """Of a step's calls: latencies, and what bytes take."""
    bandwidth = network[2]
    return (sum(latency_of(call, ranks, network) for call in calls),
            sum(size * (doublings(ranks) if function == "broadcast" else 1) for function, size, _ in calls) / bandwidth)


def alone(programs, formula, dim, batch, ranks):
    """A step of the last rank: the fastest of all trials, for whatever disturbs makes it slower."""
    turns = [programs.run(programs.weir, ["alone", formula, dim, batch, ranks], 1) for _ in range(programs.repeats)]
    return min(1 / max(turn["steps_per_second"]) for turn in turns), turns[0]


def predict(case, single_rows_per_second):
    """Rows a second and efficiency on each network, and what takes most of what is lost."""
    for name, network in NETWORKS.items():
        latency, bandwidth = network_time(case["calls"], case["ranks"], network) if case["ranks"] > 1 else (0, 0)
        ideal = case["batch"] / single_rows_per_second / case["ranks"]
        time = case["compute_s"] + latency + bandwidth
        lost = {"rows": case["compute_s"] - ideal, "latency": latency, "bytes": bandwidth}
        case[name] = {"rows_per_second": case["batch"] / time, "efficiency": ideal / time,
                      "limit": max(lost, key=lost.get) if ideal < GOOD * time else ""}
    return case


def scaling(programs):
    """Strong: a batch is divided among more and more ranks. Weak: it grows with them."""
    plans = [(formula, dim, "strong", batch) for formula, dim in FLOWS for batch in [4096, 65536]
             if batch == 4096 or dim == 2]
    plans += [(formula, dim, "weak", 256) for formula, dim in FLOWS]
    for formula, dim, kind, rows in plans:
        single = None
        for ranks in RANKS:
            batch = rows * ranks if kind == "weak" else rows
            seconds, measured = alone(programs, formula, dim, batch, ranks)
            single = single or batch / seconds
            case = {"formula": formula, "dim": dim, "scaling": kind, "batch": batch, "ranks": ranks,
                    "compute_s": seconds, "calls": measured["calls"], "parameters": measured["parameters"],
                    "sent_bytes": sum(size for _, size, _ in measured["calls"])}
            yield predict(case, single)


def here(programs):
    """The model against ranks of this machine, whose messages go through its memory, with the MPI that there is."""
    bench = programs.weir[0]
    folder = os.path.dirname(bench)
    plugin = os.path.join(folder, "mpi-openmpi.so")
    if not shutil.which("mpirun") or not os.path.exists(plugin):
        return
    ranks = 2
    mpirun = ["mpirun", "--allow-run-as-root", "-n", ranks, bench + "-ranks", plugin]

    def run(*words):
        output = subprocess.run([str(word) for word in [*mpirun, *words]], stdout=subprocess.PIPE, check=True).stdout
        return json.loads(output)

    for formula, dim in FLOWS:
        for batch in [256, 4096]:
            talk = run("talk")
            latency = {name: talk[name][0][1] for name in ["exchange", "gather"]}
            per_byte = {name: talk[name][-1][1] / talk[name][-1][0] for name in latency}
            seconds, measured = alone(programs, formula, dim, batch, ranks)
            single, _ = alone(programs, formula, dim, batch, 1)
            messages = sum(latency[name] + size * per_byte[name] for name, size, _ in measured["calls"])
            found = min(1 / max(run("train", formula, dim, batch, 1)["steps_per_second"])
                        for _ in range(programs.repeats))
            yield {"formula": formula, "dim": dim, "batch": batch, "ranks": ranks, "latency_s": latency["gather"],
                   "bandwidth": 1 / per_byte["exchange"], "single_s": single, "compute_s": seconds,
                   "messages_s": messages, "predicted_s": seconds + messages, "measured_s": found}


def columns(number, plain):
    """Of the tables of both."""
    def of(name, key):
        return lambda c: number(c[name][key])

    networks = [column for name in NETWORKS for column in [
        (f"rows/s {name.split()[0]}G", of(name, "rows_per_second")),
        ("efficiency", lambda c, name=name: f"{c[name]['efficiency']:.2f}"),
        ("limit", lambda c, name=name: c[name]["limit"] or "-"),
    ]]
    return {
        "scaling": plain("formula", "dim", "scaling", "batch", "ranks")
        + [("rank's us", lambda c: number(1e6 * c["compute_s"])), ("bytes/2P",
           lambda c: f"{c['sent_bytes'] / (8 * c['parameters']):.2f}")] + networks,
        "ranks": plain("formula", "dim", "batch", "ranks")
        + [("latency us", lambda c: f"{1e6 * c['latency_s']:.2f}"), ("GB/s", lambda c: f"{c['bandwidth'] / 1e9:.1f}")]
        + [(key.removesuffix("_s") + " us", lambda c, key=key: number(1e6 * c[key]))
           for key in ["single_s", "compute_s", "messages_s", "predicted_s", "measured_s"]]
        + [("efficiency", lambda c: f"{c['single_s'] / c['ranks'] / c['measured_s']:.2f}")],
    }
