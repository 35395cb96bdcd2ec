"""Observers: looking at every operator, forward and backward, before and after.

The engine and `record` call them; a timer, a printer, a NaN finder or the capture of a Program
are all observers. With no observer open they cost one truth test per operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backlit.state import state


class Observer:
    """Override any of the four moments.

    Forward moments also see the operators that backward rules apply; `state.backward_of` then
    names the forward Node.
    """

    def before_forward(self, op: Any, inputs: tuple, params: dict) -> None:
        """An operator is about to run on `inputs` (tensors, numbers, None)."""

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        """It ran; `node` is None where nothing was recorded."""

    def before_backward(self, node: Any, grads: list) -> None:
        """The walk back reached `node` with the gradients of its outputs."""

    def after_backward(self, node: Any, grads: list, input_grads: list) -> None:
        """The rule of `node` gave one gradient (or None) per input."""


@contextmanager
def observe(*observers: Observer) -> Iterator[tuple[Observer, ...]]:
    """Install observers for a `with` block.

    >>> class Count(bl.autograd.Observer):
    ...     names = []
    ...     def after_forward(self, op, inputs, params, outputs, node):
    ...         self.names.append(op.name)
    >>> with bl.autograd.observe(Count()):
    ...     y = bl.tensor(2.0).exp() + 1
    >>> Count.names
    ['exp', 'add']
    """
    previous = state.observers
    state.observers = (*previous, *observers)
    try:
        yield observers
    finally:
        state.observers = previous
