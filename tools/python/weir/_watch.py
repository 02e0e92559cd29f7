"""What a call that takes long asks Python between its steps: whether to go on, and to show how far it is."""
from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from weir import errors
from weir._library import ffi, pool, record
from weir._records import Record

# False: nothing is shown. True: a bar, by tqdm. None: a bar where somebody looks at it and tqdm is there. A function is
# called with what the library tells, under the headers' names; what it does by returning False is to stop.
Progress = bool | None | Callable[[Record], object]

# Of each kind of progress: what is done, of how much, and what is worth telling beside.
_shown: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "nf_progress": ("epoch", "epochs", ("train_nll", "val_nll")),
    "nf_automatic_progress": ("fraction", "", ("formula", "nll")),
    "nf_vi_progress": ("iteration", "iterations", ("loss",)),
    "nf_nuts_progress": ("draws", "all_draws", ("tuning", "divergent")),
}
_endless = 2**64 - 1  # SIZE_MAX: as many as it takes


class _Bar:
    """A bar of tqdm, in a terminal or a notebook; made when there is first something to show."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._bar: Any = None

    def __call__(self, kind: str, now: Record) -> None:
        done, total, beside = _shown[kind]
        if self._bar is None:
            of = getattr(now, total) if total else 1.0
            self._bar = self._tqdm(total=of if 0 < of < _endless else None, leave=False,
                                   **({} if total else {"bar_format": "{percentage:3.0f}%|{bar}| {elapsed}{postfix}"}))
        self._bar.n = getattr(now, done)
        told = {name: getattr(now, name) for name in beside}
        self._bar.set_postfix({name: f"{value:.4g}" if isinstance(value, float) else value
                               for name, value in told.items()}, refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _tqdm_where_it_shows(asked: bool | None) -> Any:
    if asked is False or (asked is None and not sys.stderr.isatty() and "ipykernel" not in sys.modules):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if asked:
            raise
        return None
    return tqdm


class Watch:
    """For the time of a call: `pool` of its options are the threads that there are now, `interrupted` lets Python handle
    ctrl-C, and `progress` shows how far it is.
    What is raised in either, or in a target's function, ends the call at its next step, and is raised again by stop().

        with Watch(options, progress) as watch:
            status = lib.nf_fit(…, options, …)
        watch.stop(result)
    """

    def __init__(self, options: Any, progress: Progress = None, others: tuple[Watched, ...] = ()) -> None:
        if not (progress is None or isinstance(progress, bool) or callable(progress)):
            raise errors.ArgumentError(f"progress must be True, False, None or a function, and is {progress!r}")
        self._pool = options.pool = pool()  # a struct keeps nothing, and set_threads() may be called meanwhile
        self.failure: BaseException | None = None
        self._others = others
        self._enough = False
        self._function = progress if callable(progress) else None
        tqdm = None if callable(progress) else _tqdm_where_it_shows(progress)
        self._bar = _Bar(tqdm) if tqdm else None
        types = {name: field.type for name, field in ffi.typeof(options[0]).fields}
        self._interrupted = ffi.callback(types["interrupted"], self._ask, error=True, onerror=self._failed)
        options.interrupted = self._interrupted
        if self._bar or self._function:
            # That of a fit without settings has nothing to say.
            self._answers = types["progress"].result.kind != "void"
            returns = {"error": False} if self._answers else {}
            self._kind = types["progress"].args[1].item.cname.removeprefix("const ").removesuffix(" const")
            self._progress = ffi.callback(types["progress"], self._show, onerror=self._failed, **returns)
            options.progress = self._progress

    def _failed(self, kind: type[BaseException], value: BaseException, trace: TracebackType) -> None:
        self.failure = self.failure or value

    def _ask(self, context: Any) -> bool:
        return self._enough or self.failure is not None or any(other.failure is not None for other in self._others)

    def _show(self, context: Any, now: Any) -> bool | None:
        told = record(now[0])
        if self._bar:
            self._bar(self._kind, told)
        elif self._function and self._function(told) is False:
            self._enough = True
        return not self._enough if self._answers else None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._bar:
            self._bar.close()

    def stop(self, result: Any = None) -> None:
        """Raise what ended the call, if anything did; the exception's `result` is what there is so far."""
        for other in self._others:
            self.failure = self.failure or other.failure
            other.failure = None
        if self.failure is None:
            return
        if isinstance(self.failure, KeyboardInterrupt) and result is not None:
            self.failure.result = result  # type: ignore[attr-defined]
            self.failure.add_note("What there is so far is kept: the exception's .result")
        raise self.failure


class Watched:
    """What may fail while a call runs: a target's function."""

    failure: BaseException | None = None
