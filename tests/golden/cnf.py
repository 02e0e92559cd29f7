"""bijectors_cnf.csv and cnf_gradients.csv: continuous flows against torchdiffeq 0.2.5 and PyTorch's autograd, float64.

    python3 -m venv venv && venv/bin/pip install torch torchdiffeq && venv/bin/python cnf.py

The first has lines as bijectors_linear.csv, with ; in formulas for a comma: formula, D, the count of the trained numbers, those, z, x, log|det dx/dz|.
The second has formula, D, count, the numbers, x, and then log p(x) under a standard normal base, its gradient with
respect to x, and with respect to the numbers. The network is written as in FFJORD: a linear layer of (z, t), hidden
layers, a linear layer; the divergence is the sum of D gradients. dopri8 at rtol = atol = 1e-13, and gradients through
its steps."""

import math

import torch
from torchdiffeq import odeint

torch.set_default_dtype(torch.float64)
torch.manual_seed(5)
ACTIVATIONS = {"tanh": torch.tanh, "silu": torch.nn.functional.silu, "elu": torch.nn.functional.elu, "sin": torch.sin}


class Flow:
    def __init__(self, dim, hidden, activation):
        self.activation = ACTIVATIONS[activation]
        self.time = torch.randn(hidden[0])
        sizes = [dim, *hidden, dim]
        self.weight = [torch.randn(b, a) * 1.2 / math.sqrt(a) for a, b in zip(sizes, sizes[1:])]
        self.bias = [0.5 * torch.randn(b) for b in sizes[1:]]
        self.parameters = [self.time]
        for pair in zip(self.weight, self.bias):
            self.parameters.extend(pair)
        for parameter in self.parameters:
            parameter.requires_grad_(True)

    def velocity(self, t, z):
        h = z @ self.weight[0].T + self.time * t + self.bias[0]
        for weight, bias in zip(self.weight[1:], self.bias[1:]):
            h = self.activation(h) @ weight.T + bias
        return h

    def rate(self, t, state):
        with torch.enable_grad():
            z = state[:-1]
            z = z if z.requires_grad else z.requires_grad_(True)
            v = self.velocity(t, z)
            divergence = sum(torch.autograd.grad(v[i], z, create_graph=True)[0][i] for i in range(len(z)))
        return torch.cat([v, divergence[None]])

    def solve(self, z, begin, end):
        state = torch.cat([z, torch.zeros(1)])
        end = odeint(self.rate, state, torch.tensor([begin, end]), rtol=1e-13, atol=1e-13, method="dopri8")[-1]
        return end[:-1], end[-1]


def text(numbers):
    return [repr(float(number.detach())) for number in numbers]


def main():
    cases = [
        ("cnf(6)", 1, [6], "tanh"),
        ("cnf(6)", 3, [6], "tanh"),
        ("cnf(8;7)", 2, [8, 7], "tanh"),
        ("cnf(8;7)", 5, [8, 7], "tanh"),
        ("cnf(5;4;3;activation=silu)", 2, [5, 4, 3], "silu"),
        ("cnf(9;9;activation=sin)", 2, [9, 9], "sin"),
    ]
    values, gradients = [], []
    for formula, dim, hidden, activation in cases:
        flow = Flow(dim, hidden, activation)
        numbers = torch.cat([p.flatten() for p in flow.parameters])
        head = [formula, str(dim), str(len(numbers)), *text(numbers)]
        for _ in range(2):
            z = torch.randn(dim)
            x, log_det = flow.solve(z, 0.0, 1.0)
            values.append(",".join([*head, *text(z), *text(x), *text([log_det])]))
        x = torch.randn(dim, requires_grad=True)
        z, log_det = flow.solve(x, 1.0, 0.0)
        log_p = -0.5 * (z**2).sum() - 0.5 * dim * math.log(2 * math.pi) + log_det
        pulled = torch.autograd.grad(log_p, [x, *flow.parameters])
        pulled = torch.cat([g.flatten() for g in pulled])
        gradients.append(",".join([*head, *text(x), *text([log_p]), *text(pulled)]))
    for name, lines in (("bijectors_cnf.csv", values), ("cnf_gradients.csv", gradients)):
        with open(name, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")


main()
