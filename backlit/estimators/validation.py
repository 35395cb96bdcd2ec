"""What all estimators ask of their parameters, labels and weights, and the linear ones share.

scikit-learn checks the shape of the data; here are the questions it leaves to estimators. Errors
are Backlit's and ValueErrors. Knows no training; read perceptron.py or mlp.py next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

import backlit as bl
from backlit.errors import ArgumentError


def above_zero(estimator: Any, *names: str) -> None:
    """Refuse parameters that are no numbers above zero."""
    for name in names:
        _number(estimator, name, 0, math.inf, open_low=True)


def between(estimator: Any, low: float, high: float, *names: str) -> None:
    """Refuse parameters that are no numbers from `low` to `high`, both included."""
    for name in names:
        _number(estimator, name, low, high)


def whole(estimator: Any, low: int, *names: str) -> None:
    """Refuse parameters that are no whole numbers from `low` on."""
    for name in names:
        value = getattr(estimator, name)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
            raise _refused(estimator, name, f"expected a whole number from {low} on")


def one_of(estimator: Any, name: str, options: Sequence[Any]) -> None:
    """Refuse a parameter that is none of the options."""
    value = getattr(estimator, name)
    if not any(type(value) is type(o) and value == o for o in options):
        raise _refused(estimator, name, f"expected one of {list(options)}")


def _number(estimator: Any, name: str, low: float, high: float, open_low: bool = False) -> None:
    value = getattr(estimator, name)
    good = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
    if not good or not low <= value <= high or (open_low and value == low):
        above = f"above {low}" if open_low else f"from {low}"
        limit = "" if high == math.inf else f" to {high}"
        raise _refused(estimator, name, f"expected a number {above}{limit}")


def _refused(estimator: Any, name: str, expected: str) -> ArgumentError:
    value = getattr(estimator, name)
    return ArgumentError(f"{type(estimator).__name__}: {name}={value!r}", hint=expected)


def sample_weights(estimator: Any, weights: Any, X: Any) -> np.ndarray:
    """One weight (N,) per sample as float64; all are 1 where none are given."""
    if weights is None or isinstance(weights, Real):
        weights = np.full(X.shape[0], 1.0 if weights is None else float(weights))
    found = check_array(weights, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    name = type(estimator).__name__
    if found.ndim != 1:
        raise ArgumentError(f"{name}: Sample weights must be 1D array or scalar, got {found.ndim}D")
    check_consistent_length(X, found)
    if found.min() < 0:
        raise ArgumentError(f"{name}: sample_weight holds {found.min()}, below zero")
    if not found.any():
        raise ArgumentError(f"{name}: every sample_weight is zero: no sample is left")
    return found


def encoded_classes(estimator: Any, y: Any, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes, sorted, and each label's place among them; two must have weight."""
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    left = len(np.unique(codes[weights > 0]))
    if left < 2:
        raise ArgumentError(
            f"{type(estimator).__name__}: needs samples of at least 2 classes, got {left} class"
        )
    return classes, codes


def known_codes(estimator: Any, y: Any) -> np.ndarray:
    """Each label's place among `classes_`, for data that comes in parts."""
    classes = estimator.classes_
    codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    if strange := set(np.asarray(y)[classes[codes] != y].tolist()):
        raise ArgumentError(
            f"{type(estimator).__name__}: y holds {sorted(strange, key=str)}, "
            f"not among the classes {classes.tolist()}"
        )
    return codes


def class_weights(
    class_weight: Any, classes: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """A factor (classes,) for the samples of each class; "balanced" makes all classes heavy alike.

    Balanced is n / (classes * n_k), where n counts a sample by its weight.
    """
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(codes, weights, minlength=len(classes))
        return counts.sum() / (np.count_nonzero(counts) * np.where(counts > 0, counts, 1.0))
    found: np.ndarray = compute_class_weight(class_weight, classes=classes, y=classes[codes])
    return found


def signed_targets(codes: np.ndarray, classes: int) -> np.ndarray:
    """Targets +1 or -1, (N, 1) for two classes, else one column for each class against the rest."""
    if classes == 2:
        return np.where(codes[:, None] == 1, 1.0, -1.0)
    return np.where(codes[:, None] == np.arange(classes), 1.0, -1.0)


def row_factors(
    heavier: np.ndarray, codes: np.ndarray, weights: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """What a sample counts in each machine (N, rows); the rest of the classes weigh 1."""
    own = heavier[codes][:, None]
    if targets.shape[1] > 1:
        own = np.where(targets > 0, own, 1.0)
    return np.ascontiguousarray(weights[:, None] * own)


class LinearClassifier(ClassifierMixin, BaseEstimator):
    """Scores X w + b from `coef_` and `intercept_`, and classes from scores."""

    coef_: np.ndarray
    intercept_: np.ndarray
    classes_: np.ndarray

    def decision_function(self, X: Any) -> np.ndarray:
        """Scores (N,) of the second of two classes, else (N, classes)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        with bl.no_grad():
            weights, bias = bl.from_numpy(self.coef_), bl.from_numpy(self.intercept_)
            scores = (bl.from_numpy(X) @ weights.T + bias).numpy()
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The class (N,) of the highest score; of two, the second where its score is above 0."""
        scores = self.decision_function(X)
        best = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)
        return self.classes_[best]
