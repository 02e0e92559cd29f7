"""Tables of columns with names, as the library has them: from data frames, dictionaries and arrays, and back."""
from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from weir import errors
from weir._library import NULL, Array, ffi, given_text, listed, numbers_of, pointer, text


def names_of(data: Any) -> list[str] | None:
    """The columns' names, of what has them."""
    if isinstance(data, Mapping):
        return [str(name) for name in data]
    if hasattr(data, "columns"):
        return [str(name) for name in data.columns]
    return None


def column(data: Any, name: str) -> Any:
    """A column by its name."""
    # Whose own name may be a number, say.
    return data[next(own for own in (data if isinstance(data, Mapping) else data.columns) if str(own) == name)]


def one_row(context: Any) -> Any:
    """A context that is a single one, {"age": 30}, a frame's row or [30], as a table of one row; any other as it is."""
    if hasattr(context, "to_frame") and hasattr(context, "index") and all(isinstance(name, str) for name in context.index):
        context = context.to_dict()
    if isinstance(context, Mapping) and all(
            np.isscalar(value) or not hasattr(value, "__len__") for value in context.values()):
        return {name: [value] for name, value in context.items()}
    return [context] if names_of(context) is None and np.ndim(context) == 1 else context


def _is_missing(value: Any) -> bool:
    # None, NaN, and pandas' NA, which has no truth value.
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ in ("NAType", "NaTType")


def _encode(values: Any, name: str) -> tuple[Array, list[Any] | None]:
    """A column as numbers, with NaN for what is missing; of anything else the numbers are indices of its labels, which
    have their order as text."""
    if values is None or np.isscalar(values) or getattr(values, "ndim", 1) != 1:
        raise errors.ArgumentError(f"column '{name}' must be a vector, and is {np.ndim(values)}-dimensional")
    if isinstance(values, np.ma.MaskedArray):
        values = values.tolist()  # with None for what is masked
    dtype = getattr(values, "dtype", None)
    kind = getattr(dtype, "kind", "")
    if not isinstance(kind, str) or kind not in ("f", "i", "u", "O", "U", "b", "M", "m", "c"):
        kind = ""  # of another library: looked at one by one
    if kind in ("M", "m"):
        raise errors.ArgumentError(f"column '{name}' has times: give them as numbers, in seconds or days since a start")
    if kind == "c":
        raise errors.ArgumentError(f"column '{name}' has complex numbers: make two columns of it")
    if kind in ("f", "i", "u"):
        try:
            return np.asarray(values, dtype=np.float64), None
        except (TypeError, ValueError):
            pass  # integers with missing values
    plain = [None if _is_missing(value) else value for value in values]
    # Numbers that pandas was told are categories are labels.
    if getattr(dtype, "name", "") != "category" and all(
            value is None or (isinstance(value, numbers.Number) and not isinstance(value, (bool, np.bool_, complex)))
            for value in plain):
        return np.array([np.nan if value is None else float(value) for value in plain]), None
    texts = [None if value is None else str(value) for value in plain]
    own = {label: value for label, value in zip(texts, plain) if label is not None}
    labels = sorted(own, key=lambda label: label.encode())
    place = {label: float(i) for i, label in enumerate(labels)}
    return np.array([np.nan if value is None else place[value] for value in texts]), [own[label] for label in labels]


class Table:
    """A table for the library, which lives as long as this."""

    def __init__(self, data: Any, columns: Sequence[str] | None = None) -> None:
        """All columns, or these in this order, of which one that isn't there is all missing."""
        names = names_of(data)
        if names is None:
            values = numbers_of(data, "a table that is neither a data frame nor a dictionary of columns")
            if values.ndim != 2:
                raise errors.ArgumentError(f"the table must be of shape (rows, columns), and is {np.shape(data)}")
            labels: list[list[Any] | None] = [None] * values.shape[1]
        else:
            twice = [name for i, name in enumerate(names) if name in names[:i]]
            if twice or not names:
                raise errors.ArgumentError(f"two columns are called '{twice[0]}'" if twice else "the table has no columns")
            there = {name: _encode(column(data, name), name) for name in names if columns is None or name in columns}
            lengths = {len(own) for own, _ in there.values()} or {len(column(data, names[0]))}
            if len(lengths) != 1:
                raise errors.ArgumentError(f"columns must have as many rows as one another, and have {sorted(lengths)}")
            absent = np.full(lengths.pop(), np.nan), None
            names = list(names if columns is None else columns)
            encoded = [there.get(name, absent) for name in names]
            values = np.ascontiguousarray(np.column_stack([own for own, _ in encoded]))
            labels = [own for _, own in encoded]
        self.values = values
        self.names = names
        # What samples are to look like: a frame's names and dtypes, and the labels that aren't text.
        self.frame = data.iloc[:0].copy() if names is not None and hasattr(data, "iloc") else None
        self.labels = {name: {str(label): label for label in own} for name, own in zip(names or (), labels)
                       if own is not None and not all(isinstance(label, str) for label in own)}
        self._kept: list[Any] = []
        self.struct = ffi.new("nf_table *")
        self.struct.rows, self.struct.columns = values.shape
        self.struct.values = pointer(values)
        self.struct.dtype = 1
        self.struct.missing = True
        if names is not None:
            self.struct.names = self._strings(names)
        if any(own is not None for own in labels):
            lists = ffi.new("char **[]", [NULL if own is None else self._strings(map(str, own)) for own in labels])
            self._kept.append(lists)
            self.struct.labels = lists

    def _strings(self, strings: Iterable[str]) -> Any:
        each = [given_text(string) for string in strings]
        array = ffi.new("char *[]", [*each, NULL])
        self._kept += [each, array]
        return array

    def rows(self, number: Any) -> Table:
        """Some of the rows, with the same names and labels."""
        some: Table = Table.__new__(Table)
        some.values = self.values[number]
        some.names, some._kept = self.names, self._kept
        some.frame, some.labels = self.frame, self.labels
        some.struct = ffi.new("nf_table *", self.struct[0])
        some.struct.rows = len(some.values)
        some.struct.values = pointer(some.values)
        return some


def _in_dtype(column: Any, dtype: Any) -> Any:
    """A column in this dtype, unless its numbers would be others: drawn as real ones, or too large."""
    from pandas.api.types import is_integer_dtype

    try:
        cast = column.astype(dtype)
        same = not is_integer_dtype(dtype) or cast.astype(float).equals(column.astype(float))
    except (TypeError, ValueError, OverflowError):
        return column
    return cast if same else column


def decoded(table: Any, whole: Sequence[str], frame: Any, labels_of: Mapping[str, Mapping[str, Any]]) -> Any:
    """What the library gave, as a data frame, with the names and dtypes of `frame` unless that is None; without pandas a
    dictionary of columns, and of unnamed numbers an array. Those that are whole numbers become integers where none is
    missing, and labels what `labels_of` their column has for their text."""
    values = np.frombuffer(ffi.buffer(table.values, table.rows * table.columns * 8)).reshape(table.rows, table.columns).copy()
    if not table.names:
        return values
    columns: dict[str, Any] = {}
    for c in range(table.columns):
        name, own = text(table.names[c]), values[:, c]
        if table.labels and table.labels[c]:
            value_of = labels_of.get(name, {})
            labels = [value_of.get(label, label) for label in map(text, listed(table.labels[c]))]
            columns[name] = np.fromiter((None if number != number else labels[int(number)] for number in own),
                                        dtype=object, count=len(own))
        else:
            columns[name] = own.astype(np.int64) if name in whole and not np.isnan(own).any() else own
    try:
        import pandas
    except ImportError:
        return columns
    found = pandas.DataFrame(columns)
    if frame is None:
        return found
    alike = frame[[name for name in frame.columns if str(name) in columns]]
    found = pandas.DataFrame({str(name): _in_dtype(found[str(name)], dtype) for name, dtype in alike.dtypes.items()})
    found.columns = alike.columns
    return found
