"""Stop rules: when a training has converged, or no longer gets better.

A rule reads the row of an epoch (the dict that goes into the history) and answers with the
reason to stop, or None. Its state is kept in checkpoints. Maxima (epochs, steps, seconds) are
arguments of `fit`, since they need no memory. Next: fit.py, which asks the rules.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import backlit as bl
from backlit.errors import ArgumentError


class StopRule(Protocol):
    """What `fit(stop=...)` needs of a rule."""

    def reason(self, row: dict[str, Any]) -> str | None: ...


class _Rule:
    """Attributes are the state that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


class GradientNorm(_Rule):
    """Converged: the mean norm of the epoch's gradients is below `tol`.

    The norm is that of the loss that is descended, `weight_decay` included. With the whole data
    in one batch it is the gradient's norm; with several it bounds the norm of their mean.

    >>> bl.train.GradientNorm(1e-3).reason({"epoch": 7, "grad_norm": 0.0004})
    'converged: gradient norm 4e-04 is below 1e-03'
    """

    def __init__(self, tol: float) -> None:
        self.tol = _positive("GradientNorm", tol)

    def reason(self, row: dict[str, Any]) -> str | None:
        if row["grad_norm"] < self.tol:
            return f"converged: gradient norm {row['grad_norm']:.0e} is below {self.tol:.0e}"
        return None


class LossPlateau(_Rule):
    """Converged: the relative change of the loss stayed below `tol` for `epochs` in a row.

    >>> rule = bl.train.LossPlateau(1e-2, epochs=2)
    >>> [rule.reason({"train_loss": loss}) for loss in (1.0, 0.5, 0.499)]
    [None, None, None]
    >>> rule.reason({"train_loss": 0.498})
    'converged: train_loss changed by less than 1e-02 of itself for 2 epochs'
    """

    def __init__(self, tol: float, epochs: int = 1, key: str = "train_loss") -> None:
        self.tol = _positive("LossPlateau", tol)
        self.epochs, self.key = int(_positive("LossPlateau", epochs)), key
        self.previous, self.calm = math.inf, 0

    def reason(self, row: dict[str, Any]) -> str | None:
        loss = _value(row, self.key, "LossPlateau")
        flat = abs(self.previous - loss) <= self.tol * abs(self.previous) < math.inf
        self.calm = self.calm + 1 if flat else 0
        self.previous = loss
        if self.calm < self.epochs:
            return None
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        return f"converged: {self.key} changed by less than {self.tol:.0e} of itself for {epochs}"


class EarlyStop(_Rule):
    """No better by `min_delta` for `patience` epochs; `mode` says what better is.

    >>> rule = bl.train.EarlyStop(patience=2)
    >>> [rule.reason({"epoch": n, "val_loss": n / 10}) for n in (1, 2)]
    [None, None]
    >>> rule.reason({"epoch": 3, "val_loss": 0.3})
    'early stop: val_loss is no better than 0.1 of epoch 1 for 2 epochs'
    """

    def __init__(
        self, patience: int, *, min_delta: float = 0.0, key: str = "val_loss", mode: str = "min"
    ) -> None:
        if mode not in ("min", "max"):
            raise ArgumentError(f"EarlyStop: mode={mode!r}, expected 'min' or 'max'")
        self.patience, self.min_delta = int(_positive("EarlyStop", patience)), min_delta
        self.key, self.mode = key, mode
        self.best, self.best_epoch, self.waited = math.inf if mode == "min" else -math.inf, 0, 0

    def reason(self, row: dict[str, Any]) -> str | None:
        value = _value(row, self.key, "EarlyStop")
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.best_epoch, self.waited = value, row["epoch"], 0
            return None
        self.waited += 1
        if self.waited < self.patience:
            return None
        best = f"{self.best:.4g} of epoch {self.best_epoch}"
        return f"early stop: {self.key} is no better than {best} for {self.waited} epochs"


def gradient_norm(optimizer: Any) -> float:
    """Norm of the gradient that the optimizer descends, its coupled weight decay included."""
    return math.sqrt(float(squared_gradient(optimizer)))


def squared_gradient(optimizer: Any) -> Any:
    """The square of that norm, as a float64 tensor."""
    total = bl.zeros((), dtype=bl.float64)
    decoupled = type(optimizer).__name__ == "AdamW"
    for group in optimizer.param_groups:
        decay = 0.0 if decoupled or group.get("decoupled_weight_decay") else 1.0
        decay *= group.get("weight_decay", 0.0)
        for p in group["params"]:
            if p.grad is not None:
                g = p.grad.detach().double()
                g = g + decay * p.detach().double() if decay else g
                total = total + (g * g).sum()
    return total


def _positive(rule: str, value: float) -> float:
    if not value > 0:
        raise ArgumentError(f"{rule}: {value} must be above zero")
    return value


def _value(row: dict[str, Any], key: str, rule: str) -> float:
    if row.get(key) is None:
        have = ", ".join(k for k, v in row.items() if v is not None)
        raise ArgumentError(
            f"{rule}: there is no {key!r} to watch; there are: {have}",
            hint="give fit val_data and the metric, or watch another key",
        )
    return float(row[key])
