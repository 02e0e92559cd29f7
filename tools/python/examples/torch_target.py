"""A model of PyTorch as a target: a logistic regression.

    pip install torch && python torch_target.py"""
import torch

import weir

torch.manual_seed(1)
x = torch.randn(200, 3, dtype=torch.float64)
y = torch.bernoulli(torch.sigmoid(x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)))


def log_density(values):
    """Of rows of coefficients, with the gradient of each: rows don't depend on one another."""
    beta = torch.tensor(values, requires_grad=True)
    prior = torch.distributions.Normal(0.0, 2.5).log_prob(beta).sum(1)
    found = prior + torch.distributions.Bernoulli(logits=beta @ x.T).log_prob(y).sum(1)
    return found.detach(), torch.autograd.grad(found.sum(), beta)[0]


target = weir.Target(log_density, {"beta": 3})
inference = weir.vi(target)
draws = weir.nuts(target, tune=300, draws=300)
for name, chains in draws.summary().items():
    print(f"{name}: {inference.summary()[name].mean:.3f} by the flow, {chains.mean:.3f} by NUTS, R-hat {chains.rhat:.3f}")
