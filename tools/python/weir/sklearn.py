"""A density estimator for scikit-learn, as KernelDensity and GaussianMixture are."""
from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from weir.automatic import fit
from weir.columns import Columns, Kinds
from weir.flow import Flow
from weir._options import FitOptions
from weir._tables import names_of


class FlowDensity(DensityMixin, BaseEstimator):
    """A normalizing flow, or a mixture of densities, fitted to rows.

    Without a formula, normals, mixtures and flows are tried for at most `budget` seconds, and mixed (weir.fit); with one,
    such as "(rqs(64,64)-flip)*4", this flow is trained for `epochs` in batches of `batch_size`, on scaled rows.

    X is an array of numbers or a data frame; the columns of a frame may be positive, bounded, whole numbers or labels and
    have missing values, and `columns` says what some are: "share:[0,1], phase:angle". Log-densities are in the frame's
    units.

    Attributes: `flow_`, a weir.Flow, which has the report of the fit, and is there after ctrl-C, too; n_features_in_ and
    feature_names_in_."""

    def __init__(self, formula: str | None = None, *, budget: float = 60, epochs: int = 100, batch_size: int = 128,
                 learning_rate: float | None = None, columns: Kinds | None = None, dtype: str = "float32",
                 random_state: Any = None, verbose: bool = False) -> None:
        self.formula = formula
        self.budget = budget
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.columns = columns
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _rows(self, X: Any, reset: bool) -> Any:
        """X itself where it is a table whose columns have names, or else rows of finite numbers."""
        self._check_names(X, reset)
        rows = X if self._is_table(X) else check_array(X, dtype=np.float64, ensure_min_samples=2 if reset else 1,
                                                       estimator=self)
        width = len(names_of(X) or ()) if self._is_table(X) else rows.shape[1]
        if reset:
            self.n_features_in_ = width
        elif width != self.n_features_in_:
            raise ValueError(f"X has {width} features, but FlowDensity is expecting {self.n_features_in_} features as input")
        return rows

    def _is_table(self, X: Any) -> bool:
        return hasattr(X, "columns") and not hasattr(X, "todense")

    def _check_names(self, X: Any, reset: bool) -> None:
        try:
            from sklearn.utils.validation import _check_feature_names
        except ImportError:  # before scikit-learn 1.6
            self._check_feature_names(X, reset=reset)
        else:
            _check_feature_names(self, X, reset=reset)

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> FlowDensity:
        """Fit to the rows of X; y is not looked at."""
        rows = self._rows(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        weights = None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=np.float64)
        if weights is not None and not weights.any():
            raise ValueError("sample_weight must have a number that isn't zero")
        progress = None if self.verbose else False
        if self.formula is None:
            try:
                self.flow_ = fit(rows, columns=self.columns, weights=weights, budget=self.budget, dtype=self._dtype(),
                                 seed=seed, progress=progress)
            except KeyboardInterrupt as stopped:
                if hasattr(stopped, "result"):
                    self.flow_ = stopped.result
                raise
            return self
        kinds = Columns(rows, self.columns) if self.columns or self._is_table(X) else None

        def flow_of(formula: str) -> Flow:
            return Flow(formula, None if kinds else rows.shape[1], columns=kinds, dtype=self._dtype(), seed=seed)

        flow = flow_of(self.formula)  # by itself, so that a message is about what was given
        if not flow.formula.endswith("-standardize") and not flow.circular:
            flow = flow_of(f"{flow.formula}-standardize")
        options: FitOptions = {"epochs": self.epochs, "batch": self.batch_size}
        if self.learning_rate is not None:
            options["learning_rate"] = self.learning_rate
        try:
            flow.fit(rows, weights=weights, seed=seed, progress=progress, **options)
        except KeyboardInterrupt:
            self.flow_ = flow  # with the best weights so far
            raise
        self.flow_ = flow
        return self

    def _dtype(self) -> Any:
        return self.dtype

    def score_samples(self, X: Any) -> Any:
        """log p of each row, in nats."""
        check_is_fitted(self)
        return self.flow_.log_prob(self._rows(X, reset=False))

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of log p over rows, by which GridSearchCV chooses."""
        return float(np.mean(self.score_samples(X)))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Rows drawn from the density: an array, or a data frame as X was."""
        check_is_fitted(self)
        seed = int(check_random_state(random_state).randint(2**31 - 1)) if random_state is not None else None
        return self.flow_.sample(n_samples, seed=seed)
