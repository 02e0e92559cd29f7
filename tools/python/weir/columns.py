"""What people have in tables, mapped to the real numbers that a flow models, and back: <weir/columns.h>."""
from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from weir import errors
from weir._library import NULL, Array, check, ffi, given_text, lib, made, new_error, numbers_of, pointer, record, taken_text, text, whole
from weir._records import Record
from weir._tables import Table, decoded, names_of


Kinds = str | Mapping[Any, str]  # "share:[0,1], phase:angle", or {"share": "[0,1]", "phase": "angle"}


def _text_of(kinds: Kinds | None) -> str | None:
    if kinds is None or isinstance(kinds, str):
        return kinds
    if not isinstance(kinds, Mapping) or not all(isinstance(kind, str) for kind in kinds.values()):
        raise errors.ArgumentError("what columns are is told as 'share:[0,1], phase:angle', or as "
                                   f"{{'share': '[0,1]', 'phase': 'angle'}}, and not as {kinds!r}")
    names = [str(name).replace('"', '""') for name in kinds]
    return ", ".join(f'"{name}":{kind}' for name, kind in zip(names, kinds.values()))


class Columns:
    """The columns of a table: which are positive, bounded, whole numbers, labels or angles, and which may be missing.

    `Columns(table)` learns them from a data frame, a dictionary of columns or an array; `kinds` says what some of them
    are, as `weir fit --columns` has it, "share:[0,1], phase:angle", or by name: {"share": "[0,1]"}. With `context`, they
    are what a flow is conditioned on. Print it to see what each was taken for. Tables that it decodes have the names,
    dtypes and labels of the one that it has learned from; a file keeps labels as text, and no dtypes."""

    # Of the table: no rows of a frame, and what labels that aren't text were.
    _frame: Any = None
    _labels: dict[str, dict[str, Any]] = {}

    def __init__(self, table: Any, kinds: Kinds | None = None, *, context: bool = False) -> None:
        error = new_error()
        options = ffi.new("nf_columns_options *", {"context": context})
        own = table if isinstance(table, Table) else Table(table)
        self._take(made(lib.nf_columns_learn(own.struct, given_text(_text_of(kinds)), options, error), error))
        self._frame, self._labels = own.frame, own.labels

    def _take(self, pointer: Any) -> None:
        self._columns = ffi.gc(pointer, lib.nf_columns_free)

    @classmethod
    def parse(cls, description: str) -> Columns:
        """From str(self.description), as a model's file has it."""
        self = cls.__new__(cls)
        error = new_error()
        self._take(made(lib.nf_columns_parse(given_text(description), error), error))
        return self

    @classmethod
    def _of(cls, pointer: Any) -> Columns | None:
        if not pointer:
            return None
        self = cls.__new__(cls)
        self._take(pointer)
        return self

    @property
    def description(self) -> str:
        """All that is known of them, as JSON."""
        error = new_error()
        return taken_text(made(lib.nf_columns_text(self._columns, error), error)) or ""

    def __reduce__(self) -> Any:
        return Columns.parse, (self.description,), {"_frame": self._frame, "_labels": self._labels}

    def __len__(self) -> int:
        return int(lib.nf_columns_count(self._columns))

    def __getitem__(self, c: int) -> Record:
        """What is known of a column: its name, kind, support, and why it was taken for that."""
        if not 0 <= c < len(self):
            raise IndexError(c)
        return record(lib.nf_columns_column(self._columns, c)[0])

    def __iter__(self) -> Iterator[Record]:
        return (self[c] for c in range(len(self)))

    def __repr__(self) -> str:
        return "\n".join(f"{column.name or c + 1}: {column.why}" for c, column in enumerate(self))

    @property
    def names(self) -> list[str] | None:
        """The columns' names; None where they have none."""
        names = [column.name for column in self]
        return names if all(names) else None

    @property
    def features(self) -> int:
        """How many numbers a flow sees of a row."""
        return int(lib.nf_columns_features(self._columns))

    @property
    def noisy(self) -> bool:
        """Whether features depend on noise, as those of counts and labels do."""
        return bool(lib.nf_columns_noisy(self._columns))

    @property
    def feature_names(self) -> list[str]:
        """What each of these numbers is: "income", "city[1]"."""
        room = ffi.new("char[128]")
        return [text(lib.nf_columns_feature_name(self._columns, f, room)) for f in range(self.features)]

    def table(self, data: Any) -> Table:
        """These columns of a table, found by their names; without names by their places."""
        if isinstance(data, Table):
            return data
        given, own = names_of(data), self.names
        if given is None or own is None:
            return Table(data)
        lacking = [column.name for column in self if column.name not in given and column.kind != "dropped"]
        if lacking:
            raise errors.FormatError(f"the table lacks the column '{lacking[0]}'; it has {', '.join(given)}")
        return Table(data, own)

    def encode(self, table: Any, *, seed: int = 1, draw: int = 0) -> tuple[Array, Array]:
        """The features (rows, features) of these rows, with noise of this draw, and their log-weights (rows): what is
        added to a flow's log p for that of the table's own columns."""
        own, error = self.table(table), new_error()
        features = np.empty((own.struct.rows, self.features))
        log_weight = np.empty(own.struct.rows)
        check(lib.nf_columns_encode(self._columns, own.struct, whole(seed, "seed"), whole(draw, "draw"), pointer(features), pointer(log_weight), error),
              error)
        return features, log_weight

    def decode(self, features: Any) -> Any:
        """The table that such features are of: a data frame where pandas is installed."""
        given, error = numbers_of(features, "features"), new_error()
        if given.ndim != 2 or given.shape[1] != self.features:
            raise errors.ArgumentError(f"features must be of shape (rows, {self.features}), and are {given.shape}")
        table = ffi.new("nf_table *")
        check(lib.nf_columns_decode(self._columns, pointer(given), len(given), table, error), error)
        try:
            return decoded(table, [column.name for column in self if column.kind == "integer"], self._frame, self._labels)
        finally:
            lib.nf_table_free(table)

    def log_prob(self, flow: Any, context: Array | None, table: Any, draws: int, seed: int, pool: Any) -> Array:
        """What Flow.log_prob() gives of a table."""
        own, error = self.table(table), new_error()
        log_prob = np.empty(own.struct.rows)
        check(lib.nf_columns_log_prob(self._columns, flow, pointer(context) if context is not None else NULL, own.struct,
                                      whole(draws, "draws"), whole(seed, "seed"), pointer(log_prob), pool, error), error)
        first = ffi.new("char[]", lib.NF_COLUMNS_TEXT)
        impossible = lib.nf_columns_impossible(self._columns, own.struct, first)
        if impossible:
            warnings.warn(f"{impossible} of {len(log_prob)} rows have density 0; {text(first)}", stacklevel=3)
        return log_prob

    def conditions(self, context: Any) -> Array:
        """The features of these rows of a context, which may be beyond those that a flow has seen: that is told."""
        table = self.table(context)
        features, first = self.encode(table)[0], ffi.new("char[512]")
        outside = lib.nf_columns_outside(self._columns, table.struct, first)
        if outside:
            warnings.warn(f"{outside} of {len(features)} rows have a context beyond those of the training; {text(first)}",
                          stacklevel=4)
        return features
