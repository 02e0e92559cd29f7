"""Write psis/*.csv: log weights and what ArviZ (0.23.4) makes of them: the first line is khat, then a line of
log-weight,smoothed (normalised) for each."""
from pathlib import Path

import arviz
import numpy as np

rng = np.random.default_rng(5)
folder = Path(__file__).parent / "psis"
folder.mkdir(exist_ok=True)
n = 1000
normal = rng.standard_normal(n)
cases = {
    "light": -0.5 * rng.uniform(size=n) ** 2,  # bounded: k < 0
    "normal": 0.5 * normal - 3,
    "wide": 1.5 * normal**2,
    "pareto": np.log(rng.pareto(1 / 0.6, n) + 1),
    "heavy": rng.standard_cauchy(n),
    "shifted": 800 + normal,
    "few": 0.3 * rng.standard_normal(30),
    "short": rng.standard_normal(12),  # too short a tail
    "zeros": np.where(np.arange(200) < 20, -np.inf, rng.standard_normal(200)),
}
for name, x in cases.items():
    smoothed, khat = arviz.psislw(x.copy())
    with open(folder / f"{name}.csv", "w") as out:
        print(f"{khat:.17g}", file=out)
        for a, b in zip(x, smoothed):
            print(f"{a:.17g},{b:.17g}", file=out)
