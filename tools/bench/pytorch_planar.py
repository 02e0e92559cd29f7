"""The step of variational inference that planar.c measures, in PyTorch."""

import torch
from torch.nn import functional

DIM = 2


class Planar(torch.nn.Module):
    """K layers, whose parameters are stacked: Adam then updates three tensors."""

    def __init__(self, layers):
        super().__init__()
        self.u = torch.nn.Parameter(0.3 * torch.randn(layers, DIM))
        self.w = torch.nn.Parameter(0.3 * torch.randn(layers, DIM))
        self.b = torch.nn.Parameter(0.3 * torch.randn(layers))

    def sample(self, rows):
        """Samples, and the sum of the layers' log-dets."""
        wu = (self.w * self.u).sum(dim=1, keepdim=True)
        norm = self.w.square().sum(dim=1, keepdim=True) + 1e-10
        u_hat = self.u + (functional.softplus(wu) - 1 - wu) * self.w / norm
        uw = (u_hat * self.w).sum(dim=1)
        z, slopes = torch.randn(rows, DIM), []
        for u, w, b, dot in zip(u_hat, self.w, self.b, uw):
            t = torch.tanh(z @ w + b)
            slopes.append((1 - t.square()) * dot)
            z = z + t[:, None] * u
        return z, torch.log(torch.abs(1 + torch.stack(slopes))).sum(dim=0)


def energy(x):
    """U1 of Rezende & Mohamed 2015."""
    first = x[:, 0]
    ring = 0.5 * ((x.norm(dim=1) - 2) / 0.4).square()
    lobes = torch.stack([-0.5 * ((first + shift) / 0.6).square() for shift in (-2, 2)])
    return ring - torch.logsumexp(lobes, dim=0)


def step_of(layers, rows):
    """The loss of a draw, and a function that makes a step with it."""
    flow = Planar(layers)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3, fused=True)

    def loss():
        x, log_det = flow.sample(rows)
        return (energy(x) - log_det).mean()

    def step(loss_of):
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()

    return loss, step
