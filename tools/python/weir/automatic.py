"""Fitting without settings: <weir/automatic.h>."""
from __future__ import annotations

from typing import Any

from weir._library import check, conditions_of, ffi, given_text, lib, new_error, pointer, record, rows_of, seconds_of, whole
from weir._options import Dtype, dtype_of
from weir._rows import Rows, split_context
from weir._tables import names_of
from weir._watch import Progress, Watch
from weir.columns import Columns, Kinds
from weir.flow import Flow


def fit(x: Any, context: Any = None, *, flow: str | None = None, columns: Kinds | None = None, weights: Any = None,
        budget: float = 60, tune: bool = False, dtype: Dtype = "float32", seed: int = 1,
        progress: Progress = None) -> Flow:
    """Fit a density to rows, without settings: normals, mixtures of them and several flows are fitted to a part of the
    rows, and mixed with the weights that the other rows are most likely under.

    x is a data frame, a dictionary of columns, or an array (rows, columns). Columns of data frames and dictionaries may
    be positive, bounded, whole numbers, labels or angles, and have missing values: `columns` says what some are,
    "share:[0,1], phase:angle" or {"share": "[0,1]"}, and `print(density.columns)` what each was taken for. `context` is
    what rows are conditioned on: names of columns of x, or a table of its own. `flow` is the only formula to try;
    `budget` is in seconds; with `tune` all of it is used.

    The result's `report` has the candidates, with held-out scores; ctrl-C raises KeyboardInterrupt, whose `.result` is
    the density of those that were done."""
    x, context = split_context(x, context)
    kinds = Columns(x, columns) if columns or names_of(x) is not None else None
    context_kinds = Columns(context, context=True) if names_of(context) is not None else None
    rows = Rows(x, kinds, None, weights, seed)
    if context is not None:
        given = rows_of(context, None, "context")[0] if context_kinds is None else context_kinds.encode(context)[0]
        rows.context = conditions_of(given, given.shape[1], len(rows.x))
    options = ffi.new("nf_automatic_options *", {"dtype": dtype_of(dtype), "seconds": seconds_of(budget), "tune": tune,
                                                 "seed": whole(seed, "seed")})
    rows.fill(options)
    if rows.log_weight is not None:
        options.row_log_weights = pointer(rows.log_weight)
    formula = given_text(flow)
    options.formula = formula
    report, error = ffi.new("nf_automatic_report *"), new_error()
    with Watch(options, progress) as watch:
        made = lib.nf_fit_automatic(pointer(rows.x), len(rows.x), rows.x.shape[1],
                                    0 if rows.context is None else rows.context.shape[1], options, report, error)
    told = record(report[0])
    told.candidates = [record(report.candidate[i]) for i in range(report.n_candidate)]
    lib.nf_automatic_report_free(report)
    if not made:
        watch.stop()
        check(error.status, error)
    density = Flow._of(made)
    density.columns, density.context_columns, density.report = kinds, context_kinds, told
    watch.stop(density)
    return density
