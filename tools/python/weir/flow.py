"""Flows: made from formulas, fitted, evaluated, drawn from, saved and loaded."""
from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from weir import errors
from weir._library import (NULL, Array, Memory, check, conditions_of, ffi, given_text, lib, listed, made, new_error,
                           parts, pointer, pool, record, rows_of, taken_text, text, weights_of, whole)
from weir._options import Dtype, FitOptions, dtype_of, options_of
from weir._records import Record
from weir._rows import Rows
from weir._tables import names_of, one_row
from weir._watch import Progress, Watch
from weir.columns import Columns

def new_seed(seed: int | None) -> int:
    """The seed that was given; of its own each time where none was."""
    return secrets.randbits(63) if seed is None else whole(seed, "seed")


def _width(given: int | None, columns: Columns | None, name: str) -> int:
    """A number that is given, or that of the features of columns."""
    if columns is None:
        return whole(given or 0, name)
    if not isinstance(columns, Columns):
        raise errors.ArgumentError(f"columns are learned by weir.Columns(table), and not {columns!r}")
    if given is not None and given != columns.features:
        raise errors.ArgumentError(f"{name} is {given}, but the columns have {columns.features} features: leave it out")
    return columns.features


class Flow:
    """A base distribution pushed through a chain of bijectors, as its formula says: `weir.bijectors()` lists them.

        flow = weir.Flow("(rqs(64,64)-flip)*4-standardize", dim=2)
        flow.fit(x)                          # x (rows, 2)
        flow.log_prob(x), flow.sample(1000)

    `context` is the length of the vector that a conditional flow is conditioned on. With `columns`, and
    `context_columns`, rows are those of a table with these columns, and so are log-densities, in the table's units, and
    samples. Several threads may use one flow while none changes it."""

    columns: Columns | None
    context_columns: Columns | None
    report: Record | None  # of the fit
    _record: str | None  # what a file tells beside the numbers

    def __init__(self, formula: str, dim: int | None = None, *, context: int = 0, dtype: Dtype = "float32", seed: int = 1,
                 columns: Columns | None = None, context_columns: Columns | None = None) -> None:
        if dim is None and columns is None:
            raise errors.ArgumentError("dim is missing: how many numbers has an event?")
        width = _width(dim, columns, "dim")
        given = _width(context or None, context_columns, "context")
        error = new_error()
        self._take(made(lib.nf_flow_parse(given_text(formula), width, given, dtype_of(dtype), whole(seed, "seed"), error),
                        error))
        self.columns, self.context_columns = columns, context_columns

    def _take(self, flow: Any) -> None:
        self._flow = ffi.gc(flow, lib.nf_flow_free)
        self.columns = self.context_columns = None
        self._record = self.report = None

    @classmethod
    def _of(cls, flow: Any) -> Flow:
        self = cls.__new__(cls)
        self._take(flow)
        return self

    # ---- What it is ----------------------------------------------------------------------------------------------

    @property
    def formula(self) -> str:
        """The shortest formula that makes such a flow."""
        return taken_text(lib.nf_flow_formula(self._flow, False)) or ""

    @property
    def dim(self) -> int:
        """How many numbers an event has."""
        return int(lib.nf_flow_dim(self._flow))

    @property
    def context_size(self) -> int:
        """How many numbers the context has; 0: the flow is unconditional."""
        return int(lib.nf_flow_context_size(self._flow))

    @property
    def circular(self) -> bool:
        """Whether an event is angles, or points of a torus, as its base distribution says."""
        return bool(lib.nf_flow_is_circular(self._flow))

    @property
    def dtype(self) -> np.dtype[Any]:
        """What it computes with; arrays that it takes and gives are float64."""
        return np.dtype(text(lib.ad_dtype_name(lib.nf_flow_dtype(self._flow))))

    def __repr__(self) -> str:
        context = f", context={self.context_size}" if self.context_size else ""
        formula = self.formula
        if len(formula) > 100:  # of a mixture of many densities; `formula` has all of it
            formula = f"{formula[:65]}…{formula[-30:]}"
        return f"weir.Flow({formula!r}, dim={self.dim}{context}, dtype={self.dtype.name!r})"

    @property
    def trained(self) -> NDArray[Any]:
        """All that is trained, one number after the other: the flow's own memory, in its dtype, that may be written to."""
        return self._numbers()[: lib.nf_flow_trained_elements(self._flow)]

    def _numbers(self) -> NDArray[Any]:
        count = lib.nf_flow_trained_elements(self._flow) + lib.nf_flow_fixed_elements(self._flow)
        return np.asarray(Memory(self._flow, lib.nf_flow_parameters(self._flow), (count,), self.dtype))

    @contextmanager
    def _with(self, trained: Any) -> Iterator[None]:
        """For a while, the numbers of this array in the place of `trained`, unless it shares their memory."""
        own, given = self.trained, np.asarray(trained)
        if given.shape != own.shape:
            raise errors.ArgumentError(f"trained must be of shape {own.shape}, and is of {given.shape}")
        kept = None if np.may_share_memory(own, given) else own.copy()
        try:
            if kept is not None:
                own[:] = given
            yield
        finally:
            if kept is not None:
                own[:] = kept

    @property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """Every parameter by its name, trained or fixed: as `trained`, the flow's own memory. Of one with a constraint
        it is the real number that the constraint makes the value of."""
        names: dict[int, str] = {}

        @ffi.callback("bool(void *, const char *, nf_parameter *)")  # type: ignore[untyped-decorator]
        def visit(context: Any, name: Any, parameter: Any) -> bool:
            names[int(ffi.cast("uintptr_t", parameter))] = text(name)
            return True

        lib.nf_flow_each_parameter(self._flow, visit, NULL)
        numbers, offset, found = self._numbers(), ffi.new("size_t *"), {}
        for i in range(lib.nf_flow_all_parameters(self._flow)):
            parameter = lib.nf_flow_parameter(self._flow, i, offset)
            shape = tuple(parameter.spec.shape.dim[k] for k in range(parameter.spec.shape.rank))
            begin, size = int(offset[0]), int(lib.ad_shape_size(parameter.spec.shape))
            found[names[int(ffi.cast("uintptr_t", parameter))]] = numbers[begin : begin + size].reshape(shape)
        return found

    # ---- Fitting -------------------------------------------------------------------------------------------------

    def fit(self, x: Any, context: Any = None, *, weights: Any = None, validation: Any = None,
            validation_context: Any = None, seed: int = 1, progress: Progress = None,
            **options: Unpack[FitOptions]) -> Record:
        """Train by maximum likelihood on x (rows, dim), or on a table where the flow has columns, from the parameters
        on that it has. `weights`: how much each row counts. `validation`: rows of their own to validate with, in the
        place of a tenth of x. Returns the report of <weir/training.h>, which is `report` of the flow too.

        The weights of the best epoch are kept; ctrl-C stops, keeps them too, and raises KeyboardInterrupt."""
        filled, kept = options_of("nf_fit_options", FitOptions, dict(options))
        filled.seed = whole(seed, "seed")
        rows = self._rows(x, context, weights, seed)
        rows.fill(filled)
        if validation is not None:
            held = self._rows(validation, validation_context, None, seed + 1)
            filled.val_x, filled.val_context, filled.val_rows = pointer(held.x), pointer(held.context), len(held.x)
        elif validation_context is not None:
            raise errors.ArgumentError("validation_context is that of the rows of validation, of which there are none")
        error, report = new_error(), ffi.new("nf_fit_report *")
        with Watch(filled, progress) as watch:
            status = lib.nf_fit(self._flow, pointer(rows.x), len(rows.x), filled, report, error)
        told = record(report[0])
        told.history = [record(report.history[i]) for i in range(report.last.epoch)] if report.history else []
        self.report = told
        self._record = self._told(fit=report)
        lib.ad_free(report.history)
        watch.stop(told)
        check(status, error)
        for sentence in told.warning.splitlines():
            warnings.warn(sentence, stacklevel=2)
        return told

    def _rows(self, x: Any, context: Any, weights: Any, seed: int) -> Rows:
        rows = Rows(x, self.columns, self.dim, weights, seed)
        rows.context = self._conditions(context, x, len(rows.x))
        return rows

    def _told(self, fit: Any = NULL) -> str | None:
        """What a model's file tells beside the numbers."""
        told, error = ffi.new("nf_record *"), new_error()
        told.fit = fit
        if self.columns:
            told.kinds = self.columns._columns
        if self.context_columns:
            told.context_kinds = self.context_columns._columns
            names = given_text(",".join(self.context_columns.names or []))
            told.context = names
        return taken_text(lib.nf_record_text(self._flow, told, error))

    # ---- Evaluating ----------------------------------------------------------------------------------------------

    def _conditions(self, context: Any, x: Any, rows: int) -> Array | None:
        """The context as the flow sees it; where it isn't given, from the table x itself, which may have its columns."""
        columns = self.context_columns
        if columns is None:
            return conditions_of(context, self.context_size, rows)
        if context is None and columns.names and set(columns.names) <= set(names_of(x) or ()):
            context = x
        if context is None:
            raise errors.ArgumentError("this flow is conditional: it needs a context for each row, of the columns "
                                       + ", ".join(columns.names or [str(len(columns))]))
        return conditions_of(columns.conditions(one_row(context)), self.context_size, rows)

    def log_prob(self, x: Any, context: Any = None, *, draws: int = 0, seed: int = 1) -> Any:
        """log p of each event of x (…, dim), in nats: (…). Of a table's rows, the log-density in the table's units, with
        probabilities for what is counted or named; where columns depend on noise, it is of the mean over `draws` draws
        of it, 64 if not given."""
        if self.columns:
            table = self.columns.table(x)
            return self.columns.log_prob(self._flow, self._conditions(context, x, table.struct.rows), table, draws, seed,
                                         pool())
        rows, shape = rows_of(x, self.dim, "x")
        conditions, log_prob, error = self._conditions(context, x, len(rows)), np.empty(len(rows)), new_error()
        for part in parts(len(rows)):
            check(lib.nf_log_prob(self._flow, pointer(rows, part), pointer(conditions, part), part.stop - part.start,
                                  pointer(log_prob, part), pool(), error), error)
        return log_prob.reshape(shape)[()]

    def sample(self, n: int | None = None, context: Any = None, *, seed: int | None = None) -> Any:
        """Draw n events, (n, dim), or rows of the table; without n, one for each row of the context. Draw number i is a
        function of (seed, i); without a seed they are others each time."""
        return self._sample(n, context, seed, False)[0]

    def sample_and_log_prob(self, n: int | None = None, context: Any = None, *,
                            seed: int | None = None) -> tuple[Array, Array]:
        """Draws, (n, dim), and log p of each, from the same pass; of features where the flow has columns."""
        return self._sample(n, context, seed, True)

    def _sample(self, n: int | None, context: Any, seed: int | None, scored: bool) -> tuple[Any, Any]:
        if n is None:
            if context is None:
                n = 1
            elif names_of(context) is not None and self.context_columns:
                n = int(self.context_columns.table(one_row(context)).struct.rows)
            else:
                n = 1 if np.ndim(context) < 2 else len(context)
        n = whole(n, "n")
        conditions = self._conditions(context, None, n)
        x, error = np.empty((n, self.dim)), new_error()
        log_prob = np.empty(n) if scored else None
        chosen = new_seed(seed)
        for part in parts(n):
            check(lib.nf_sample_part(self._flow, pointer(conditions, part), part.start, part.stop - part.start, chosen,
                                     pointer(x, part), pointer(log_prob, part), pool(), error), error)
        return (self.columns.decode(x) if self.columns and not scored else x), log_prob

    def forward(self, z: Any, context: Any = None) -> tuple[Array, Array]:
        """x (…, dim) of events z of the base distribution, and log|det dx/dz| (…)."""
        return self._transform(False, z, context, "z")

    def inverse(self, x: Any, context: Any = None) -> tuple[Array, Array]:
        """z (…, dim) of events x, and log|det dz/dx| (…)."""
        return self._transform(True, x, context, "x")

    def _transform(self, inverse: bool, events: Any, context: Any, name: str) -> tuple[Array, Array]:
        rows, shape = rows_of(events, self.dim, name)
        conditions = conditions_of(context, self.context_size, len(rows))
        out, log_det, error = np.empty_like(rows), np.empty(len(rows)), new_error()
        for part in parts(len(rows)):
            check(lib.nf_transform(self._flow, inverse, pointer(rows, part), pointer(conditions, part),
                                   part.stop - part.start, pointer(out, part), pointer(log_det, part), pool(), error),
                  error)
        return out.reshape(*shape, self.dim), log_det.reshape(shape)[()]

    # ---- Gradients -----------------------------------------------------------------------------------------------

    def log_prob_gradient(self, x: Any, context: Any = None, *, weight: Any = None,
                          ) -> tuple[Array, Array, Array | None, Array]:
        """log p of x (rows, dim), and the gradient of Σ weight log p with respect to x, to the context (None: there is
        none) and to `trained`."""
        rows, _ = rows_of(x, self.dim, "x")
        conditions, own = conditions_of(context, self.context_size, len(rows)), weights_of(weight, len(rows))
        log_prob, of_x, of_trained = np.empty(len(rows)), np.empty_like(rows), np.zeros(len(self.trained))
        of_context, error = None if conditions is None else np.empty_like(conditions), new_error()
        part_of_trained, most = np.empty_like(of_trained), 1 << 14  # rows after which Python hears ctrl-C
        for part in (slice(begin, min(begin + most, len(rows))) for begin in range(0, len(rows), most)):
            check(lib.nf_log_prob_gradient(self._flow, pointer(rows, part), pointer(conditions, part), pointer(own, part),
                                           part.stop - part.start, pointer(log_prob, part), pointer(of_x, part),
                                           pointer(of_context, part), pointer(part_of_trained), pool(), error), error)
            of_trained += part_of_trained
        return log_prob, of_x, of_context, of_trained

    def sample_gradient(self, n: int, context: Any = None, *, seed: int, x_weight: Any = None,
                        weight: Any = None) -> tuple[Array | None, Array]:
        """The gradient of Σ (x_weight · x + weight log p(x)) over the n draws x of this seed, as functions of noise,
        with respect to the context (None: there is none) and to `trained`."""
        n, seed = whole(n, "n"), whole(seed, "seed")
        conditions, own = conditions_of(context, self.context_size, n), weights_of(weight, n)
        of_draws = None if x_weight is None else rows_of(x_weight, self.dim, "x_weight")[0]
        of_trained, of_context = np.empty(len(self.trained)), None if conditions is None else np.empty_like(conditions)
        if of_draws is not None and len(of_draws) != n:
            raise errors.ArgumentError(f"x_weight must have {n} rows, and has {len(of_draws)}")
        error = new_error()
        check(lib.nf_sample_gradient(self._flow, pointer(conditions), pointer(of_draws), pointer(own), n, seed,
                                     pointer(of_context), pointer(of_trained), pool(), error), error)
        return of_context, of_trained

    # ---- Keeping it ----------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, which the weir command opens too. It appears whole or not at all."""
        lib.nf_flow_pull(self._flow)
        error = new_error()
        told = self._record or (self._told() if self.columns or self.context_columns else None)
        check(lib.nf_save(self._flow, given_text(told), given_text(path), error), error)

    def __getstate__(self) -> dict[str, Any]:
        formula = taken_text(lib.nf_flow_formula(self._flow, True))
        return {"formula": formula, "dim": self.dim, "context": self.context_size, "dtype": self.dtype.name,
                "numbers": self._numbers().copy(), "columns": self.columns, "context_columns": self.context_columns,
                "record": self._record, "report": self.report}

    def __setstate__(self, state: dict[str, Any]) -> None:
        error = new_error()
        self._take(made(lib.nf_flow_parse(given_text(state["formula"]), state["dim"], state["context"],
                                          dtype_of(state["dtype"]), 1, error), error))
        self._numbers()[:] = state["numbers"]
        lib.nf_flow_pull(self._flow)
        self.columns, self.context_columns = state["columns"], state["context_columns"]
        self._record, self.report = state["record"], state["report"]


def load(path: str | os.PathLike[str]) -> Flow:
    """A flow that save(), or the weir command, wrote; with its columns where it was fitted to a table."""
    text_of, error, kinds = ffi.new("char **"), new_error(), ffi.new("nf_columns **")
    flow = Flow._of(made(lib.nf_load(given_text(path), text_of, error), error))
    flow._record = taken_text(text_of[0])
    if flow._record:
        told = given_text(flow._record)
        check(lib.nf_record_kinds(told, kinds, error), error)
        flow.columns = Columns._of(kinds[0])
        check(lib.nf_record_context_kinds(told, kinds, error), error)
        flow.context_columns = Columns._of(kinds[0])
    return flow


def _names(types: Any) -> dict[str, str]:
    return {text(one.name): text(one.help) for one in listed(types)}


def bijectors() -> dict[str, str]:
    """What formulas may name, and what each does; a line of help for each."""
    return _names(lib.nf_bijector_types())


def distributions() -> dict[str, str]:
    """The base distributions that may stand first in a formula."""
    return _names(lib.nf_distribution_types())


def transformers() -> dict[str, str]:
    """The maps of one feature that coupling(…) and autoregressive(…) take."""
    return _names(lib.nf_transformer_types())


def conditioners() -> dict[str, str]:
    """The networks that parameters may come from."""
    return _names(lib.nf_conditioner_types())


def activations() -> dict[str, str]:
    """What networks may name as activation=…"""
    return _names(lib.nf_activation_types())


def targets() -> dict[str, str]:
    """The targets that have a name: weir.Target("funnel(dim=20)")."""
    return _names(lib.nf_target_types())


def optimizers() -> dict[str, str]:
    """The options `optimizer` of fits."""
    return _names(lib.nf_optimizer_types())


def schedules() -> dict[str, str]:
    """Of the learning rate: the options `schedule` of fits."""
    return _names(lib.nf_schedule_types())


def objectives() -> dict[str, str]:
    """What variational inference may minimise: the option `objective` of vi()."""
    return _names(lib.nf_objective_types())
