"""Sequences and optionals: Python lists, and values that may be absent."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.errors import ArgumentError, IndexOutOfRange
from backlit.onnx.loading.graph import Values
from backlit.onnx.loading.table import Known, Node, array, axis_of, integers, operator, tensor

bl = NAMESPACES["bl"]


@operator("SequenceConstruct", raw=True)
def construct(node: Node, values: Values, *inputs: Any) -> list[Any]:
    return list(inputs)


@operator("SequenceEmpty", raw=True)
def empty(node: Node, values: Values) -> list[Any]:
    return []


@operator("SequenceLength", raw=True)
def length(node: Node, values: Values, sequence: list[Any]) -> Known:
    return Known(np.array(len(sequence), np.int64))


def _place(node: Node, sequence: list[Any], place: Any, last: int) -> int:
    at = int(array(place).reshape(()))
    if not -last <= at <= last or (last == 0 and node.op != "SequenceInsert"):
        raise IndexOutOfRange(f"{node.op}: place {at} in a sequence of {len(sequence)}")
    return at


@operator("SequenceAt", raw=True)
def at(node: Node, values: Values, sequence: list[Any], place: Any) -> Any:
    index = _place(node, sequence, place, len(sequence))
    if index == len(sequence):
        raise IndexOutOfRange(f"SequenceAt: place {index} in a sequence of {len(sequence)}")
    return sequence[index]


@operator("SequenceInsert", raw=True)
def insert(node: Node, values: Values, sequence: list[Any], x: Any, place: Any = None) -> list:
    made = list(sequence)
    made.insert(len(made) if place is None else _place(node, sequence, place, len(made)), x)
    return made


@operator("SequenceErase", raw=True)
def erase(node: Node, values: Values, sequence: list[Any], place: Any = None) -> list[Any]:
    made = list(sequence)
    del made[-1 if place is None else _place(node, sequence, place, len(made))]
    return made


@operator("ConcatFromSequence", raw=True)
def concat(node: Node, values: Values, sequence: list[Any]) -> Any:
    parts = [tensor(x) for x in sequence]
    if not parts:
        raise ArgumentError("ConcatFromSequence: the sequence is empty")
    if node.get("new_axis", 0):
        return bl["stack"](parts, axis_of(node, node.get("axis"), parts[0].ndim + 1))
    return bl["cat"](parts, axis_of(node, node.get("axis"), parts[0].ndim))


@operator("SplitToSequence", raw=True)
def split(node: Node, values: Values, x: Any, sizes: Any = None) -> list[Any]:
    """Parts of given sizes; a single number is the size of all but the last."""
    x = tensor(x)
    axis = axis_of(node, node.get("axis", 0), x.ndim)
    total = x.shape[axis]
    if sizes is None:
        parts = [bl["narrow"](x, axis, i, 1) for i in range(total)]
        return parts if node.get("keepdims", 1) else [bl["squeeze"](p, axis) for p in parts]
    given = array(sizes)
    if given.ndim:
        return list(bl["split"](x, integers(given), axis))
    return list(bl["split"](x, int(given), axis))


@operator("Optional", raw=True)
def optional(node: Node, values: Values, x: Any = None) -> Any:
    return x


@operator("OptionalHasElement", raw=True)
def has_element(node: Node, values: Values, x: Any = None) -> Known:
    return Known(np.array(x is not None))


@operator("OptionalGetElement", raw=True)
def get_element(node: Node, values: Values, x: Any) -> Any:
    if x is None:
        raise ArgumentError("OptionalGetElement: the optional is empty")
    return x
