"""What weir-bench measures, of the same models in PyTorch; takes the same arguments, and prints as weir-bench does.

    pytorch_bench.py train FORMULA DIM BATCH THREADS
    pytorch_bench.py sample FORMULA DIM BATCH THREADS
    pytorch_bench.py planar LAYERS ROWS THREADS
"""

import json
import sys
import time

import torch

import pytorch_flows
import pytorch_planar

TRIAL, SECONDS = 0.05, 2.0
CLIP = 1.0
BY_FEATURE_BATCH = 256  # of samples for which the network runs DIM times: a larger one would take minutes


def fastest(step):
    """Seconds of a step: the first is warm-up, then the best of short trials. A step that takes long is tried once."""
    best, end = float("inf"), time.perf_counter() + SECONDS
    step()
    while best == float("inf") or time.perf_counter() < end:
        begin, steps, seconds = time.perf_counter(), 0, 0.0
        while seconds < TRIAL:
            step()
            steps += 1
            seconds = time.perf_counter() - begin
        best = min(best, seconds / steps)
    return best


def train(formula, dim, batch):
    flow = pytorch_flows.flow_of(formula, dim)
    parameters = list(flow.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-4)
    data = torch.randn(16 * batch, dim)
    index = torch.randperm(len(data)).split(batch)
    at = 0

    def step():
        nonlocal at
        at = (at + 1) % len(index)
        optimizer.zero_grad()
        loss = -flow.log_prob(data[index[at]]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()

    return {"rows_per_second": batch / fastest(step)}


@torch.no_grad()
def sample(formula, dim, batch):
    flow = pytorch_flows.flow_of(formula, dim)
    x = torch.randn(batch, dim)
    samples = min(batch, BY_FEATURE_BATCH) if flow.by_feature else batch
    return {
        "log_prob_rows_per_second": batch / fastest(lambda: flow.log_prob(x)),
        "sample_rows_per_second": samples / fastest(lambda: flow.sample(samples)),
    }


def planar(layers, rows):
    seconds = fastest(pytorch_planar.step_of(layers, rows))
    return {"steps_per_second": 1 / seconds}


def main():
    kind, *case, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    measure = {"train": train, "sample": sample, "planar": planar}[kind]
    result = measure(*[int(word) if word.isdigit() else word for word in case])
    print(json.dumps(result | {"torch": torch.__version__}))


main()
