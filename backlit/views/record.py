"""From a tensor, a function or a formula to its recorded graph, forward and backward.

A tensor's Nodes are run again, newest last, from their leaves and constants: nothing had to be
kept while the program ran. A function runs once as it is, and what it changed is put back. The
same run is captured as a Program, so that graph and Program hold the same arrays.
Read next: watch.py, replay.py, graph.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.autograd.engine import grad
from backlit.autograd.modes import enable_grad
from backlit.autograd.observe import observe
from backlit.errors import ArgumentError, ArgumentTypeError, ProgramError
from backlit.program.capture import _Recorder as Recorder
from backlit.program.ir import Program, Value
from backlit.tensor import Tensor, wrap
from backlit.views.graph import Graph
from backlit.views.names import name_wires
from backlit.views.replay import leaf_tensors, reads_python, replay, same
from backlit.views.watch import Watch


@dataclass(frozen=True)
class Given:
    """What `record` was asked for: a face that needs more than a graph runs it again."""

    subject: Any
    inputs: tuple
    gradient: Any
    values: dict[str, Any]


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
    given: Given | None = field(default=None, repr=False)


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
    recorded = _recorded(subject, inputs, gradient, values)
    recorded.given = Given(subject, inputs, gradient, values)
    return recorded


def _recorded(subject: Any, inputs: tuple, gradient: Any, values: dict[str, Any]) -> Recorded:
    known: dict[int, str] = {}
    made: dict[tuple[int, int], str] = {}  # names of what the formula computed
    if isinstance(subject, str):
        from backlit.expressions import run

        result, tensors = run(subject, **values)
        if not tensors:
            raise ArgumentError(f"the formula {subject!r} reads no name: it has no gradient")
        known = {id(t.cell.array): name for name, t in tensors.items()}
        made = {(t.node.id, t.index): n for n, t in tensors.items() if t.node is not None}
        if result.node is not None and "f" not in tensors:
            made.setdefault((result.node.id, result.index), "f")
        subject = result
    if isinstance(subject, Tensor):
        if inputs or (values and not known):
            named = f": got {', '.join(values)}" if values else ""
            raise ArgumentTypeError(f"a computed tensor takes no further inputs{named}")
        leaves = leaf_tensors(subject)

        def again() -> Tensor:
            return same(replay(subject), subject)

        try:
            return _record(again, leaves, gradient, known, made)
        except ProgramError:
            if not reads_python(subject):
                raise
        with enable_grad():  # a Function that computes in NumPy is one instruction
            return _record_function(again, (), {}, gradient)
    if callable(subject):
        function = getattr(subject, "function", subject)  # of a compiled step: as it is written
        return _record_function(function, inputs, values, gradient)
    raise ArgumentTypeError(
        f"expected a tensor, a function or a formula, got {type(subject).__name__}",
        hint="pass the loss before or after loss.backward(), or the step and its inputs",
    )


def seed_of(result: Tensor, gradient: Any) -> Any:
    """The gradient that a walk back begins with: as given, or None for a scalar's 1."""
    if gradient is not None:
        return gradient if isinstance(gradient, Tensor) else wrap(np.asarray(gradient))
    if result.cell.array.size != 1:
        raise ArgumentError(
            f"a result of shape {result.cell.array.shape}: only a scalar has one gradient",
            hint="see its sum, or pass gradient=, one number per element",
        )
    return None


# ----- running under the watch -----


def _record(
    run: Callable[[], Tensor], leaves: list[Tensor], gradient: Any, known: dict[int, str],
    made: dict[tuple[int, int], str],
) -> Recorded:  # fmt: skip
    """Run, walk back, and read both off."""
    watch, recorder = Watch(), Recorder()
    with enable_grad(), observe(recorder, watch):  # type: ignore[arg-type]  # it renames what returns its input
        result = run()
        grads = grad(
            result, leaves, seed_of(result, gradient), allow_unused=True, retain_graph=True
        )
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


class WatchedRun:
    """A function that runs under a watch, and is walked back from unless it does so itself.

    A capture that starts over calls it again: `watch` and `result` are those of the last time.
    """

    watch: Watch
    result: Tensor

    def __init__(self, function: Callable[..., Any], args: tuple, keywords: dict, gradient: Any):
        self._call = lambda: function(*args, **keywords)
        self._gradient = gradient

    def __call__(self) -> Any:
        self.watch = Watch()
        with observe(self.watch):
            found = self._call()
            result = found[0] if isinstance(found, (tuple, list)) else found
            if not isinstance(result, Tensor):
                raise ArgumentTypeError(
                    f"the function must return its loss, got {type(result).__name__}",
                    hint="return the loss, first where there is more",
                )
            if not self.watch.walked(result):
                leaves, seed = leaf_tensors(result), seed_of(result, self._gradient)
                grad(result, leaves, seed, allow_unused=True, retain_graph=True)
        self.result = result
        return found


def every_line() -> Any:
    """A recorder that computes nothing ahead: what is constant is written down as well."""
    from backlit.compiler.recorder import StepRecorder

    class EveryLine(StepRecorder):
        def _fold(self, op: Any, inputs: tuple, params: dict, outputs: tuple) -> bool:
            return False

        def _user_forward(self, op: Any, inputs: tuple, outputs: tuple, node: Any) -> None:
            super()._user_forward(op, inputs, outputs, node)
            first = next((t for t in outputs if isinstance(t, Tensor)), None)
            if node is not None and not self.opaque and first is not None:
                self._nodes[node.id] = self.of(first.cell).name

    return EveryLine


def _record_function(
    function: Callable[..., Any], inputs: tuple, keywords: dict[str, Any], gradient: Any
) -> Recorded:
    """Run a function once, walk back unless it did so itself, and put back what it changed."""
    from backlit.compiler.step import run_recorded

    run = WatchedRun(function, inputs, keywords, gradient)
    attempt = run_recorded(run, [], [], lambda cell: None, every_line())
    try:
        return _finished(run.watch.graph(run.result), attempt.recorder, [run.result], {})
    finally:
        attempt.put_back()


def _finished(
    graph: Graph, recorder: Recorder, outputs: list[Tensor], known: dict[int, str]
) -> Recorded:
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
