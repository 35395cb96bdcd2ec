"""From a tensor, a function or a formula to its recorded graph, forward and backward.

A tensor's Nodes are run again, newest last, from their leaves and constants: nothing had to be
kept while the program ran. A function runs once as it is, and what it changed is put back. The
same run is captured as a Program, so that graph and Program hold the same arrays.
Read next: graph.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.autograd.engine import collect, fit, grad, resolve
from backlit.autograd.modes import enable_grad
from backlit.autograd.node import Node
from backlit.autograd.observe import Observer, observe
from backlit.errors import ArgumentError, ArgumentTypeError, GradError, user_frame
from backlit.ops.op import REGISTRY, apply
from backlit.program.capture import _Recorder as Recorder
from backlit.program.ir import Program, Value
from backlit.state import state
from backlit.tensor import Parameter, Tensor, wrap
from backlit.views.graph import Gate, Graph, Wire
from backlit.views.names import name_wires


@dataclass
class Recorded:
    """The graph of one computation, its Program, and the arrays of the Program's inputs.

    `names` maps the Program's Value names to the user's names (`dx` for the gradient of `x`),
    `gradients` the name of a wire to the Value of its gradient: two wires may share one.
    """

    graph: Graph
    program: Program
    arrays: tuple[np.ndarray, ...]
    names: dict[str, str] = field(default_factory=dict)
    gradients: dict[str, Value] = field(default_factory=dict)


def record(subject: Any, *inputs: Any, gradient: Any = None, **values: Any) -> Recorded:
    """Record a computation forward and backward.

    `subject` is a tensor that was computed, a function (or module, or compiled step) to call with
    `inputs`, or a formula as text with `values` for its names. `gradient` is the gradient to
    start from where the result is not a scalar.

    >>> recorded = bl.views.record("(x + y) * z", x=-2, y=5, z=-4)
    >>> {wire.name: float(wire.grad) for wire in recorded.graph.leaves}
    {'x': -4.0, 'y': -4.0, 'z': 3.0}
    """
    if isinstance(subject, Recorded):
        return subject
    known: dict[int, str] = {}
    made: dict[tuple[int, int], str] = {}  # names of what the formula computed
    if isinstance(subject, str):
        from backlit.expressions import run

        result, tensors = run(subject, **values)
        known = {id(t.cell.array): name for name, t in tensors.items()}
        made = {(t.node.id, t.index): n for n, t in tensors.items() if t.node is not None}
        subject = result
    if isinstance(subject, Tensor):
        if inputs or (values and not known):
            raise ArgumentTypeError("a computed tensor takes no further inputs")
        return _record(
            lambda: _same(replay(subject), subject), _leaf_tensors(subject), gradient, known, made
        )
    if callable(subject):
        function = getattr(subject, "function", subject)  # of a compiled step: as it is written
        return _record_function(function, inputs, values, gradient)
    raise ArgumentTypeError(
        f"expected a tensor, a function or a formula, got {type(subject).__name__}",
        hint="pass the loss before or after loss.backward(), or the step and its inputs",
    )


class Watch(Observer):
    """Writes gates and wires down while the operators run."""

    def __init__(self) -> None:
        self.gates: list[Gate] = []
        self.wires: list[Wire] = []
        self.roots: list[Wire] = []  # where walks back began
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
            t.cell.array = array = array.view()
        return self._keep(Wire(len(self.wires), array, "value", gate, index))

    def before_backward(self, node: Any, grads: list) -> None:
        gate = self._by_node.get(node.id)
        if gate is not None:
            if not self.roots:
                self.roots.append(gate.outputs[0])  # type: ignore[arg-type]
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


# ----- a tensor: its Nodes again -----


def replay(root: Tensor) -> Tensor:
    """Compute a tensor again from the leaves and constants of its Nodes, recording anew."""
    if root.node is None:
        return root
    made: dict[int, tuple] = {}
    outer = state.module, state.scope, state.autocast
    state.autocast = None  # the casts are Nodes of their own
    try:
        for node in reversed(collect([root], None)[0]):
            inputs = [_operand(node, i, made) for i in range(len(node.edges))]
            state.module, state.scope = node.module, node.scope
            made[node.id] = _again(node, inputs)
    finally:
        state.module, state.scope, state.autocast = outer
    target, index = resolve((root, 0))
    return made[target.id][index]


def _same(again: Tensor, before: Tensor) -> Tensor:
    """Refuse a graph whose leaves hold other values now than when it was computed."""
    if not np.array_equal(again.cell.array, before.cell.array, equal_nan=True):
        raise GradError(
            "a leaf of this graph has changed since it was computed",
            hint="see the loss before optimizer.step(), or the function: bl.see(step, *inputs)",
        )
    return again


def _operand(node: Node, i: int, made: dict[int, tuple]) -> Any:
    edge = node.edges[i]
    if edge is None:
        constant = node.constants[i]
        return wrap(constant) if isinstance(constant, np.ndarray) else constant
    target, index = resolve(edge)
    return made[target.id][index] if type(target) is Node else target


def _again(node: Node, inputs: list) -> tuple:
    op = node.op
    if hasattr(op, "user"):
        results = op.user.apply(*inputs)
    elif op.name in REGISTRY:
        results = apply(op, *inputs, **node.params)
    else:
        raise GradError(
            f"{op.name}: what a compiled function did inside can't be seen from its result",
            hint="call bl.see on the function itself: bl.see(step, *inputs)",
        )
    listed = results if isinstance(results, tuple) else (results,)
    for t in listed:
        if t is not None and t.node is not None:
            fresh = t.node
            fresh.code, fresh.instruction = node.code, node.instruction
            fresh.hooks = _users_hooks(node)
    for observer in state.observers:
        if isinstance(observer, Watch) and observer.gates:
            observer.gates[-1].program = (node.code, node.instruction) if node.code else None
            observer.gates[-1].replayed = node
    return listed


def _users_hooks(node: Node) -> dict[int, list] | None:
    """Hooks that may change a gradient; not those of `retain_grad`, which only keep it."""
    if node.hooks is None:
        return None
    return {
        i: [h for h in hooks if not getattr(h, "__module__", "").startswith("backlit.")]
        for i, hooks in node.hooks.items()
    }


def _leaf_tensors(root: Tensor) -> list[Tensor]:
    """The leaves that a tensor depends on, oldest reader first."""
    if root.node is None:
        raise GradError(
            "the tensor does not require grad and has no history: there is no graph to see",
            hint="make the inputs with requires_grad=True, and do not work under no_grad",
        )
    found: dict[int, Tensor] = {}
    for node in reversed(collect([root], None)[0]):
        for edge in node.edges:
            if edge is not None:
                target, _ = resolve(edge)
                if type(target) is not Node:
                    found.setdefault(id(target), target)
    return list(found.values())


# ----- running under the watch -----


def _record(
    run: Callable[[], Tensor], leaves: list[Tensor], gradient: Any, known: dict[int, str],
    made: dict[tuple[int, int], str],
) -> Recorded:  # fmt: skip
    """Run, walk back, and read both off."""
    watch, recorder = Watch(), Recorder()
    with enable_grad(), observe(recorder, watch):  # type: ignore[arg-type]  # it renames what returns its input
        result = run()
        grads = grad(result, leaves, _seed(result, gradient), allow_unused=True, retain_graph=True)
    graph = watch.graph(result)
    for wire in graph.wires:
        node = wire.maker.replayed if wire.maker is not None else None
        if node is not None and (node.id, wire.output) in made:
            known[id(wire.value)] = made[node.id, wire.output]
    for leaf, g in zip(leaves, grads):  # the very arrays that the Program holds
        for wire in graph.wires:
            if wire.value is leaf.cell.array and wire.maker is None:
                wire.grad = None if g is None else g.cell.array
    outputs = [result, *(g for g in grads if g is not None)]
    return _finished(graph, recorder, outputs, known)


def _record_function(
    function: Callable[..., Any], inputs: tuple, keywords: dict[str, Any], gradient: Any
) -> Recorded:
    """Run a function once, walk back unless it did so itself, and put back what it changed."""
    from backlit.compiler.step import run_recorded

    watches: list[Watch] = []
    results: list[Tensor] = []

    def watched() -> Any:
        watches.append(Watch())
        with observe(watches[-1]):
            found = function(*inputs, **keywords)
            result = found[0] if isinstance(found, tuple) else found
            if not isinstance(result, Tensor):
                raise ArgumentTypeError(
                    f"the function must return its loss, got {type(result).__name__}"
                )
            if not watches[-1].roots:
                leaves, seed = _leaf_tensors(result), _seed(result, gradient)
                grad(result, leaves, seed, allow_unused=True, retain_graph=True)
            results.append(result)
        return found

    attempt = run_recorded(watched, [], [], lambda cell: None)
    try:
        graph = watches[-1].graph(results[-1])
        made = [leaf.grad for leaf in graph.leaves if leaf.grad is not None]
        return _finished(graph, attempt.recorder, [results[-1]], {}, made)
    finally:
        attempt.put_back()


def _seed(result: Tensor, gradient: Any) -> Any:
    if gradient is not None:
        return gradient if isinstance(gradient, Tensor) else wrap(np.asarray(gradient))
    if result.cell.array.size != 1:
        raise ArgumentError(
            f"a result of shape {result.cell.array.shape}: only a scalar has one gradient",
            hint="see its sum, or pass gradient=, one number per element",
        )
    return None


def _finished(
    graph: Graph, recorder: Recorder, outputs: list[Tensor], known: dict[int, str],
    grads: Sequence[np.ndarray] = (),
) -> Recorded:  # fmt: skip
    """Names for the wires, and for the Values of the same arrays in the Program."""
    name_wires(graph, known)
    made = tuple(recorder.value(t.cell.array) for t in outputs)
    program = Program("step", tuple(recorder.inputs), tuple(recorder.instrs), made)
    names: dict[str, str] = {}
    gradients: dict[str, Value] = {}
    for wire in graph.wires:
        made_by = recorder._values.get(id(wire.value))
        if made_by is not None:
            names.setdefault(made_by.name, wire.name)
        gradient = recorder._values.get(id(wire.grad))
        if gradient is not None:
            gradients[wire.name] = gradient
            names.setdefault(gradient.name, f"d{wire.name}")
    return Recorded(graph, program, tuple(recorder.arrays), names, gradients)
