"""Classifiers that train a network: labels to targets, outputs to labels and probabilities.

Two classes have one output, more have one each, and several labels at once one for each label.
Which network it is, is said in mlp.py and cnn.py; how it is fitted, in network.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

import backlit as bl
from backlit.errors import ArgumentError
from backlit.estimators.network import NetworkEstimator, goes_in_parts, weighted_mean
from backlit.estimators.validation import encoded_classes, known_codes
from backlit.nn import functional as F
from backlit.tensor import Tensor


class NetworkClassifier(ClassifierMixin, NetworkEstimator):
    """Labels to targets and outputs to labels: two classes, many, or several labels at once."""

    classes_: np.ndarray
    out_activation_: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @available_if(goes_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """One epoch over a part of the data; the first call names all classes."""
        if not hasattr(self, "t_"):
            if classes is None:
                raise ArgumentError(f"{type(self).__name__}: the first partial_fit needs classes")
            classes = np.unique(classes)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ArgumentError(
                f"{type(self).__name__}: classes differ from those of the first partial_fit"
            )
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def _targets(self, y: np.ndarray, weights: np.ndarray, keep: bool, classes: Any) -> np.ndarray:
        check_classification_targets(y)
        several = type_of_target(y).startswith("multilabel")
        if several:
            classes = np.arange(y.shape[1])
        elif keep:
            classes = self.classes_
        elif classes is None:
            classes = encoded_classes(self, y, weights)[0]
        if keep and not np.array_equal(classes, self.classes_):
            raise ArgumentError(f"{type(self).__name__}: y has other labels than before")
        self.classes_ = classes
        many = not several and len(classes) > 2
        self.out_activation_ = "softmax" if many else "logistic"
        self.n_outputs_ = len(classes) if several or many else 1
        if several:
            return y.astype(np.float64)
        codes = known_codes(self, y)
        return codes if many else codes[:, None].astype(np.float64)

    def _objective(self) -> Any:
        return _log_loss if self.out_activation_ == "softmax" else _binary_log_loss

    def _stratifies(self) -> bool:
        return self.n_outputs_ == 1

    def _held_score(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        outputs = self._forward(X)
        if self.out_activation_ == "softmax":
            return float(accuracy_score(targets, outputs.argmax(1), sample_weight=weights))
        return float(accuracy_score(targets > 0, outputs > 0, sample_weight=weights))

    def predict(self, X: Any) -> np.ndarray:
        """The class (N,) of the highest output, or every label (N, labels) above one half."""
        outputs = self._outputs(X)
        if self.out_activation_ == "softmax":
            return self.classes_[outputs.argmax(1)]
        if self.n_outputs_ > 1:
            return (outputs > 0).astype(int)
        return self.classes_[(outputs[:, 0] > 0).astype(int)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (N, classes); of several labels each its own."""
        outputs = bl.from_numpy(self._outputs(X))
        if self.out_activation_ == "softmax":
            return _owned(F.softmax(outputs, dim=1))
        if self.n_outputs_ > 1:
            return _owned(outputs.sigmoid())
        return _owned(bl.cat([-outputs, outputs], dim=1).sigmoid())

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, minus infinity where one is zero."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


def _owned(values: Tensor) -> np.ndarray:
    found: np.ndarray = values.numpy().copy()
    return found


def _log_loss(outputs: Tensor, y: Tensor, w: Tensor) -> Tensor:
    return weighted_mean(F.cross_entropy(outputs, y, reduction="none"), w)


def _binary_log_loss(outputs: Tensor, y: Tensor, w: Tensor) -> Tensor:
    losses = F.binary_cross_entropy_with_logits(outputs, y, reduction="none")
    return weighted_mean(losses.sum(1), w)
