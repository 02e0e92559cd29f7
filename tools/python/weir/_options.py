"""Options of a call, as keywords: the members of the library's struct of options, under the headers' names, which say
what they mean and what their defaults are (<weir/training.h>, <weir/vi.h>, <weir/nuts.h>)."""
from __future__ import annotations

import difflib
from typing import Any, Literal, TypedDict

import numpy as np

from weir import errors
from weir._library import choices, ffi, given_text

Dtype = Literal["float32", "float64"]
dtypes: dict[str, int] = {"float32": 0, "float64": 1}


def dtype_of(dtype: Any) -> int:
    """The library's number of a dtype: of its name, or as NumPy has it."""
    try:
        return dtypes["" if dtype is None else np.dtype(dtype).name]
    except (KeyError, TypeError):
        raise errors.ArgumentError(f"dtype must be one of {', '.join(dtypes)}, and is {dtype!r}") from None


class OptimizerOptions(TypedDict, total=False):
    """How parameters are updated."""

    optimizer: str  # with its arguments: "adam(beta2=0.98)"; weir.optimizers() lists them
    learning_rate: float
    weight_decay: float
    clip: float  # the largest norm of the gradient; 0: don't clip
    schedule: str  # of the learning rate: "cosine"; weir.schedules() lists them
    warmup: int  # steps


class FitOptions(OptimizerOptions, total=False):
    """Of a training by maximum likelihood: nf_fit_options, whose defaults are 100 epochs in batches of 128 by adam at
    0.002 with a cosine schedule and 10 % of the rows to validate with."""

    epochs: int
    starts: int
    batch: int
    val_fraction: float  # 0: none
    patience: int
    ema: float
    seconds: float
    shuffle: Literal["rows", "blocks"]
    objective: Literal["likelihood", "flow_matching", "ot_flow_matching"]


class VIOptions(OptimizerOptions, total=False):
    """Of variational inference with settings: nf_vi_options, whose defaults are 10000 iterations of 100 draws."""

    objective: str  # weir.objectives() lists them
    iters: int
    mc: int
    importance: int
    beta: float
    beta_start: float
    anneal: int
    jitter: float


class NUTSOptions(TypedDict, total=False):
    """Of the sampler: nf_nuts_options, whose defaults are 4 chains of 1000 draws after a warm-up of 1000."""

    chains: int
    tune: int
    draws: int
    target_accept: float
    max_depth: int
    dense: bool


# The struct takes 0 for the default: where 0 makes sense a negative number says it, elsewhere it is a mistake.
_zero_is_negative = {"val_fraction", "patience", "clip"}
_zero_is_none = {"warmup", "ema", "anneal", "jitter", "weight_decay", "seconds", "dense"}
_of_optimizer = {"optimizer": "name", "learning_rate": "learning_rate", "weight_decay": "weight_decay", "clip": "clip"}


def _enumerated(kind: Any, name: str, value: str) -> int:
    known = {choice: i for i, choice in choices(kind).items()}
    if value not in known:
        raise errors.ArgumentError(f"{name} must be one of {', '.join(known)}, and is {value!r}")
    return known[value]


def options_of(struct: str, allowed: type[Any], given: dict[str, Any]) -> tuple[Any, list[Any]]:
    """A struct of options with what is given filled in, and what must be kept as long as it."""
    kept: list[Any] = []
    options = ffi.new(f"{struct} *")
    names = [name for kind in allowed.__mro__ for name in getattr(kind, "__annotations__", ())]
    for name, value in given.items():
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            raise TypeError(f"there is no option {name!r}" + (f"; did you mean {close[0]!r}?" if close else
                                                              f": there are {', '.join(sorted(names))}"))
        to, member = options[0], name
        if name in _of_optimizer:
            to, member = options.optimizer, _of_optimizer[name]
        kind: Any = {member: field.type for member, field in ffi.typeof(to).fields}[member]
        if kind.kind == "enum":
            value = _enumerated(kind, name, value)
        elif kind.kind == "pointer":
            if not isinstance(value, str):
                raise errors.ArgumentError(f"{name} must be text, and is {value!r}")
            value = given_text(value)
            kept.append(value)
        elif not isinstance(value, (int, float, np.number, np.bool_)):
            raise errors.ArgumentError(f"{name} must be a number, and is {value!r}")
        elif value == 0 and name in _zero_is_negative:
            value = -1
        elif value == 0 and name not in _zero_is_none:
            raise errors.ArgumentError(f"{name} must not be 0")
        elif value < 0:
            raise errors.ArgumentError(f"{name} must not be negative, and is {value}")
        try:
            setattr(to, member, value)
        except (TypeError, OverflowError) as fault:
            raise errors.ArgumentError(f"{name}: {fault}") from None
    return options, kept
