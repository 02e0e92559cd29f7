"""The reader of models in tools/examples, which has nothing of Weir's, comes to the log-densities of `weir logprob`:
read_model.py WEIR READER [--seed N, which is for other tests]. Exits with 77 (skipped) where NumPy is missing, or
divides wrongly."""
import importlib.util
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    # Version 1.24 leaves whole numbers of 32 bits as they were, on a processor of i386 that has AVX-512.
    if (np.arange(16) // 16).any():
        raise ImportError(f"NumPy {np.__version__} divides whole numbers wrongly here")
except ImportError as missing:
    print(f"skipped: {missing}; install one with: pip install numpy")
    print("read_model: 0 passed, 0 failed")
    sys.exit(77)

sys.dont_write_bytecode = True
weir = sys.argv[1]
spec = importlib.util.spec_from_file_location("read_model", sys.argv[2])
reader = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reader)

# As a part of 1 + |log p|: rounding, in the numbers that Weir computed with.
BOUNDS = {"float32": 1e-6, "float64": 1e-12}
FLOWS = {1: ["maf(8)", "(maf(4)-flip)*2"], 2: ["(maf(16)-flip)*2", "maf(32,8,bound=2)*3-flip-(maf-flip)*2"],
         5: ["(maf(3)-flip)*3", "maf(16,16,16)-maf(2)"]}
REFUSED = ["maf(4,activation=relu)", "realnvp(4)-flip", "student:maf(4)", "invert(maf(4))-flip"]


def run(*words):
    subprocess.run([weir, *words], check=True, capture_output=True)


def fit(directory, x, flow, dtype):
    """A model that has learned enough for its masks, scales and shifts to matter."""
    rows, model = os.path.join(directory, "rows.npy"), os.path.join(directory, "model.safetensors")
    np.save(rows, x)
    run("fit", rows, "--flow", flow, "--epochs", "3", "--lr", "0.02", "--dtype", dtype, "-o", model)
    return rows, model


failed = passed = 0
with tempfile.TemporaryDirectory() as directory:
    for dim, flows in FLOWS.items():
        x = np.random.default_rng(dim).gamma(2, size=(300, dim)).cumsum(axis=1) - 3
        for flow, dtype in ((flow, dtype) for flow in flows for dtype in BOUNDS):
            rows, model = fit(directory, x, flow, dtype)
            scores = os.path.join(directory, "scores.npy")
            run("logprob", model, rows, "-o", scores)
            expected, got = np.load(scores)[:, 0], reader.log_prob(*reader.read(model), x)
            worst = (abs(got - expected) / (1 + abs(expected))).max()
            good = got.shape == expected.shape and worst <= BOUNDS[dtype]  # false of NaN
            passed, failed = passed + good, failed + (not good)
            print(f"{flow}, {dim} features, {dtype}: worst {worst:.1e}, bound {BOUNDS[dtype]:.0e}")
    for flow in REFUSED:
        try:
            reader.log_prob(*reader.read(fit(directory, x, flow, "float32")[1]), x)
            print(f"{flow}: was read as something else")
            failed += 1
        except SystemExit:
            passed += 1
print(f"read_model: {passed} passed, {failed} failed")
sys.exit(failed > 0)
