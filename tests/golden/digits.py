"""Write digits.npy: the 1,797 digits of 8 x 8 pixels, 0 to 16, that scikit-learn ships (pip install scikit-learn), from
Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", UCI Machine Learning Repository."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

np.save(Path(__file__).parent / "digits.npy", load_digits().images.astype(np.uint8))
