"""bijectors_cnf.csv and cnf_gradients.csv: continuous flows by SciPy's DOP853 and PyTorch's autograd, float64.

    python3 -m venv venv && venv/bin/pip install numpy scipy torch && venv/bin/python cnf.py

The first has lines as bijectors_linear.csv, with ; in formulas for a comma: formula, D, the count of the trained
numbers, those, z, x, log|det dx/dz|. The second has formula, D, count, the numbers, x, and then log p(x) under a
standard normal base, its gradient with respect to x, to the numbers, and to the context. There the size C of the context
stands after D, and it after x.

The network is written as in FFJORD: a linear layer of (z, t), hidden layers, a linear layer; the divergence is the sum
of D gradients. Gradients are those of the equation, not of its discretisation: by the adjoint equation, at the same
tolerance. (torchdiffeq 0.2.5, whose dopri8 is off by 1e-9 at rtol = atol = 1e-13, is no reference here: SciPy's DOP853,
LSODA and Radau agree with each other to 1e-12 on the first of these lines.)"""

import math

import numpy as np
import torch
from scipy.integrate import solve_ivp

torch.set_default_dtype(torch.float64)
torch.manual_seed(5)
ACTIVATIONS = {"tanh": torch.tanh, "silu": torch.nn.functional.silu, "sin": torch.sin}


class Flow:
    def __init__(self, dim, hidden, activation, context):
        self.dim, self.activation = dim, ACTIVATIONS[activation]
        self.time = torch.randn(hidden[0])
        sizes = [dim, *hidden, dim]
        self.weight = [torch.randn(b, a) * 1.2 / math.sqrt(a) for a, b in zip(sizes, sizes[1:])]
        self.bias = [0.5 * torch.randn(b) for b in sizes[1:]]
        self.of_context = [torch.randn(hidden[0], context)] if context else []
        self.context = torch.randn(context) if context else torch.zeros(0)
        first, *rest = zip(self.weight, self.bias)
        self.parameters = [self.time, *first, *self.of_context]
        for pair in rest:
            self.parameters.extend(pair)
        for parameter in [*self.parameters, self.context]:
            parameter.requires_grad_(True)

    def rates(self, t, z):
        """The velocity at z, which wants a gradient, and its divergence."""
        h = z @ self.weight[0].T + self.time * t + self.bias[0]
        for weight in self.of_context:
            h = h + weight @ self.context
        for weight, bias in zip(self.weight[1:], self.bias[1:]):
            h = self.activation(h) @ weight.T + bias
        divergence = sum(torch.autograd.grad(h[i], z, create_graph=True)[0][i] for i in range(self.dim))
        return h, divergence

    def solve(self, z, begin, end):
        def f(t, state):
            v, divergence = self.rates(t, torch.tensor(state[:-1], requires_grad=True))
            return np.append(v.detach().numpy(), float(divergence.detach()))

        end = solve(f, begin, end, np.append(z, 0.0))
        return end[:-1], end[-1]

    def pull_back(self, z, adjoint):
        """From t = 0, where a solution from t = 1 has come to z, back: the gradients at its start, by everything."""
        dim = self.dim

        def f(t, state):
            at = torch.tensor(state[:dim], requires_grad=True)
            v, divergence = self.rates(t, at)
            total = torch.tensor(state[dim : 2 * dim]) @ v + divergence
            wrt = [at, *self.parameters, self.context]
            pulled = torch.autograd.grad(total, wrt, allow_unused=True)
            pulled = [torch.zeros_like(p) if g is None else g for g, p in zip(pulled, wrt)]
            return np.concatenate([v.detach().numpy(), *[-g.flatten().numpy() for g in pulled]])

        count = sum(p.numel() for p in [*self.parameters, self.context])
        return solve(f, 0.0, 1.0, np.concatenate([z, adjoint, np.zeros(count)]))[dim:]


def solve(f, begin, end, state):
    return solve_ivp(f, (begin, end), state, method="DOP853", rtol=1e-13, atol=1e-14).y[:, -1]


def text(numbers):
    return [repr(float(number)) for number in numbers]


def main():
    cases = [
        ("cnf(6)", 1, [6], "tanh", 0),
        ("cnf(6)", 3, [6], "tanh", 0),
        ("cnf(8;7)", 2, [8, 7], "tanh", 0),
        ("cnf(8;7)", 5, [8, 7], "tanh", 0),
        ("cnf(5;4;3;activation=silu)", 2, [5, 4, 3], "silu", 0),
        ("cnf(9;9;activation=sin)", 2, [9, 9], "sin", 0),
        ("cnf(6)", 2, [6], "tanh", 1),
        ("cnf(5;6)", 3, [5, 6], "tanh", 4),
    ]
    values, gradients = [], []
    for formula, dim, hidden, activation, context in cases:
        flow = Flow(dim, hidden, activation, context)
        numbers = text(torch.cat([p.detach().flatten() for p in flow.parameters]))
        head = [formula, str(dim), str(len(numbers)), *numbers]
        for _ in range(0 if context else 2):
            z = torch.randn(dim).numpy()
            x, log_det = flow.solve(z, 0.0, 1.0)
            values.append(",".join([*head, *text(z), *text(x), *text([log_det])]))
        x = torch.randn(dim).numpy()
        z, log_det = flow.solve(x, 1.0, 0.0)
        log_p = -0.5 * (z**2).sum() - 0.5 * dim * math.log(2 * math.pi) + log_det
        head.insert(2, str(context))
        given = [*text(x), *text(flow.context.detach())]
        gradients.append(",".join([*head, *given, *text([log_p]), *text(flow.pull_back(z, -z))]))
    for name, lines in (("bijectors_cnf.csv", values), ("cnf_gradients.csv", gradients)):
        with open(name, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")


main()
