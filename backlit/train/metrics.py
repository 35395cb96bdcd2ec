"""Metrics: numbers that are gathered batch by batch and read at the end of an epoch.

A metric has `reset`, `update(output, target)`, `compute`, and a state that a checkpoint keeps in
the middle of an epoch. They count on NumPy arrays and never touch gradients. Next: fit.py.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from backlit.errors import ArgumentError, IndexOutOfRange, ShapeError
from backlit.tensor import Tensor


@runtime_checkable
class Metric(Protocol):
    """What `fit(metrics=...)` needs of a metric."""

    def reset(self) -> None: ...
    def update(self, output: Any, target: Any) -> None: ...
    def compute(self) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class _State:
    """Attributes are the state; a fresh copy of them is the start."""

    def reset(self) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


class Mean(_State):
    """The running mean of numbers with weights; NaN before the first.

    >>> mean = bl.train.Mean()
    >>> mean.update(2.0, 3); mean.update(4.0, 1); mean.compute()
    2.5
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.total, self.weight = 0.0, 0.0

    def update(self, value: float, weight: float = 1.0) -> None:
        self.total += value * weight
        self.weight += weight

    def compute(self) -> float:
        return self.total / self.weight if self.weight else float("nan")


class Accuracy(_State):
    """Share of samples whose class is among the `top_k` highest outputs.

    `update(output, target)`: output (N, C, ...) scores; target (N, ...) class indices, or
    (N, C, ...) probabilities, whose largest counts. Targets equal to `ignore_index` are left out.

    >>> accuracy = bl.train.Accuracy()
    >>> accuracy.update(bl.tensor([[2.0, 1.0], [0.5, 3.0]]), bl.tensor([0, 0]))
    >>> accuracy.compute()
    0.5
    """

    def __init__(self, top_k: int = 1, ignore_index: int = -100) -> None:
        if top_k < 1:
            raise ArgumentError(f"Accuracy: top_k={top_k}: at least one class must count")
        self.top_k, self.ignore_index = top_k, ignore_index
        self.reset()

    def reset(self) -> None:
        self.correct, self.count = 0, 0

    def update(self, output: Any, target: Any) -> None:
        scores, classes = _scores_and_classes(output, target)
        if self.top_k == 1:
            hits = scores.argmax(1) == classes
        else:
            ranked = np.argsort(-scores, axis=1, kind="stable")[:, : self.top_k]
            hits = (ranked == classes[:, None]).any(1)
        counted = classes != self.ignore_index
        self.correct += int((hits & counted).sum())
        self.count += int(counted.sum())

    def compute(self) -> float:
        return self.correct / self.count if self.count else float("nan")


class Dice(_State):
    """How well masks agree: 2 |A and B| / (|A| + |B|) of each image and class, and their mean.

    `update(output, target)`: output (N, K, ...) logits, positive inside; target of the same shape,
    1 inside. Two empty masks agree. Dice 1945, "Measures of the amount of ecologic association".

    >>> dice = bl.train.Dice()
    >>> dice.update(bl.tensor([[[2.0, 1.0, -1.0]]]), bl.tensor([[[1.0, 0.0, 0.0]]]))
    >>> round(dice.compute(), 4)
    0.6667
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, output: Any, target: Any) -> None:
        found, true = _array(output) > 0, _array(target) > 0.5
        if found.shape != true.shape or found.ndim < 3:
            raise ShapeError(
                f"Dice: output {found.shape} does not fit target {true.shape}",
                hint="both are (N, K, ...), one mask for each of K classes",
            )
        axes = tuple(range(2, found.ndim))
        both, sizes = (found & true).sum(axes), found.sum(axes) + true.sum(axes)
        scores = np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)
        self.total += float(scores.sum())
        self.count += scores.size

    def compute(self) -> float:
        return self.total / self.count if self.count else float("nan")


class ConfusionMatrix(_State):
    """Counts of samples by true class (rows) and predicted class (columns).

    >>> confusion = bl.train.ConfusionMatrix(2)
    >>> confusion.update(bl.tensor([[2.0, 1.0], [0.5, 3.0]]), bl.tensor([0, 0]))
    >>> confusion.compute()
    array([[1, 1], [0, 0]])
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.reset()

    def reset(self) -> None:
        self.matrix = np.zeros((self.classes, self.classes), np.int64)

    def update(self, output: Any, target: Any) -> None:
        scores, classes = _scores_and_classes(output, target)
        predicted = scores.argmax(1)
        for found in (classes, predicted):
            if found.size and not 0 <= found.min() <= found.max() < self.classes:
                bad = found.max() if found.min() >= 0 else found.min()
                raise IndexOutOfRange(f"ConfusionMatrix: class {bad} of {self.classes}")
        np.add.at(self.matrix, (classes, predicted), 1)

    def compute(self) -> np.ndarray:
        return self.matrix.copy()


def named_metrics(metrics: Any) -> dict[str, Metric]:
    """A dict of metrics from a dict, a list of names or metrics, or None.

    Names: `accuracy`, `top<k>` such as `top5`, `dice`.
    """
    if metrics is None:
        return {}
    if isinstance(metrics, str | Metric):
        metrics = [metrics]
    if not isinstance(metrics, dict):
        metrics = {m if isinstance(m, str) else type(m).__name__.lower(): m for m in metrics}
    found = {name: _by_name(m) if isinstance(m, str) else m for name, m in metrics.items()}
    for name, metric in found.items():
        if not isinstance(metric, Metric) or isinstance(metric, type):
            missing = "an instance with reset, update, compute, state_dict, load_state_dict"
            raise ArgumentError(f"fit: metric {name!r} is {metric!r}, expected {missing}")
    return found


def _by_name(name: str) -> Metric:
    if name == "accuracy":
        return Accuracy()
    if name == "dice":
        return Dice()
    if name.startswith("top") and name[3:].isdigit():
        return Accuracy(top_k=int(name[3:]))
    raise ArgumentError(
        f"fit: unknown metric {name!r}", hint="'accuracy', 'top5', 'dice', or an object"
    )


def _scores_and_classes(output: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Scores (M, C) and class indices (M,), further axes flattened into M."""
    scores, classes = _array(output), _array(target)
    if scores.shape == classes.shape and scores.ndim >= 2:
        classes = classes.argmax(1)
    if scores.ndim < 2 or scores.shape[:1] + scores.shape[2:] != classes.shape:
        raise ShapeError(
            f"metric: output {scores.shape} does not fit target {classes.shape}",
            hint="scores are (N, C, ...), class indices (N, ...)",
        )
    return np.moveaxis(scores, 1, -1).reshape(-1, scores.shape[1]), classes.reshape(-1)


def _array(value: Any) -> np.ndarray:
    return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
