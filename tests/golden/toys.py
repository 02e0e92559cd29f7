"""Write toys.csv, a column for each density that 'weir data' draws from: its entropy in nats, the ends of a box in x and
in y, and the probabilities of the box's 24 by 24 cells, of one x after the other. All are sums of the densities of
tools/bench/toy_densities.py over the midpoints of 10 by 10 parts of each cell, which for smooth densities that vanish at
the box's ends converge faster than any power, and are exact for the checkerboard, whose jumps are at cells' ends. Needs
numpy and scipy."""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent.parent / "tools" / "bench"))
import toy_densities  # noqa: E402

CELLS, POINTS = 24, 10
BOX = {
    "moons": (-1.4, 2.4, -0.9, 1.4),
    "banana": (-6, 60, -15.5, 15.5),
    "8gaussians": (-5.5, 5.5, -5.5, 5.5),
    "checkerboard": (-4.8, 4.8, -4.8, 4.8),
    "pinwheel": (-5, 5, -5, 5),
    "2spirals": (-4.2, 4.2, -4.2, 4.2),
    "swissroll": (-4, 4, -4, 4),
    "circles": (-4.8, 4.8, -4.8, 4.8),
    "rings": (-3.6, 3.6, -3.6, 3.6),
}


def column(name):
    x_low, x_high, y_low, y_high = BOX[name]
    fine = CELLS * POINTS
    at = (np.arange(fine) + 0.5) / fine
    x, y = x_low + (x_high - x_low) * at, y_low + (y_high - y_low) * at
    log_p = toy_densities.LOG_PROB[name](np.stack(np.meshgrid(x, y, indexing="ij"), -1).reshape(-1, 2))
    mass = np.exp(log_p) * (x[1] - x[0]) * (y[1] - y[0])
    assert abs(mass.sum() - 1) < 2e-5, (name, mass.sum())
    entropy = -(mass[mass > 0] * log_p[mass > 0]).sum()
    cells = mass.reshape(CELLS, POINTS, CELLS, POINTS).sum((1, 3))
    print(f"{name:12} {entropy:.6f} {mass.sum() - 1:.1e}")
    return [entropy, *BOX[name], *cells.ravel()]


columns = [column(name) for name in BOX]
np.savetxt(HERE / "toys.csv", np.transpose(columns), "%.6g", ",", header=",".join(f'"{name}"' for name in BOX), comments="")
