"""Write maf_*.safetensors with random float64 weights, maf_points.csv, and what log p is at those points, one column
for each model: from the definitions, in NumPy, with dense matrices times masks. Weights where a mask is 0 are no zeros.

    MADE   Germain et al. 2015, eq. 12 and 13, hidden unit j of H having degree 1 + floor(j (D-1) / H)
    MAF    Papamakarios et al. 2017, eq. 3 and 4: z = (x - mu) exp(-alpha), alpha = b tanh(a / b),
           from the last feature to the first
"""

import json
import struct
from pathlib import Path

import numpy as np
from permutation import permutation

D, POINTS = 5, 20
HERE = Path(__file__).parent
random = np.random.default_rng(2015)
activations = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


class Maf:
    """x to z in one pass, z to x feature by feature; each with log|det J|."""

    name = "maf"

    def __init__(self, *hidden, activation="relu", bound=3.0):
        self.formula = f"maf({','.join(map(str, hidden))},activation={activation},bound={bound})"
        self.activation, self.bound = activations[activation], bound
        degrees = [np.arange(1, D + 1)] + [1 + np.arange(size) * (D - 1) // size for size in hidden]
        self.masks = [after[:, None] >= before[None, :] for before, after in zip(degrees, degrees[1:])]
        outputs = np.repeat(np.arange(1, D + 1), 2)  # mu and a of each feature are neighbours
        self.masks.append(outputs[:, None] > degrees[-1][None, :])
        self.tensors = {}
        for i, mask in enumerate(self.masks):
            self.tensors[f"weight{i}"] = random.normal(size=mask.shape) * 1.5 / np.sqrt(mask.shape[1])
            self.tensors[f"bias{i}"] = random.normal(size=mask.shape[0]) * 0.5

    def network(self, x):
        for i, mask in enumerate(self.masks):
            x = (self.tensors[f"weight{i}"] * mask) @ x + self.tensors[f"bias{i}"]
            x = x if i == len(self.masks) - 1 else self.activation(x)
        return x[0::2], self.bound * np.tanh(x[1::2] / self.bound)

    def inverse(self, x):
        x = x[::-1]
        mu, alpha = self.network(x)
        return ((x - mu) * np.exp(-alpha))[::-1], -alpha.sum()

    def forward(self, z):
        z, x = z[::-1], np.zeros(D)
        for d in range(D):
            mu, alpha = self.network(x)
            x[d] = mu[d] + np.exp(alpha[d]) * z[d]
        return x[::-1], alpha.sum()


class Affine:
    """x = z * scale + shift: loc, scale and standardize."""

    def __init__(self, name, scale, shift, tensors):
        self.name = self.formula = name
        self.scale, self.shift, self.tensors = scale, shift, tensors

    def inverse(self, x):
        return (x - self.shift) / self.scale, -np.log(np.abs(self.scale)).sum()


class Reorder:
    """x_i = z_p(i)."""

    name, tensors = "", {}

    def __init__(self, formula, p):
        self.formula, self.p = formula, p

    def inverse(self, x):
        z = np.empty(D)
        z[self.p] = x
        return z, 0.0


class Invert:
    def __init__(self, child):
        self.formula = f"invert({child.formula})"
        self.name = f"0.{child.name}"
        self.tensors, self.inverse = child.tensors, child.forward


def loc():
    shift = random.normal(size=D)
    return Affine("loc", np.ones(D), shift, {"loc": shift})


def scale():
    rho = random.normal(size=D)
    return Affine("scale", np.log1p(np.exp(rho)), 0, {"rho": rho})


def standardize():
    mean, scale = random.normal(size=D), random.uniform(0.5, 2, size=D)
    return Affine("standardize", scale, mean, {"mean": mean, "scale": scale})


models = {name: [Maf(13, 11, activation=name)] for name in activations}
models["chain"] = [
    loc(),
    Maf(7, activation="tanh"),
    Reorder("permute(seed=3)", permutation(3, D)),
    scale(),
    Invert(Maf(6, 4, activation="elu", bound=2.5)),
    Reorder("flip", np.arange(D)[::-1]),
    Maf(3),
    standardize(),
]


def log_prob(model, x):
    total = 0
    for step in reversed(model):
        x, log_det = step.inverse(x)
        total += log_det
    return total - 0.5 * (x @ x + D * np.log(2 * np.pi))


def save(name, model):
    tensors = {
        f"{i}.{step.name}.{key}": value for i, step in enumerate(model) for key, value in step.tensors.items()
    }
    formula = "-".join(step.formula for step in model)
    metadata = {"format": "weir-flow-1", "formula": formula, "dim": str(D), "dtype": "float64"}
    header, data = {"__metadata__": metadata}, b""
    for key, value in tensors.items():
        bytes = value.astype("<f8").tobytes()
        offsets = [len(data), len(data) + len(bytes)]
        header[key] = {"dtype": "F64", "shape": value.shape, "data_offsets": offsets}
        data += bytes
    text = json.dumps(header).encode()
    (HERE / f"maf_{name}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_csv(name, columns, table):
    np.savetxt(HERE / name, table, "%.17g", ",", header=",".join(columns), comments="")


points = random.normal(size=(POINTS, D)) * 1.5
for name, model in models.items():
    save(name, model)
expected = np.array([[log_prob(model, x) for model in models.values()] for x in points])
write_csv("maf_points.csv", [f"x{d}" for d in range(1, D + 1)], points)
write_csv("maf_log_prob.csv", models, expected)
