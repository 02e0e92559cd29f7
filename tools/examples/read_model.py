"""Reads a masked autoregressive flow that Weir has saved, with nothing but NumPy, and scores rows as weir logprob does.

    weir data moons -n 500 -o moons.npy
    weir fit moons.npy --flow '(maf(16)-flip)*2' --epochs 3 -o moons.safetensors
    python3 read_model.py moons.safetensors moons.npy"""
import json
import re
import struct
import sys

import numpy as np


def read(path):
    """The metadata and the tensors of a safetensors file, by their names."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), file.read()
    metadata = header.pop("__metadata__")
    if metadata.get("format") != "weir-flow-1" or metadata["context"] != "0":
        raise SystemExit(f"{path}: not a flow of Weir's, or one that has a context")
    kinds = json.loads(json.loads(metadata.get("training", "{}")).get("kinds", '{"columns": []}'))
    if any(column["kind"] != "real" or column["map"]["offset"] or column["can_miss"] for column in kinds["columns"]):
        raise SystemExit(f"{path}: a flow of a table's columns, which this leaves to weir")
    dtypes = {"F32": "<f4", "F64": "<f8"}
    return metadata, {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], dtypes[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()}


def chain(formula):
    """The terms of 'normal:(maf(8,bound=3)-flip)*2-standardize', each as often as it is applied, and what its arguments
    are: [('maf', {'bound': '3'}), ('flip', {}), ('maf', …), …]."""
    terms, group = [], re.compile(r"\(((?:[^()]|\([^()]*\))*)\)\*(\d+)|(\w+)(?:\(([^()]*)\))?(?:\*(\d+))?")
    base, _, formula = formula.rpartition(":")
    for part, copies, name, arguments, repeats in group.findall(formula):
        if part:
            terms += chain("normal:" + part) * int(copies)
        elif base in ("", "normal") and name in ("maf", "flip", "standardize") and arguments.count("tanh") == (name == "maf"):
            terms += [(name, dict(re.findall(r"(\w+)=(\w+)", arguments)))] * int(repeats or 1)
        else:
            raise SystemExit(f"this reads maf of tanh, flip and standardize over normal, not '{name}({arguments})' over '{base}'")
    return terms


def masked_network(tensors, prefix, x):
    """MADE (Germain et al. 2015): shift and scale of feature d from those before it. A unit sees what has its degree or
    less; what weights there are beyond that counts for nothing."""
    dim, values, degree = x.shape[1], x, 1 + np.arange(x.shape[1])
    layers = sorted(int(name[len(prefix + "bias"):]) for name in tensors if name.startswith(prefix + "bias"))
    for layer in layers:
        bias, weight = tensors[f"{prefix}bias{layer}"], tensors.get(f"{prefix}weight{layer}")
        units, last = np.arange(len(bias)), layer == layers[-1]
        own = units // 2 if last else 1 + units * (dim - 1) // len(bias)
        values = values @ (weight * (degree <= own[:, None])).T + bias if dim > 1 else np.broadcast_to(bias, (len(x), 2))
        values, degree = values if last else np.tanh(values), own
    return values.reshape(len(x), dim, 2)


def log_prob(metadata, tensors, x):
    """Back through the chain, from data to the base distribution: log p(x) = log N(z; 0, I) + log|det dz/dx|."""
    log_det, terms = np.zeros(len(x)), list(enumerate(chain(metadata["formula"])))
    for i, (name, arguments) in reversed(terms):
        prefix = f"{i}.{name}."
        if name == "standardize":
            x = (x - tensors[prefix + "mean"]) / tensors[prefix + "scale"]
            log_det = log_det - np.log(tensors[prefix + "scale"].astype(float)).sum()
        elif name == "flip":
            x = x[:, ::-1]
        else:  # a maf: its network begins at the last feature
            x, bound = x[:, ::-1], float(arguments["bound"])
            shift, log_scale = np.moveaxis(masked_network(tensors, prefix, x), 2, 0)
            log_scale = bound * np.tanh(log_scale / bound)
            x, log_det = ((x - shift) * np.exp(-log_scale))[:, ::-1], log_det - log_scale.sum(axis=1)
    return -0.5 * (x**2 + np.log(2 * np.pi)).sum(axis=1) + log_det


if __name__ == "__main__":
    metadata, tensors = read(sys.argv[1])
    np.savetxt(sys.stdout, log_prob(metadata, tensors, np.load(sys.argv[2]).astype(float)), "%.17g")
