"""Checks that the flows of PyTorch and JAX are Weir's: with the weights of a small fit, in float64, log-probabilities
agree, and samples lead back to the noise that they are from. Needs both.

    check_peers.py .build/weir
"""

import csv
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import jax
import numpy as np
import torch

import jax_flows
import pytorch_flows

jax.config.update("jax_enable_x64", True)

DIM, ROWS, LAYERS, TOLERANCE = 5, 300, 3, 1e-9


def read_safetensors(path):
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    del header["__metadata__"]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        numbers = torch.tensor(struct.unpack(f"<{(end - begin) // 8}d", data[begin:end]), dtype=torch.float64)
        tensors[name] = numbers.view(entry["shape"])
    return tensors


def outputs_as(layer, weight):
    """A last layer's outputs in PyTorch's order; Weir's are by parameter in couplings, else by feature."""
    coupling = isinstance(layer, pytorch_flows.Coupling)
    by_parameter = layer.transformer is pytorch_flows.Affine
    if coupling == by_parameter:
        return weight
    p = layer.transformer.per_feature
    n = len(weight) // p
    return weight.view((p, n, -1) if coupling else (n, p, -1)).transpose(0, 1).reshape(weight.shape)


@torch.no_grad()
def take_weights(flow, name, tensors):
    for i, layer in enumerate(flow.layers):
        linears = [module for module in layer.network if isinstance(module, torch.nn.Linear)]
        for j, linear in enumerate(linears):
            for part, to in [("weight", linear.weight), ("bias", linear.bias)]:
                value = tensors[f"{2 * i}.{name}.{part}{j}"]
                to.copy_(outputs_as(layer, value) if linear is linears[-1] else value)


def write_rows(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(rows)


@torch.no_grad()
def check(weir, name, directory):
    def run(*command):
        subprocess.run([weir, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    formula = f"({name}(12,9)-flip)*{LAYERS}"
    points, model, log_prob = directory / "points.csv", directory / "model.safetensors", directory / "log_prob.csv"
    x = 2 * torch.randn(ROWS, DIM, dtype=torch.float64)
    write_rows(points, x.tolist())
    run("fit", points, "--flow", formula, "--no-standardize", "--lr", "0.05", "--epochs", "10", "--dtype", "float64",
        "-o", model)
    run("logprob", model, points, "-o", log_prob)
    expected = torch.tensor([float(line) for line in log_prob.read_text().split() if line[-1].isdigit()],
                            dtype=torch.float64)

    flow = pytorch_flows.flow_of(formula, DIM).double()
    take_weights(flow, name, read_safetensors(model))
    seen = x.flip(1) if flow.by_feature else x
    z = 2 * torch.randn(ROWS, DIM, dtype=torch.float64)
    errors = {"PyTorch": [flow.log_prob(seen) - expected], "JAX": []}
    for layer in flow.layers:
        out, log_det = layer.sample(z)
        back, minus_log_det = layer.density(out)
        errors["PyTorch"] += [back - z, log_det + minus_log_det]

    other = jax_flows.flow_of(formula, DIM)
    weights = [[(linear.weight.numpy(), linear.bias.numpy()) for linear in layer.network
                if isinstance(linear, torch.nn.Linear)] for layer in flow.layers]
    errors["JAX"].append(other.log_prob(weights, seen.numpy()) - expected.numpy())
    for layer, w in zip(other.layers, weights):
        out, log_det = layer.sample(w, z.numpy())
        back, minus_log_det = layer.density(w, out)
        errors["JAX"] += [back - z.numpy(), log_det + minus_log_det]

    worst = {peer: max(np.abs(np.asarray(error)).max() for error in all) for peer, all in errors.items()}
    for peer, error in worst.items():
        print(f"{formula:>22} {peer:>8} {error:.1e}", "" if error < TOLERANCE else "WRONG")
    return max(worst.values()) < TOLERANCE


def main():
    torch.manual_seed(1)
    weir = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as directory:
        good = [check(weir, name, pathlib.Path(directory)) for name in pytorch_flows.LAYERS]
    sys.exit(not all(good))


main()
