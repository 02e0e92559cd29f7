"""Variational inference and NUTS: what is known of a target, from a flow or from chains."""
from __future__ import annotations

import os
from typing import Any, Unpack

import numpy as np

from weir import errors
from weir._library import Array, check, ffi, given_text, lib, new_error, pointer, pool, record, rows_of, seconds_of, table, whole
from weir._options import Dtype, NUTSOptions, VIOptions, dtype_of, options_of
from weir._records import Record, Summary
from weir._watch import Progress, Watch
from weir.flow import Flow
from weir.target import Density, Target


def _target_of(target: Target | str | Density) -> Target:
    return target if isinstance(target, Target) else Target(target)


def _arviz_of(target: Target, sites: dict[str, Array], z: Array, **groups: Any) -> Any:
    """Draws of sites (chains, draws, …), of which z are the unconstrained ones, as ArviZ has them."""
    import arviz

    groups["posterior"] = sites
    observations = int(lib.nf_target_observations(target._target))
    if observations:
        each, error = np.empty((*z.shape[:2], observations)), new_error()
        check(lib.nf_target_log_likelihoods(target._target, pointer(z), z.shape[0] * z.shape[1], observations,
                                            pointer(each), pool(), error), error)
        groups["log_likelihood"] = {"log_lik": each}  # as the command names it
    # Before ArviZ 1 the first argument was the posterior, whatever it was called.
    dims = {"log_lik": ["obs_id"]}
    return arviz.from_dict(**groups, dims=dims) if hasattr(arviz, "InferenceData") else arviz.from_dict(groups, dims=dims)


class Inference:
    """A flow that was fitted to a target: `flow`, over real numbers; `report` of <weir/vi.h>; and what it says of the
    target's own values. It can be trusted where `khat` is below 0.7."""

    def __init__(self, flow: Flow, target: Target, report: Record, seed: int) -> None:
        self.flow, self.target, self.report, self._seed = flow, target, report, seed

    @property
    def khat(self) -> float:
        """Of the importance weights, target over flow (Vehtari et al. 2024)."""
        return float(self.report.score.khat)

    @property
    def log_z(self) -> float:
        """The log of the target's integral, as the weighted draws estimate it."""
        return float(self.report.score.log_z)

    def sample(self, n: int, *, seed: int | None = None) -> dict[str, Array]:
        """Draws of the flow as the target's sites, each (n, …)."""
        return self.target.sites(self.target.constrain(self.flow.sample(n, seed=seed)))

    def to_arviz(self, n: int = 1000, *, seed: int | None = None) -> Any:
        """n draws of the flow as ArviZ has them, which must be installed, as one chain, with the log-likelihood of each
        observation where the target gives it. They are as good as khat says."""
        z = self.flow.sample(n, seed=seed)
        sites = self.target.sites(self.target.constrain(z))
        return _arviz_of(self.target, {name: values[None] for name, values in sites.items()}, z[None])

    def log_prob(self, values: Any) -> Any:
        """The log-density that the fit gives to values (…, size) of all sites, one after the other."""
        rows, shape = rows_of(values, self.target.size, "values")
        found, error = np.empty(shape), new_error()
        check(lib.nf_vi_log_prob(self.flow._flow, self.target._target, pointer(rows), len(rows), pointer(found), pool(),
                                 error), error)
        return found[()]

    def summary(self, draws: int = 20000) -> Summary:
        """Mean and standard deviation of each element by weighted draws, which take out what the flow itself is off,
        with their Monte-Carlo standard errors."""
        moments, error = ffi.new("nf_vi_moments[]", self.target.size), new_error()
        status = lib.nf_vi_summarize(self.flow._flow, self.target._target, whole(draws, "draws"), self._seed, moments, ffi.NULL, pool(),
                                     error)
        self.target.raise_failure()
        check(status, error)
        return Summary(zip(self.target.elements, map(record, moments)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the flow as a safetensors file."""
        self.flow.save(path)

    def __repr__(self) -> str:
        return f"<weir.Inference of {self.target!r}: k-hat {self.khat:.2f}, log Z {self.log_z:.4g}>"


def vi(target: Target | str | Density, flow: str | Flow | None = None, *, budget: float | None = None,
       dtype: Dtype = "float32", draws: int = 20000, seed: int = 1, progress: Progress = None,
       **options: Unpack[VIOptions]) -> Inference:
    """Fit a flow to a target by variational inference. Without options it searches for a start, chooses a formula unless
    `flow` is one, and goes on until it has converged or the budget of 60 seconds is used up; the search and the scores come
    to their end in any case, so that a slow target takes longer than a small budget. With any of them, or with a
    Flow to go on from, it trains `flow` (scale-loc) as they say. `draws`: those that the fit is scored by.

    Ctrl-C raises KeyboardInterrupt, whose `.result` is the inference so far."""
    own = _target_of(target)
    if not options and not isinstance(flow, Flow):
        return _without_settings(own, flow, 60 if budget is None else budget, dtype, draws, seed, progress)
    if budget is not None:
        raise errors.ArgumentError("budget is of a fit without settings, and there are some: "
                                   + (", ".join(options) or "a flow to go on from"))
    filled, kept = options_of("nf_vi_options", VIOptions, dict(options))
    filled.seed, filled.draws = whole(seed, "seed"), whole(draws, "draws")
    fitted = flow if isinstance(flow, Flow) else Flow(flow or "scale-loc", own.dim, dtype=dtype, seed=seed)
    report, error = ffi.new("nf_vi_report *"), new_error()
    with Watch(filled, progress, (own,)) as watch:
        status = lib.nf_vi(fitted._flow, own._target, filled, report, error)
    told = _report(report)
    lib.ad_free(report.history)
    result = Inference(fitted, own, told, seed)
    watch.stop(result)
    check(status, error)
    return result


def _report(report: Any) -> Record:
    told = record(report[0])
    told.history = [record(report.history[i]) for i in range(report.n_history)]
    return told


def _without_settings(target: Target, formula: str | None, budget: float, dtype: Dtype, draws: int, seed: int,
                      progress: Progress) -> Inference:
    named = given_text(formula)
    options = ffi.new("nf_infer_options *", {"formula": named, "budget": seconds_of(budget), "draws": whole(draws, "draws"),
                                             "dtype": dtype_of(dtype), "seed": whole(seed, "seed")})
    fit, error = ffi.gc(ffi.new("nf_inference *"), lib.nf_inference_free), new_error()
    with Watch(options, progress, (target,)) as watch:
        status = lib.nf_infer(target._target, options, fit, error)
    result = None
    if fit.flow:
        told = _report(ffi.addressof(fit, "report"))
        told.modes = [record(fit.mode[i]) for i in range(fit.start.modes)] if fit.mode else []
        told.out_of_time = fit.out_of_time
        flow, fit.flow = fit.flow, ffi.NULL
        result = Inference(Flow._of(flow), target, told, seed)
    watch.stop(result)
    check(status, error)
    assert result is not None
    return result


class Draws:
    """What NUTS drew: `values` (chains, draws, size) of all sites, one after the other, `unconstrained` (chains, draws,
    dim) real numbers, how each draw came about in `stats`, and the `report` of <weir/nuts.h>."""

    def __init__(self, target: Target, result: Any) -> None:
        self.target = target
        self.report = record(result)
        chains, draws = result.chains, result.draws
        self.values = self._numbers(result.values, (chains, draws, result.size))
        self.unconstrained = self._numbers(result.unconstrained, (chains, draws, result.dim))
        self.report.step_size = self._numbers(result.step_size, (chains,))
        self.report.bfmi = self._numbers(result.bfmi, (chains,))
        told = table(result.draw, "nf_nuts_draw", chains * draws)
        self.stats = {name: column.reshape(chains, draws) for name, column in told.items()}

    @staticmethod
    def _numbers(from_: Any, shape: tuple[int, ...]) -> Array:
        count = int(np.prod(shape))
        return np.frombuffer(ffi.buffer(from_, 8 * count)).reshape(shape).copy() if count else np.empty(shape)

    @property
    def sites(self) -> dict[str, Array]:
        """The draws of each site: (chains, draws, …)."""
        return self.target.sites(self.values)

    def summary(self) -> Summary:
        """Of each element: mean, sd, their Monte-Carlo standard errors, quantiles, R̂ and effective sample sizes
        (<weir/diagnostics.h>)."""
        chains, draws, size = self.values.shape
        summaries, error = ffi.new("nf_summary[]", size), new_error()
        check(lib.nf_summarize(pointer(self.values), chains, draws, size, summaries, pool(), error), error)
        return Summary(zip(self.target.elements, map(record, summaries)))

    def to_arviz(self) -> Any:
        """The draws as ArviZ has them, which must be installed, with the log-likelihood of each observation where the
        target gives it."""
        stats = {"lp": self.stats["log_density"], "energy": self.stats["energy"], "diverging": self.stats["divergent"],
                 "acceptance_rate": self.stats["acceptance"], "n_steps": self.stats["steps"],
                 "tree_depth": self.stats["depth"],
                 "step_size": np.repeat(self.report.step_size[:, None], self.values.shape[1], axis=1)}
        return _arviz_of(self.target, self.sites, self.unconstrained, sample_stats=stats)

    def __repr__(self) -> str:
        chains, draws, _ = self.values.shape
        return f"<weir.Draws of {self.target!r}: {chains} chains of {draws}, {self.report.divergent} divergent>"


def nuts(target: Target | str | Density, flow: Flow | Inference | None = None, *, seed: int = 1, progress: Progress = None,
         **options: Unpack[NUTSOptions]) -> Draws:
    """Draw from a target by the No-U-Turn Sampler. Chains begin where searches for the target ended; with a `flow` that
    vi() has fitted to it, or vi()'s result, they run on that flow's base (NeuTra: Hoffman et al. 2019).

    Ctrl-C raises KeyboardInterrupt, whose `.result` is the draws so far."""
    own = _target_of(target)
    filled, kept = options_of("nf_nuts_options", NUTSOptions, dict(options))
    filled.seed = whole(seed, "seed")
    start, error = ffi.gc(ffi.new("nf_start *"), lib.nf_start_free), new_error()
    if flow is not None and not isinstance(flow, (Flow, Inference)):
        raise errors.ArgumentError(f"flow must be a weir.Flow or what weir.vi() gave, and is {flow!r}")
    if flow is not None:
        filled.flow = (flow.flow if isinstance(flow, Inference) else flow)._flow
    else:
        searched = ffi.new("nf_start_options *", {"seed": filled.seed})
        with Watch(searched, False, (own,)) as watch:
            status = lib.nf_find_start(own._target, searched, start, error)
        watch.stop()
        # Where no search has found the target, chains begin around 0, and say what is wrong if they can't either.
        filled.start = start if status == 0 else ffi.NULL
    result = ffi.gc(ffi.new("nf_nuts_result *"), lib.nf_nuts_free)
    with Watch(filled, progress, (own,)) as watch:
        status = lib.nf_nuts(own._target, filled, result, error)
    draws = Draws(own, result[0]) if status == 0 else None
    watch.stop(draws)
    check(status, error)
    assert draws is not None
    return draws
