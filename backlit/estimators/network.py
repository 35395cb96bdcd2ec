"""What estimators that train a network share: from fit's arguments to a training, and back.

Between two calls the weights lie in NumPy arrays, so that estimators pickle, copy and compare; a
live training is kept for partial_fit only. Subclasses say which network, which targets and which
loss (network_classifier.py, mlp.py, cnn.py); training.py runs the epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, DivergedError
from backlit.estimators.training import Training, load
from backlit.estimators.validation import (
    above_zero,
    between,
    one_of,
    sample_weights,
    whole,
)
from backlit.tensor import Tensor

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
ROWS = 1024  # of one forward pass without gradients


def goes_in_parts(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver 'sgd' or 'adam': lbfgs sees all data")
    return True


class NetworkEstimator(BaseEstimator):
    """fit, partial_fit and outputs of an estimator with a network."""

    hidden_layer_sizes: Any
    activation: str
    solver: str
    warm_start: bool
    early_stopping: bool
    validation_fraction: float
    random_state: Any
    max_iter: int
    n_outputs_: int

    def _take(self, given: dict[str, Any]) -> None:
        """Set every parameter of the constructor from its local names."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    # What a subclass says

    def _network(self, features: int, outputs: int) -> nn.Module:
        raise NotImplementedError

    def _targets(self, y: np.ndarray, weights: np.ndarray, keep: bool, classes: Any) -> np.ndarray:
        raise NotImplementedError

    def _objective(self) -> Any:
        raise NotImplementedError

    def _held_score(self, X: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        raise NotImplementedError

    def _set_weights(self, values: dict[str, np.ndarray]) -> None:
        raise NotImplementedError

    def _get_weights(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    # Fitting

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train until the loss stops falling; a sample's weight scales its loss."""
        return self._fit(X, y, sample_weight, incremental=False)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, classes: Any = None
    ) -> Any:
        self._check_parameters()
        if incremental and self.early_stopping:
            raise ArgumentError("partial_fit does not go with early_stopping=True")
        keep = hasattr(self, "t_") and (incremental or self.warm_start)
        X, y = validate_data(
            self, X, y, multi_output=True, dtype=(np.float64, np.float32), reset=not keep
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        weights = sample_weights(self, sample_weight, X).astype(X.dtype)
        targets = self._targets(y, weights, keep, classes)
        random = check_random_state(self.random_state)
        training = self._prepare(X, random, keep, incremental)
        data = (X, targets.astype(X.dtype) if targets.dtype.kind == "f" else targets, weights)
        if self.solver == "lbfgs":
            training.run_lbfgs(data)
        else:
            self._run(training, data, random, incremental)
        values = training.values()
        if not all(np.isfinite(v).all() for v in values.values()):
            raise DivergedError(
                f"{type(self).__name__}: weights have become NaN or infinite",
                hint="scale the features to about one, or lower learning_rate_init",
            )
        self._set_weights(values)
        self._training = training if incremental else None
        return self

    def _prepare(
        self, X: np.ndarray, random: np.random.RandomState, keep: bool, incremental: bool
    ) -> Training:
        """The training to go on with, or a new one, from drawn weights or from those there are."""
        alive: Training | None = getattr(self, "_training", None)
        if incremental and keep and alive is not None:
            return alive
        model = self._blank(X.dtype)
        if keep:
            load(model, self._get_weights())
        else:
            self._begin(model, random)
        training = Training(self, model, self._objective())
        moments = self.__dict__.pop("_moments", None)
        if incremental and keep and moments is not None:
            training.take_moments(moments)
        return training

    def _begin(self, model: nn.Module, random: np.random.RandomState) -> None:
        _draw(model, random, 2.0 if self.activation == "logistic" else 6.0)
        self.n_iter_, self.t_ = 0, 0
        self.loss_curve_: list[float] = []
        self.best_loss_: float | None = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _blank(self, dtype: Any) -> nn.Module:
        """The network with whatever weights; nobody's random numbers are used up."""
        before = bl.get_rng_state()
        model = self._network(self.n_features_in_, self.n_outputs_)
        bl.set_rng_state(before)
        return model.double() if dtype == np.float64 else model

    def _run(
        self,
        training: Training,
        data: tuple[np.ndarray, ...],
        random: np.random.RandomState,
        incremental: bool,
    ) -> None:
        epochs = 1 if incremental else self.max_iter
        if not self.early_stopping:
            training.run(data, random, epochs, incremental=incremental)
            return
        stratify = data[1] if self._stratifies() else None
        split = train_test_split(
            *data, random_state=random, test_size=self.validation_fraction, stratify=stratify
        )
        held, data = tuple(split[1::2]), tuple(split[::2])
        if len(held[0]) < 2 or not held[2].any():
            raise ArgumentError(
                f"{type(self).__name__}: early_stopping holds back {len(held[0])} samples "
                f"of weight {held[2].sum():g}: too few to judge by",
                hint="raise validation_fraction",
            )

        def score() -> float:
            self._set_weights(training.values())
            return self._held_score(*held)

        training.run(data, random, epochs, score)

    def _stratifies(self) -> bool:
        return False

    def _check_parameters(self) -> None:
        sizes = np.atleast_1d(np.asarray(self.hidden_layer_sizes))
        if sizes.size and (sizes.dtype.kind != "i" or sizes.min() < 1):
            raise ArgumentError(
                f"{type(self).__name__}: hidden_layer_sizes={self.hidden_layer_sizes}",
                hint="expected whole numbers from 1 on",
            )
        one_of(self, "activation", tuple(ACTIVATIONS))
        one_of(self, "learning_rate", ("constant", "invscaling", "adaptive"))
        between(self, 0, np.inf, "alpha", "power_t", "tol")
        between(self, 0, 1, "momentum", "validation_fraction", "beta_1", "beta_2")
        above_zero(self, "learning_rate_init", "epsilon", "n_iter_no_change")
        whole(self, 1, "max_iter", *([] if self.batch_size == "auto" else ["batch_size"]))

    # What the network says

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's last sums (N, outputs) for data from outside."""
        check_is_fitted(self, "t_")
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return self._forward(X)

    def _forward(self, X: np.ndarray) -> np.ndarray:
        values = self._get_weights()
        dtype = next(iter(values.values())).dtype
        model = self._blank(dtype).eval()
        load(model, values)
        with bl.no_grad():
            found = [
                model(bl.from_numpy(X[start : start + ROWS].astype(dtype, copy=False))).numpy()
                for start in range(0, len(X), ROWS)
            ]
        return np.concatenate(found)

    # Pickles and copies hold arrays only

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        training = state.pop("_training", None)
        if training is not None:
            state["_moments"] = training.moments()
        return state


def weighted_mean(losses: Tensor, w: Tensor) -> Tensor:
    """The mean of losses (N,), each as often as its weight says."""
    return (losses * w).sum() / w.sum()  # type: ignore[no-any-return]


def hidden_sizes(given: Any) -> list[int]:
    """Sizes of hidden layers from a number or a sequence."""
    many = given if isinstance(given, Sequence | np.ndarray) else [given]
    return [int(size) for size in many]


def _draw(model: nn.Module, random: np.random.RandomState, factor: float) -> None:
    """Uniform up to sqrt(factor / (ins + outs)), weights and biases (Glorot and Bengio 2010)."""
    with bl.no_grad():
        for layer in model.modules():
            weight = getattr(layer, "weight", None)
            if weight is None:
                continue
            each = int(np.prod(weight.shape[2:]))
            bound = np.sqrt(factor / (each * (weight.shape[0] + weight.shape[1])))
            # Drawn as (ins, outs), which is the order scikit-learn draws in.
            drawn = random.uniform(-bound, bound, (weight[0].numel(), weight.shape[0])).T
            weight.copy_(bl.from_numpy(np.ascontiguousarray(drawn)).reshape(weight.shape))
            layer.bias.copy_(bl.from_numpy(random.uniform(-bound, bound, weight.shape[0])))
