"""One forward pass, watched: what each module gives, multiplies and keeps for the backward pass.

Shapes come from forward hooks, multiply-adds and saved bytes from an observer of operators, so
that functional calls count too. The run leaves buffers and random numbers as they were.
Knows the operators that multiply. Read by summary.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import backlit as bl
from backlit.autograd.observe import Observer, observe
from backlit.errors import ArgumentError
from backlit.nn.parameter import is_lazy
from backlit.nn.path import Path
from backlit.nn.state_dict import Snapshot
from backlit.state import state
from backlit.tensor import Tensor

if TYPE_CHECKING:
    from backlit.nn.module import Module


class Measure(Observer):
    """Adds up multiply-adds and saved bytes by module."""

    def __init__(self, module: Module, given: Any):
        self.names = {id(below): name for name, below in module.named_modules()}
        self.multiply_adds: Counter[str] = Counter()
        self.saved: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.outputs: dict[str, str] = {}
        held = [*module.parameters(), *module.buffers(), *_tensors(given)]
        arrays = [_root(t.array) for t in held if not is_lazy(t)]
        self.counted = {id(array): array for array in arrays}  # kept: an identity must stay

    def called(self, module: Module, arguments: Any, output: Any) -> None:
        """A forward hook of every module."""
        name = self.names[id(module)]
        self.calls[name] += 1
        self.outputs[name] = _shapes(output)

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        owner = state.module.owner() if isinstance(state.module, Path) else None
        name = self.names.get(id(owner), "")
        count = MULTIPLY_ADDS.get(op.name)
        if count is not None:
            shapes = [tuple(x.shape) if isinstance(x, Tensor) else () for x in inputs]
            self.multiply_adds[name] += count(tuple(outputs[0].shape), *shapes)
        for array in _arrays(node.saved) if node is not None else ():
            root = _root(array)
            if id(root) not in self.counted:
                self.counted[id(root)] = root
                self.saved[name] += root.nbytes


def measure(module: Module, given: tuple[Any, ...], kwargs: dict[str, Any]) -> Measure:
    """One forward pass, watched; afterwards the model is as it was."""
    for lazy in (m for m in module.modules() if any(map(is_lazy, m._parameters.values()))):
        raise ArgumentError(f"summary: {type(lazy).__name__} has no shape yet",
                            hint="run the model once, so that lazy layers get theirs")  # fmt: skip
    before, random = Snapshot(module.modules()), bl.get_rng_state()
    measured = Measure(module, (given, kwargs))
    handles = [m.register_forward_hook(measured.called) for m in module.modules()]
    try:
        with bl.enable_grad(), observe(measured):
            module(*given, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
        before.restore()
        bl.set_rng_state(random)
    return measured


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _shapes(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    return ", ".join(str(tuple(t.shape)) for t in _tensors(output)) or type(output).__name__


def _arrays(saved: Any) -> Iterator[np.ndarray]:
    """Arrays among saved values, also in what a user's Function keeps."""
    if isinstance(saved, np.ndarray):
        yield saved
    elif isinstance(saved, Tensor):
        yield saved.array
    elif isinstance(saved, dict):
        yield from _arrays(list(saved.values()))
    elif isinstance(saved, list | tuple):
        for part in saved:
            yield from _arrays(part)
    elif hasattr(saved, "_saved"):
        yield from _arrays(list(vars(saved).values()))


def _root(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory a view looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


# ----- how much an operator multiplies: from the shapes of its output and inputs -----

Shape = tuple[int, ...]


def _filtered(y: Shape, x: Shape, w: Shape, *rest: Shape) -> int:
    return math.prod(y) * math.prod(w[1:])


def _spread(y: Shape, g: Shape, w: Shape, *rest: Shape) -> int:
    return math.prod(g) * math.prod(w[1:])


def _projected(y: Shape, x: Shape, *rest: Shape) -> int:
    return math.prod(y) * (x[-1] if x else 1)


def _attended(y: Shape, q: Shape, k: Shape, v: Shape, *rest: Shape) -> int:
    return math.prod(y[:-1]) * k[-2] * (q[-1] + v[-1])


def _repeated(weights: slice) -> Callable[..., int]:
    """Each step of a recurrent layer multiplies by all its weights."""

    def count(y: Shape, *inputs: Shape) -> int:
        steps = math.prod(inputs[0][:-1])
        return steps * sum(math.prod(w) for w in inputs[weights] if len(w) == 2)

    return count


MULTIPLY_ADDS: dict[str, Callable[..., int]] = {
    "matmul": _projected,
    "linear": _projected,
    "conv": _filtered,
    "conv_grad_input": _spread,
    "attention": _attended,
    "rnn": _repeated(slice(2, 4)),
    "gru": _repeated(slice(2, 4)),
    "lstm": _repeated(slice(3, None)),
}
