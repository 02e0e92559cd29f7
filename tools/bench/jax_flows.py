"""The flows of weir-bench in JAX: as pytorch_flows.py, whose layouts of weights they share, written for jit.

flow_of("(rqs(64,64)-flip)*4", dim) makes one. Weights are arguments: for each layer a list of (weight, bias).
check_peers.py compares them with Weir's.
"""

import math

import jax
import jax.numpy as jnp

import formulas
from formulas import BINS, BOUND, LEAST, TAIL


# ---- Transformers: increasing maps of single features, from what a network says ----------------------------------


class Affine:
    per_feature = 2  # (rows, 2, n)

    @staticmethod
    def repeat(features):
        return jnp.tile(features, 2)

    @staticmethod
    def split(outputs):
        shift, log_scale = jnp.split(outputs, 2, axis=1)
        return shift, BOUND * jnp.tanh(log_scale / BOUND)

    @staticmethod
    def density(x, parameters):
        shift, log_scale = parameters
        return (x - shift) * jnp.exp(-log_scale), -log_scale

    @staticmethod
    def sample(z, parameters):
        shift, log_scale = parameters
        return z * jnp.exp(log_scale) + shift, log_scale


class Spline:
    per_feature = 3 * BINS - 1  # (rows, n, 3 BINS - 1)

    @staticmethod
    def repeat(features):
        return jnp.repeat(features, Spline.per_feature)

    @staticmethod
    def split(outputs):
        outputs = outputs.reshape(len(outputs), -1, Spline.per_feature)
        return outputs[:, :, :BINS], outputs[:, :, BINS : 2 * BINS], outputs[:, :, 2 * BINS :]

    @staticmethod
    def axis(unnormalized):
        """Knots, bins + 1 of them, and extents of the bins."""
        extents = LEAST + (1 - LEAST * BINS) * jax.nn.softmax(unnormalized, axis=2)
        knots = jnp.pad(jnp.cumsum(extents, axis=2), ((0, 0), (0, 0), (1, 0)))
        return 2 * TAIL * knots - TAIL, 2 * TAIL * extents

    @staticmethod
    def bin(v, parameters, on_x):
        inside = jnp.abs(v) < TAIL
        at = jnp.where(inside, v, 0)
        x, widths = Spline.axis(parameters[0])
        y, heights = Spline.axis(parameters[1])
        inner = LEAST + jax.nn.softplus(parameters[2] + math.log(math.expm1(1 - LEAST)))
        derivatives = jnp.pad(inner, ((0, 0), (0, 0), (1, 1)), constant_values=1.0)
        knots = x if on_x else y
        index = (at[:, :, None] >= knots[:, :, 1:-1]).sum(axis=2, keepdims=True)
        picked = [jnp.take_along_axis(q, index, axis=2)[:, :, 0] for q in (x, widths, y, heights, derivatives)]
        return inside, at, picked, jnp.take_along_axis(derivatives, index + 1, axis=2)[:, :, 0]

    @staticmethod
    def log_slope(xi, slope, left, right, beta):
        ends = right * xi**2 + 2 * slope * xi * (1 - xi) + left * (1 - xi) ** 2
        return jnp.log(ends) + 2 * jnp.log(slope / beta)

    @staticmethod
    def density(v, parameters):
        inside, at, (x, width, y, height, left), right = Spline.bin(v, parameters, True)
        slope, xi = height / width, (at - x) / width
        both = xi * (1 - xi)
        beta = slope + (left + right - 2 * slope) * both
        out = y + height * (slope * xi**2 + left * both) / beta
        return jnp.where(inside, out, v), jnp.where(inside, Spline.log_slope(xi, slope, left, right, beta), 0)

    @staticmethod
    def sample(v, parameters):
        inside, at, (x, width, y, height, left), right = Spline.bin(v, parameters, False)
        slope, eta = height / width, (at - y) / height
        sigma = left + right - 2 * slope
        b, c = left - sigma * eta, -slope * eta
        a = slope - b
        xi = 2 * c / (-b - jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0)))
        log_slope = Spline.log_slope(xi, slope, left, right, slope + sigma * xi * (1 - xi))
        return jnp.where(inside, x + width * xi, v), jnp.where(inside, -log_slope, 0)


# ---- Layers ------------------------------------------------------------------------------------------------------


def perceptron(weights, masks, x):
    for i, ((weight, bias), mask) in enumerate(zip(weights, masks)):
        x = x @ (weight if mask is None else weight * mask).T + bias
        x = jnp.tanh(x) if i + 1 < len(weights) else x
    return x


class Autoregressive:
    """Each feature from those before it, where Weir's are from those behind it."""

    by_feature = True

    def __init__(self, transformer, dim, hidden):
        self.transformer = transformer
        degrees = [jnp.array(layer) for layer in formulas.degrees(dim, hidden)]
        degrees.append(transformer.repeat(degrees[0]))
        last = len(degrees) - 2
        self.masks = [((after[:, None] > before[None, :]) if i == last else (after[:, None] >= before[None, :])) * 1.0
                      for i, (before, after) in enumerate(zip(degrees, degrees[1:]))]
        self.shapes = [mask.shape for mask in self.masks]

    def network(self, weights, x):
        return self.transformer.split(perceptron(weights, self.masks, x))

    def density(self, weights, x):
        z, log_det = self.transformer.density(x, self.network(weights, x))
        return z, log_det.sum(axis=1)

    def sample(self, weights, z):
        def next_feature(d, so_far):
            x, log_det = so_far
            all_x, all_log_det = self.transformer.sample(z, self.network(weights, x))
            return x.at[:, d].set(all_x[:, d]), log_det.at[:, d].set(all_log_det[:, d])

        x, log_det = jax.lax.fori_loop(0, z.shape[1], next_feature, (jnp.zeros_like(z), jnp.zeros_like(z)))
        return x, log_det.sum(axis=1)


class Coupling:
    """The first half of the features stay."""

    by_feature = False

    def __init__(self, transformer, dim, hidden):
        self.transformer, self.seen = transformer, dim // 2
        sizes = [self.seen, *hidden, transformer.per_feature * (dim - self.seen)]
        self.shapes = [(after, before) for before, after in zip(sizes, sizes[1:])]
        self.masks = [None] * len(self.shapes)

    def map(self, weights, v, direction):
        seen, moved = v[:, : self.seen], v[:, self.seen :]
        moved, log_det = direction(moved, self.transformer.split(perceptron(weights, self.masks, seen)))
        return jnp.concatenate([seen, moved], axis=1), log_det.sum(axis=1)

    def density(self, weights, x):
        return self.map(weights, x, self.transformer.density)

    def sample(self, weights, z):
        return self.map(weights, z, self.transformer.sample)


LAYERS = {
    "maf": (Autoregressive, Affine),
    "rqsar": (Autoregressive, Spline),
    "realnvp": (Coupling, Affine),
    "rqs": (Coupling, Spline),
}


class Flow:
    def __init__(self, layers, dim):
        self.layers, self.dim = layers, dim
        self.by_feature = layers[0].by_feature

    def initial_weights(self, key):
        """As PyTorch's linear layers begin: uniform within 1 / sqrt(inputs)."""
        weights = []
        for layer in self.layers:
            weights.append([])
            for shape in layer.shapes:
                key, one, two = jax.random.split(key, 3)
                bound = 1 / math.sqrt(shape[1])
                weights[-1].append((jax.random.uniform(one, shape, minval=-bound, maxval=bound),
                                    jax.random.uniform(two, shape[:1], minval=-bound, maxval=bound)))
        return weights

    @staticmethod
    def base(z):
        return -0.5 * (z**2 + math.log(2 * math.pi)).sum(axis=1)

    def log_prob(self, weights, x):
        log_det = 0
        for layer, w in zip(reversed(self.layers), reversed(weights)):
            x, term = layer.density(w, x[:, ::-1])
            log_det = log_det + term
        return self.base(x) + log_det

    def sample(self, weights, key, rows):
        """Samples, and their log-probabilities."""
        x = jax.random.normal(key, (rows, self.dim))
        log_prob = self.base(x)
        for layer, w in zip(self.layers, weights):
            x, term = layer.sample(w, x)
            x, log_prob = x[:, ::-1], log_prob - term
        return x, log_prob


def flow_of(formula, dim):
    name, hidden, count = formulas.parts(formula)
    kind, transformer = LAYERS[name]
    return Flow([kind(transformer, dim, hidden) for _ in range(count)], dim)
