"""The linear support vector machine for many samples: no kernel matrix, one weight per feature.

Minimize |w|^2 / 2 + C sum max(0, 1 - t score)^p, or |w|_1 in front, for every class against the
rest at once; the bias is the weight of one more feature and is penalized with the others, as in
Fan et al. 2008, "LIBLINEAR". Each of three descents suits one form; see docs/design/estimators.md.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError
from backlit.estimators.descent import Step
from backlit.estimators.newton import Newton
from backlit.estimators.validation import (
    LinearClassifier,
    above_zero,
    class_weights,
    encoded_classes,
    one_of,
    row_factors,
    sample_weights,
    signed_targets,
    whole,
)
from backlit.nn import functional as F
from backlit.tensor import Tensor


class LinearSVC(LinearClassifier):
    """Linear soft-margin machine, many classes one against the rest; X (N, features).

    scikit-learn's parameters and attributes. `dual` is checked and changes nothing: the loss and
    the penalty choose the method. `tol` bounds every slope of the objective (with the hinge loss,
    of its dual). Attributes: coef_ (classes or 1, features), intercept_, classes_, n_iter_.

    >>> X, y = [[0.0], [1.0], [3.0], [4.0]], [0, 0, 1, 1]
    >>> model = bl.estimators.LinearSVC(loss="hinge", C=10.0, random_state=0).fit(X, y)
    >>> model.predict([[1.2], [2.8]])
    array([0, 1])
    """

    def __init__(
        self,
        penalty: str = "l2",
        loss: str = "squared_hinge",
        *,
        dual: bool | str = "auto",
        tol: float = 1e-4,
        C: float = 1.0,
        multi_class: str = "ovr",
        fit_intercept: bool = True,
        intercept_scaling: float = 1.0,
        class_weight: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        max_iter: int = 1000,
    ) -> None:
        self.penalty = penalty
        self.loss = loss
        self.dual = dual
        self.tol = tol
        self.C = C
        self.multi_class = multi_class
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.verbose = verbose
        self.random_state = random_state
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearSVC:
        """Minimize the objective; a weight of 2 doubles the sample's C."""
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=np.float64)
        weights = sample_weights(self, sample_weight, X)
        self.classes_, codes = encoded_classes(self, y, weights)
        factors = class_weights(self.class_weight, self.classes_, codes, weights)
        targets = signed_targets(codes, len(self.classes_))
        costs = self.C * row_factors(factors, codes, weights, targets)
        if self.fit_intercept:
            X = np.hstack([X, np.full((len(X), 1), float(self.intercept_scaling))])
        if self.loss == "hinge":
            found = self._coordinates(X, targets, costs)
        elif self.penalty == "l1":
            found = self._shrunk(X, targets, costs)
        else:
            found = self._smooth(X, targets, costs)
        self.coef_, self.intercept_ = found, np.zeros(len(found))
        if self.fit_intercept:
            self.coef_ = np.ascontiguousarray(found[:, :-1])
            self.intercept_ = found[:, -1] * self.intercept_scaling
        return self

    def _check_parameters(self) -> None:
        one_of(self, "penalty", ("l1", "l2"))
        one_of(self, "loss", ("hinge", "squared_hinge"))
        one_of(self, "dual", ("auto", True, False))
        one_of(self, "multi_class", ("ovr",))
        above_zero(self, "tol", "C")
        if self.fit_intercept:
            above_zero(self, "intercept_scaling")
        whole(self, 1, "max_iter")
        form = (self.penalty, self.loss, self.dual)
        if form[:2] == ("l1", "hinge") or form in (("l1", "squared_hinge", True),
                                                   ("l2", "hinge", False)):  # fmt: skip
            raise ArgumentError(
                f"LinearSVC: penalty={self.penalty!r} with loss={self.loss!r} and "
                f"dual={self.dual} is not solved",
                hint="l1 goes with squared_hinge and dual=False, hinge with l2 and dual=True",
            )

    def _smooth(self, X: np.ndarray, targets: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """l2 and squared hinge have slopes everywhere: Newton's method on the primal."""

        def losses(weight: Tensor, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
            return 0.5 * (weight**2).sum(1) + _squared_hinge(weight, x, t, c)  # type: ignore[no-any-return]

        shape = targets.shape[1], X.shape[1]
        found = Newton(losses, shape, (X, targets, costs), tol=self.tol, max_iter=self.max_iter,
                       report=self._say)  # fmt: skip
        self.n_iter_ = max(1, found.iterations)
        if found.cut_short:
            self._warn(found.slope)
        return found.values

    def _coordinates(self, X: np.ndarray, targets: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """l2 and hinge: the dual, one multiplier after another (Hsieh et al. 2008)."""
        weight = bl.zeros(targets.shape[1], X.shape[1], dtype=bl.float64)
        step = Step(_dual_step(weight))
        norms = np.broadcast_to((X**2).sum(1, keepdims=True), targets.shape)
        norms = np.where(norms > 0, norms, 1.0)
        multipliers = np.zeros_like(targets)
        random = check_random_state(self.random_state)
        for epoch in range(1, self.max_iter + 1):
            order = random.permutation(len(X))
            rows = (X, targets, costs, norms, multipliers)
            found = step.loop(*(part[order] for part in rows))
            multipliers[order] = found[:, 0]
            slope = float(np.abs(found[:, 1]).max())
            self._say(epoch, slope)
            if slope <= self.tol:
                break
        else:
            self._warn(slope)
        self.n_iter_ = epoch
        values: np.ndarray = weight.numpy().copy()
        return values

    def _shrunk(self, X: np.ndarray, targets: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """l1 and squared hinge: accelerated proximal gradient (Beck and Teboulle 2009)."""
        weight = nn.Parameter(bl.zeros(targets.shape[1], X.shape[1], dtype=bl.float64))
        steepness = [2 * np.linalg.norm(np.sqrt(c)[:, None] * X, 2) ** 2 for c in costs.T]
        rates = 1.0 / np.maximum(np.array(steepness), 1e-12)[:, None]
        step = Step(_proximal_step(weight, bl.from_numpy(rates)))
        data = [bl.from_numpy(part) for part in (X, targets, costs)]
        last, at, momentum = np.zeros(weight.shape), np.zeros(weight.shape), 1.0
        for iteration in range(1, self.max_iter + 1):
            new = step(bl.from_numpy(at), *data).numpy()
            slope = float((np.abs(new - at) / rates).max())
            if iteration % 20 == 0:
                self._say(iteration, slope)
            uphill = ((at - new) * (new - last)).sum() > 0  # then momentum overshot
            grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            share = 0.0 if uphill else (momentum - 1) / grown
            momentum = 1.0 if uphill else grown
            last, at = new, new + share * (new - last)
            if slope <= self.tol:
                break
        else:
            self._warn(slope)
        self.n_iter_ = iteration
        return last

    def _say(self, done: int, value: float) -> None:
        if self.verbose:
            print(f"LinearSVC: iteration {done}, {value:.6g}", flush=True)

    def _warn(self, slope: float) -> None:
        warnings.warn(
            f"LinearSVC: a slope of {slope:.1e} is left after max_iter={self.max_iter}, above "
            f"tol={self.tol}: scale the features, or raise max_iter",
            ConvergenceWarning,
            stacklevel=4,
        )


def _squared_hinge(weight: Tensor, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
    return (c * F.relu(1.0 - t * F.linear(x, weight)) ** 2).sum(0)  # type: ignore[no-any-return]


def _dual_step(weight: Tensor) -> Any:
    """One sample's multipliers, all classes: each to where its slope is zero, or to a bound."""

    def step(x: Tensor, t: Tensor, c: Tensor, norm: Tensor, multiplier: Tensor) -> Tensor:
        slope = t * F.linear(x, weight) - 1.0
        new = bl.minimum((multiplier - slope / norm).clamp(min=0.0), c)
        weight.add_(((new - multiplier) * t).unsqueeze(1) * x)
        # A slope that points out of the box counts as zero.
        held = ((multiplier <= 0) & (slope > 0)) | ((multiplier >= c) & (slope < 0))
        return bl.stack([new, bl.where(held, bl.zeros_like(slope), slope)])

    return step


def _proximal_step(weight: Tensor, rates: Tensor) -> Any:
    """Down the slope of the loss, then towards zero by as much as the penalty pulls."""

    def step(at: Tensor, x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        with bl.no_grad():
            weight.copy_(at)
        weight.grad = None
        _squared_hinge(weight, x, t, c).sum().backward()
        with bl.no_grad():
            assert weight.grad is not None
            moved = at - rates * weight.grad
            shrunk: Tensor = moved.sign() * F.relu(moved.abs() - rates)
        weight.grad = None
        return shrunk

    return step
