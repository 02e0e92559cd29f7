"""Rows as a fit takes them: plain numbers, or the features of a table's columns, with other noise in each epoch."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from weir import errors
from weir._library import Array, ffi, pointer, rows_of, weights_of
from weir._tables import column, names_of

if TYPE_CHECKING:
    from weir.columns import Columns


def split_context(x: Any, context: Any) -> tuple[Any, Any]:
    """A table and its context, of which the latter may be names of the table's columns."""
    if isinstance(context, str):
        context = [context]
    elif getattr(context, "ndim", 0) == 1:
        context = list(context)  # an index of pandas', say
    names = names_of(x)
    if not isinstance(context, (list, tuple)) or not all(isinstance(name, str) for name in context) or not context:
        return x, context
    lacking = [name for name in context if name not in (names or [])]
    if lacking or names is None:
        raise errors.ArgumentError(f"context names '{(lacking or context)[0]}', which is no column of x")
    modelled = [name for name in names if name not in context]
    if not modelled:
        raise errors.ArgumentError("context names all columns of x: none is left to be modelled")
    return _part(x, modelled), _part(x, context)


def _part(x: Any, names: Sequence[str]) -> Any:
    """Some columns of a table: of a frame a frame, whose names and dtypes samples will have."""
    if isinstance(x, Mapping):
        return {name: column(x, name) for name in names}
    own = {str(name): name for name in x.columns}
    return x[[own[name] for name in names]]


class Rows:
    """What a fit sees of x, with the weights, and the context, of each row."""

    def __init__(self, x: Any, columns: Columns | None, width: int | None, weights: Any, seed: int) -> None:
        self.log_weight: Array | None = None
        self.context: Array | None = None
        self._redraw: Any = None
        if columns is None:
            self.x, _ = rows_of(x, width, "x")
        else:
            table = columns.table(x)
            self.x, self.log_weight = columns.encode(table, seed=seed)
            if columns.noisy:
                encoded, features = self.x, columns.features

                def redraw(_: Any, epoch: int, row: Any, rows: int, to: Any) -> None:
                    # Rows come together in the same order each time, so that the first tells their noise.
                    number = np.frombuffer(ffi.buffer(row, 4 * rows), dtype=np.uint32)
                    drawn = np.frombuffer(ffi.buffer(to, 8 * rows * features)).reshape(rows, features)
                    drawn[:] = encoded[number]
                    drawn[:] = columns.encode(table.rows(number), seed=seed + int(number[0]) + 1, draw=epoch)[0]

                self._redraw = redraw
        self.weights = weights_of(weights, len(self.x))

    def fill(self, options: Any) -> None:
        """What nf_fit_options and nf_automatic_options have in common; kept as long as this."""
        options.row_context, options.row_weights = pointer(self.context), pointer(self.weights)
        if self._redraw:
            kind = next(field.type for name, field in ffi.typeof(options[0]).fields if name == "redraw")
            self._callback = ffi.callback(kind, self._redraw)
            options.redraw = self._callback
