"""The flows of weir-bench in PyTorch, with its parameterisations: see flows/*.c for the formulas and their sources.

flow_of("(rqs(64,64)-flip)*4", dim) makes one. x is (rows, dim) everywhere; maps return the log-determinant beside it.
check_peers.py compares them with Weir's.
"""

import math

import torch
from torch.nn import functional

import formulas
from formulas import BINS, BOUND, LEAST, TAIL


# ---- Transformers: increasing maps of single features, from what a network says ----------------------------------


class Affine:
    per_feature = 2  # (rows, 2, n)

    @staticmethod
    def repeat(features):
        return features.repeat(2)

    @staticmethod
    def split(outputs):
        shift, log_scale = outputs.chunk(2, dim=1)
        return shift, BOUND * torch.tanh(log_scale / BOUND)

    @staticmethod
    def density(x, parameters):
        shift, log_scale = parameters
        return (x - shift) * torch.exp(-log_scale), -log_scale

    @staticmethod
    def sample(z, parameters):
        shift, log_scale = parameters
        return z * torch.exp(log_scale) + shift, log_scale


class Spline:
    per_feature = 3 * BINS - 1  # (rows, n, 3 BINS - 1)

    @staticmethod
    def repeat(features):
        return features.repeat_interleave(Spline.per_feature)

    @staticmethod
    def split(outputs):
        return outputs.view(len(outputs), -1, Spline.per_feature).split([BINS, BINS, BINS - 1], dim=2)

    @staticmethod
    def axis(unnormalized):
        """Knots, bins + 1 of them, and extents of the bins."""
        extents = LEAST + (1 - LEAST * BINS) * torch.softmax(unnormalized, dim=2)
        knots = functional.pad(torch.cumsum(extents, dim=2), (1, 0))
        return 2 * TAIL * knots - TAIL, 2 * TAIL * extents

    @staticmethod
    def bin(v, parameters, on_x):
        inside = v.abs() < TAIL
        at = torch.where(inside, v, torch.zeros_like(v))
        x, widths = Spline.axis(parameters[0])
        y, heights = Spline.axis(parameters[1])
        inner = LEAST + functional.softplus(parameters[2] + math.log(math.expm1(1 - LEAST)))
        derivatives = functional.pad(inner, (1, 1), value=1.0)
        knots = x if on_x else y
        index = (at[:, :, None] >= knots[:, :, 1:-1]).sum(dim=2, keepdim=True)
        picked = [q.gather(2, index).squeeze(2) for q in (x, widths, y, heights, derivatives)]
        right = derivatives.gather(2, index + 1).squeeze(2)
        return inside, at, picked, right

    @staticmethod
    def log_slope(xi, slope, left, right, beta):
        ends = right * xi**2 + 2 * slope * xi * (1 - xi) + left * (1 - xi) ** 2
        return torch.log(ends) + 2 * torch.log(slope / beta)

    @staticmethod
    def density(v, parameters):
        inside, at, (x, width, y, height, left), right = Spline.bin(v, parameters, True)
        slope, xi = height / width, (at - x) / width
        both = xi * (1 - xi)
        beta = slope + (left + right - 2 * slope) * both
        out = y + height * (slope * xi**2 + left * both) / beta
        log_slope = Spline.log_slope(xi, slope, left, right, beta)
        return torch.where(inside, out, v), torch.where(inside, log_slope, torch.zeros_like(v))

    @staticmethod
    def sample(v, parameters):
        inside, at, (x, width, y, height, left), right = Spline.bin(v, parameters, False)
        slope, eta = height / width, (at - y) / height
        sigma = left + right - 2 * slope
        b, c = left - sigma * eta, -slope * eta
        a = slope - b
        xi = 2 * c / (-b - torch.sqrt(torch.clamp(b**2 - 4 * a * c, min=0)))
        log_slope = Spline.log_slope(xi, slope, left, right, slope + sigma * xi * (1 - xi))
        return torch.where(inside, x + width * xi, v), torch.where(inside, -log_slope, torch.zeros_like(v))


# ---- Layers ------------------------------------------------------------------------------------------------------


class MaskedLinear(torch.nn.Linear):
    def __init__(self, degrees_in, degrees_out, strict):
        super().__init__(len(degrees_in), len(degrees_out))
        compare = torch.gt if strict else torch.ge
        self.register_buffer("mask", compare(degrees_out[:, None], degrees_in[None, :]).float())

    def forward(self, x):
        return functional.linear(x, self.weight * self.mask, self.bias)


class Autoregressive(torch.nn.Module):
    """Each feature from those before it, where Weir's are from those behind it."""

    def __init__(self, transformer, dim, hidden):
        super().__init__()
        self.transformer = transformer
        degrees = [torch.tensor(layer) for layer in formulas.degrees(dim, hidden)]
        layers = []
        for before, after in zip(degrees, degrees[1:]):
            layers += [MaskedLinear(before, after, strict=False), torch.nn.Tanh()]
        self.network = torch.nn.Sequential(
            *layers, MaskedLinear(degrees[-1], transformer.repeat(degrees[0]), strict=True)
        )

    def density(self, x):
        z, log_det = self.transformer.density(x, self.transformer.split(self.network(x)))
        return z, log_det.sum(dim=1)

    def sample(self, z):
        x, log_det = torch.zeros_like(z), torch.zeros_like(z)
        for d in range(z.shape[1]):
            parameters = [p[:, d : d + 1] for p in self.transformer.split(self.network(x))]
            x[:, d : d + 1], log_det[:, d : d + 1] = self.transformer.sample(z[:, d : d + 1], parameters)
        return x, log_det.sum(dim=1)


class Coupling(torch.nn.Module):
    """The first half of the features stay."""

    def __init__(self, transformer, dim, hidden):
        super().__init__()
        self.transformer, self.seen = transformer, dim // 2
        sizes = [self.seen, *hidden]
        layers = []
        for before, after in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(before, after), torch.nn.Tanh()]
        moved = dim - self.seen
        self.network = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], transformer.per_feature * moved))

    def map(self, v, direction):
        seen, moved = v[:, : self.seen], v[:, self.seen :]
        moved, log_det = direction(moved, self.transformer.split(self.network(seen)))
        return torch.cat([seen, moved], dim=1), log_det.sum(dim=1)

    def density(self, x):
        return self.map(x, self.transformer.density)

    def sample(self, z):
        return self.map(z, self.transformer.sample)


LAYERS = {
    "maf": (Autoregressive, Affine),
    "rqsar": (Autoregressive, Spline),
    "realnvp": (Coupling, Affine),
    "rqs": (Coupling, Spline),
}


class Flow(torch.nn.Module):
    def __init__(self, layers, dim):
        super().__init__()
        self.layers, self.dim = torch.nn.ModuleList(layers), dim
        self.by_feature = isinstance(layers[0], Autoregressive)

    def base(self, z):
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(dim=1)

    def log_prob(self, x):
        log_det = 0
        for layer in reversed(self.layers):
            x, term = layer.density(x.flip(1))
            log_det = log_det + term
        return self.base(x) + log_det

    def sample(self, rows):
        """Samples, and their log-probabilities."""
        x = torch.randn(rows, self.dim)
        log_prob = self.base(x)
        for layer in self.layers:
            x, term = layer.sample(x)
            x, log_prob = x.flip(1), log_prob - term
        return x, log_prob


def flow_of(formula, dim):
    name, hidden, count = formulas.parts(formula)
    kind, transformer = LAYERS[name]
    return Flow([kind(transformer, dim, hidden) for _ in range(count)], dim)
