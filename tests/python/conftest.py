"""What tests of the package share."""
import pathlib
import sys

import numpy as np
import pytest

sys.dont_write_bytecode = True


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@pytest.fixture
def golden():
    return pathlib.Path(__file__).parent.parent / "golden"


@pytest.fixture
def correlated(rng):
    """Rows of a normal with mean (3, -1) and covariance A Aᵀ."""
    return rng.normal(size=(2000, 2)) @ np.array([[1, 0.5], [0, 2]]) + [3, -1]
