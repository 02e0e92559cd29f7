"""Write onnx_export.csv: what onnxruntime makes of the onnx_*.onnx beside it, which `weir export` wrote: log_prob at points x of
the conditioned_*.safetensors of that name, and x and log_prob of points of `normal`. Needs onnx and onnxruntime:

    for name in maf realnvp rqs; do
        weir export conditioned_$name.safetensors -o onnx_$name.onnx
        weir export conditioned_$name.safetensors --function sample -o onnx_${name}_sample.onnx
    done
    python3 onnx_export.py
"""

import csv
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

HERE = Path(__file__).parent
POINTS = 5
random = np.random.default_rng(18)


def run(path, **inputs):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {i.name: inputs[i.name] for i in session.get_inputs()}), session.get_inputs()


with open(HERE / "onnx_export.csv", "w", newline="") as file:
    to = csv.writer(file, lineterminator="\n")
    for name in ["maf", "realnvp", "rqs"]:
        session = onnxruntime.InferenceSession(HERE / f"onnx_{name}.onnx")
        sizes = {i.name: i.shape[1] for i in session.get_inputs()}
        x, z = random.normal(size=(2, POINTS, sizes["x"])).round(3)
        context = random.normal(size=(POINTS, sizes.get("context", 0))).round(3)
        (log_prob,), _ = run(HERE / f"onnx_{name}.onnx", x=x, context=context)
        (drawn, drawn_log_prob), _ = run(HERE / f"onnx_{name}_sample.onnx", normal=z, context=context)
        for i in range(POINTS):
            numbers = [*x[i], *z[i], *context[i], log_prob[i], *drawn[i], drawn_log_prob[i]]
            to.writerow([name, *(repr(float(v)) for v in numbers)])
