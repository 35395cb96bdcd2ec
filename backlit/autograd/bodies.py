"""Functions as Programs that stand within an instruction, and Programs run on tensors again.

`capture_body` runs a function once, aside, and writes down what it does: tensors that it reads
from outside become inputs; cells that it refills and generators that it draws from become values
that go in and come out; where its code ends a gradient (`detach`, `no_grad`) stands a `detach`.
`joint` is a Program followed by its backward. Knows no operator by name.
Read next: ops/scan.py, control.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from backlit import dtypes as dt
from backlit.autograd.engine import grad, resolve
from backlit.errors import GradError
from backlit.ops.op import REGISTRY, slot
from backlit.program.capture import _Recorder as Recorder
from backlit.program.ir import Instr, Program, Value
from backlit.program.parts import needed, read_by
from backlit.state import state
from backlit.tensor import Tensor, next_era, wrap


class NotAProgram(Exception):
    """The function does what no Program holds: a Function of the user's, a hook."""


class Const(NamedTuple):
    """A tensor that a body reads from outside."""

    value: Value
    tensor: Tensor


class Refill(NamedTuple):
    """A cell from outside that a body refills: its value before and after."""

    tensor: Tensor
    before: Value
    after: Value

    def put(self, value: Tensor) -> None:
        """Refill the cell with its last value, which no gradient reaches."""
        slot.refill(self.tensor, value.detach())


class Draw(NamedTuple):
    """`taken` random numbers that a body takes from a generator, from offset `before` on."""

    generator: Any
    taken: int
    seed: Value
    before: Value
    after: Value


@dataclass
class Body:
    """What a function does, as instructions, and all that goes in and out."""

    name: str
    consts: list[Const]
    args: list[Value]
    refills: list[Refill]
    draws: list[Draw]
    instrs: tuple[Instr, ...]
    outputs: list[Value]
    result: Any  # as the function returned it


class _ThroughCell(GradError):
    """A gradient would go through a cell that a body refills."""


class _Closing(Recorder):
    """Also remembers the tensors that come from outside, and where gradients end."""

    def __init__(self, tracks: bool):
        super().__init__()
        self.consts: dict[str, Const] = {}
        self._tracks, self._era = tracks, next_era()
        self._closed: dict[tuple, Value] = {}
        self._reached: set[str] = set()  # values that a gradient reaches
        self._ends: dict[str, Value] = {}
        self._cells: dict[int, tuple[Any, np.ndarray, Tensor]] = {}
        self._histories: dict[int, tuple[Tensor, tuple]] = {}
        self._nodes_made: list[Any] = []
        self._generators: dict[int, list[Any]] = {}

    def argument(self, tensor: Tensor, name: str) -> Value:
        """Declare an input."""
        array = tensor.cell.array
        made = Value(name, array.shape, dt.of_array(array))
        self._remember(array, made)
        if self._tracks and tensor.requires_grad:
            self._reached.add(name)
        return made

    def of(self, x: Any) -> Value:
        """The Value of a tensor where it is used now."""
        known = self._values.get(id(x.cell.array))
        follows = self._tracks and state.grad and x.requires_grad
        if known is None:
            return self._outside(x, follows)
        if known.name in self._reached and not follows:
            return self._end(known)
        return known

    def reaches(self, value: Value) -> bool:
        """Whether a gradient reaches a value."""
        return value.name in self._reached

    def _operand(self, x: Any) -> Any:
        if isinstance(x, np.ndarray):
            known = self._values.get(id(x))
            return known if known is not None else self._outside(wrap(x), False)
        return self.of(x) if isinstance(x, Tensor) else super()._operand(x)

    def _outside(self, x: Tensor, follows: bool) -> Value:
        array = x.cell.array
        source: Any = None
        if follows:
            target, index = resolve((x, 0))
            source = (id(target), index)
        key = (id(array), source)
        if key not in self._closed:
            name = f"c{len(self.consts)}"
            made = self._closed[key] = Value(name, array.shape, dt.of_array(array))
            self._alive.append((array, x))
            self.consts[name] = Const(made, x if follows or not x.requires_grad else x.detach())
            if follows:
                self._reached.add(name)
        root = x.cell.root
        self._cells.setdefault(id(root), (root, root.array, x))
        return self._closed[key]

    def _end(self, value: Value) -> Value:
        if value.name not in self._ends:
            made = Value(f"detach_{len(self._ends)}", value.shape, value.dtype)
            self.instrs.append(Instr(slot.detach.name, (value,), (made,)))
            self._ends[value.name] = made
        return self._ends[value.name]

    def before_forward(self, op: Any, inputs: tuple, params: dict) -> None:
        if REGISTRY.get(op.name) is not op:  # a Function of the user's
            raise NotAProgram
        super().before_forward(op, inputs, params)

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        super().after_forward(op, inputs, params, outputs, node)
        if node is not None:
            self._nodes_made.append(node)
        if self._tracks:
            made = self.instrs[-1].outputs
            self._reached.update(
                v.name for v, t in zip(made, outputs) if v is not None and t.requires_grad
            )

    def draw(self, generator: Any, count: int) -> tuple[Tensor, Tensor]:
        """Seed and offset of `count` numbers, as tensors: each run goes on from the one before."""
        if id(generator) not in self._generators:
            seed, offset = (whole(n) for n in generator.get_state())
            number = len(self._generators)
            values = self.argument(seed, f"seed{number}"), self.argument(offset, f"offset{number}")
            self._generators[id(generator)] = [generator, 0, *values, seed, offset]
        entry = self._generators[id(generator)]
        seed, offset = entry[-2:]
        entry[1] += count
        entry[-1] = offset + count
        return seed, offset

    @property
    def draws(self) -> list[Draw]:
        """What was taken from each generator."""
        return [Draw(g, count, seed, before, self.of(after))
                for g, count, seed, before, _, after in self._generators.values()]  # fmt: skip

    @property
    def hooked(self) -> bool:
        """Whether a hook hangs on what was made."""
        return any(n.hooks is not None for n in self._nodes_made)

    def _is_outside(self, tensor: Tensor) -> bool:
        return tensor.cell.root.era < self._era  # type: ignore[no-any-return]

    def refilled(self, tensor: Tensor) -> None:
        """A tensor is about to be refilled, with its history."""
        history = tensor.node, tensor.index, tensor._base, tensor._stamp
        self._histories.setdefault(id(tensor), (tensor, history))
        if self._is_outside(tensor):
            root = tensor.cell.root
            self._cells.setdefault(id(root), (root, root.array, tensor))

    def storage_set(self, tensor: Tensor) -> None:
        """A tensor is about to get another cell."""
        if self._is_outside(tensor):
            raise GradError(
                "the body of a loop or branch assigns to .data of a tensor from outside",
                hint="refill it: x.copy_(value) under no_grad",
            )

    def grad_read(self, tensor: Tensor) -> None:
        """`.grad` is looked at, or about to be added to."""
        if self._is_outside(tensor):
            raise GradError(
                "the body of a loop or branch uses .grad of a tensor from outside, or runs"
                " backward() into it", hint="bl.autograd.grad returns gradients instead"
            )  # fmt: skip

    grad_set = grad_read

    def taken_back(self) -> list[Refill]:
        """Cells from outside that hold another array now; they get their old arrays back."""
        changed = [c for c in self._cells.values() if c[0].array is not c[1]]
        tracked = [x for _, _, x in changed if x.requires_grad]
        for x, history in self._histories.values():
            if id(x.cell.root) in self._cells:
                x.node, x.index, x._base, x._stamp = history
        after = [wrap(root.array) for root, _, _ in changed]
        for root, array, _ in changed:
            root.put(array)
        if tracked:
            raise _ThroughCell(
                "the body of a loop or branch changes a tensor from outside in place, and a"
                " gradient goes through it", hint="hand it in and return it, as a carry"
            )  # fmt: skip
        found = []
        for (root, _, x), value in zip(changed, after):
            before = self._outside(x if x.cell is root else _holding(root), False)
            found.append(Refill(self.consts[before.name].tensor, before, self.of(value)))
        return found


def whole(n: int) -> Tensor:
    """A number of 64 bits as a tensor of int64."""
    return wrap(np.array(n & 0xFFFFFFFFFFFFFFFF, np.uint64).astype(np.int64))


def _holding(cell: Any) -> Tensor:
    made = Tensor.__new__(Tensor)
    made.cell = cell
    return made


def _stand_in(array: np.ndarray, follows: bool) -> Tensor:
    """A tensor of its own around an array. It stands for a leaf: code may change it in place."""
    made = wrap(array.view())
    if follows and made.dtype.is_floating_point:
        made.node = wrap(made.cell.array).requires_grad_()
    return made


def capture_body(function: Callable[..., Any], args: Sequence[Tensor], names: Sequence[str],
                 name: str, flat: Callable[[Any], list[Tensor]],
                 carries: int = 0) -> Body:  # fmt: skip
    """What `function(*args)` does; `flat` lists the tensors of what it returned, the first
    `carries` of which are the next first arguments.

    Raises NotAProgram, having changed nothing, where no Program holds it."""
    run = functools.partial(_capture, function, args, names, name, flat)
    try:
        return run([state.grad] * len(args))[0]
    except _ThroughCell:  # but perhaps no gradient comes in at all
        follows = [state.grad and x.requires_grad for x in args]
        while True:
            body, reached = run(follows)
            wider = [f or r for f, r in zip(follows, reached[:carries])] + follows[carries:]
            if wider == follows:
                return body
            follows = wider


def _capture(function: Callable[..., Any], args: Sequence[Tensor], names: Sequence[str],
             name: str, flat: Callable[[Any], list[Tensor]],
             follows: list[bool]) -> tuple[Body, list[bool]]:  # fmt: skip
    """The body if gradients follow some arguments, and which outputs they reach then."""
    recorder = _Closing(state.grad)
    fresh = [_stand_in(a.cell.array, f) for a, f in zip(args, follows)]
    inputs = [recorder.argument(t, n) for t, n in zip(fresh, names)]
    outer = state.observers
    state.observers = (recorder,)
    try:
        result = function(*fresh)
        outputs = [recorder.of(t) for t in flat(result)]
        draws = recorder.draws
    finally:
        state.observers = ()
        try:
            refills = recorder.taken_back()
        finally:
            state.observers = outer
    if recorder.hooked:
        raise NotAProgram
    ends = [*outputs, *(r.after for r in refills), *(d.after for d in draws)]
    instrs = needed(recorder.instrs, ends)
    read = {v.name for i in instrs for v in read_by(i)} | {v.name for v in ends}
    read -= {r.before.name for r in refills}
    consts = [c for c in recorder.consts.values() if c.value.name in read]
    body = Body(name, consts, inputs, refills, draws, instrs, outputs, result)
    return body, [recorder.reaches(v) for v in outputs]


def replay(program: Program, tensors: Sequence[Any]) -> list[Any]:
    """The outputs of a Program applied to tensors, instruction by instruction, recorded."""
    env = {v.name: t for v, t in zip(program.inputs, tensors)}
    outer = state.module, state.scope, state.autocast
    state.autocast = None  # the casts are in the Program
    try:
        for instr in program.instrs:
            op = REGISTRY[instr.op]
            given = [env[x.name] if isinstance(x, Value) else x for x in instr.inputs]
            state.module, state.scope = instr.module, instr.scope
            record = getattr(op, "record", None)
            found = record(*given, **instr.params) if record else slot.apply(
                op, *given, **instr.params)  # fmt: skip
            listed = found if isinstance(found, tuple) else (found,)
            env.update({v.name: t for v, t in zip(instr.outputs, listed) if v is not None})
    finally:
        state.module, state.scope, state.autocast = outer
    return [env[x.name] if isinstance(x, Value) else x for x in program.outputs]


@dataclass
class Joint:
    """A Program followed by its backward, in one naming of values."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    gradients: tuple[Value | None, ...]  # of the outputs, where given
    grads: tuple[Value | None, ...]  # of the inputs, where wanted and due
    forward: tuple[Instr, ...]
    backward: tuple[Instr, ...]
    constants: dict[str, Const] = field(default_factory=dict)

    @property
    def read(self) -> list[Value]:
        """What the backward and its results read of the forward and of the inputs."""
        made = {v.name for i in self.backward for v in i.outputs if v is not None}
        made |= {v.name for v in self.gradients if v is not None} | self.constants.keys()
        wanted = [v for i in self.backward for v in read_by(i)]
        wanted += [v for v in self.grads if v is not None]
        return list({v.name: v for v in wanted if v.name not in made}.values())


def joint(program: Program, arrays: Sequence[np.ndarray], wanted: Sequence[bool],
          given: Sequence[bool]) -> Joint:  # fmt: skip
    """Capture a Program and its backward by the wanted inputs, for gradients of given outputs.

    `arrays` are examples of the inputs: operators run on them, their values are not used."""
    recorder = _Closing(False)
    inputs = [_stand_in(a, w) for a, w in zip(arrays, wanted)]
    values = [recorder.argument(t, f"i{n}") for n, t in enumerate(inputs)]
    outer = state.observers, state.grad
    state.observers, state.grad = (recorder,), True
    try:
        made = replay(program, inputs)
        outputs = [recorder.of(t) for t in made]
        count = len(recorder.instrs)
        seeds = [wrap(np.zeros(v.shape, v.dtype.numpy)) if g else None
                 for v, g in zip(outputs, given)]  # fmt: skip
        into = [None if t is None else recorder.argument(t, f"g{n}") for n, t in enumerate(seeds)]
        pairs = [(y, g) for y, g in zip(made, seeds) if g is not None and y.requires_grad]
        by = [x for x, w in zip(inputs, wanted) if w]
        found = iter(grad([y for y, _ in pairs], by, [g for _, g in pairs], allow_unused=True)
                     if pairs and by else [None] * len(by))  # fmt: skip
        each = [next(found) if w else None for w in wanted]
        grads = tuple(None if g is None else recorder.of(g) for g in each)
    finally:
        state.observers, state.grad = outer
    backward = needed(recorder.instrs[count:], grads)
    return Joint(program.name, tuple(values), tuple(outputs), tuple(into), grads,
                 tuple(recorder.instrs[:count]), backward, recorder.consts)  # fmt: skip


slot.replay, slot.joint = replay, joint
