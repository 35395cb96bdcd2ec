"""The observer behind every view: gates and wires written down while the operators run.

What flows back is noted at each gate while the engine walks. Next: record.py, which runs things
under it; expansion.py, which looks into one gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.autograd.engine import fit
from backlit.autograd.observe import Observer
from backlit.errors import user_frame
from backlit.state import state
from backlit.tensor import Parameter, Tensor
from backlit.views.graph import Gate, Graph, Wire


class Watch(Observer):
    """Writes gates and wires down while the operators run."""

    def __init__(self) -> None:
        self.gates: list[Gate] = []
        self.wires: list[Wire] = []
        self._by_array: dict[int, Wire] = {}
        self._by_node: dict[int, Gate] = {}
        self._inside = 0  # user Functions that are running

    def wire(self, x: Any) -> Wire | None:
        """The wire of an operand."""
        if x is None:
            return None
        array = x.cell.array if isinstance(x, Tensor) else x
        known = self._by_array.get(id(array)) if isinstance(array, np.ndarray) else None
        if known is not None:
            return known
        made = Wire(len(self.wires), array, _kind(x))
        if isinstance(x, Tensor):
            made.tensor = x
        return self._keep(made)

    def _keep(self, wire: Wire) -> Wire:
        self.wires.append(wire)
        if isinstance(wire.value, np.ndarray):
            self._by_array[id(wire.value)] = wire  # the wire keeps the array: its id stays its own
        return wire

    def before_forward(self, op: Any, inputs: tuple, params: dict) -> None:
        if state.backward_of is None and hasattr(op, "user"):
            self._inside += 1

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if state.backward_of is not None:
            return
        if hasattr(op, "user"):
            self._inside -= 1
        if self._inside:
            return
        wires = tuple(self.wire(x) for x in inputs)
        gate = Gate(len(self.gates), op, wires, (), dict(params), node, state.module, state.scope)
        gate.outputs = tuple(self._made(t, gate, i) for i, t in enumerate(outputs))
        gate.upstream = [None] * len(outputs)
        gate.downstream = [None] * len(inputs)
        frame = user_frame(2)
        gate.program = (frame.f_code, frame.f_lasti) if frame is not None else None
        for i, wire in enumerate(wires):
            if wire is not None:
                wire.readers.append((gate, i))
        self.gates.append(gate)
        if node is not None:
            self._by_node[node.id] = gate

    def _made(self, t: Any, gate: Gate, index: int) -> Wire | None:
        if t is None:
            return None
        array = t.cell.array
        if id(array) in self._by_array:  # an operator that returned its input: its own value
            array = array.view()
            if hasattr(t.cell, "see"):  # a window, of a Function that returned a view
                t.cell.see(array)
            else:
                t.cell.array = array
        return self._keep(Wire(len(self.wires), array, "value", gate, index))

    def replayed(self, node: Any) -> None:
        """The last gate repeats a Node: its place in the user's code is that one's."""
        if self.gates:
            self.gates[-1].program = (node.code, node.instruction) if node.code else None
            self.gates[-1].replayed = node

    def before_backward(self, node: Any, grads: list) -> None:
        gate = self._by_node.get(node.id)
        if gate is not None:
            gate.upstream = [None if g is None else g.cell.array for g in grads]

    def after_backward(self, node: Any, grads: list, input_grads: list) -> None:
        gate = self._by_node.get(node.id)
        if gate is None:
            return
        outer, state.observers = state.observers, ()
        for i, (wire, g) in enumerate(zip(gate.inputs, input_grads)):
            if wire is not None and g is not None and node.edges[i] is not None:
                gate.downstream[i] = fit(g, wire.shape, wire.array.dtype).cell.array
        state.observers = outer

    def walked(self, result: Tensor) -> bool:
        """Whether a walk back has been through what made a tensor."""
        gate = self._by_node.get(result.node.id) if result.node is not None else None
        return gate is not None and any(g is not None for g in gate.upstream)

    def graph(self, result: Tensor, *others: Tensor) -> Graph:
        """The part that the result (and others beside it) depend on, with total gradients."""
        roots = [self.wire(t) for t in (result, *others)]
        gates, wires = _ancestors(roots)  # type: ignore[arg-type]
        for wire in wires:
            wire.readers = [(g, i) for g, i in wire.readers if g in gates]
            wire.grad = _total(wire)
        root = roots[0]
        assert root is not None
        if root.maker is not None:
            root.grad = root.maker.upstream[root.output]
        graph = Graph(
            [g for g in self.gates if g in gates], [w for w in self.wires if w in wires], root
        )
        for i, gate in enumerate(graph.gates):
            gate.id = i
        for i, wire in enumerate(graph.wires):
            wire.id = i
        return graph


def _kind(x: Any) -> str:
    if not isinstance(x, Tensor):
        return "constant"
    if isinstance(x, Parameter):
        return "parameter"
    return "input" if x.requires_grad else "constant"


def _total(wire: Wire) -> np.ndarray | None:
    parts = [part for _, _, part in wire.contributions]
    if wire.maker is not None and wire.maker.upstream[wire.output] is not None:
        return wire.maker.upstream[wire.output]
    if not parts:
        return None
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return np.asarray(total)


def _ancestors(roots: list[Wire]) -> tuple[set[Gate], set[Wire]]:
    gates: set[Gate] = set()
    wires = set(roots)
    stack: list[Gate | None] = [root.maker for root in roots]
    while stack:
        gate = stack.pop()
        if gate is None or gate in gates:
            continue
        gates.add(gate)
        wires.update(w for w in gate.outputs if w is not None)
        for wire in gate.inputs:
            if wire is not None:
                wires.add(wire)
                stack.append(wire.maker)
    return gates, wires
