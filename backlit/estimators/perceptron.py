"""The perceptron as an estimator: one pass after another, a correction at every mistake.

Rosenblatt 1958. The loss of a sample is max(0, -t score) with targets t of 1 and -1, and its slope
-t x wherever the sign of the score is not t, also on the boundary itself. Epochs are native
loops over the samples. Next: svc.py, which asks for a margin too.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError
from backlit.estimators.descent import Step
from backlit.estimators.validation import (
    LinearClassifier,
    above_zero,
    between,
    class_weights,
    encoded_classes,
    known_codes,
    one_of,
    row_factors,
    sample_weights,
    signed_targets,
    whole,
)
from backlit.nn import functional as F
from backlit.tensor import Tensor


class Perceptron(LinearClassifier):
    """Rosenblatt's rule, w += eta0 t x at every mistake; many classes one against the rest.

    scikit-learn's parameters and attributes. An l1 penalty shrinks towards zero in every step.
    `n_jobs` is accepted: all classes train at once. Attributes: coef_ (classes or 1, features),
    intercept_, classes_, n_iter_, t_.

    >>> X, y = [[2.0, 1.0], [1.0, 3.0], [-1.0, -2.0], [-3.0, 0.0]], [1, 1, -1, -1]
    >>> model = bl.estimators.Perceptron(random_state=0).fit(X, y)
    >>> model.predict([[5.0, 5.0], [-5.0, -5.0]])
    array([ 1, -1])
    """

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: int = 0,
        eta0: float = 1.0,
        n_jobs: int | None = None,
        random_state: Any = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.eta0 = eta0
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start

    def fit(
        self,
        X: Any,
        y: Any,
        coef_init: Any = None,
        intercept_init: Any = None,
        sample_weight: Any = None,
    ) -> Perceptron:
        """Pass over the data until the loss stops falling, class by class."""
        self._check_parameters()
        warm = self.warm_start and hasattr(self, "coef_")
        X, y = validate_data(self, X, y, dtype=np.float64, reset=not warm)
        weights = sample_weights(self, sample_weight, X)
        classes, codes = encoded_classes(self, y, weights)
        if not warm:
            self._begin(classes, X.shape[1], coef_init, intercept_init)
        codes = known_codes(self, y) if warm else codes
        self.t_ = 1.0
        self._train(X, codes, weights)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Perceptron:
        """One pass over a part of the data; the first call names all classes."""
        self._check_parameters()
        if self.class_weight == "balanced":
            raise ArgumentError(
                "Perceptron: class_weight='balanced' needs all data at once, not partial_fit",
                hint="give a dict of class weights",
            )
        first = not hasattr(self, "coef_")
        if first and classes is None:
            raise ArgumentError("Perceptron: the first partial_fit needs classes")
        X, y = validate_data(self, X, y, dtype=np.float64, reset=first)
        check_classification_targets(y)
        weights = sample_weights(self, sample_weight, X)
        if first:
            self._begin(np.unique(classes), X.shape[1], None, None)
            self.t_ = 1.0
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ArgumentError("Perceptron: classes differ from those of the first partial_fit")
        codes = known_codes(self, y)
        epoch = _Epochs(self, X, codes, weights)
        losses = epoch.run(np.arange(len(X)), np.ones(len(self.intercept_)))
        self.coef_, self.intercept_ = epoch.values()
        self.n_iter_ = 1
        self.t_ += len(X)
        self._say(1, losses)
        return self

    def _check_parameters(self) -> None:
        one_of(self, "penalty", (None, "l2", "l1", "elasticnet"))
        between(self, 0, np.inf, "alpha", *(["tol"] if self.tol is not None else []))
        between(self, 0, 1, "l1_ratio", "validation_fraction")
        above_zero(self, "eta0")
        whole(self, 1, "max_iter", "n_iter_no_change")

    def _begin(self, classes: np.ndarray, features: int, coef: Any, intercept: Any) -> None:
        rows = 1 if len(classes) == 2 else len(classes)
        shapes = {"coef_init": (rows, features), "intercept_init": (rows,)}
        found = []
        for (name, shape), given in zip(shapes.items(), (coef, intercept)):
            start = np.zeros(shape) if given is None else np.array(given, dtype=np.float64)
            if start.size != np.prod(shape):
                raise ArgumentError(f"Perceptron: {name} has shape {start.shape}, not {shape}")
            found.append(start.reshape(shape))
        self.classes_ = classes
        self.coef_, self.intercept_ = found

    def _train(self, X: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> None:
        random = check_random_state(self.random_state)
        order, held = np.arange(len(X)), None
        if self.early_stopping:
            order, held = train_test_split(
                order, test_size=self.validation_fraction, stratify=codes, random_state=random
            )
        epochs = _Epochs(self, X, codes, weights)
        rows = len(self.intercept_)
        active, best, calm = np.ones(rows), np.full(rows, np.inf), np.zeros(rows)
        for done in range(1, self.max_iter + 1):
            if self.shuffle:
                order = random.permutation(order)
            losses = epochs.run(order, active)
            self._say(done, losses)
            if self.tol is None:
                continue
            # Lower is better: mistakes on what was held back, or the loss itself.
            now = losses if held is None else epochs.mistakes(held)
            slack = self.tol if held is not None else self.tol * len(order)
            calm = np.where(now > best - slack, calm + 1, 0)
            best = np.minimum(best, now)
            active = active * (calm < self.n_iter_no_change)
            if not active.any():
                break
        else:
            if self.tol is not None:
                warnings.warn(
                    f"Perceptron: still changing after max_iter={self.max_iter} passes",
                    ConvergenceWarning,
                    stacklevel=3,
                )
        self.n_iter_ = done
        self.t_ += done * len(order)
        self.coef_, self.intercept_ = epochs.values()

    def _say(self, done: int, losses: np.ndarray) -> None:
        if self.verbose:
            print(f"Perceptron: epoch {done}, loss {losses.sum():.6f}", flush=True)


class _Epochs:
    """Passes over the samples with weights of their own, which `values` gives back."""

    def __init__(
        self, estimator: Perceptron, X: np.ndarray, codes: np.ndarray, weights: np.ndarray
    ) -> None:
        self.X, self.targets = X, signed_targets(codes, len(estimator.classes_))
        heavier = class_weights(estimator.class_weight, estimator.classes_, codes, weights)
        self.factors = row_factors(heavier, codes, weights, self.targets)
        self.weight = nn.Parameter(bl.from_numpy(estimator.coef_))
        self.bias = nn.Parameter(bl.from_numpy(estimator.intercept_))
        self.step = Step(self._correction(estimator))

    def _correction(self, estimator: Perceptron) -> Any:
        """What one sample changes; a class that is done has factor and activity 0."""
        weight, bias, eta = self.weight, self.bias, float(estimator.eta0)
        ratio = {None: 0.0, "l2": 0.0, "l1": 1.0}.get(estimator.penalty, estimator.l1_ratio)
        strength = eta * estimator.alpha if estimator.penalty is not None else 0.0
        l1, l2, biased = strength * ratio, strength * (1 - ratio), estimator.fit_intercept

        def step(x: Tensor, target: Tensor, factor: Tensor, active: Tensor) -> Tensor:
            weight.grad = bias.grad = None
            margin = target * F.linear(x, weight, bias)
            wrong = (margin.detach() <= 0).to(margin.dtype)
            (-wrong * factor * active * margin).sum().backward()
            with bl.no_grad():
                assert weight.grad is not None and bias.grad is not None
                moved = weight * (1.0 - l2 * active.unsqueeze(1)) if l2 else weight
                moved = moved - eta * weight.grad
                if l1:
                    moved = moved.sign() * F.relu(moved.abs() - l1 * active.unsqueeze(1))
                weight.copy_(moved)
                if biased:
                    bias.copy_(bias - eta * bias.grad)
                loss: Tensor = F.relu(-margin.detach())
            weight.grad = bias.grad = None
            return loss

        return step

    def run(self, order: np.ndarray, active: np.ndarray) -> np.ndarray:
        """One pass in this order; the sum of losses of each class."""
        activity = np.broadcast_to(active, (len(order), len(active)))
        losses = self.step.loop(
            self.X[order], self.targets[order], self.factors[order], np.ascontiguousarray(activity)
        )
        total: np.ndarray = losses.sum(0)
        return total

    def mistakes(self, held: np.ndarray) -> np.ndarray:
        """The share of these samples that each class has on the wrong side."""
        weight, bias = self.values()
        scores = self.X[held] @ weight.T + bias
        share: np.ndarray = np.mean((scores > 0) != (self.targets[held] > 0), axis=0)
        return share

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases as they are now."""
        return self.weight.detach().numpy().copy(), self.bias.detach().numpy().copy()
