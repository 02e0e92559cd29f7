"""What `weir-bench train cnf(64,64) DIM BATCH THREADS` measures, of FFJORD in PyTorch and torchdiffeq; prints alike.

    pytorch_ffjord.py WEIGHTS DIM BATCH THREADS

The same network, dopri5 at the same tolerance, the exact divergence, Adam with clipped gradients. Gradients by the
adjoint equation, as in FFJORD, and through the solver's steps; the better counts, and both are told. WEIGHTS: what
initial weights are multiplied by; 3 gives some 20 evaluations, as a flow under training has. nfe: evaluations of f in
the forward solve of the last step."""

import json
import sys

import torch
import torchdiffeq

import trials

HIDDEN, TOLERANCE, CLIP, BATCHES = 64, 1e-5, 1.0, 64


class Rate(torch.nn.Module):
    def __init__(self, dim, scale):
        super().__init__()
        sizes = [dim + 1, HIDDEN, HIDDEN, dim]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        with torch.no_grad():
            self.layers[-1].weight.mul_(0.1)
            self.layers[-1].bias.mul_(0.1)
            for parameter in self.parameters():
                parameter.mul_(scale)
        self.evaluations = 0

    def forward(self, t, state):
        self.evaluations += 1
        z = state[0]
        with torch.enable_grad():
            z.requires_grad_(True)
            h = torch.cat([z, t.expand(len(z), 1)], 1)
            for layer in self.layers[:-1]:
                h = torch.tanh(layer(h))
            v = self.layers[-1](h)
            divergence = sum(
                torch.autograd.grad(v[:, i].sum(), z, create_graph=True)[0][:, i] for i in range(z.shape[1])
            )
        return v, divergence[:, None]


def loss_of(rate, solve, x):
    times = torch.tensor([1.0, 0.0])
    z, log_det = solve(rate, (x, torch.zeros(len(x), 1)), times, rtol=TOLERANCE, atol=TOLERANCE, method="dopri5")
    log_base = torch.distributions.Normal(0.0, 1.0).log_prob(z[-1]).sum(1)
    return -(log_base + log_det[-1][:, 0]).mean()


def train(scale, dim, batch, solve):
    torch.manual_seed(1)
    rate = Rate(dim, scale)
    optimizer = torch.optim.Adam(rate.parameters(), lr=1e-4, fused=True)
    data = torch.randn(BATCHES, batch, dim)
    at = evaluations = 0

    def step():
        nonlocal at, evaluations
        at = (at + 1) % BATCHES
        optimizer.zero_grad()
        rate.evaluations = 0
        loss = loss_of(rate, solve, data[at].clone())
        evaluations = rate.evaluations
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rate.parameters(), CLIP)
        optimizer.step()

    return trials.rates_of_steps(step, batch), evaluations


def main():
    scale, dim, batch, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    result = {"torch": torch.__version__}
    for name, solve in (("adjoint", torchdiffeq.odeint_adjoint), ("through_steps", torchdiffeq.odeint)):
        result[name], result["nfe"] = train(float(scale), int(dim), int(batch), solve)
    medians = [sorted(result[name])[len(result[name]) // 2] for name in ("adjoint", "through_steps")]
    print(json.dumps(result | {"rows_per_second": result[("adjoint", "through_steps")[medians[1] > medians[0]]]}))


main()
