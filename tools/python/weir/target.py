"""Targets: unnormalised densities, to fit a flow to or to draw from. <weir/target.h>"""
from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from weir import errors
from weir._library import NULL, Array, check, ffi, given_text, lib, made, new_error, pointer, pool, rows_of, text, whole
from weir._watch import Watched

# In the order of nf_site_constraint.
_constraints = ("real", "positive", "interval", "simplex", "ordered", "correlation_cholesky")

# Of rows of values (rows, size): the log-density of each (rows), and its gradient (rows, size).
Density = Callable[[Array], tuple[Any, Any]]


@dataclass(frozen=True)
class Site:
    """A named vector of a target, of so many numbers, and where it may be: "real", "positive", "interval" (from low to
    high), "simplex", "ordered" or, of size K², "correlation_cholesky", the factor of a K by K correlation matrix."""

    size: int = 1
    constraint: str = "real"
    low: float = 0
    high: float = 1


def _sites_of(given: Mapping[str, int | Site]) -> dict[str, Site]:
    sites = {name: site if isinstance(site, Site) else Site(whole(site, f"the size of {name!r}"))
             for name, site in given.items()}
    for name, site in sites.items():
        if site.constraint not in _constraints:
            raise errors.ArgumentError(f"the constraint of {name!r} must be one of {', '.join(_constraints)}, and is "
                                       f"{site.constraint!r}")
    return sites


class Target(Watched):
    """A density that is known up to a constant.

        weir.Target("funnel(dim=20)")                     # one that has a name: weir.targets() lists them
        weir.Target(function, 3)                          # of three real numbers
        weir.Target(function, {"mu": 1, "tau": weir.Site(1, "positive"), "theta": 8})

    The function gives, for values (rows, size) of all sites one after the other, the log-densities (rows) and their
    gradients (rows, size), as NumPy arrays or what becomes one: a call for many rows, from several threads at once. A
    function of one vector, as models of Stan and PyMC are, is given with `rows=False`, and called by one thread at a
    time; the arrays that it is given are good for the call only. What it raises ends the work. The
    density is that of the values; what changing constrained ones into real numbers adds is seen to."""

    def __init__(self, target: str | Density, sites: int | Mapping[str, int | Site] | None = None, *,
                 rows: bool = True) -> None:
        if isinstance(target, str):
            if sites is not None:
                raise errors.ArgumentError(f"the target {target!r} has sites of its own")
            error = new_error()
            self._target = ffi.gc(made(lib.nf_target_parse(given_text(target), error), error), lib.nf_target_free)
            self.name = target
            return
        if not callable(target):
            raise errors.ArgumentError(f"a target is a name or a function, and not {target!r}")
        if sites is None:
            raise errors.ArgumentError("sites are missing: how many numbers does the function take?")
        self.name = getattr(target, "__name__", "target")
        self._function = target
        self._by_rows = rows
        self._lock = threading.Lock()
        self._sites = _sites_of(sites if isinstance(sites, Mapping) else {"x": sites})
        self._declare(self._sites)

    def __reduce__(self) -> Any:
        # A copy, or one for another process, has the same function.
        if hasattr(self, "_sites"):
            return partial(Target, rows=self._by_rows), (self._function, self._sites)
        return Target, (self.name,)

    def _declare(self, sites: Mapping[str, Site]) -> None:
        array = ffi.new("nf_site[]", len(sites))
        self._kept: list[Any] = [array, given_text(self.name)]
        for place, (name, site) in zip(array, sites.items()):
            self._kept.append(given_text(name))
            place.name, place.size = self._kept[-1], whole(site.size, f"the size of {name!r}")
            place.constraint, place.low, place.high = _constraints.index(site.constraint), site.low, site.high
        self._target = ffi.new("nf_target *", {"name": self._kept[1], "site": array, "n_site": len(sites),
                                               "log_z": float("nan")})
        kind = next(field.type for name, field in ffi.typeof("nf_target").fields if name == "external_rows")
        self._callback = ffi.callback(kind, self._evaluate, onerror=self._failed)
        self._target.external_rows = self._callback
        error = new_error()
        check(lib.nf_target_unconstrain(self._target, NULL, 0, NULL, NULL, NULL, error), error)  # which looks at the sites
        if self.dim == 0:
            raise errors.ArgumentError(f"the sites of {self.name} leave nothing free: they need a number at least")

    def _failed(self, kind: Any, value: BaseException, trace: Any) -> None:
        self.failure = self.failure or value

    def _evaluate(self, target: Any, value: Any, rows: int, log_density: Any, gradient: Any) -> None:
        size = self.size
        values = np.frombuffer(ffi.buffer(value, 8 * rows * size)).reshape(rows, size)
        densities = np.frombuffer(ffi.buffer(log_density, 8 * rows))
        gradients = np.frombuffer(ffi.buffer(gradient, 8 * rows * size)).reshape(rows, size)
        densities[:] = gradients[:] = np.nan  # what is left where the function raises
        if self.failure is not None:
            return
        if not self._by_rows:
            with self._lock:
                for r in range(rows):
                    densities[r], gradients[r] = self._call(values[r])
        else:
            densities[:], gradients[:] = self._call(values)

    def _call(self, values: Array) -> Any:
        """The log-density and gradient of a vector, or of each row."""
        given = self._function(values)
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise errors.ArgumentError(f"{self.name} gave {type(given).__name__}; a pair is expected: the log-density and "
                                       "its gradient")
        found = [np.asarray(part, dtype=np.float64) for part in given]
        for name, part, shape in zip(("log-density", "gradient"), found, (values.shape[:-1], values.shape)):
            if part.shape != shape:
                hint = ("; for a function of one vector say rows=False"
                        if part.shape == shape[1:] and self._by_rows else "")
                raise errors.ArgumentError(f"{self.name} gave a {name} of shape {part.shape} for values of "
                                           f"{values.shape}; {shape} is expected{hint}")
        return found

    @property
    def dim(self) -> int:
        """How many real numbers inference works on."""
        return int(lib.nf_target_dim(self._target))

    @property
    def size(self) -> int:
        """How many numbers all sites have together."""
        return int(lib.nf_target_size(self._target))

    @property
    def elements(self) -> list[str]:
        """The name of each of these: "tau", "theta[3]"."""
        room = ffi.new("char[64]")
        return [text(lib.nf_target_element(self._target, i, room)) for i in range(self.size)]

    def sites(self, values: Array) -> dict[str, Array]:
        """Values (…, size) by the names of their sites; those of one number have no axis of their own."""
        found, begin = {}, 0
        for i in range(self._target.n_site):
            site = self._target.site[i]
            part = values[..., begin : begin + site.size]
            found[text(site.name)] = part[..., 0] if site.size == 1 else part
            begin += site.size
        return found

    def constrain(self, z: Any) -> Array:
        """The values (…, size) of real numbers z (…, dim)."""
        rows, shape = rows_of(z, self.dim, "z")
        values, error = np.empty((*shape, self.size)), new_error()
        check(lib.nf_target_values(self._target, pointer(rows), len(rows), pointer(values), pool(), error), error)
        return values

    def log_density(self, z: Any) -> Any:
        """The log-density of real numbers z (…, dim), with the log-determinant of their map to the values."""
        rows, shape = rows_of(z, self.dim, "z")
        found, error = np.empty(shape), new_error()
        status = lib.nf_target_log_densities(self._target, pointer(rows), len(rows), pointer(found), pool(), error)
        self.raise_failure()
        check(status, error)
        return found[()]

    def raise_failure(self) -> None:
        """Raise again what the function has raised."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure

    def __repr__(self) -> str:
        return f"weir.Target({self.name!r}, dim={self.dim})"
