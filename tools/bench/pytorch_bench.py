"""What weir-bench measures, of the same models in PyTorch; takes the same arguments, and prints as weir-bench does.

    pytorch_bench.py train FORMULA DIM BATCH THREADS
    pytorch_bench.py sample FORMULA DIM BATCH THREADS
    pytorch_bench.py planar LAYERS ROWS THREADS
"""

import json
import sys

import torch

import pytorch_flows
import pytorch_planar
import trials

CLIP = 1.0
BATCHES = 64
BY_FEATURE_BATCH = 256  # of samples for which the network runs DIM times: a larger one would take minutes


def median(rates):
    return sorted(rates)[len(rates) // 2]


def faster(function, measure):
    """Rates with the function as it is and, where torch.compile works, compiled: the better of the two."""
    eager = measure(function)
    try:
        compiled = measure(torch.compile(function))
    except Exception as fault:  # without a C++ compiler, or for what it can't compile
        print(f"torch.compile: {str(fault).splitlines()[0]}", file=sys.stderr)
        return eager
    return max(eager, compiled, key=median)


def train(formula, dim, batch):
    flow = pytorch_flows.flow_of(formula, dim)
    parameters = list(flow.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=True)
    data = torch.randn(BATCHES * batch, dim)
    index = torch.randperm(len(data)).split(batch)

    def measure(loss_of):
        at = 0

        def step():
            nonlocal at
            at = (at + 1) % BATCHES
            optimizer.zero_grad()
            loss_of(data[index[at]]).backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()

        return trials.rates_of_steps(step, batch)

    return {"rows_per_second": faster(lambda x: -flow.log_prob(x).mean(), measure)}


@torch.no_grad()
def sample(formula, dim, batch):
    flow = pytorch_flows.flow_of(formula, dim)
    x = torch.randn(batch, dim)
    samples = min(batch, BY_FEATURE_BATCH) if flow.by_feature else batch
    return {
        "log_prob_rows_per_second": faster(
            flow.log_prob, lambda f: trials.rates_of_steps(lambda: f(x), batch)),
        "sample_rows_per_second": faster(
            flow.sample, lambda f: trials.rates_of_steps(lambda: f(samples), samples)),
    }


def planar(layers, rows):
    loss, step_with = pytorch_planar.step_of(layers, rows)
    return {"steps_per_second": faster(loss, lambda f: trials.rates_of_steps(lambda: step_with(f), 1))}


def main():
    kind, *case, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    measure = {"train": train, "sample": sample, "planar": planar}[kind]
    result = measure(*[int(word) if word.isdigit() else word for word in case])
    print(json.dumps(result | {"torch": torch.__version__}))


main()
