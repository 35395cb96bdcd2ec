"""The support vector classifier with kernels: sign(sum a_i t_i K(x_i, x) + b) for every pair.

Cortes and Vapnik 1995. One machine for each two classes, all on the support vectors that they
share. What is solved, and how, is dual.py; the linear machine for many samples is linear_svc.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from backlit.errors import ArgumentError
from backlit.estimators.dual import Solution, solve
from backlit.estimators.kernels import Gram, kernel_of
from backlit.estimators.validation import (
    above_zero,
    between,
    class_weights,
    encoded_classes,
    one_of,
    sample_weights,
    whole,
)

KERNELS = ("linear", "poly", "rbf", "sigmoid", "precomputed")


class SVC(ClassifierMixin, BaseEstimator):
    """Soft-margin machine with a kernel; X (N, features), or (N, N) for "precomputed".

    scikit-learn's parameters and attributes, but `tol` is 1e-4: every Karush-Kuhn-Tucker
    condition is met to it. A kernel may be a function of two arrays that gives all pairs.
    `cache_size` is MB of kernel values; `shrinking` and `random_state` are accepted and change
    nothing. Attributes: support_, support_vectors_, dual_coef_, intercept_, n_support_, n_iter_.

    >>> X, y = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1]
    >>> model = bl.estimators.SVC(kernel="rbf", gamma=1.0, C=10.0).fit(X, y)
    >>> model.predict(X), len(model.support_)
    (array([0, 0, 1, 1]), 4)
    """

    def __init__(
        self,
        *,
        C: float = 1.0,
        kernel: Any = "rbf",
        degree: float = 3,
        gamma: Any = "scale",
        coef0: float = 0.0,
        shrinking: bool = True,
        tol: float = 1e-4,
        cache_size: float = 200,
        class_weight: Any = None,
        verbose: bool = False,
        max_iter: int = -1,
        decision_function_shape: str = "ovr",
        break_ties: bool = False,
        random_state: Any = None,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.degree = degree
        self.gamma = gamma
        self.coef0 = coef0
        self.shrinking = shrinking
        self.tol = tol
        self.cache_size = cache_size
        self.class_weight = class_weight
        self.verbose = verbose
        self.max_iter = max_iter
        self.decision_function_shape = decision_function_shape
        self.break_ties = break_ties
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = self.kernel == "precomputed"
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SVC:
        """Solve the dual of each two classes; a weight of 2 doubles the sample's C."""
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64)
        weights = sample_weights(self, sample_weight, X)
        self.classes_, codes = encoded_classes(self, y, weights)
        self.class_weight_ = class_weights(self.class_weight, self.classes_, codes, weights)
        if self.kernel == "precomputed" and X.shape[0] != X.shape[1]:
            raise ArgumentError(f"SVC: a precomputed kernel must be square, got {X.shape}")
        self._gamma = self._width(X)
        bounds = self.C * weights * self.class_weight_[codes]
        self._keep(X, codes, [self._pair(X, codes, bounds, pair) for pair in self._pairs()])
        self.shape_fit_ = X.shape
        return self

    def _check_parameters(self) -> None:
        if not callable(self.kernel):
            one_of(self, "kernel", KERNELS)
        above_zero(self, "C", "tol", "cache_size")
        between(self, 0, np.inf, "degree")
        between(self, -np.inf, np.inf, "coef0")
        if isinstance(self.gamma, str):
            one_of(self, "gamma", ("scale", "auto"))
        else:
            between(self, 0, np.inf, "gamma")
        whole(self, -1, "max_iter")
        one_of(self, "decision_function_shape", ("ovr", "ovo"))
        if self.break_ties and self.decision_function_shape == "ovo":
            raise ArgumentError("SVC: break_ties=True needs decision_function_shape='ovr'")

    def _width(self, X: np.ndarray) -> float:
        """gamma as a number: "scale" makes the kernel's exponents of order one."""
        if not isinstance(self.gamma, str):
            return float(self.gamma)
        spread = float(X.var()) if self.gamma == "scale" else 1.0
        return 1.0 / (X.shape[1] * spread) if spread else 1.0

    def _kernel(self) -> Any:
        return kernel_of(self.kernel, self._gamma, self.degree, self.coef0)

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return combinations(range(len(self.classes_)), 2)

    def _pair(
        self, X: np.ndarray, codes: np.ndarray, bounds: np.ndarray, pair: tuple[int, int]
    ) -> tuple[np.ndarray, Solution]:
        """The samples of two classes and the machine that has the first one positive."""
        places = np.flatnonzero(np.isin(codes, pair) & (bounds > 0))
        targets = np.where(codes[places] == pair[0], 1.0, -1.0)
        if abs(targets.sum()) == len(targets):  # one of them has no weight
            return places, Solution(0 * targets, float(targets[:1].sum()), 0, 0.0, True)
        columns = places if self.kernel == "precomputed" else slice(None)
        gram = Gram(self._kernel(), X[places][:, columns], self.cache_size)
        names = f"{self.classes_[pair[0]]} against {self.classes_[pair[1]]}"

        def report(iterations: int, violation: float) -> None:
            print(f"SVC: {names}, iteration {iterations}, violation {violation:.2e}", flush=True)

        said = report if self.verbose else None
        found = solve(gram, targets, bounds[places], self.tol, self.max_iter, said)
        if said:
            said(found.iterations, found.violation)
        if not found.converged:
            warnings.warn(
                f"SVC: {names}: max_iter={self.max_iter} leaves a violation of "
                f"{found.violation:.1e}, above tol={self.tol}: scale the data or raise max_iter",
                ConvergenceWarning,
                stacklevel=4,
            )
        return places, found

    def _keep(
        self, X: np.ndarray, codes: np.ndarray, machines: list[tuple[np.ndarray, Solution]]
    ) -> None:
        """The attributes: support vectors class by class, with a column of multipliers each."""
        classes = len(self.classes_)
        dual = np.zeros((classes - 1, len(codes)))
        for (i, j), (places, machine) in zip(self._pairs(), machines):
            own = codes[places] == i
            dual[j - 1, places[own]] = machine.signed[own]
            dual[i, places[~own]] = machine.signed[~own]
        used = np.flatnonzero(dual.any(0))
        self.support_ = used[np.argsort(codes[used], kind="stable")].astype(np.int32)
        self.n_support_ = np.bincount(codes[used], minlength=classes).astype(np.int32)
        precomputed = self.kernel == "precomputed"
        self.support_vectors_ = np.empty((0, 0)) if precomputed else X[self.support_]
        self._dual_coef = dual[:, self.support_]
        self._intercept = np.array([machine.bias for _, machine in machines])
        # Two classes: the second is the positive one for everybody outside.
        sign = -1.0 if classes == 2 else 1.0
        self.dual_coef_, self.intercept_ = sign * self._dual_coef, sign * self._intercept
        self.n_iter_ = np.array([machine.iterations for _, machine in machines], dtype=np.int32)
        self.fit_status_ = int(not all(machine.converged for _, machine in machines))

    @property
    def coef_(self) -> np.ndarray:
        """Weights (pairs, features) of a linear kernel's machines."""
        if self.kernel != "linear":
            raise AttributeError("coef_ exists for a linear kernel only")
        sign = -1.0 if len(self.classes_) == 2 else 1.0
        found: np.ndarray = sign * self._machines() @ self.support_vectors_
        return found

    def _machines(self) -> np.ndarray:
        """The signed multipliers (pairs, support vectors) of each machine."""
        ends = np.concatenate([[0], np.cumsum(self.n_support_)])
        found = []
        for i, j in self._pairs():
            row = np.zeros(self._dual_coef.shape[1])
            row[ends[i] : ends[i + 1]] = self._dual_coef[j - 1, ends[i] : ends[i + 1]]
            row[ends[j] : ends[j + 1]] = self._dual_coef[i, ends[j] : ends[j + 1]]
            found.append(row)
        return np.stack(found)

    def _scores(self, X: Any) -> np.ndarray:
        """Scores (N, pairs), above zero for the first class of a pair."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        if self.kernel == "precomputed":
            values = X[:, self.support_]
        elif len(self.support_):
            values = self._kernel()(X, self.support_vectors_)
        else:
            values = np.zeros((len(X), 0))
        scores: np.ndarray = values @ self._machines().T + self._intercept
        return scores

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (N,) of the second of two classes; else (N, classes), or (N, pairs) for "ovo"."""
        scores = self._scores(X)
        if scores.shape[1] == 1:
            return -scores[:, 0]
        return scores if self.decision_function_shape == "ovo" else self._by_class(scores)

    def _by_class(self, scores: np.ndarray) -> np.ndarray:
        """Votes (N, classes), and between equal ones the sum of scores, squeezed below half."""
        votes = self._votes(scores, scores >= 0)
        sums = np.zeros_like(votes)
        for k, (i, j) in enumerate(self._pairs()):
            sums[:, i] += scores[:, k]
            sums[:, j] -= scores[:, k]
        return votes + sums / (3 * (np.abs(sums) + 1))

    def _votes(self, scores: np.ndarray, first: np.ndarray) -> np.ndarray:
        votes = np.zeros((len(scores), len(self.classes_)))
        for k, (i, j) in enumerate(self._pairs()):
            votes[:, i] += first[:, k]
            votes[:, j] += ~first[:, k]
        return votes

    def predict(self, X: Any) -> np.ndarray:
        """The class (N,) that wins most of its pairs, the first of equal ones."""
        scores = self._scores(X)
        many = scores.shape[1] > 1
        by_score = self.break_ties and many
        votes = self._by_class(scores) if by_score else self._votes(scores, scores > 0)
        found: np.ndarray = self.classes_[votes.argmax(1)]
        return found
