"""A Node: one applied operator, as plain data that can be printed.

An edge leads to where an input came from: `(Node, output index)`, or `(leaf tensor, 0)`, or None
where no gradient is due. Nodes refer to older Nodes and leaves only, so a graph has no cycle and
its memory is free as soon as the last tensor that leads to it is gone.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.errors import describe_line

_count = itertools.count(1)

SMALL = 4096  # elements of a constant that a Node keeps after its backward

FREED: dict[str, Any] = {"": "freed"}  # stands in for the saved values after a backward


class Lent:
    """A large constant that a Node no longer keeps alive: an array, or that of a tensor."""

    __slots__ = ("array", "like")

    def __init__(self, array: np.ndarray, like: Any):
        self.array, self.like = weakref.ref(array), like

    @staticmethod
    def of(constant: Any) -> Any:
        """The constant, lent if it is large."""
        cell = getattr(constant, "cell", None)
        array = constant if cell is None else cell.array
        if type(array) is not np.ndarray or array.size <= SMALL:
            return constant
        return Lent(array, None if cell is None else type(constant))


class Node:
    """One recorded application. `id` grows with time: newest first is a topological order."""

    __slots__ = (
        "__weakref__", "backward_of", "code", "constants", "edges", "hooks", "id", "in_specs",
        "instruction", "module", "op", "outputs", "params", "saved", "scope",
    )  # fmt: skip

    def __init__(self, op: Any, edges: tuple, params: dict, saved: dict, in_specs: tuple,
                 outputs: tuple):  # fmt: skip
        self.id = next(_count)
        self.op, self.edges, self.params, self.saved = op, edges, params, saved
        self.constants: tuple = ()  # operands without an edge; with them a graph runs again
        self.in_specs = in_specs  # ((shape, NumPy dtype) | number | None, ...), if rules ask
        self.outputs = outputs  # ((shape, NumPy dtype), ...)
        self.code: Any = None
        self.instruction = 0
        self.module = self.scope = ""
        self.backward_of: Node | None = None
        self.hooks: dict[int, list[Callable[[Any], Any]]] | None = None

    def let_go(self) -> None:
        """After a backward: the saved values are free, large constants whoever else holds them."""
        if self.saved:
            self.saved = FREED
        if self.constants:
            self.constants = tuple([Lent.of(c) for c in self.constants])

    @property
    def needs(self) -> tuple[bool, ...]:
        """Which inputs need a gradient."""
        return tuple(edge is not None for edge in self.edges)

    @property
    def line(self) -> str:
        """The user's line that applied the operator: `train.py:41`."""
        return describe_line(self.code, self.instruction)

    @property
    def where(self) -> str:
        """The user's line and the module path: `train.py:41 in model.layer1.conv`."""
        line = self.line
        return f"{line} in {self.module}" if self.module else line

    @property
    def next_functions(self) -> tuple:
        """Where the inputs came from, newest first not implied; PyTorch's name for the edges."""
        return tuple(e if e is not None else (None, 0) for e in self.edges)

    def name(self) -> str:
        """The operator's name, as PyTorch spells backward nodes."""
        camel = "".join(part.capitalize() for part in self.op.name.split("_"))
        return f"{camel}Backward"

    def __repr__(self) -> str:
        sources = ", ".join(map(_describe_edge, self.edges))
        params = "".join(f", {k}={v!r}" for k, v in self.params.items())
        shapes = ", ".join(str(tuple(shape)) for shape, _ in self.outputs)
        where = f" at {self.where}" if self.where else ""
        return f"<{self.op.name} #{self.id}({sources}{params}) -> {shapes}{where}>"


def _describe_edge(edge: tuple | None) -> str:
    if edge is None:
        return "constant"
    target, index = edge
    if isinstance(target, Node):
        return f"#{target.id}" + (f".{index}" if len(target.outputs) > 1 else "")
    return f"leaf{tuple(target.shape)}"
