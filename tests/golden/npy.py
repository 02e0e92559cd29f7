"""Write npy/*.npy with NumPy: every kind of table that NumPy can write, and some that Weir refuses.

Element (row i, column j) of the 3 × 2 float tables is 10 i + j + 0.25, of integer tables 10 i + j - 1 (unsigned: 10 i + j).
"""
from pathlib import Path

import numpy as np

folder = Path(__file__).parent / "npy"
table = np.array([[10 * i + j for j in range(2)] for i in range(3)])


def write(name, array, version=None):
    with open(folder / f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version=version)


for dtype in ("<f4", ">f4", "<f8", ">f8"):
    name = dtype.replace("<", "little_").replace(">", "big_")
    write(f"{name}_c", np.ascontiguousarray((table + 0.25).astype(dtype)))
    write(f"{name}_fortran", np.asfortranarray((table + 0.25).astype(dtype)))
for dtype in ("i1", "<i2", ">i4", "<i8", ">i8"):
    write(dtype.replace("<", "little_").replace(">", "big_"), (table - 1).astype(dtype))
for dtype in ("u1", ">u2", "<u4", "<u8"):
    write(dtype.replace("<", "little_").replace(">", "big_"), table.astype(dtype))
write("version_1", table + 0.25, (1, 0))
write("version_2", table + 0.25, (2, 0))
write("version_3", table + 0.25, (3, 0))
write("one_dimension", table[:, 1] + 0.25)
write("bool", np.array([[False, True], [True, False]]))
write("not_finite", np.array([[1, 2], [np.nan, -np.inf]]))
write("three_dimensions", np.arange(12.0).reshape(2, 2, 3))
write("four_dimensions", np.arange(12, dtype="u1").reshape(2, 1, 2, 3))
write("three_fortran", np.asfortranarray(np.arange(12.0).reshape(2, 2, 3)))
write("five_dimensions", np.zeros((1, 1, 1, 1, 1)))
write("no_dimension", np.array(1.0))
write("no_rows", np.zeros((0, 2)))
write("complex", np.zeros((2, 2), complex))
write("structured", np.zeros(2, [("a", "<f8"), ("b", "<f4")]))
