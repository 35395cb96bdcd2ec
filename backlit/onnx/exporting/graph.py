"""ONNX graphs as plain data, before they are written: Nodes, constants, Bodies.

Knows neither Programs nor the onnx package. Read next: terms.py (what builds them), proto.py (what
writes them).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.dtypes import dtype


@dataclass(frozen=True)
class Port:
    """The name, dtype and shape of an input or output; a str in the shape is an open axis.

    Without a shape (in bodies) it is left to be inferred.
    """

    name: str
    dtype: dtype
    shape: tuple[int | str, ...] | None = None


@dataclass(eq=False)
class Node:
    """One application of an ONNX operator; `place` and `module` say what it was made for."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)
    module: str = ""
    place: str = ""

    @property
    def bodies(self) -> Iterator[Body]:
        """The graphs among the attributes."""
        return (a for a in self.attributes.values() if isinstance(a, Body))


@dataclass(eq=False)
class Body:
    """A graph within a Node; constants lie in the graph around it."""

    inputs: list[Port]
    nodes: list[Node]
    outputs: list[Port]


@dataclass(eq=False)
class Graph:
    """A whole graph: what it takes, computes and gives, and its constants by name."""

    name: str
    inputs: list[Port]
    nodes: list[Node]
    outputs: list[Port]
    constants: dict[str, np.ndarray]
    kept: tuple[str, ...] = ()  # constants that are parameters, in the state dict's order


def reads(node: Node) -> Iterator[str]:
    """All names that a node reads, also from within its bodies."""
    yield from (name for name in node.inputs if name)
    for body in node.bodies:
        for inner in body.nodes:
            yield from reads(inner)
        yield from (port.name for port in body.outputs)


def renamed(node: Node, names: dict[str, str]) -> None:
    """Let a node, with its bodies, read and write other names."""
    node.inputs = tuple(names.get(n, n) for n in node.inputs)
    node.outputs = tuple(names.get(n, n) for n in node.outputs)
    for body in node.bodies:
        for inner in body.nodes:
            renamed(inner, names)
        body.outputs = [Port(names.get(p.name, p.name), p.dtype, p.shape) for p in body.outputs]
