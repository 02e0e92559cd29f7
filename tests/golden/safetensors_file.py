"""Write python.safetensors with the `safetensors` package: what Weir must be able to read."""
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

save_file(
    {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "bias": np.array([-1.5, 1e300]),
        "scale": np.array(0.1, np.float32),
        "nothing": np.zeros((0, 3), np.float32),
    },
    Path(__file__).parent / "python.safetensors",
    {"formula": "scale-loc", "note": 'grüße, "quoted"'},
)
