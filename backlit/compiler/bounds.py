"""Indices that come with a call, looked at before the step runs: one that is refused loses nothing.

A kernel that meets an index out of range can say so afterwards, when parameters have been updated.
Here the captured Program tells which inputs are used as indices as they are; slices of inputs and
computed indices are left to the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from backlit.errors import IndexOutOfRange
from backlit.ops.index import _chosen, window_shape
from backlit.program.ir import Instr, Program, Value

Check = Callable[[np.ndarray], None]
WHOLE = ("reshape", "permute", "unsqueeze", "squeeze", "expand", "clone")  # no element is left out


def bounds_of(program: Program, resident: Collection[int]) -> tuple[tuple[int, Check], ...]:
    """(position among the arrays of a call, check) for each use of an input as an index."""
    given = [v for i, v in enumerate(program.inputs) if i not in resident]
    position = {v.name: i for i, v in enumerate(given) if v.dtype.kind == "i"}
    found: dict[Any, tuple[int, Check]] = {}
    for instr in program.instrs:
        first = instr.inputs[0] if instr.inputs else None
        if instr.op in WHOLE and isinstance(first, Value) and first.name in position:
            position[instr.outputs[0].name] = position[first.name]  # type: ignore[union-attr]
        for index, key, check in _uses(instr):
            if isinstance(index, Value) and index.name in position:
                at = position[index.name]
                found.setdefault((at, key), (at, check))
    return tuple(found.values())


def _uses(instr: Instr) -> list[tuple[Any, Any, Check]]:
    """The index operands of an instruction, what tells their checks apart, and the checks."""
    op, xs, params = instr.op, instr.inputs, instr.params
    if op in ("nll_loss", "nll_loss_grad"):
        x: Any = xs[0]
        classes = x.shape[1] if op == "nll_loss" else params["classes"]
        ignored = params["ignore_index"]
        return [(xs[1], (classes, ignored), _classes(classes, ignored))]
    if op == "embedding":
        return [_one(op, xs[1], xs[0], 0)]
    if op == "one_hot":
        classes = params["classes"]
        return [(xs[0], (op, classes), _within("one_hot: class", classes))]
    if op in ("index_select", "index_add", "gather", "scatter", "scatter_add"):
        return [_one(op, xs[1], xs[0], params["dim"])]
    if op in ("index", "index_put"):
        return _by_tensors(op, xs[0], xs[1:] if op == "index" else xs[2:], params["parts"])
    return []


def _one(op: str, index: Any, x: Any, dim: int) -> tuple[Any, Any, Check]:
    size = x.shape[dim] if x.shape else 1
    return index, (op, size), _within(f"{op}: index", size)


def _by_tensors(op: str, x: Any, indices: Any, parts: tuple) -> list[tuple[Any, Any, Check]]:
    seen = window_shape(x.shape, parts)
    return [
        (index, (op, seen[axis], "wrap"), _within("index", seen[axis], wrap=True))
        for index, axis in zip(indices, _chosen(parts))
    ]


def _within(what: str, size: int, wrap: bool = False) -> Check:
    least = -size if wrap else 0

    def check(index: np.ndarray) -> None:
        if _largest(index) < size:
            return
        bad = index[(index < least) | (index >= size)]
        if bad.size:
            raise IndexOutOfRange(
                f"{what} {int(bad[0])} is out of range for an axis of size {size}"
            )

    return check


def _classes(classes: int, ignored: int) -> Check:
    def check(target: np.ndarray) -> None:
        if _largest(target) < classes:
            return
        bad = (target != ignored) & ((target < 0) | (target >= classes))
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            raise IndexOutOfRange(
                f"nll_loss: target {int(target[at])} at {at} is not one of the {classes} classes",
                hint=f"classes count from 0 to {classes - 1}; ignore_index={ignored} is skipped",
            )

    return check


def _largest(index: np.ndarray) -> int:
    """The largest value, negative ones counted as larger than all: one pass tells."""
    return int(index.view(f"u{index.itemsize}").max()) if index.size else -1
