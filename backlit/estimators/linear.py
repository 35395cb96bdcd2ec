"""Linear regression: least squares in closed form, or by going down its gradient.

Gauss 1809, "Theoria motus". Both give the same weights; the gradient needs no decomposition and
shows on the smallest example what training is.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError
from backlit.estimators.descent import Descent
from backlit.estimators.validation import above_zero, one_of, sample_weights, whole
from backlit.tensor import Tensor


class LinearRegression(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Least squares; X (N, features), y (N,) or (N, outputs). scikit-learn's, on the engine.

    `solver` is "closed" (the decomposition) or "gradient" (L-BFGS until no slope of the mean loss
    is above `tol` or rounding hides them). `positive` needs "closed"; `copy_X` and `n_jobs` are
    accepted: data is never overwritten, threads are BACKLIT_THREADS. Attributes: coef_,
    intercept_; rank_ and singular_ where decomposed; n_iter_ where not.

    >>> model = bl.estimators.LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.predict([[10.0]]).round(6)
    array([21.])
    """

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        copy_X: bool = True,
        tol: float = 1e-6,
        n_jobs: int | None = None,
        positive: bool = False,
        solver: str = "closed",
        max_iter: int = 1000,
    ) -> None:
        self.fit_intercept = fit_intercept
        self.copy_X = copy_X
        self.tol = tol
        self.n_jobs = n_jobs
        self.positive = positive
        self.solver = solver
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearRegression:
        """Fit; a sample of weight 2 counts as two."""
        one_of(self, "solver", ("closed", "gradient"))
        above_zero(self, "tol")
        whole(self, 1, "max_iter")
        if self.positive and self.solver != "closed":
            raise ArgumentError("LinearRegression: positive=True needs solver='closed'")
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, multi_output=True)
        weights = sample_weights(self, sample_weight, X)
        targets = y.astype(np.float64).reshape(len(y), -1)
        if self.fit_intercept:
            x_mean = np.average(X, axis=0, weights=weights)
            y_mean = np.average(targets, axis=0, weights=weights)
        else:
            x_mean, y_mean = np.zeros(X.shape[1]), np.zeros(targets.shape[1])
        roots = np.sqrt(weights)[:, None]
        solve = self._closed if self.solver == "closed" else self._gradient
        coef = solve((X - x_mean) * roots, (targets - y_mean) * roots)
        intercept = y_mean - coef @ x_mean
        one = y.ndim == 1
        self.coef_ = coef[0] if one else coef
        self.intercept_ = (float(intercept[0]) if one else intercept) if self.fit_intercept else 0.0
        return self

    def _closed(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        """Weights (outputs, features) that minimize |A w - b|, of least length."""
        self.n_iter_ = 1
        if self.positive:
            from scipy.optimize import nnls  # type: ignore[import-untyped]

            return np.stack([nnls(A, b)[0] for b in B.T])
        found = bl.linalg.lstsq(bl.from_numpy(A), bl.from_numpy(B), driver="gelsd")
        self.rank_, self.singular_ = int(found.rank), found.singular_values.numpy()
        return np.ascontiguousarray(found.solution.numpy().T)

    def _gradient(self, A: np.ndarray, B: np.ndarray) -> np.ndarray:
        """The same by descent; scaled columns and targets make all slopes comparable."""
        x_scale, y_scale = _lengths(A), _lengths(B)
        weight = nn.Parameter(bl.zeros(B.shape[1], A.shape[1], dtype=bl.float64))

        def loss(a: Tensor, b: Tensor) -> Tensor:
            return 0.5 * ((a @ weight.T - b) ** 2).sum()  # type: ignore[no-any-return]

        data = (A / x_scale, B / y_scale)
        found = Descent(loss, [weight], data, tol=self.tol, max_iter=self.max_iter)
        self.n_iter_ = max(1, found.iterations)
        if found.cut_short:
            warnings.warn(
                f"LinearRegression: the steepest slope is {found.steepest():.1e} after "
                f"{found.iterations} iterations, above tol={self.tol}: raise max_iter or tol",
                ConvergenceWarning,
                stacklevel=3,
            )
        scaled: np.ndarray = weight.detach().numpy()
        return scaled * y_scale[:, None] / x_scale

    def predict(self, X: Any) -> np.ndarray:
        """X w + b, (N,) or (N, outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        with bl.no_grad():
            found: np.ndarray = (bl.from_numpy(X) @ bl.from_numpy(self.coef_.T)).numpy()
        return found + self.intercept_


def _lengths(columns: np.ndarray) -> np.ndarray:
    lengths = np.sqrt((columns**2).sum(0))
    return np.where(lengths > 0, lengths, 1.0)
