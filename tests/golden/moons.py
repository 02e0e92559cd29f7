"""Write moons_{1,2,7,20}.csv: scikit-learn's make_moons(n, shuffle=False, noise=None) written out in NumPy, as x,y,label."""
from pathlib import Path

import numpy as np

for n in (1, 2, 7, 20):
    n_upper = n // 2
    upper = np.linspace(0, np.pi, n_upper)
    lower = np.linspace(0, np.pi, n - n_upper)
    x = np.append(np.cos(upper), 1 - np.cos(lower))
    y = np.append(np.sin(upper), 1 - np.sin(lower) - 0.5)
    label = np.append(np.zeros(n_upper), np.ones(n - n_upper))
    np.savetxt(Path(__file__).parent / f"moons_{n}.csv", np.stack([x, y, label], 1), "%.17g", ",", header="x,y,label", comments="")
