"""What the formulas of weir-bench say, "(rqs(64,64)-flip)*4", and the numbers that Weir's flows have where none are
given."""

import re

BOUND = 3.0  # of an affine transformer's log-scale
BINS, TAIL, LEAST = 8, 5.0, 1e-3  # of a spline


def parts(formula):
    """The layer's name, its hidden sizes, and how many layers there are."""
    name, hidden, count = re.fullmatch(r"\((\w+)\(([\d,]+)\)-flip\)\*(\d+)", formula).groups()
    return name, [int(size) for size in hidden.split(",")], int(count)


def degrees(dim, hidden):
    """Of the inputs and of each hidden layer of a masked network."""
    return [list(range(1, dim + 1))] + [[1 + i * (dim - 1) // size for i in range(size)] for size in hidden]
