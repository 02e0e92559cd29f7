"""How many rows zuko's flow of the same family trains on in a second of one core's time, with the batch, optimiser and
networks of families.py: zuko_families.py ROWS.npy FAMILY prints it. Needs torch and zuko."""

import sys
import time

import numpy as np
import torch
from zuko import flows

SECONDS, BATCH, CLIP = 2.0, 256, 1.0
OF_ALL = {"hidden_features": (64, 64), "activation": torch.nn.Tanh}
FAMILIES = {
    "NICE": lambda: flows.NICE(2, transforms=8, **OF_ALL),
    "RealNVP": lambda: flows.RealNVP(2, transforms=8, **OF_ALL),
    "MAF": lambda: flows.MAF(2, transforms=8, **OF_ALL),
    "rational spline": lambda: flows.NSF(2, transforms=4, bins=16, **OF_ALL),
    "Bernstein": lambda: flows.BPF(2, transforms=4, degree=16, **OF_ALL),
    "sum of squares": lambda: flows.SOSPF(2, transforms=4, degree=4, polynomials=3, **OF_ALL),
    "NAF": lambda: flows.NAF(2, transforms=4, network={"hidden_features": (8, 8)}, **OF_ALL),
    "UMNN": lambda: flows.UNAF(2, transforms=4, network={"hidden_features": (16,)}, **OF_ALL),
    "Gaussianization": lambda: flows.GF(2, transforms=8, components=8, **OF_ALL),
    "FFJORD": lambda: flows.CNF(2, **OF_ALL),
}


def rate(rows, flow):
    optimizer, generator = torch.optim.Adam(flow.parameters(), lr=1e-3), torch.Generator().manual_seed(1)

    def step():
        loss = -flow().log_prob(rows[torch.randint(len(rows), (BATCH,), generator=generator)]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), CLIP)
        optimizer.step()

    step()
    begin, steps = time.process_time(), 0
    while time.process_time() - begin < SECONDS:
        step()
        steps += 1
    return steps * BATCH / (time.process_time() - begin)


if __name__ == "__main__":
    torch.set_num_threads(1)
    table = torch.tensor(np.load(sys.argv[1]), dtype=torch.float32)
    print(rate((table - table.mean(0)) / table.std(0), FAMILIES[sys.argv[2]]()))
