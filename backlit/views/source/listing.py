"""What a printed file is made from: a Program, its arrays, the user's names, and the walk back.

A loss is recorded from its Nodes, a step or function by running it once, after which everything is
as it was. `Trail` notes at each gate which values went in and out of its backward rule: that is
how a line of the backward knows whose gradient it is. Read next: gradients.py.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backlit.autograd.observe import Observer, observe
from backlit.errors import ArgumentTypeError
from backlit.ops.op import REGISTRY
from backlit.program.capture import _Recorder as Recorder
from backlit.program.ir import Program, Value
from backlit.state import state
from backlit.tensor import Tensor
from backlit.views.graph import Graph
from backlit.views.names import name_wires
from backlit.views.record import Recorded, WatchedRun, every_line, record


@dataclass(frozen=True)
class Pull:
    """A backward rule that ran: names of the gradients of outputs and inputs, None where none."""

    position: int  # instructions that there were when it was done
    output: str  # the first output of the forward instruction
    upstream: tuple[str | None, ...]
    downstream: tuple[str | None, ...]
    inputs: tuple[str | None, ...] = ()  # of a Function of the user's; else its instruction's


@dataclass
class Listing:
    """Everything that the writer needs."""

    program: Program
    arrays: dict[str, np.ndarray]  # of the inputs
    names: dict[str, str] = field(default_factory=dict)  # Value: the user's name for it
    pulls: list[Pull] = field(default_factory=list)
    lines: dict[str, str] = field(default_factory=dict)  # Value: the user's line, where known
    loss: str = ""  # the Value where the walk back began
    refills: dict[str, str] = field(default_factory=dict)  # new Value: the input that it replaces
    examples: set[str] = field(default_factory=set)  # inputs whose arrays are only stand-ins
    title: str = "step"
    executed: Program | None = None  # a step as it is compiled: constants computed ahead


class Trail(Observer):
    """Writes down what every backward rule was given and gave."""

    def __init__(self) -> None:
        self.pulls: list[Pull] = []
        self.functions: dict[int, tuple[str, ...]] = {}  # instruction: what made its outputs
        self._operands: dict[int, tuple[str | None, ...]] = {}  # of the user's Functions
        self._recorder: Any = None

    def _current(self) -> Any:
        recorder = next((o for o in state.observers if isinstance(o, Recorder)), None)
        if recorder is not None and recorder is not self._recorder:  # the capture started over
            self._recorder = recorder
            self.pulls, self.functions, self._operands = [], {}, {}
        return recorder

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        """Of a Function of the user's: which values its operators made."""
        recorder = self._current()
        if recorder is None or not hasattr(op, "user"):
            return
        made = [recorder._values.get(id(t.cell.array)) for t in outputs if t is not None]
        if all(v is not None for v in made):
            self.functions[len(recorder.instrs)] = tuple(v.name for v in made)  # type: ignore
        if node is not None:
            self._operands[node.id] = tuple(
                _value(recorder, x) if isinstance(x, Tensor) else None for x in inputs
            )

    def after_backward(self, node: Any, grads: list, input_grads: list) -> None:
        recorder = self._current()
        output = None if recorder is None else recorder._nodes.get(node.id)
        if output is None:
            return
        up = tuple(_value(recorder, g) for g in grads)
        down = tuple(None if edge is None else _value(recorder, g)
                     for edge, g in zip(node.edges, input_grads))  # fmt: skip
        self.pulls.append(
            Pull(len(recorder.instrs), output, up, down, self._operands.get(node.id, ()))
        )

    def without_functions(self, program: Program) -> Program:
        """Functions of the user's replaced by what their operators made."""
        instrs = list(program.instrs)
        for place, inside in self.functions.items():
            if place < len(instrs) and instrs[place].op not in REGISTRY:
                whole = instrs[place]
                values = {v.name: v for i in instrs[:place] for v in i.outputs if v is not None}
                values.update({v.name: v for v in program.inputs})
                given = tuple(values[name] for name in inside)
                instrs[place] = replace(whole, op="handed_on", inputs=given, params={})
        return replace(program, instrs=tuple(instrs))


def _value(recorder: Any, g: Any) -> str | None:
    if g is None:
        return None
    known = recorder._values.get(id(g.cell.array))
    if known is None and not hasattr(recorder, "era"):  # the gradient that the walk begins with
        known = recorder.value(g.cell.array)
    elif known is None:
        known = recorder.of(g.cell)
    return str(known.name)


def listing(subject: Any, inputs: tuple, gradient: Any = None, **values: Any) -> Listing:
    """The Listing of a loss, a formula, a function, a step, or a compiled one."""
    if isinstance(subject, Listing):
        return subject
    if isinstance(subject, Recorded) and subject.given is not None:
        given = subject.given
        return listing(given.subject, given.inputs, given.gradient, **given.values)
    if isinstance(subject, Program):
        return of_program(subject, inputs)
    if isinstance(subject, (Tensor, str)):
        return _of_loss(subject, inputs, gradient, values)
    if hasattr(subject, "entries") and hasattr(subject, "passes") and not inputs and not values:
        from backlit.views.source.compiled import of_compiled

        return of_compiled(subject)
    if callable(subject):
        function = getattr(subject, "function", subject)
        return of_function(function, inputs, gradient, values, _title(subject))
    raise ArgumentTypeError(
        f"expected a tensor, a function, a formula or a Program, got {type(subject).__name__}",
        hint="pass the loss, or the step and its inputs: bl.see.source(step, x, y)",
    )


def _title(subject: Any) -> str:
    name = getattr(subject, "name", None) or getattr(subject, "__name__", None)
    shown = name if isinstance(name, str) else type(subject).__name__.lower()
    return shown if shown.isidentifier() else "step"


def of_program(program: Program, arrays: tuple) -> Listing:
    """A Program alone: without a walk back that was watched, gradients have no names."""
    given = {v.name: np.asarray(a) for v, a in zip(program.inputs, arrays)}
    missing = {v.name: example(v) for v in program.inputs if v.name not in given}
    return Listing(program, given | missing, examples=set(missing), title=program.name)


def example(value: Value) -> np.ndarray:
    """Numbers in the place of an argument that is not there: a normal sample, or zeros."""
    dtype = value.dtype.numpy
    if value.dtype.is_floating_point:
        return np.random.default_rng(0).standard_normal(value.shape).astype(dtype)
    return np.zeros(value.shape, dtype)


# ----- a loss that was computed -----


def _of_loss(subject: Any, inputs: tuple, gradient: Any, values: dict) -> Listing:
    trail = Trail()
    with observe(trail):
        found = record(subject, *inputs, gradient=gradient, **values)
    graph, program = found.graph, found.program
    own = {w.name: w.name for w in graph.wires if w.given}
    names = {value: own[name] for value, name in found.names.items() if name in own}
    program = trail.without_functions(program)
    made = Listing(program, dict(zip((v.name for v in program.inputs), found.arrays)), names)
    made.pulls = trail.pulls
    made.loss = next((str(v.name) for v in program.outputs if isinstance(v, Value)), "")
    made.names.setdefault(made.loss, "f" if isinstance(subject, str) else "loss")
    made.title = subject if isinstance(subject, str) else made.names[made.loss]
    lines = {w.name: g.line for g in graph.gates for w in g.outputs if w is not None}
    made.lines = {value: "" if isinstance(subject, str) else lines.get(name, "")
                  for value, name in found.names.items()}  # fmt: skip
    return made


# ----- a function, run once -----


def of_function(
    function: Any, inputs: tuple, gradient: Any = None, values: Any = None, title: str = "step"
) -> Listing:
    """Run a function once under a recorder and put back what it changed."""
    from backlit.compiler.call import Call
    from backlit.compiler.compile import _identifier
    from backlit.compiler.guards import Walk
    from backlit.compiler.step import finish, run_recorded

    call = Call(inputs, dict(values or {}), {})
    leaves, args, keywords = call.as_leaves()
    walk = Walk([(title, function), *call.roots])
    trail, run = Trail(), WatchedRun(function, args, keywords, gradient)
    with observe(trail):
        attempt = run_recorded(run, leaves, call.names,
                               lambda cell: _identifier(walk.cells.get(id(cell))),
                               every_line())  # fmt: skip
    recorder, watch = attempt.recorder, run.watch
    root: Any = watch.wire(run.result)
    graph = Graph(watch.gates, watch.wires, root)  # all of it: a step may have several roots
    name_wires(graph, {})
    names = {
        str(v.name): w.name
        for w in graph.wires
        if w.given and (v := recorder._values.get(id(w.value))) is not None
    }
    loss = recorder._values.get(id(root.value))
    inputs_, arrays = tuple(recorder.inputs), _arrays_of(recorder)
    instrs = tuple(recorder.instrs)
    step = finish(attempt, title, [])
    program = Program(title, inputs_, instrs, step.program.outputs)
    labelled = _labels(Walk([(title, function), *call.roots]), step)
    own = _argument_names(function, call.names)
    made = Listing(program, arrays, labelled | names | own, trail.pulls, title=title)
    made.loss = str(loss.name) if loss else ""
    made.names.setdefault(made.loss, "loss")
    made.refills = _refills(step)
    made.executed = step.program
    return made


def _argument_names(function: Any, given: list[str]) -> dict[str, str]:
    """What the function calls its arguments; `x0` is the first."""
    try:
        names = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return {}
    plain = [p.name for p in names if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return {f"x{i}": name for i, name in enumerate(plain) if f"x{i}" in given}


def _arrays_of(recorder: Any) -> dict[str, np.ndarray]:
    return {v.name: a for v, a in zip(recorder.inputs, recorder.arrays)}


def _refills(step: Any) -> dict[str, str]:
    """Which value becomes the new content of which input."""
    origins = list(zip(step.program.inputs, step.origins))
    cells = {id(what): v.name for v, (kind, what) in origins if kind == "cell"}
    arguments = {what: v.name for v, (kind, what) in origins if kind == "argument"}
    offsets = {id(what): v.name for v, (kind, what) in origins if kind == "offset"}
    refilled = [(arguments.get(t) if isinstance(t, int) else cells.get(id(t)), output)
                for t, output in step.refills]  # fmt: skip
    refilled += [(offsets.get(id(generator)), output) for generator, output, _ in step.generators]
    found = {}
    for old, output in refilled:
        new = None if output is None else step.program.outputs[output]
        if old is not None and isinstance(new, Value):
            found[new.name] = old
    return found


def _labels(walk: Any, step: Any) -> dict[str, str]:
    """Names of state by the way that leads to it from the step's own variables."""
    origins = list(zip(step.program.inputs, step.origins))
    held = {v.name: what for v, (kind, what) in origins if kind == "cell"}
    paths = {name: walk.cells[id(c)] for name, c in held.items() if id(c) in walk.cells}
    made = {name: _short(path, held[name], walk) for name, path in paths.items()}
    counters = [name for name, shown in made.items() if shown.startswith("step_")]
    if len(counters) == 1:
        made[counters[0]] = "steps"
    return made


_OPTION = re.compile(r"(.*)\.param_groups\[(\d+)\]\['(\w+)'\]")
_STATE = re.compile(r"(.*)\.state\[(\d+)\]\['(\w+)'\]")


def _short(path: str, cell: Any, walk: Any) -> str:
    """`net.0.weight` is `0.weight`, a learning rate `lr`, a moment `exp_avg_` and the parameter."""
    option, kept = _OPTION.fullmatch(path), _STATE.fullmatch(path)
    if option is not None:
        name = option[3] + _which(walk.items.get(path.replace(option[3], "lr")), option[3], cell)
        return name if option[2] == "0" else f"{name}_{option[2]}"
    if kept is None:
        return path.partition(".")[2] or path
    owner = _parameter(kept[1], int(kept[2]), walk)
    where = walk.cells.get(id(getattr(owner, "cell", None)))
    about = where.partition(".")[2] if where else kept[2]
    return f"{kept[3]}_layer{about}" if about[:1].isdigit() else f"{kept[3]}_{about}"


def _which(item: Any, name: str, cell: Any) -> str:
    """The number of one of several numbers, such as the second of `betas`."""
    cells = getattr(getattr(item, "holder", None), "_cells", {}).get(name, ())
    if len(cells) < 2:
        return ""
    return str(next((i for i, t in enumerate(cells, 1) if t.cell is cell), ""))


def _parameter(optimizer: str, number: int, walk: Any) -> Any:
    """The parameter of a number, counted through all groups."""
    start = f"{optimizer}.param_groups["
    params = [item.value for label, item in walk.items.items()
              if label.startswith(start) and "]['params'][" in label]  # fmt: skip
    return params[number] if number < len(params) else None


def fused(made: Listing, names: dict[str, str]) -> Listing:
    """The Program after all passes, as the backend gets it, with the names that values have."""
    from backlit.compiler.build import passes_of

    program = made.executed or made.program
    passes = passes_of(program)
    after = passes[-1][1] if passes else program
    return replace(made, program=after, names=names, pulls=[], executed=None)
