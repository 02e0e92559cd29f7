"""Tables of columns with names, as the library has them: from data frames, dictionaries and arrays, and back."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from weir import errors
from weir._library import NULL, Array, ffi, listed, pointer, text


def names_of(data: Any) -> list[str] | None:
    """The columns' names, of what has them."""
    if isinstance(data, Mapping):
        return [str(name) for name in data]
    if hasattr(data, "columns"):
        return [str(name) for name in data.columns]
    return None


def column(data: Any, name: str) -> Any:
    """A column by its name."""
    if isinstance(data, Mapping):
        return data[name]
    # Of a data frame whose names are numbers, say, by its place.
    return data[data.columns[[str(other) for other in data.columns].index(name)]]


def _is_missing(value: Any) -> bool:
    # None, NaN, and pandas' NA, which has no truth value.
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")


def _encode(values: Any, name: str) -> tuple[Array, list[str] | None]:
    """A column as numbers, with NaN for what is missing; of text the numbers are indices of its labels."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if not isinstance(kind, str) or kind not in ("f", "i", "u", "O", "U", "b", "M", "m"):
        kind = ""  # of another library: looked at one by one
    if kind in ("M", "m"):
        raise errors.ArgumentError(f"column '{name}' has times: give them as numbers, in seconds or days since a start")
    if kind in ("f", "i", "u"):
        try:
            return np.asarray(values, dtype=np.float64), None
        except (TypeError, ValueError):
            pass  # integers with missing values
    plain = [None if _is_missing(value) else value for value in values]
    if all(value is None or (isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_)))
           for value in plain):
        return np.array([np.nan if value is None else float(value) for value in plain]), None
    texts = [None if value is None else str(value) for value in plain]
    labels = sorted({value for value in texts if value is not None}, key=lambda label: label.encode())
    place = {label: float(i) for i, label in enumerate(labels)}
    return np.array([np.nan if value is None else place[value] for value in texts]), labels


class Table:
    """A table for the library, which lives as long as this."""

    def __init__(self, data: Any, columns: Sequence[str] | None = None) -> None:
        """All columns, or these in this order, of which one that isn't there is all missing."""
        names = names_of(data)
        if names is None:
            try:
                values = np.ascontiguousarray(data, dtype=np.float64)
            except (TypeError, ValueError) as fault:
                raise errors.ArgumentError(f"the table must be a data frame, a dictionary of columns or an array of "
                                           f"numbers (rows, columns): {fault}") from None
            if values.ndim != 2:
                raise errors.ArgumentError(f"the table must be of shape (rows, columns), and is {values.shape}")
            labels: list[list[str] | None] = [None] * values.shape[1]
        else:
            names = list(names if columns is None else columns)
            there, rows = names_of(data) or [], len(column(data, (names_of(data) or names)[0]))
            encoded = [_encode(column(data, name), name) if name in there else (np.full(rows, np.nan), None)
                       for name in names]
            lengths = {len(numbers) for numbers, _ in encoded}
            if len(lengths) != 1:
                raise errors.ArgumentError("the table has no columns" if not lengths else
                                           f"columns must have as many rows as one another, and have {sorted(lengths)}")
            values = np.ascontiguousarray(np.column_stack([numbers for numbers, _ in encoded]))
            labels = [own for _, own in encoded]
        self.values = values
        self.names = names
        self._kept: list[Any] = []
        self.struct = ffi.new("nf_table *")
        self.struct.rows, self.struct.columns = values.shape
        self.struct.values = pointer(values)
        self.struct.dtype = 1
        self.struct.missing = True
        if names is not None:
            self.struct.names = self._strings(names)
        if any(own is not None for own in labels):
            lists = ffi.new("char **[]", [NULL if own is None else self._strings(own) for own in labels])
            self._kept.append(lists)
            self.struct.labels = lists

    def _strings(self, strings: Iterable[str]) -> Any:
        each = [ffi.new("char[]", string.encode()) for string in strings]
        array = ffi.new("char *[]", [*each, NULL])
        self._kept += [each, array]
        return array

    def rows(self, number: Any) -> Table:
        """Some of the rows, with the same names and labels."""
        some: Table = Table.__new__(Table)
        some.values = self.values[number]
        some.names, some._kept = self.names, self._kept
        some.struct = ffi.new("nf_table *", self.struct[0])
        some.struct.rows = len(some.values)
        some.struct.values = pointer(some.values)
        return some


def decoded(table: Any, whole: Sequence[str]) -> Any:
    """What the library gave, as a data frame; without pandas a dictionary of columns, and of unnamed numbers an array.
    Those that are whole numbers become integers where none is missing."""
    values = np.frombuffer(ffi.buffer(table.values, table.rows * table.columns * 8)).reshape(table.rows, -1).copy()
    if not table.names:
        return values
    columns: dict[str, Any] = {}
    for c in range(table.columns):
        name, own = text(table.names[c]), values[:, c]
        if table.labels and table.labels[c]:
            labels = [text(label) for label in listed(table.labels[c])]
            columns[name] = np.array([None if number != number else labels[int(number)] for number in own], dtype=object)
        else:
            columns[name] = own.astype(np.int64) if name in whole and not np.isnan(own).any() else own
    try:
        import pandas
    except ImportError:
        return columns
    return pandas.DataFrame(columns)
