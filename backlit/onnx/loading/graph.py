"""A graph of nodes in the order of the file, and how it runs on values.

A value is a tensor, a `Known` array, or a list (ONNX's sequences). Names that a graph does not
make are looked up in the graph around it. Must not know files and modules. Operators without an
entry in the table run as the standard's own function. Read next: build.py, operators/control.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backlit.errors import ArgumentError, BacklitError
from backlit.onnx.loading.table import Known, Node, Operator, array, fold, tensor
from backlit.state import state

Values = dict[str, Any]
WEIGHT = "weight of the model: "  # before a name in the state dict, among values


@dataclass
class Step:
    """A node, what runs it, and the values that nobody reads after it."""

    node: Node
    run: Callable[..., Any]
    where: str
    done: tuple[str, ...] = ()


@dataclass
class Graph:
    """Steps in an order in which every value is made before it is read."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    constants: dict[str, Known] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)  # names here: names in the state dict

    def run(self, arguments: dict[str, Any], outer: Values) -> list[Any]:
        """The outputs. `outer` holds what the graph reads from around it."""
        own = {name: outer[WEIGHT + key] for name, key in self.weights.items()}
        values = {**outer, **self.constants, **own, **arguments}
        module = state.module
        for step in self.steps:
            state.module = f"{module}.{step.where}" if module else step.where
            try:
                _run(step, values)
            except BacklitError as error:
                _name(error, step)
                raise
            finally:
                state.module = module
            for name in step.done:
                values.pop(name, None)
        return [values.get(name) for name in self.outputs]

    def finish(self) -> Graph:
        """Note after which step each value is no longer needed."""
        last: dict[str, int] = {}
        for i, step in enumerate(self.steps):
            for name in (*step.node.outputs, *reads(step.node)):
                last[name] = i
        own = {name for step in self.steps for name in step.node.outputs}
        kept = {*self.outputs}
        for i, step in enumerate(self.steps):
            step.done = tuple(n for n, at in last.items() if at == i and n in own - kept)
        return self


def _name(error: BacklitError, step: Step) -> None:
    """Say which node it was, once: the innermost, unless a path of modules names it."""
    paths = [place.partition(" in ")[2] for place in error.where]
    named = any(place.startswith("node ") for place in error.where)
    if not named and not any(step.where in path for path in paths):
        error.where.append(f"node '{step.node.name}' ({step.node.op})")


def reads(node: Node) -> set[str]:
    """Every name that a node reads, also from within its graphs."""
    found = {name for name in node.inputs if name}
    for value in node.attributes.values():
        for graph in value if isinstance(value, list) else [value]:
            if isinstance(graph, Graph):
                found |= free_names(graph)
    return found


def free_names(graph: Graph) -> set[str]:
    """Names that a graph reads and does not make."""
    made = {*graph.inputs, *graph.constants, *graph.weights}
    free: set[str] = set()
    for step in graph.steps:
        free |= reads(step.node) - made
        made |= set(step.node.outputs)
    return free | (set(graph.outputs) - made)


def _run(step: Step, values: Values) -> None:
    """One node: from values to values."""
    node = step.node
    inputs = [values[name] if name else None for name in node.inputs]
    found = step.run(values, *inputs)
    if not isinstance(found, tuple):
        found = (found,)
    if len(found) < len(node.outputs):
        raise ArgumentError(f"{node.op}: output {len(found)} is not made by this operator")
    for name, value in zip(node.outputs, found):
        if name:
            values[name] = value


def caller(entry: Operator, node: Node) -> Callable[..., Any]:
    """What runs a node by its entry in the table: known values are computed aside."""

    def call(*inputs: Any) -> Any:
        given = [array(x) if i in entry.settings else tensor(x) for i, x in enumerate(inputs)]
        return entry.run(node, *given)

    def run(values: Values, *inputs: Any) -> Any:
        if entry.raw:
            return entry.run(node, values, *inputs)
        if all(x is None or isinstance(x, Known) for x in inputs):
            return fold(call, *inputs)
        return call(*inputs)

    return run
