"""Anomaly detection: a backward rule that gives NaN is an error that names its operator.

An observer like any other (observe.py); for a diagnosis of gradients see backlit.check.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.autograd.observe import Observer
from backlit.errors import GradError
from backlit.state import state


class _NaNFinder(Observer):
    def after_backward(self, node: Any, grads: list, input_grads: list) -> None:
        for position, grad in enumerate(input_grads):
            if grad is not None and np.isnan(np.asarray(grad.detach(), np.float64)).any():
                raise GradError(
                    f"the backward of {node.op.name} gave NaN for its input {position}",
                    hint=f"its forward ran at {node.where}" if node.where else None,
                )


class set_detect_anomaly:
    """Switch the detection on or off, for good or as a context.

    Raises GradError naming the operator and the line of its forward.

    >>> x = bl.tensor(-1.0, requires_grad=True)
    >>> with bl.autograd.set_detect_anomaly(True):
    ...     x.sqrt().backward()
    Traceback (most recent call last):
    backlit.errors.GradError: ...the backward of sqrt gave NaN for its input 0...
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self._before = state.observers
        others = tuple(o for o in self._before if not isinstance(o, _NaNFinder))
        state.observers = (*others, _NaNFinder()) if mode and check_nan else others

    def __enter__(self) -> set_detect_anomaly:
        return self

    def __exit__(self, *error: Any) -> None:
        state.observers = self._before


def detect_anomaly(check_nan: bool = True) -> set_detect_anomaly:
    """`set_detect_anomaly(True)` for a `with` block.

    >>> with bl.autograd.detect_anomaly():
    ...     bl.tensor(1.0, requires_grad=True).sqrt().backward()
    """
    return set_detect_anomaly(True, check_nan)
