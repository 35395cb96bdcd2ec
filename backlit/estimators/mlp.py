"""Multi-layer perceptrons as estimators: classes, labels and numbers from tables.

The network is models.MLP. Parameters, defaults, random numbers and stopping are scikit-learn's,
so that the same seed gives the same curve. For images see cnn.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from backlit import models, nn
from backlit.errors import ArgumentError
from backlit.estimators.network import (
    ACTIVATIONS,
    NetworkEstimator,
    goes_in_parts,
    hidden_sizes,
    weighted_mean,
)
from backlit.estimators.network_classifier import NetworkClassifier
from backlit.estimators.validation import above_zero, one_of, whole
from backlit.nn import functional as F
from backlit.tensor import Tensor


class _MLP(NetworkEstimator):
    """models.MLP behind `coefs_` (ins, outs) and `intercepts_`."""

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    def _check_parameters(self) -> None:
        super()._check_parameters()
        one_of(self, "solver", ("lbfgs", "sgd", "adam"))
        whole(self, 1, "max_fun")

    def _network(self, features: int, outputs: int) -> nn.Module:
        sizes = [features, *hidden_sizes(self.hidden_layer_sizes), outputs]
        self.n_layers_ = len(sizes)
        return models.MLP(sizes, ACTIVATIONS[self.activation])

    def _set_weights(self, values: dict[str, np.ndarray]) -> None:
        self.coefs_ = [v.T.copy() for name, v in values.items() if name.endswith("weight")]
        self.intercepts_ = [v for name, v in values.items() if name.endswith("bias")]

    def _get_weights(self) -> dict[str, np.ndarray]:
        found = {}
        for layer, (coef, intercept) in enumerate(zip(self.coefs_, self.intercepts_)):
            found[f"{2 * layer}.weight"], found[f"{2 * layer}.bias"] = coef.T, intercept
        return found


class MLPClassifier(NetworkClassifier, _MLP):
    """Log-loss classifier with hidden layers; X (N, features), y (N,) or labels (N, labels).

    scikit-learn's parameters and attributes (coefs_, intercepts_, loss_curve_, n_iter_, ...);
    `solver` is "adam", "sgd" or "lbfgs"; computes in float32 where X is float32.

    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["low", "low", "high", "high"]
    >>> model = bl.estimators.MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> model.predict([[0.2], [2.7]]).tolist()
    ['low', 'high']
    """

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        self._take(locals())


class MLPRegressor(MultiOutputMixin, RegressorMixin, _MLP):
    """Regression with hidden layers; X (N, features), y (N,) or (N, outputs).

    `loss` is "squared_error" (half the square), "huber" (linear beyond `delta`: outliers pull
    with limited strength) or "poisson" (for counts). Else as MLPClassifier.

    >>> X = np.linspace(0, 1, 20)[:, None]
    >>> model = bl.estimators.MLPRegressor(solver="lbfgs", random_state=0, max_iter=500)
    >>> model.fit(X, 2 * X[:, 0] + 1).predict([[0.5]]).round(1)
    array([2.])
    """

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        delta: float = 1.0,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
    ) -> None:
        self._take(locals())

    def _check_parameters(self) -> None:
        super()._check_parameters()
        one_of(self, "loss", ("squared_error", "huber", "poisson"))
        above_zero(self, "delta")

    @available_if(goes_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch over a part of the data."""
        return self._fit(X, y, sample_weight, incremental=True)

    def _targets(self, y: np.ndarray, weights: np.ndarray, keep: bool, classes: Any) -> np.ndarray:
        targets = y.astype(np.float64).reshape(len(y), -1)
        if keep and targets.shape[1] != self.n_outputs_:
            raise ArgumentError(
                f"MLPRegressor: y has {targets.shape[1]} outputs, {self.n_outputs_} before"
            )
        if self.loss == "poisson" and targets.min() < 0:
            raise ArgumentError(f"MLPRegressor: counts can't be {targets.min()}, below zero")
        self.n_outputs_ = targets.shape[1]
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return targets

    def _objective(self) -> Any:
        if self.loss == "squared_error":
            return _squared_error
        if self.loss == "poisson":
            return _poisson
        delta = float(self.delta)

        def huber(outputs: Tensor, y: Tensor, w: Tensor) -> Tensor:
            return weighted_mean(F.huber_loss(outputs, y, reduction="none", delta=delta).sum(1), w)

        return huber

    def _held_score(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        outputs = self._activated(self._forward(X))
        if not np.isfinite(outputs).all():
            return float("nan")
        return float(r2_score(targets, outputs, sample_weight=weights))

    def _activated(self, outputs: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.exp(outputs) if self.out_activation_ == "exp" else outputs
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Numbers (N,), or (N, outputs) where there are several."""
        found = self._activated(self._outputs(X))
        return found[:, 0] if self.n_outputs_ == 1 else found


def _squared_error(outputs: Tensor, y: Tensor, w: Tensor) -> Tensor:
    return weighted_mean(0.5 * ((outputs - y) ** 2).sum(1), w)


def _poisson(outputs: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """e^z - y z, less what it is at best, so that a perfect fit costs nothing."""
    best = y - y * y.clamp(min=1e-300 if y.element_size() == 8 else 1e-30).log()
    return weighted_mean((outputs.exp() - y * outputs - best).sum(1), w)
