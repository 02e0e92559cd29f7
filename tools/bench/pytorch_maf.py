"""The model of weir-bench in PyTorch: trains maf(H, …)-flip, K times, on random data, and prints the rows per second of
its fastest epoch as a JSON object.

    pytorch_maf.py HIDDEN LAYERS DIM BATCH THREADS ROWS          HIDDEN: 128,128
"""

import json
import math
import sys
import time

import torch
from torch.nn import functional

EPOCHS = 4
BOUND = 3.0  # of the log-scale
CLIP = 5.0


class MaskedLinear(torch.nn.Linear):
    def __init__(self, degrees_in, degrees_out, strict):
        super().__init__(len(degrees_in), len(degrees_out))
        compare = torch.gt if strict else torch.ge
        self.register_buffer("mask", compare(degrees_out[:, None], degrees_in[None, :]).float())

    def forward(self, x):
        return functional.linear(x, self.weight * self.mask, self.bias)


class Maf(torch.nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        features = torch.arange(1, dim + 1)
        degrees = [features] + [1 + torch.arange(size) * (dim - 1) // size for size in hidden]
        layers = []
        for before, after in zip(degrees, degrees[1:]):
            layers += [MaskedLinear(before, after, strict=False), torch.nn.Tanh()]
        self.network = torch.nn.Sequential(*layers, MaskedLinear(degrees[-1], features.repeat(2), strict=True))

    def forward(self, x):
        shift, log_scale = self.network(x).chunk(2, dim=1)
        log_scale = BOUND * torch.tanh(log_scale / BOUND)
        return (x - shift) * torch.exp(-log_scale), -log_scale.sum(dim=1)


def log_prob(layers, x):
    log_det = 0
    for layer in reversed(layers):
        x, term = layer(x.flip(1))
        log_det = log_det + term
    return log_det - 0.5 * (x.square() + math.log(2 * math.pi)).sum(dim=1)


def main():
    hidden = [int(size) for size in sys.argv[1].split(",")]
    count, dim, batch, threads, rows = map(int, sys.argv[2:])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    layers = torch.nn.ModuleList(Maf(dim, hidden) for _ in range(count))
    parameters = list(layers.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-4)
    data = torch.randn(rows, dim)
    best = 0.0
    for _ in range(EPOCHS):
        begin = time.perf_counter()
        for index in torch.randperm(rows).split(batch):
            optimizer.zero_grad()
            loss = -log_prob(layers, data[index]).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
        best = max(best, rows / (time.perf_counter() - begin))
    print(json.dumps({"rows_per_second": best, "torch": torch.__version__}))


main()
