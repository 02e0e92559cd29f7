"""Open models that Weir wrote with the `safetensors` package, and compare what it finds with a reading by the format's
definition. Usage: open_safetensors.py WEIR [--seed N, which is for other tests]. Exits with 77 (skipped) where a package
is missing."""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from safetensors import safe_open
except ImportError as missing:
    print(f"skipped: {missing}; install it with: pip install numpy safetensors")
    print("open_safetensors: 0 passed, 0 failed")
    sys.exit(77)


def check(path):
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    data = content[8 + length :]
    metadata = header.pop("__metadata__")
    assert (8 + length) % 64 == 0, "data don't begin at a multiple of 64"
    with safe_open(path, framework="numpy") as opened:
        assert opened.metadata() == metadata, (opened.metadata(), metadata)
        assert set(opened.keys()) == set(header), (opened.keys(), list(header))
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            dtype = {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]
            expected = np.frombuffer(data[begin:end], dtype).reshape(entry["shape"])
            got = opened.get_tensor(name)
            assert got.dtype == expected.dtype and got.tobytes() == expected.tobytes(), name
    print(f"{path}: {len(header)} tensors, {len(metadata)} metadata")


weir = sys.argv[1]
with tempfile.TemporaryDirectory() as directory:
    rows, model = os.path.join(directory, "moons.npy"), os.path.join(directory, "model.safetensors")
    subprocess.run([weir, "data", "moons", "-n", "100", "-o", rows], check=True, stdout=subprocess.DEVNULL)
    for dtype in "float32", "float64":
        fit = [weir, "fit", rows, "--flow", "(maf(4)-flip)*2", "--epochs", "1", "--dtype", dtype, "-o", model]
        subprocess.run(fit, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        check(model)
print("open_safetensors: 1 passed, 0 failed")
