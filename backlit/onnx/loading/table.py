"""The one table from ONNX operators to functions, and what those functions are given.

A function gets the Node (its attributes) and its inputs as tensors; inputs that `settings` names
by position are NumPy arrays, because they decide shapes. Knows nothing of files and graphs.
The functions are in `operators/`, by family. Read next: graph.py, which calls them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, NotAvailable
from backlit.state import state
from backlit.tensor import Tensor, wrap

Function = Callable[..., Any]


@dataclass(frozen=True)
class Known:
    """A value that no input decides: constants, shapes, and what is computed from them."""

    array: np.ndarray


@dataclass(frozen=True)
class Operator:
    """How one operator runs. `settings`: inputs that are read as arrays; `statistics`: inputs that
    are no parameters; a `raw` one gets all values of the graph, and its inputs as they are."""

    run: Function
    settings: tuple[int, ...] = ()
    statistics: tuple[int, ...] = ()
    raw: bool = False


@dataclass(frozen=True)
class Node:
    """One node of a graph: `version` is the opset that says what its operator means."""

    op: str
    name: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)

    def wants(self, output: int) -> bool:
        """Whether anything reads that output."""
        return output < len(self.outputs) and bool(self.outputs[output])

    def unsupported(self, what: str, hint: str) -> NotAvailable:
        """The error for a variant that Backlit does not have."""
        return NotAvailable(f"{self.op}: {what} is not supported", hint=hint)


TABLE: dict[str, Operator] = {}


def operator(*names: str, settings: tuple[int, ...] = (), statistics: tuple[int, ...] = (),
             raw: bool = False) -> Callable:  # fmt: skip
    """Enter a function under the names of ONNX operators."""

    def enter(function: Function) -> Function:
        for name in names:
            assert name not in TABLE, name
            TABLE[name] = Operator(function, settings, statistics, raw)
        return function

    return enter


def simple(name: str, function: Function) -> None:
    """Enter a function of tensors that has no attributes."""
    operator(name)(lambda node, *inputs: function(*inputs))


def fill_table() -> dict[str, Operator]:
    """The table with every family in it."""
    from backlit.onnx.loading import operators

    assert operators
    return TABLE


# ----- values -----


def tensor(value: Any) -> Any:
    """A value as a tensor, a list as tensors; None stays."""
    if isinstance(value, list):
        return [tensor(v) for v in value]
    return wrap(value.array) if isinstance(value, Known) else value


def array(value: Any) -> Any:
    """A value as a NumPy array: read from a tensor only where nothing else is known."""
    if isinstance(value, Known):
        return value.array
    return value.detach().numpy() if isinstance(value, Tensor) else value


def fold(function: Function, *inputs: Any) -> Any:
    """Call aside: what is computed of known values is no part of what is recorded."""
    outer = state.observers, state.grad
    state.observers, state.grad = (), False
    try:
        found = function(*inputs)
    finally:
        state.observers, state.grad = outer
    if isinstance(found, tuple):
        return tuple(map(_known, found))
    return _known(found)


def _known(value: Any) -> Any:
    return Known(value.array) if isinstance(value, Tensor) else value


def integers(values: Any) -> list[int]:
    """Whole numbers of an attribute or an array."""
    return [int(v) for v in np.asarray(values).reshape(-1)]


def setting(node: Node, name: str, given: Any, default: Any = None) -> Any:
    """What older opsets keep as an attribute and newer ones as an input, as an array."""
    if given is not None:
        return np.asarray(array(given))
    found = node.get(name)
    return default if found is None else np.asarray(found)


DTYPES = {1: dt.float32, 2: dt.uint8, 3: dt.int8, 5: dt.int16, 6: dt.int32, 7: dt.int64,
          9: dt.bool_, 10: dt.float16, 11: dt.float64, 16: dt.bfloat16}  # fmt: skip


def dtype_of(number: int, what: str) -> dt.dtype:
    """The dtype of an ONNX element type; refuses those that Backlit does not have."""
    if number in DTYPES:
        return DTYPES[number]
    from onnx import TensorProto

    names = {v: k for k, v in TensorProto.DataType.items()}
    raise NotAvailable(
        f"{what}: element type {names.get(number, number)} has no counterpart",
        hint="there are: " + ", ".join(d.name for d in DTYPES.values()),
    )


def axis_of(node: Node, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < max(rank, 1):
        raise ArgumentError(f"{node.op}: axis {axis} of a tensor with {rank} axes")
    return axis + rank if axis < 0 else axis
