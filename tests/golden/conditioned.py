"""Write conditioned_*.safetensors with random float64 weights, and beside each conditioned_*.csv: points z, contexts c,
x = forward(z | c) and log|det dx/dz|, computed from x to z for splines, else from z to x. From the definitions, in NumPy,
a feature at a time.

    coupling        Dinh et al. 2017, eq. 4 to 8: features with mask 1 stay, and a network of them and of the context c
                    says the parameters of the others' maps
    autoregressive  Papamakarios et al. 2017, eq. 3 and 4, from the last feature to the first; as MADE (Germain et al.
                    2015) allows: hidden unit j of H has degree floor(j D / H) when there is a context, which all units
                    see, else 1 + floor(j (D-1) / H); maf sees x, iaf, its inverse, z
    affine          x = mu + exp(alpha) z, alpha = b tanh(a / b)
    spline          z from x by Durkan et al. 2019, section 3.1, eq. 4 and 5, inside (-tail, tail); with nflows' least
                    width, height and derivative of 1e-3; derivatives 1e-3 + softplus(u + u1), 1 at u = 0
    residual        He et al. 2016: h + W a(W a(h) + b) + b, as nflows' ResidualNet
    gelu            Hendrycks and Gimpel 2016: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
"""

import json
import struct
from pathlib import Path

import numpy as np

POINTS = 20
HERE = Path(__file__).parent
random = np.random.default_rng(2019)
activations = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
}


class Affine:
    parameters, arguments = 2, {"bound": 2.5}

    def forward(self, z, u):
        mu, a = u
        alpha = 2.5 * np.tanh(a / 2.5)
        return mu + np.exp(alpha) * z, alpha

    def inverse(self, x, u):
        mu, a = u
        alpha = 2.5 * np.tanh(a / 2.5)
        return (x - mu) * np.exp(-alpha), -alpha


class Spline:
    least = 1e-3

    def __init__(self, bins, tail):
        self.bins, self.tail = bins, tail
        self.parameters, self.arguments = 3 * bins - 1, {"bins": bins, "tail": tail}

    def knots(self, u):
        share = np.exp(u) / np.exp(u).sum()
        extent = 2 * self.tail * (self.least + (1 - self.least * self.bins) * share)
        return np.concatenate([[-self.tail], -self.tail + np.cumsum(extent)])

    def inverse(self, v, u):
        if not abs(v) < self.tail:
            return v, 0.0
        x, y = self.knots(u[: self.bins]), self.knots(u[self.bins : 2 * self.bins])
        u1 = np.log(np.exp(1 - self.least) - 1)
        delta = np.concatenate([[1], self.least + np.log(1 + np.exp(u[2 * self.bins :] + u1)), [1]])
        k = next(k for k in reversed(range(self.bins)) if v >= x[k])
        s = (y[k + 1] - y[k]) / (x[k + 1] - x[k])
        xi = (v - x[k]) / (x[k + 1] - x[k])
        below = s + (delta[k + 1] + delta[k] - 2 * s) * xi * (1 - xi)
        value = y[k] + (y[k + 1] - y[k]) * (s * xi**2 + delta[k] * xi * (1 - xi)) / below
        slope = s**2 * (delta[k + 1] * xi**2 + 2 * s * xi * (1 - xi) + delta[k] * (1 - xi) ** 2) / below**2
        return value, np.log(slope)


class Conditioned:
    """What all have: a formula, tensors, linear layers of which the first one sees the context."""

    def __init__(self, name, dim, context, hidden, transformer, activation, **arguments):
        self.name, self.dim, self.context, self.hidden = name, dim, context, hidden
        self.transformer, self.activation = transformer, activations[activation]
        named = {"activation": activation, **transformer.arguments, **arguments}
        self.formula = f"{name}({','.join([*map(str, hidden), *(f'{k}={v}' for k, v in named.items())])})"
        self.tensors = {}

    def declare(self, layer, inputs, outputs):
        size = 1 / np.sqrt(inputs + 1)
        if inputs:
            self.tensors[f"weight{layer}"] = random.normal(size=(outputs, inputs)) * size
        self.tensors[f"bias{layer}"] = random.normal(size=outputs) * 0.5
        if layer == 0 and self.context:
            self.tensors["context"] = random.normal(size=(outputs, self.context)) * size

    def layer(self, layer, v, c, mask=1):
        y = self.tensors[f"bias{layer}"].copy()
        if f"weight{layer}" in self.tensors:
            y += (self.tensors[f"weight{layer}"] * mask) @ v
        return y + self.tensors["context"] @ c if layer == 0 and self.context else y


class Coupling(Conditioned):
    def __init__(self, name, seen, context, hidden, transformer, activation, network="mlp", **arguments):
        arguments = {"network": network, **arguments}
        super().__init__(name, len(seen), context, hidden, transformer, activation, **arguments)
        self.seen, self.residual = np.array(seen, bool), network == "residual"
        outputs = transformer.parameters * int((~self.seen).sum())
        if self.residual:
            widths = [int(self.seen.sum())] + [hidden[0]] * (2 * len(hidden) + 1) + [outputs]
        else:
            widths = [int(self.seen.sum()), *hidden, outputs]
        self.last = len(widths) - 2
        for i, (inputs, out) in enumerate(zip(widths, widths[1:])):
            self.declare(i, inputs, out)

    def network(self, v, c):
        a = self.activation
        h = self.layer(0, v, c)
        if self.residual:
            for i in range(1, self.last, 2):
                h = h + self.layer(i + 1, a(self.layer(i, a(h), c)), c)
            return self.layer(self.last, h, c)
        for i in range(1, self.last + 1):
            h = self.layer(i, a(h), c)
        return h

    def through(self, step, v, c):
        u = self.network(v[self.seen], c).reshape(self.transformer.parameters, -1)
        out, total = v.copy(), 0
        for column, i in enumerate(np.flatnonzero(~self.seen)):
            out[i], log_slope = step(v[i], u[:, column])
            total += log_slope
        return out, total

    def forward(self, z, c):
        return self.through(self.transformer.forward, z, c)

    def inverse(self, x, c):
        return self.through(self.transformer.inverse, x, c)


class Autoregressive(Conditioned):
    def __init__(self, name, dim, context, hidden, transformer, activation):
        super().__init__(name, dim, context, hidden, transformer, activation)
        lowest = 0 if context else 1
        degrees = [np.arange(1, dim + 1)] + [lowest + np.arange(h) * (dim - lowest) // h for h in hidden]
        self.masks = [after[:, None] >= before[None, :] for before, after in zip(degrees, degrees[1:])]
        outputs = np.repeat(np.arange(1, dim + 1), transformer.parameters)
        self.masks.append(outputs[:, None] > degrees[-1][None, :])
        for i, mask in enumerate(self.masks):
            self.declare(i, 0 if dim == 1 and i == 0 else mask.shape[1], mask.shape[0])

    def network(self, v, c):
        for i, mask in enumerate(self.masks):
            v = self.layer(i, v, c, mask)
            v = v if i == len(self.masks) - 1 else self.activation(v)
        return v.reshape(self.dim, -1)

    def forward(self, z, c):
        z, x, total = z[::-1], np.zeros(self.dim), 0
        for d in range(self.dim):
            u = self.network(z if self.name == "iaf" else x, c)[d]
            step = self.transformer.inverse if self.name == "iaf" else self.transformer.forward
            x[d], log_slope = step(z[d], u)
            total += log_slope
        return x[::-1], total

    def inverse(self, x, c):
        x = x[::-1]
        z, log_slope = zip(*(self.transformer.inverse(v, u) for v, u in zip(x, self.network(x, c))))
        return np.array(z[::-1]), sum(log_slope)


def save(name, model):
    tensors = {f"0.{model.name}.{key}": value for key, value in model.tensors.items()}
    metadata = {"format": "weir-flow-1", "formula": model.formula, "dim": str(model.dim), "dtype": "float64"}
    metadata["context"] = str(model.context)
    header, data = {"__metadata__": metadata}, b""
    for key, value in tensors.items():
        bytes = value.astype("<f8").tobytes()
        offsets = [len(data), len(data) + len(bytes)]
        header[key] = {"dtype": "F64", "shape": value.shape, "data_offsets": offsets}
        data += bytes
    text = json.dumps(header).encode()
    (HERE / f"conditioned_{name}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    rows = []
    for _ in range(POINTS):
        v, c = random.normal(size=model.dim) * 1.5, random.normal(size=model.context)
        if isinstance(model.transformer, Spline):
            x, (z, log_slope) = v, model.inverse(v, c)
            log_det = -log_slope
        else:
            z, (x, log_det) = v, model.forward(v, c)
        rows.append([*z, *c, *x, log_det])
    names = [f"{v}{i + 1}" for v, n in (("z", model.dim), ("c", model.context), ("x", model.dim)) for i in range(n)]
    path = HERE / f"conditioned_{name}.csv"
    np.savetxt(path, rows, "%.17g", ",", header=",".join([*names, "log_det"]), comments="")


wide, narrow = Spline(8, 3), Spline(4, 1.5)
models = {
    "maf": Autoregressive("maf", 5, 2, [11, 9], Affine(), "gelu"),
    "maf_1": Autoregressive("maf", 1, 2, [6, 5], Affine(), "tanh"),
    "iaf": Autoregressive("iaf", 5, 0, [9, 10], Affine(), "silu"),
    "iaf_context": Autoregressive("iaf", 4, 3, [9], Affine(), "gelu"),
    "rqsar": Autoregressive("rqsar", 4, 0, [9, 10], wide, "tanh"),
    "rqsar_context": Autoregressive("rqsar", 3, 1, [10], narrow, "elu"),
    "realnvp": Coupling("realnvp", [1, 1, 0, 0, 0], 0, [9, 6], Affine(), "gelu"),
    "realnvp_context": Coupling("realnvp", [1, 0, 1, 0], 2, [7], Affine(), "relu", mask="alternating"),
    "realnvp_residual": Coupling("realnvp", [0, 0, 1, 1, 1], 1, [6, 6], Affine(), "silu", "residual", flipped=1),
    "rqs": Coupling("rqs", [0, 1, 0, 1], 0, [8, 6], wide, "tanh", mask="alternating", flipped=1),
    "rqs_residual": Coupling("rqs", [1, 1, 0, 0, 0], 2, [6], narrow, "gelu", "residual"),
    "rqs_1": Coupling("rqs", [0], 1, [5], wide, "tanh"),
}
for name, model in models.items():
    save(name, model)

listed = {
    "realnvp_listed": Coupling("realnvp", [1, 0, 1, 1, 0, 1], 1, [8], Affine(), "silu", mask="[6,1,3-4]"),
    "rqs_listed": Coupling("rqs", [1, 0, 0, 1, 0], 0, [6, 7], narrow, "tanh", mask="[2-3,5]", flipped=1),
}
for name, model in listed.items():
    save(name, model)
