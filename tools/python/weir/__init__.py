"""Normalizing flows: fit densities to data, draw samples, evaluate log-probabilities.

    import weir
    density = weir.fit(x)                                   # no settings: tries densities, and stacks the best
    flow = weir.Flow("(rqs(64,64)-flip)*4-standardize", dim=2)
    flow.fit(x)
    flow.log_prob(x), flow.sample(1000)

Everything is computed by the library in C; this package hands it NumPy arrays and callables."""
from typing import Any

from weir.automatic import fit
from weir.columns import Columns
from weir.errors import ArgumentError, Error, FileError, FormatError, NumericError, OutOfMemoryError
from weir.flow import (Flow, activations, bijectors, conditioners, distributions, load, objectives, optimizers, schedules,
                       targets, transformers)
from weir.inference import Draws, Inference, nuts, vi
from weir.target import Site, Target
from weir._library import load_plugin, set_threads, version



def __getattr__(name: str) -> Any:
    # What needs a package that need not be there.
    if name == "FlowDensity":
        from weir.sklearn import FlowDensity

        return FlowDensity
    raise AttributeError(f"module 'weir' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "FlowDensity"})


__version__ = version()
__all__ = ["ArgumentError", "Columns", "Draws", "Error", "FileError", "Flow", "FormatError", "Inference", "NumericError",
           "OutOfMemoryError", "Site", "Target", "activations", "bijectors", "conditioners", "distributions", "fit", "load",
           "load_plugin", "nuts", "objectives", "optimizers", "schedules", "set_threads", "targets", "transformers", "vi"]
