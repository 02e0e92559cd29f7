"""Open a .safetensors file that Weir wrote with the `safetensors` package, and compare what it finds with a reading by
the format's definition. Usage: open_safetensors.py FILE. Exits with 77 (skipped) where the package is missing."""
import json
import struct
import sys

try:
    import numpy as np
    from safetensors import safe_open
except ImportError as missing:
    print(f"skipped: {missing}; install it with: pip install numpy safetensors")
    sys.exit(77)

path = sys.argv[1]
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
        expected = np.frombuffer(data[begin:end], {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]).reshape(entry["shape"])
        got = opened.get_tensor(name)
        assert got.dtype == expected.dtype and got.tobytes() == expected.tobytes(), name
print(f"{path}: {len(header)} tensors, {len(metadata)} metadata")
