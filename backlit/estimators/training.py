"""One training of an estimator's network: minibatches, epochs, when to stop, what was best.

Follows scikit-learn's rules, so that the same seed gives the same batches and the same curve. Knows
a model, an objective and arrays; labels and parameters' meaning are network.py's. A step is
compiled once it has run some times (descent.py).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import shuffle

import backlit as bl
from backlit import nn
from backlit.estimators.descent import Descent, Step
from backlit.tensor import Tensor

GATHERED = 16 << 20  # bytes of batches that are put together for one native call
FLAT = 1e-9  # change of the loss that ends L-BFGS
SMALLEST_RATE = 1e-6  # of the adaptive schedule

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]  # outputs, targets, weights to a mean


class Training:
    """A model with its optimizer, and the step that both take; lives from fit to partial_fit."""

    def __init__(self, estimator: Any, model: nn.Module, objective: Objective) -> None:
        self.estimator, self.model = estimator, model
        self.optimizer = _optimizer(estimator, model)
        self.loss = _penalized(model, objective, float(estimator.alpha))
        self.step = Step(self._step())
        self.calm = 0  # epochs without progress

    def _step(self) -> Callable[..., Tensor]:
        loss_of, optimizer = self.loss, self.optimizer

        def step(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(x, y, w)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss.detach()

        return step

    def run(
        self,
        data: tuple[np.ndarray, ...],
        random: np.random.RandomState,
        epochs: int,
        score: Callable[[], float] | None = None,
        incremental: bool = False,
    ) -> None:
        """Train on (X, targets, weights); `score` is of data that was held back."""
        estimator, order = self.estimator, np.arange(len(data[0]))
        best: dict[str, np.ndarray] | None = None
        estimator.n_iter_ = 0
        try:
            for _ in range(epochs):
                if estimator.shuffle:
                    order = shuffle(order, random_state=random)
                loss = self._epoch(data, order)
                estimator.n_iter_ += 1
                estimator.t_ += len(order)
                estimator.loss_ = loss
                estimator.loss_curve_.append(loss)
                self._say(f"epoch {estimator.n_iter_}, loss {loss:.8f}")
                if self._judge(loss, score):
                    best = self.values()
                if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
                    slower = (estimator.t_ + 1) ** estimator.power_t
                    self._set_rate(estimator.learning_rate_init / slower)
                if self.calm > estimator.n_iter_no_change and self._stops():
                    break
            else:
                self._warn_if_unfinished(incremental)
        except KeyboardInterrupt:
            warnings.warn(
                f"{type(estimator).__name__}: interrupted after {estimator.n_iter_} epochs",
                stacklevel=4,
            )
        if best is not None and score is not None:
            self.load(best)

    def _epoch(self, data: tuple[np.ndarray, ...], order: np.ndarray) -> float:
        """All batches in this order; the mean of their losses, each by its size."""
        size = min(_batch_size(self.estimator, len(order)), len(order))
        ends = len(order) // size * size
        group = max(1, GATHERED // max(1, size * data[0][0].nbytes))
        total = 0.0
        for start in range(0, ends, group * size):
            rows = order[start : min(start + group * size, ends)]
            rows = rows.reshape(-1, size)
            # without any weight a batch has no mean
            rows = rows[data[2][rows].any(1)]
            if len(rows):
                total += float(self.step.loop(*(part[rows] for part in data)).sum()) * size
        rest = order[ends:]
        if len(rest) and data[2][rest].any():
            tensors = (bl.from_numpy(part[rest]) for part in data)
            total += float(self.step(*tensors).item()) * len(rest)
        return total / len(order)

    def _judge(self, loss: float, score: Callable[[], float] | None) -> bool:
        """Count epochs without progress; whether this one is the best so far."""
        estimator = self.estimator
        if score is None:
            gained = loss <= estimator.best_loss_ - estimator.tol
            better = loss < estimator.best_loss_
            estimator.best_loss_ = min(loss, estimator.best_loss_)
        else:
            found = score()
            estimator.validation_scores_.append(found)
            self._say(f"validation score {found:.6f}")
            gained = found >= estimator.best_validation_score_ + estimator.tol
            better = found > estimator.best_validation_score_
            estimator.best_validation_score_ = max(found, estimator.best_validation_score_)
        self.calm = 0 if gained else self.calm + 1
        return better and score is not None

    def _stops(self) -> bool:
        """End here, unless the adaptive schedule goes on with a lower rate."""
        estimator, group = self.estimator, self.optimizer.param_groups[0]
        adaptive = estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
        if not adaptive or float(group["lr"]) <= SMALLEST_RATE:
            self._say(f"no progress above tol={estimator.tol} for {self.calm} epochs: done")
            return True
        self._set_rate(float(group["lr"]) / 5)
        self._say(f"no progress: learning rate {float(group['lr']):.2g}")
        self.calm = 0
        return False

    def _set_rate(self, rate: float) -> None:
        """A new rate for what is to come: velocities of steps already taken stay as they are."""
        group = self.optimizer.param_groups[0]
        before, group["lr"] = float(group["lr"]), rate
        with bl.no_grad():
            for state in self.optimizer.state.values():
                if "momentum_buffer" in state:
                    state["momentum_buffer"].mul_(before / rate)

    def _warn_if_unfinished(self, incremental: bool) -> None:
        estimator = self.estimator
        if not incremental:
            warnings.warn(
                f"{type(estimator).__name__}: max_iter={estimator.max_iter} epochs are done and "
                "the loss still falls",
                ConvergenceWarning,
                stacklevel=5,
            )

    def run_lbfgs(self, data: tuple[np.ndarray, ...]) -> None:
        """All samples at once, until no slope is above tol or the loss is flat."""
        estimator = self.estimator
        used = data[2] > 0
        found = Descent(
            self.loss,
            list(self.model.parameters()),
            tuple(part[used] for part in data),
            tol=estimator.tol,
            max_iter=estimator.max_iter,
            max_eval=estimator.max_fun,
            flat=FLAT,
            report=lambda done, loss: self._say(f"iteration {done}, loss {loss:.8f}"),
        )
        estimator.n_iter_, estimator.loss_ = max(1, found.iterations), found.loss
        if found.cut_short:
            warnings.warn(
                f"{type(estimator).__name__}: after {found.iterations} iterations the steepest "
                f"slope is {found.steepest():.1e}, above tol={estimator.tol}: raise max_iter",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _say(self, text: str) -> None:
        if self.estimator.verbose:
            print(f"{type(self.estimator).__name__}: {text}", flush=True)

    def values(self) -> dict[str, np.ndarray]:
        """The weights by name, as arrays of their own."""
        return {name: p.detach().numpy().copy() for name, p in self.model.named_parameters()}

    def load(self, values: dict[str, np.ndarray]) -> None:
        """Take weights by name."""
        load(self.model, values)

    def moments(self) -> dict[str, Any]:
        """The optimizer's memory as arrays and numbers, for a pickle."""
        found: dict[str, Any] = _mapped(self.optimizer.state_dict(), Tensor, _array)
        return found

    def take_moments(self, moments: dict[str, Any]) -> None:
        """Go on with the memory of another life."""
        self.optimizer.load_state_dict(_mapped(moments, np.ndarray, bl.from_numpy))


def load(model: nn.Module, values: dict[str, np.ndarray]) -> None:
    """Refill the parameters of a model by name."""
    with bl.no_grad():
        for name, p in model.named_parameters():
            p.copy_(bl.from_numpy(values[name]))


def _penalized(model: nn.Module, objective: Objective, alpha: float) -> Callable[..., Tensor]:
    """The objective and alpha/2 times the squared weights for each sample, biases left out."""
    weights = [p for p in model.parameters() if p.ndim > 1]

    def loss(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
        found = objective(model(x), y, w)
        if alpha:
            squares = (weights[0] ** 2).sum()
            for weight in weights[1:]:
                squares = squares + (weight**2).sum()
            found = found + (0.5 * alpha) * squares / w.sum()
        return found

    return loss


def _batch_size(estimator: Any, samples: int) -> int:
    return min(200, samples) if estimator.batch_size == "auto" else int(estimator.batch_size)


def _optimizer(estimator: Any, model: nn.Module) -> Any:
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "sgd":
        momentum = float(estimator.momentum)
        nesterov = bool(estimator.nesterovs_momentum) and momentum > 0
        return bl.optim.SGD(model.parameters(), lr=rate, momentum=momentum, nesterov=nesterov)
    betas = float(estimator.beta_1), float(estimator.beta_2)
    return bl.optim.Adam(model.parameters(), lr=rate, betas=betas, eps=float(estimator.epsilon))


def _array(tensor: Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().numpy().copy()
    return found


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(part, kind, change) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(part, kind, change) for part in value)
    return value
