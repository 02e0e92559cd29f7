"""The library, and what every call of it needs: text, arrays, errors and threads.

Everything that the headers declare is here as `lib.NAME`: `_declarations` is made from them when the package is built.
While a call runs, other Python threads run too: cffi lets go of the interpreter's lock."""
from __future__ import annotations

import operator
import os
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weir import errors
from weir._declarations import ffi as _ffi
from weir._records import Record

ffi: Any = _ffi
_path = str(pathlib.Path(__file__).with_name("libweir.so"))
lib: Any = ffi.dlopen(_path, ffi.RTLD_NOW)
NULL: Any = ffi.NULL
# It has an nf_target, which points to it: older cffi must see it first.
ffi.sizeof("nf_target_type")

# ---- Text and structs -----------------------------------------------------------------------------------------------


def text(pointer: Any) -> str:
    """A C string, which the library keeps; "" for NULL."""
    return ffi.string(pointer).decode("utf-8", "replace") if pointer else ""


def taken_text(pointer: Any) -> str | None:
    """A C string that is the caller's, and is freed; None for NULL."""
    if not pointer:
        return None
    taken = text(pointer)
    lib.ad_free(pointer)
    return taken


def given_text(value: str | os.PathLike[str] | None) -> Any:
    if value is None:
        return NULL
    given = os.fsencode(value)
    if b"\0" in given:  # where C would take it to end
        raise errors.ArgumentError(f"text can't have a NUL character, and {value!r} has")
    return ffi.new("char[]", given)


def choices(kind: Any) -> dict[int, str]:
    """What an enumeration's values are called without what their names begin with: "finished" of NF_FINISHED."""
    names = list(kind.elements.values())
    begin = os.path.commonprefix(names).rpartition("_")[0] + "_"
    return {int(value): name.removeprefix(begin).lower() for value, name in kind.elements.items()}


def record(struct: Any) -> Record:
    """A struct's numbers, flags, names and inner structs, under the headers' own names. Pointers to anything else are
    left out: what they point to has another length each time."""
    kept = {}
    for name, field in ffi.typeof(struct).fields:
        value = getattr(struct, name)
        kind = field.type.kind
        if kind == "primitive":
            kept[name] = value
        elif kind == "enum":
            kept[name] = choices(field.type)[value]
        elif kind == "struct":
            kept[name] = record(value)
        elif field.type.cname in ("char *", "char const *") or (kind == "array" and field.type.item.cname == "char"):
            kept[name] = text(value)
    return Record(**kept)


_formats = {"double": np.float64, "uint32_t": np.uint32, "_Bool": np.bool_}


def table(structs: Any, kind: str, rows: int) -> dict[str, NDArray[Any]]:
    """Each member of so many structs of numbers, which may be millions, as a vector; of counts they are signed."""
    fields = ffi.typeof(kind).fields
    layout = np.dtype({"names": [name for name, _ in fields], "offsets": [field.offset for _, field in fields],
                       "formats": [_formats[field.type.cname] for _, field in fields], "itemsize": ffi.sizeof(kind)})
    all_ = np.frombuffer(ffi.buffer(structs, rows * layout.itemsize), layout) if rows else np.empty(0, layout)
    return {name: all_[name].astype(np.int64 if all_[name].dtype.kind == "u" else all_[name].dtype) for name, _ in fields}


def listed(array: Any) -> Iterator[Any]:
    """What an array of pointers has, up to the NULL that ends it."""
    i = 0
    while array[i]:
        yield array[i]
        i += 1


# ---- Numbers --------------------------------------------------------------------------------------------------------


def whole(value: Any, name: str) -> int:
    """A count, a length or a seed, as the library takes them."""
    try:
        number = operator.index(value)
    except TypeError:
        raise errors.ArgumentError(f"{name} must be a whole number, and is {value!r}") from None
    if not 0 <= number < 2**64:
        raise errors.ArgumentError(f"{name} must be from 0 to 2^64 - 1, and is {number}")
    return number


def seconds_of(budget: Any) -> float:
    """How long a fit without settings may take."""
    if not isinstance(budget, (int, float, np.number)) or not budget > 0:
        raise errors.ArgumentError(f"budget must be a positive number of seconds, and is {budget!r}")
    return float(budget)


# ---- Arrays ---------------------------------------------------------------------------------------------------------

Array = NDArray[np.float64]


def pointer(array: Array | None, part: slice | None = None) -> Any:
    """To the numbers of a contiguous array, or of some of its rows, which must be kept while the library uses them."""
    return NULL if array is None else ffi.from_buffer("double[]", array if part is None else array[part])


def parts(rows: int) -> Iterator[slice]:
    """The rows for one call after the other, each of which takes a fraction of a second: Python hears ctrl-C between
    them. What the library computes of a row doesn't depend on the others."""
    begin, size = 0, 4096
    while begin < rows:
        end, started = min(rows, begin + size), time.monotonic()
        yield slice(begin, end)
        begin = end
        if time.monotonic() - started < 0.1:
            size *= 2


def numbers_of(values: Any, name: str) -> Array:
    """What becomes an array of real numbers, contiguous; what is masked is NaN."""
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(np.float64), np.nan)
    try:
        kind = np.asarray(values).dtype
        if kind.kind in "cmM":
            raise TypeError(f"these are {kind}")
        return np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as fault:
        hint = (f"; weir.Columns({name}) makes numbers of a table's columns, for Flow(…, columns=…)"
                if hasattr(values, "columns") else "")
        raise errors.ArgumentError(f"{name} must be an array of numbers: {fault}{hint}") from None


def rows_of(values: Any, width: int | None, name: str) -> tuple[Array, tuple[int, ...]]:
    """An array (…, width) as rows (n, width), without a copy where it is contiguous and float64; and the shape … before
    its last axis. Any width where none is given, of an array of two axes."""
    array = numbers_of(values, name)
    if width is None:
        if array.ndim != 2:
            hint = "; reshape(-1, 1) makes one column of it" if np.ndim(values) == 1 else ""
            raise errors.ArgumentError(f"{name} must be of shape (rows, columns), and is of {np.shape(values)}{hint}")
        width = array.shape[1]
    if np.ndim(values) == 0 or array.shape[-1] != width:
        shape = tuple(np.shape(values))
        hint = f"; reshape(-1, {width}) makes rows of it" if array.size % width == 0 and array.ndim == 1 else ""
        raise errors.ArgumentError(f"{name} must have {width} numbers in its last axis, and is of shape {shape}{hint}")
    return (array if array.ndim == 2 else array.reshape(-1, width)), array.shape[:-1]


def conditions_of(context: Any, width: int, rows: int) -> Array | None:
    """The context of each of these rows; a single vector is that of all."""
    if width == 0:
        if context is not None:
            raise errors.ArgumentError("this flow is unconditional, and takes no context")
        return None
    if context is None:
        raise errors.ArgumentError(f"this flow is conditional: it needs a context of {width} numbers for each row")
    given, _ = rows_of(context, width, "context")
    if len(given) == rows:
        return given
    if len(given) == 1:
        return np.repeat(given, rows, axis=0)
    raise errors.ArgumentError(f"context has {len(given)} rows, and there are {rows}: give one for each, or one for all")


def weights_of(weights: Any, rows: int) -> Array | None:
    if weights is None:
        return None
    given = numbers_of(weights, "weights")
    if given.shape != (rows,):
        raise errors.ArgumentError(f"weights must be of shape ({rows},), one for each row, and are of {given.shape}")
    return given


class Memory:
    """Numbers of the library as an array that keeps their owner alive: np.asarray(Memory(…))."""

    def __init__(self, owner: object, address: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._owner = owner
        self.__array_interface__ = {"data": (int(ffi.cast("uintptr_t", address)), False), "shape": shape,
                                    "typestr": dtype.str, "version": 3}


# ---- Errors ---------------------------------------------------------------------------------------------------------


def new_error() -> Any:
    return ffi.new("ad_error *")


def check(status: int, error: Any) -> None:
    """Raise what a call that gave this status has said."""
    if status:
        raise errors.BY_STATUS[status - 1](text(error.message))


def made(pointer: Any, error: Any) -> Any:
    """What a call has made, or raise why it could not."""
    if not pointer:
        check(error.status, error)
    return pointer


# ---- Threads --------------------------------------------------------------------------------------------------------

_pool: Any = None
_lock = threading.Lock()


def set_threads(threads: int) -> None:
    """Compute with so many threads from now on; 0: one for each core that this process may use, which is so at first.
    Results are the same bits with any number."""
    global _pool
    error = new_error()
    new = made(lib.ad_pool_new(min(whole(threads, "threads"), 2**31 - 1), error), error)
    with _lock:
        _pool = ffi.gc(new, lib.ad_pool_free)


def pool() -> Any:
    if _pool is None:
        set_threads(0)
    return _pool


# ---- What is known --------------------------------------------------------------------------------------------------


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Load a plug-in (<weir/plugin.h>), whose bijectors, targets and so on can then be named. Before anything else is
    done, and before other threads."""
    ffi.dlopen(_path, ffi.RTLD_NOW | ffi.RTLD_GLOBAL)  # where the plug-in finds the library's functions
    error = new_error()
    check(lib.nf_plugin_load(given_text(path), error), error)


def version() -> str:
    return text(lib.weir_version())
