"""A step as captured: its Program, where inputs come from, and what a run leaves behind.

`capture_step` runs the step once, eagerly, under a recorder and puts everything back as it was.
What the step did to cells, gradients, attributes and generators is then told in terms of the
Program's outputs. Next: entry.py, which does it at every call.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from backlit.autograd.engine import collect
from backlit.compiler.cells import holding, lose, restore
from backlit.compiler.recorder import Again, StepRecorder
from backlit.compiler.vjp import Vjp, capture_vjp
from backlit.errors import CaptureError, user_line
from backlit.ops.op import REGISTRY, Elementwise, Spec
from backlit.program.ir import Instr, Operand, Program, Value
from backlit.random import default_generator
from backlit.state import state
from backlit.tensor import Tensor, ViewCell
from backlit.tree import over


@dataclass
class Result:
    """One tensor that the step returns: an output, an argument, or a tensor from outside."""

    output: int | None = None
    argument: int | None = None
    tensor: Tensor | None = None
    shares: bool = False  # a new tensor in the storage of the other
    requires_grad: bool = False
    live: int | None = None  # which of the outputs that have a history


@dataclass
class Kept:
    """A tensor made in the step that stays after it: a gradient, or an attribute."""

    tensor: Any
    output: int
    owner: Any  # the leaf, or the dict that holds the attribute
    name: str | None  # the attribute; None for a gradient


@dataclass
class Step:
    """What a capture found."""

    program: Program
    origins: list[tuple[str, Any]] = field(default_factory=list)  # of the inputs, in order
    refills: list[tuple[Any, int]] = field(default_factory=list)  # cell or argument, output
    kept: list[Kept] = field(default_factory=list)
    grads: list[tuple[Any, Any]] = field(default_factory=list)  # tensor or argument, its new .grad
    grads_read: list[tuple[Any, Any]] = field(default_factory=list)  # and the .grad they need
    generators: list[tuple[Any, int | None, tuple[int, int] | None]] = field(default_factory=list)
    tensors: list[tuple[Tensor, Any]] = field(default_factory=list)  # inputs, with their cells
    flags: list[tuple[int, bool]] = field(default_factory=list)  # requires_grad of arguments
    callbacks: list[Any] = field(default_factory=list)  # Python code that instructions call
    result: Any = None
    vjp: Vjp | None = None  # the backward of what is returned with a history


@contextmanager
def _steady_python_random() -> Iterator[None]:
    """Refuse a step that draws from Python's or NumPy's own generators."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
        if python != random.getstate():
            raise CaptureError(
                "the step draws from Python's `random`, which a compiled step can't repeat",
                hint="use bl.rand, bl.randint or bl.randperm",
            )
        if any(not np.array_equal(a, b) for a, b in zip(numpy, np.random.get_state())):  # type: ignore[arg-type]
            raise CaptureError(
                "the step draws from NumPy's generator, which a compiled step can't repeat",
                hint="use bl.rand, bl.randint or bl.randperm",
            )
    except BaseException:
        random.setstate(python)
        np.random.set_state(numpy)
        raise


class Attempt:
    """One eager run of a step under a recorder, not yet put back."""

    def __init__(self, recorder: StepRecorder, arguments: list[Tensor], flags: list[bool]):
        self.recorder, self.arguments = recorder, arguments
        self._flags = flags
        self.result: Any = None

    def put_back(self) -> None:
        """As if the step had not run."""
        self.recorder.put_back()
        for tensor, flag in zip(self.arguments, self._flags):
            tensor._requires_grad = flag


def run_recorded(
    function: Callable[[], Any],
    arguments: list[Tensor],
    names: list[str],
    label: Callable[[Any], str | None],
    kind: type[StepRecorder] = StepRecorder,
) -> Attempt:
    """Run the step under a recorder; if it raises, everything is put back first."""
    opaque = False
    for _ in range(64):
        recorder = kind(label, opaque)
        attempt = Attempt(recorder, arguments, [a._requires_grad for a in arguments])
        start = default_generator.get_state()
        outer = state.observers
        state.observers = (*outer, recorder)
        try:
            for tensor, name in zip(arguments, names):
                recorder.argument(tensor, name)
            with _steady_python_random():
                attempt.result = function()
            return attempt
        except Again as again:
            attempt.put_back()
            opaque = again.opaque
        except BaseException:
            state.observers = outer
            attempt.put_back()
            default_generator.set_state(start)
            raise
        finally:
            state.observers = outer
    raise CaptureError("the step can't be captured: it makes copies of its own storage")


def finish(attempt: Attempt, name: str, attributes: list[tuple[dict, str, Tensor]]) -> Step:
    """The Step of a run, which is put back; `attributes` are tensors that it made and kept."""
    outer = state.observers
    try:
        state.observers = (attempt.recorder,)  # views that are read now are written down
        step = _Finish(attempt, name).step(attributes)
    finally:
        state.observers = outer
        attempt.put_back()
    return step


class _Finish:
    def __init__(self, attempt: Attempt, name: str):
        self.attempt, self.recorder, self.name = attempt, attempt.recorder, name
        self.outputs: list[Operand] = []
        self.positions = {id(a): i for i, a in enumerate(attempt.arguments)}
        self.cells = {id(a.cell): i for i, a in enumerate(attempt.arguments)}
        self.alive: set[int] = set()  # cells made inside that stay in use
        self.live: list[Tensor] = []  # returned with a history

    def output(self, value: Operand) -> int:
        self.outputs.append(value)
        return len(self.outputs) - 1

    def step(self, attributes: list[tuple[dict, str, Tensor]]) -> Step:
        made = Step(Program(self.name, (), (), ()))
        self._refills(made)
        made.result = _over(self.attempt.result, self._result)
        self.attempt.result = None
        if self.live:
            made.vjp = capture_vjp(
                self.recorder, self.live, self.positions, self._origin, self.output
            )
            self.live.clear()
        for owner, name, tensor in attributes:
            self._keep(made, tensor, owner, name)
        self._grads(made)
        self._flags(made)
        for draws in self.recorder.draws.values():
            value = draws.offset
            last = draws.generator.get_state()
            if draws.inputs is not None and isinstance(value, Tensor) and draws.expected == last:
                made.generators.append((draws.generator, self.output(self._of(value)), None))
            else:
                made.generators.append((draws.generator, None, last))
        self._lose()
        recorder = self.recorder
        alive = [(ref(), cell) for ref, cell in recorder.tensors.values()]
        made.tensors = [(t, cell) for t, cell in alive if t is not None]
        numbers = recorder.uniform | {k: a for k, a in recorder.constants.items() if a.size == 1}
        instrs = with_numbers(recorder.instrs, numbers)
        read = {x.name for i in instrs for x in i.inputs if isinstance(x, Value)}
        read.update(x.name for x in self.outputs if isinstance(x, Value))
        recorder.inputs = [
            v for v in recorder.inputs if v.name in read or v.name not in recorder.constants
        ]
        made.program = Program(
            self.name, tuple(recorder.inputs), tuple(instrs), tuple(self.outputs)
        )
        made.callbacks = recorder.callbacks
        made.origins = [self._origin(v) for v in recorder.inputs]
        return made

    def _of(self, tensor: Tensor) -> Value:
        return self.recorder.of(tensor.cell)

    def _origin(self, value: Value) -> tuple[str, Any]:
        recorder = self.recorder
        if value in recorder.inputs[: len(self.attempt.arguments)]:
            return "argument", recorder.inputs.index(value)
        if value.name in recorder.constants:
            return "constant", recorder.constants[value.name]
        for draws in recorder.draws.values():
            if draws.inputs is not None and value in draws.inputs:
                return ("seed", "offset")[draws.inputs.index(value)], draws.generator
        for held in recorder.states.values():
            if held.value is value:
                return "cell", held.cell
        raise AssertionError(f"an input from nowhere: {value}")

    # ----- cells -----

    def _refills(self, made: Step) -> None:
        recorder = self.recorder
        for tensor, cell, _, _ in recorder.undo.storage.values():
            if tensor.cell is not cell and recorder.is_old(cell):
                self._moved(tensor, cell)
        for tensor, node, _, _, _ in recorder.undo.history.values():
            changed = tensor.node is not node and tensor.node is not None
            if recorder.is_old(tensor.cell) and changed and tensor.node.id not in recorder.walked:
                raise CaptureError(
                    "the step leaves a tensor from outside with a history, which would grow from"
                    " step to step", hint="refill it under no_grad, or with a detached value"
                )  # fmt: skip
        roots = {id(a.cell.root) for a in self.attempt.arguments if isinstance(a.cell, ViewCell)}
        for held in list(recorder.states.values()):
            now = held.cell.array
            if now is held.before:
                continue
            if id(held.cell) in roots:
                raise CaptureError(
                    "the step changes an argument in place, which is a view of another tensor",
                    hint="pass a clone, or return the new value",
                )
            if now.shape != held.before.shape or now.dtype != held.before.dtype:
                raise CaptureError(
                    f"the step refills a tensor of {held.before.shape} with {now.shape}",
                    hint="make a new tensor and return it",
                )
            target = self.cells.get(id(held.cell), held.cell)
            made.refills.append((target, self.output(recorder.of(held.cell))))

    def _moved(self, tensor: Tensor, cell: Any) -> None:
        """`p.data = value` inside: a refill of the storage that `p` had."""
        recorder = self.recorder
        if recorder.is_old(tensor.cell):
            raise CaptureError(
                "the step gives a tensor the storage of another one from outside",
                hint="copy the values: p.data.copy_(other)",
            )
        value = recorder.of(tensor.cell)
        recorder.put(cell)
        array = tensor.cell.array
        tensor.cell, tensor._base, tensor._stamp = cell, None, None
        restore(cell, array)
        recorder._values[id(cell.array)] = value

    # ----- what stays -----

    def _result(self, t: Tensor) -> Result:
        recorder = self.recorder
        if id(t) in self.positions:
            return Result(argument=self.positions[id(t)])
        if id(t.cell) in self.cells:
            return Result(argument=self.cells[id(t.cell)], shares=True)
        if recorder.is_old(t.cell):
            known = recorder.tensors.get(id(t))
            if (known is not None and known[0]() is t) or not isinstance(t.cell, ViewCell):
                same = t if t.node is None else holding(t.cell)
                return Result(tensor=same, shares=same is not t)
        if t.node is not None and not any(n.id in recorder.walked for n in collect([t], None)[0]):
            self.live.append(t)
            return Result(output=self.output(self._of(t)), live=len(self.live) - 1)
        return Result(output=self.output(self._of(t)), requires_grad=t.requires_grad)

    def _keep(self, made: Step, tensor: Tensor, owner: Any, name: str | None) -> Tensor:
        if tensor.node is not None and name is not None:
            tensor.node, tensor.index = None, 0
        made.kept.append(Kept(tensor, self.output(self._of(tensor)), owner, name))
        self.alive.add(id(tensor.cell))
        return tensor

    def _grads(self, made: Step) -> None:
        recorder = self.recorder
        for grad in recorder.grads.values():
            leaf: Any = grad.tensor()
            if leaf is None or not recorder.is_old(leaf.cell):
                continue
            owner = self.positions.get(id(leaf), leaf)
            if grad.read:
                made.grads_read.append((owner, grad.before))
            now = leaf._grad
            if now is grad.before and now is not None:
                continue
            if now is None or recorder.is_old(now.cell):
                made.grads.append((owner, now))
            else:
                now.node, now.index = None, 0
                self._keep(made, now, owner, None)

    def _flags(self, made: Step) -> None:
        for i, (tensor, flag) in enumerate(zip(self.attempt.arguments, self.attempt._flags)):
            if tensor._requires_grad != flag:
                made.flags.append((i, tensor._requires_grad))

    def _lose(self) -> None:
        """What else was made inside and is still alive would be stale: using it is an error."""
        for ref in self.recorder.made:
            cell = ref()
            if cell is not None and id(cell) not in self.alive and not self.recorder.is_old(cell):
                lose(cell)


def with_numbers(instrs: list[Instr], uniform: dict[str, np.ndarray]) -> list[Instr]:
    """Elementwise instructions with Python numbers in place of operands that are one number
    everywhere, where another operand gives shape and dtype."""
    made = []
    for instr in instrs:
        op = REGISTRY[instr.op]
        values = [x for x in instr.inputs if isinstance(x, Value)]
        rest = [v for v in values if v.name not in uniform]
        if issubclass(op, Elementwise) and rest and len(rest) < len(values):
            inputs = tuple(
                uniform[x.name].flat[0].item()
                if isinstance(x, Value) and x.name in uniform and x.dtype.kind == "f"
                and x.dtype.itemsize > 2
                else x
                for x in instr.inputs
            )  # fmt: skip
            if _infer(op, inputs, instr.params) == _infer(op, instr.inputs, instr.params):
                instr = replace(instr, inputs=inputs)
        made.append(instr)
    return made


def _infer(op: Any, inputs: tuple, params: dict) -> Any:
    given = [Spec(x.shape, x.dtype) if isinstance(x, Value) else x for x in inputs]
    return op.infer(*given, **params)


def _over(tree: Any, function: Callable[[Tensor], Any]) -> Any:
    """The returned structure with Results in place of tensors."""
    _check_result(tree)
    return over(tree, function)


def _check_result(tree: Any) -> None:
    if isinstance(tree, (dict, tuple, list)):
        for x in tree.values() if isinstance(tree, dict) else tree:
            _check_result(x)
    elif not (tree is None or isinstance(tree, (Tensor, bool, int, float, str))):
        error = CaptureError(
            "a compiled step returns tensors, numbers, strings and tuples, lists and dicts of"
            f" them, not {type(tree).__name__}"
        )
        error.place(user_line())
        raise error
