"""Write maps.csv: bijectors at random parameters, by other implementations where there is one. A line has

    formula, forward, inverse or base, D, C, N, N trained numbers (rho, in the order declared), C of context, D of an event,
    the D that it becomes, log|det| of that direction, and the gradient of sum_i out_i / i + log|det| with respect to the
    event (D) and to the trained numbers (N); of a base distribution the event becomes itself, and log|det| is log p

with torch 2, nflows 0.14, normflows 1.7, zuko 1.6 and pyro 1.9 in float64. Gradients are autograd's, with respect to rho,
of which the weights of each implementation are made here; log-determinants are theirs.
"""

import importlib
import math
from pathlib import Path

import normflows
import numpy as np
import scipy.stats
import torch
import zuko
from nflows.transforms.qr import QRLinear
from nflows.transforms.svd import SVDLinear
from torch.func import functional_call
from torch.nn.functional import softplus

pyro_bnaf = importlib.import_module("pyro.distributions.transforms.block_autoregressive")
torch.set_default_dtype(torch.float64)
HERE = Path(__file__).parent
POINTS = 2
random = np.random.default_rng(2019)


class Numbers:
    """rho, of which parts are taken from left to right; where there is none yet, they are drawn."""

    def __init__(self, rho=None):
        self.rho, self.drawn, self.at = rho, [], 0

    def take(self, *shape, scale=1.0):
        size = math.prod(shape)
        if self.rho is None:
            self.drawn.append(random.normal(size=size) * scale)
            return torch.tensor(self.drawn[-1]).reshape(shape)
        self.at += size
        return self.rho[self.at - size : self.at].reshape(shape)


def jacobian_log_det(function, v):
    return torch.linalg.slogdet(torch.autograd.functional.jacobian(function, v, create_graph=True)).logabsdet


# ---- Linear maps ------------------------------------------------------------------------------------------------------


def near(v):
    """nf_near_reflections: v + e, a pair for each feature, the first reflection leftmost; nflows applies its first one
    first."""
    e = torch.zeros_like(v)
    for k in range(len(v)):
        e[k, k // 2 % v.shape[1]] = 1
    return torch.flip(v + e, [0])


def lower(numbers, d):
    rho = numbers.take(d, d)
    return torch.tril(rho, -1) + torch.diag(softplus(torch.diagonal(rho)))


def qr(numbers, v, c):
    d = len(v)
    q, r = near(numbers.take(d + d % 2, d)), lower(numbers, d).T
    module = QRLinear(d, d + d % 2)
    weights = {
        "orthogonal.q_vectors": q,
        "upper_entries": r[np.triu_indices(d, k=1)],
        "log_upper_diag": torch.log(torch.diagonal(r)),
    }
    x, log_det = functional_call(module, weights, v[None])
    return x[0], log_det[0]


def svd(numbers, v, c):
    d = len(v)
    u, s, w = numbers.take(d + d % 2, d), numbers.take(d), numbers.take(d + d % 2, d)
    module = SVDLinear(d, d + d % 2, eps=0)
    weights = {
        "orthogonal_1.q_vectors": near(u),
        "unconstrained_diagonal": s,
        "orthogonal_2.q_vectors": torch.flip(near(w), [0]),  # V transposed
    }
    x, log_det = functional_call(module, weights, v[None])
    return x[0], log_det[0]


def skew(numbers, d):
    a = torch.zeros(d, d)
    a = a.index_put(tuple(map(torch.tensor, np.tril_indices(d, -1))), numbers.take(d * (d - 1) // 2))
    return a


def exponential(numbers, v, c):
    x = zuko.transforms.RotationTransform(skew(numbers, len(v)))(v)
    return x, torch.zeros(()) * x[0]


def cayley(numbers, v, c):
    """torch.nn.utils.parametrizations.orthogonal, orthogonal_map="cayley"."""
    a = skew(numbers, len(v))
    half, one = (a - a.T) / 2, torch.eye(len(v))
    return torch.linalg.solve(one - half, one + half) @ v, torch.zeros(()) * v[0]


# ---- Gaussianisation --------------------------------------------------------------------------------------------------


def gaussianize(components):
    """zuko's GaussianizationTransform with equal weights, but for its factor of 1 - 1e-6; torch's mixture here, whose
    slope is its density's over the normal's."""

    def function(numbers, v, c):
        d = len(v)
        logit, loc = numbers.take(d, components), numbers.take(d, components)
        scale = torch.exp(-7 + 14 * torch.sigmoid(numbers.take(d, components, scale=0.1)))
        weights = torch.distributions.Categorical(logits=logit)
        mixture = torch.distributions.MixtureSameFamily(weights, torch.distributions.Normal(loc, scale))
        normal = torch.distributions.Normal(0.0, 1.0)
        z = normal.icdf(mixture.cdf(v))
        return z, (mixture.log_prob(v) - normal.log_prob(z)).sum()

    return function


# ---- Block neural autoregressive flows --------------------------------------------------------------------------------


def bnaf(*hidden):
    """Pyro's, gated, which goes from the first feature to the last; its eps of 1e-8 is none here."""

    def function(numbers, v, c):
        d = len(v)
        pyro_bnaf.eps = 0.0
        module = pyro_bnaf.BlockAutoregressive(d, list(hidden), activation="tanh", residual="gated")
        widths, weights = [1, *hidden, 1], {}
        for l, (n_in, n_out) in enumerate(zip(widths, widths[1:])):
            weights[f"layers.{l}._weight"] = numbers.take(d * n_out, d * n_in)
            bias = numbers.take(d * n_out)
            if l == 0 and len(c):
                bias = bias + numbers.take(d * n_out, len(c)) @ c
            weights[f"layers.{l}.bias"] = bias
            weights[f"layers.{l}._diag_weight"] = numbers.take(d * n_out, scale=0.3)[:, None]
        gate = 0.01 + 0.98 * torch.sigmoid(numbers.take())
        weights["gate"] = torch.log((1 - gate) / gate).reshape(1)  # theirs is of x, not of the network

        class Whole(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.module = module

            def forward(self, x):
                return self.module._call(x), self.module._cached_logDetJ.sum(-1)

        named = {f"module.{name}": value for name, value in weights.items()}
        z, log_det = functional_call(Whole(), named, torch.flip(v, [0])[None])
        return torch.flip(z[0], [0]), log_det[0]

    return function


# ---- Residual flows ---------------------------------------------------------------------------------------------------


def gram_bound(v, steps=6):
    """Delattre et al. 2023, algorithm 1: an upper bound of the largest singular value, as they write it."""
    r, g = torch.zeros(()), v if v.shape[0] >= v.shape[1] else v.T
    for _ in range(steps):
        norm = torch.linalg.norm(g)
        r = 2 * (r + torch.log(norm))
        g = g / norm
        g = g.T @ g
    return (torch.linalg.norm(g) * torch.exp(r)) ** (0.5**steps)


def residual(*hidden, lipschitz=0.9):
    """normflows' iResBlock and Swish; its log-det of two features, which is exact there, and else autograd's."""

    def function(numbers, v, c):
        d, kappa = len(v), lipschitz ** (1 / (len(hidden) + 1))
        beta, widths = numbers.take(len(hidden)), [d, *hidden, d]
        swish = normflows.nets.lipschitz.Swish()
        layers = []
        for l, (n_in, n_out) in enumerate(zip(widths, widths[1:])):
            weight, bias = numbers.take(n_out, n_in), numbers.take(n_out)
            if l == 0 and len(c):
                bias = bias + numbers.take(n_out, len(c)) @ c
            bound = gram_bound(weight)
            assert torch.linalg.matrix_norm(weight, 2) <= bound * (1 + 1e-12)
            layers.append((weight * torch.clamp(kappa / bound, max=1), bias))

        def net(x):
            for l, (weight, bias) in enumerate(layers):
                if l > 0:
                    x = functional_call(swish, {"beta": beta[l - 1 : l]}, x)
                x = x @ weight.T + bias
            return x

        block = normflows.flows.residual.iResBlock(net, brute_force=True)
        z = block(v[None])[0]
        log_det = jacobian_log_det(lambda x: x + net(x), v)
        if d == 2 and not v.requires_grad:
            theirs = -block(v[None].clone(), torch.zeros(1, 1))[1]
            assert abs(theirs.item() - log_det.item()) < 1e-12
        return z, log_det

    return function


# ---- Parameters of the context ----------------------------------------------------------------------------------------


def mlp(numbers, hidden, outputs, c):
    h = torch.tanh(numbers.take(hidden[0]) + numbers.take(hidden[0], len(c)) @ c)
    for n_in, n_out in zip(hidden, hidden[1:]):
        h = torch.tanh(numbers.take(n_out, n_in) @ h + numbers.take(n_out))
    return (numbers.take(outputs, hidden[-1]) @ h + numbers.take(outputs)) if outputs else h


def moved(function, count, *hidden):
    """conditional(…): rho + 10 tanh(network(c) / 10)."""

    def outer(numbers, v, c):
        d = len(v)
        by = 10 * torch.tanh(mlp(numbers, hidden, count(d), c) / 10)
        return function(Numbers(numbers.take(count(d)) + by), v, c[:0])

    return outer


def embedded(function, *units):
    return lambda numbers, v, c: function(numbers, v, mlp(numbers, units, 0, c))


def planar(numbers, v, c):
    """Rezende & Mohamed 2015, eq. 10 and A.1."""
    u, w, b = numbers.take(len(v)), numbers.take(len(v)), numbers.take()

    def function(z):
        wu = u @ w
        u_hat = u + (-1 + softplus(wu) - wu) * w / ((w**2).sum() + 1e-10)
        return z + u_hat * torch.tanh(z @ w + b)

    return function(v), jacobian_log_det(function, v)


def radial(numbers, v, c):
    """Rezende & Mohamed 2015, eq. 14."""
    z_ref, alpha, b = numbers.take(len(v)), torch.exp(numbers.take()), numbers.take()
    function = lambda z: z + (softplus(b) - alpha) / (alpha + torch.linalg.norm(z - z_ref)) * (z - z_ref)
    return function(v), jacobian_log_det(function, v)


def sylvester(units):
    """van den Berg et al. 2018, eq. 13, with as many units as features or fewer."""

    def outer(numbers, v, c):
        d, m = len(v), min(units, len(v))
        bounded = lambda rho: torch.diag(-0.99 + 1.98 * torch.sigmoid(rho))
        vectors, r, r_diagonal = numbers.take(m, d), numbers.take(m, m), numbers.take(m)
        r_tilde, r_tilde_diagonal, b = numbers.take(m, m), numbers.take(m), numbers.take(m)
        q = torch.eye(d)
        for w in vectors:
            q = q @ (torch.eye(d) - 2 * torch.outer(w, w) / (w @ w))
        q = q[:, :m]
        r, r_tilde = torch.tril(r, -1).T + bounded(r_diagonal), torch.tril(r_tilde, -1).T + bounded(r_tilde_diagonal)
        function = lambda z: z + q @ r @ torch.tanh(r_tilde @ q.T @ z + b)
        return function(v), jacobian_log_det(function, v)

    return outer


def of_sylvester(units):
    def count(d):
        m = min(units, d)
        return m * d + 2 * m * m + 3 * m

    return count


# ---- Base distributions -----------------------------------------------------------------------------------------------


def generalized_normal(numbers, v, c):
    """scipy.stats.gennorm, in torch; its value is compared with it."""
    power = 0.2 + 19.8 * torch.sigmoid(numbers.take(len(v)))
    each = -v.abs() ** power - math.log(2) - torch.lgamma(1 + 1 / power)
    assert np.allclose(each.detach(), scipy.stats.gennorm.logpdf(v.detach(), power.detach()), rtol=1e-12)
    return v, each.sum()


def independent(distribution):
    return lambda numbers, v, c: (v, distribution(torch.zeros(len(v)), torch.ones(len(v))).log_prob(v).sum())


def logistic(loc, scale):
    t = torch.distributions
    return t.TransformedDistribution(t.Uniform(loc, scale), [t.SigmoidTransform().inv])


def multivariate_normal(numbers, v, c):
    loc, factor = numbers.take(len(v)), lower(numbers, len(v))
    return v, torch.distributions.MultivariateNormal(loc, scale_tril=factor).log_prob(v)


def lattice(d, points):
    """Roberts 2018: multiples of powers of 1 / phi, phi^(d + 1) = phi + 1, folded; as standard normals."""
    phi = max(np.roots([1, *[0] * (d - 1), -1, -1]).real) if d > 1 else (1 + 5**0.5) / 2
    place = (0.5 + np.arange(1, points + 1)[:, None] * phi ** -np.arange(1.0, d + 1)) % 1
    return torch.tensor(scipy.stats.norm.ppf(1 - np.abs(2 * place - 1)))


def resampled(*hidden, tries=20, points=4096):
    """Stimper et al. 2022, eq. 6, as it stands there; Z is compared with a mean over many draws."""

    def function(numbers, v, c):
        widths, layers = [len(v), *hidden, 1], []
        for n_in, n_out in zip(widths, widths[1:]):
            layers.append((numbers.take(n_out, n_in), numbers.take(n_out)))

        def acceptance(x):
            for l, (weight, bias) in enumerate(layers):
                x = torch.tanh(x) if l else x
                x = x @ weight.T + bias
            return torch.sigmoid(x)

        z = acceptance(lattice(len(v), points)).mean()
        many = torch.tensor(np.random.default_rng(1).normal(size=(1 << 18, len(v))))
        assert abs(acceptance(many).mean() / z - 1) < 1e-2, (len(v), z)
        alpha = (1 - z) ** (tries - 1)
        normal = torch.distributions.Normal(0.0, 1.0).log_prob(v).sum()
        return v, normal + torch.log((1 - alpha) * acceptance(v)[0] / z + alpha)

    return function


# formula, direction, context, map
MAPS = [
    ("qr", "forward", 0, qr),
    ("svd", "forward", 0, svd),
    ("orthogonal", "forward", 0, exponential),
    ("orthogonal(form=cayley)", "forward", 0, cayley),
    ("gaussianize", "inverse", 0, gaussianize(8)),
    ("gaussianize(components=3)", "inverse", 0, gaussianize(3)),
    ("bnaf(3)", "inverse", 0, bnaf(3)),
    ("bnaf(4;3)", "inverse", 2, bnaf(4, 3)),
    ("residual(6)", "inverse", 0, residual(6)),
    ("residual(7;5;lipschitz=0.7)", "inverse", 2, residual(7, 5, lipschitz=0.7)),
    ("conditional(planar;4)", "forward", 2, moved(planar, lambda d: 2 * d + 1, 4)),
    ("conditional(radial;4;3)", "forward", 3, moved(radial, lambda d: d + 2, 4, 3)),
    ("conditional(sylvester(2);3)", "forward", 2, moved(sylvester(2), of_sylvester(2), 3)),
    ("laplace", "base", 0, independent(torch.distributions.Laplace)),
    ("logistic", "base", 0, independent(logistic)),
    ("generalized_normal", "base", 0, generalized_normal),
    ("multivariate_normal", "base", 0, multivariate_normal),
    ("resampled(6)", "base", 0, resampled(6)),
    ("embed(5;4)-conditional(planar;3)", "forward", 3, embedded(moved(planar, lambda d: 2 * d + 1, 3), 5, 4)),
]


def lines():
    for formula, direction, context, function in MAPS:
        for d in (1, 2, 5):
            drawing = Numbers()
            function(drawing, torch.tensor(random.normal(size=d)), torch.tensor(random.normal(size=context)))
            rho = torch.tensor(np.concatenate([np.empty(0), *drawing.drawn]))
            for _ in range(POINTS):
                v, c = random.normal(size=d) * 1.5, torch.tensor(random.normal(size=context))
                v, given = torch.tensor(v, requires_grad=True), rho.clone().requires_grad_()
                function(Numbers(given), v.detach(), c)
                numbers = Numbers(given)
                out, log_det = function(numbers, v, c)
                assert numbers.at == len(rho), (formula, numbers.at, len(rho))
                sum_of = (out / torch.arange(1, d + 1) * (direction != "base")).sum() + log_det
                by_v, by_rho = torch.autograd.grad(sum_of, [v, given], allow_unused=True)
                by_rho = torch.zeros_like(given) if by_rho is None else by_rho
                row = [rho, c, v, out, log_det.reshape(1), by_v, by_rho]
                row = np.concatenate([part.detach().numpy() for part in row])
                counts = [str(n) for n in (d, context, len(rho))]
                yield ",".join([formula, direction, *counts, *("%.17g" % number for number in row)])


(HERE / "maps.csv").write_text("\n".join(lines()) + "\n")
