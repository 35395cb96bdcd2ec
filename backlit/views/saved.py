"""What the forward pass keeps for the backward: which values, why, and how many bytes.

The table reads the operators' own declarations (the parameters of their gradient rules) and the
recorded wires; an array that several rules read counts once. For the Program of a step it tells
which values live on from the forward to the backward part once the passes have fused it.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backlit.autograd.observe import Observer, observe
from backlit.ops import formula as fm
from backlit.ops.op import REGISTRY
from backlit.program.ir import Instr, Program, Value
from backlit.program.parts import SEGMENT
from backlit.tensor import Tensor
from backlit.views import charts
from backlit.views.graph import Gate, Wire
from backlit.views.record import Recorded, record

COSTLY = ("exp", "log", "tanh", "sigmoid", "erf", "sin", "cos", "sqrt", "power")


@dataclass(frozen=True)
class SavedValue:
    """One value that one operator keeps. `bytes` is 0 where the array is counted already."""

    name: str
    operator: str
    why: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    shared: str = ""  # the operator that was counted for it
    held: bool = False  # a parameter or an input: there anyway
    line: str = ""
    module: str = ""


@dataclass(frozen=True)
class Crossing:
    """A Program after its passes: the values that the backward part reads from the forward part.

    `forward` and `backward` count the costly functions that the formulas of each part evaluate:
    what the backward needs of them should have been saved.
    """

    values: tuple[Value, ...]
    arena_bytes: int | None  # None before the step is compiled
    forward: dict[str, int]
    backward: dict[str, int]

    @property
    def bytes(self) -> int:
        return sum(_bytes(v) for v in self.values)


@dataclass(frozen=True)
class Saved:
    """Rows of saved values with their totals in bytes, and the same for the Program."""

    rows: tuple[SavedValue, ...]
    program: Crossing | None

    @property
    def bytes(self) -> int:
        """Of all saved arrays, each once."""
        return sum(r.bytes for r in self.rows)

    @property
    def held_bytes(self) -> int:
        """Of those that are parameters or inputs, and would be there without a backward."""
        return sum(r.bytes for r in self.rows if r.held)

    def _cells(self) -> list[list[str]]:
        return [
            [r.name, _typed(r), r.operator, r.why, r.line or r.module, _counted(r)]
            for r in self.rows
        ]

    def _foot(self) -> list[str]:
        own = self.bytes - self.held_bytes
        lines = [
            f"{self.bytes:,} bytes are saved: {own:,} in values made on the way,"
            f" {self.held_bytes:,} in parameters and inputs, which are there anyway"
        ]
        return lines + ([] if self.program is None else _crossing_lines(self.program))

    def __str__(self) -> str:
        return "\n".join([*charts.table(HEAD, self._cells(), left=5), *self._foot()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        foot = "".join(f"<p>{html.escape(line)}</p>" for line in self._foot())
        return charts.html_table(HEAD, self._cells()) + foot


HEAD = ("value", "type", "saved by", "since", "at", "bytes")


def saved(subject: Any, *inputs: Any) -> Saved:
    """The values that a computation keeps for its backward: by which operator, why, bytes.

    `subject` is a loss, a function or compiled step with its inputs, or a formula. For a compiled
    step that has run, `.program` reads its executable's own Program and arena.

    >>> x = bl.tensor([1.0, 2.0], requires_grad=True)
    >>> table = bl.see.saved((x.exp() * 3).sum())
    >>> [(row.name, row.operator, row.bytes, row.why) for row in table.rows]
    [('exp', 'exp', 8, 'the gradient of x reads exp')]
    """
    contexts = _Contexts()
    with observe(contexts):
        recorded = record(subject, *inputs)
    rows: list[SavedValue] = []
    counted: dict[int, str] = {}
    for gate in recorded.graph.gates:
        for name, array, why, wire in _kept(gate, contexts.found):
            rows.append(_row(gate, name, array, why, wire, counted))
    return Saved(tuple(rows), _crossing(subject, recorded))


class _Contexts(Observer):
    """Keeps the contexts of user Functions: a backward inside the subject frees them."""

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if node is not None and hasattr(op, "user"):
            self.found[node.id] = node.saved.get("ctx")


# ----- one gate -----


def _kept(
    gate: Gate, contexts: dict[int, Any]
) -> Iterator[tuple[str, np.ndarray, str, Wire | None]]:
    """(name, array, reason, wire) of what a gate saves."""
    if gate.node is None or SEGMENT in gate.scope.split("/"):
        return  # nothing to differentiate, or made again in the backward
    if hasattr(gate.op, "user"):
        yield from _from_context(gate, contexts.get(gate.node.id))
        return
    needs = gate.node.needs
    bits = sum(1 << i for i, need in enumerate(needs) if need)
    for name, source, i in gate.op.plan(bits):
        many = {"rest": gate.inputs[i:], "outputs": gate.outputs}.get(source)
        wires = many if many is not None else [(gate.inputs, gate.outputs)[source == "output"][i]]
        for wire in wires:
            if wire is not None and isinstance(wire.value, np.ndarray):
                yield wire.name, wire.value, _reason(gate, name, wire, needs), wire


def _reason(gate: Gate, name: str, wire: Wire, needs: tuple[bool, ...]) -> str:
    """Whose gradient reads it."""
    op = gate.op
    readers = []
    for given, rule in op.rules.items():
        if name in rule.saved:
            chosen = range(len(needs)) if given == "*" else (op.inputs.index(given),)
            readers += [gate.inputs[i] for i in chosen if i < len(needs) and needs[i]]
    names = list(dict.fromkeys(r.name for r in readers if r is not None))
    if not names:
        return f"the backward expands {op.name}"
    return f"the gradient of {', '.join(names)} reads {wire.name}"


def _from_context(gate: Gate, ctx: Any) -> Iterator[tuple[str, np.ndarray, str, Wire | None]]:
    """What a user's Function gave to `save_for_backward`, and tensors among its attributes."""
    by_array = {id(w.value): w for w in (*gate.inputs, *gate.outputs) if w is not None}
    kept = [(f"saved {i}", entry[1]) for i, entry in enumerate(getattr(ctx, "_saved", None) or ())]
    why = f"{gate.op.name}.backward reads ctx.saved_tensors"
    for key, held in vars(ctx).items() if ctx is not None else ():
        if not key.startswith("_"):
            kept.append((f"ctx.{key}", held.cell.array if isinstance(held, Tensor) else held))
    for name, array in kept:
        if isinstance(array, np.ndarray):
            wire = by_array.get(id(array))
            said = f"it is kept as {name}" if name.startswith("ctx.") else why
            yield (wire.name if wire is not None else name), array, said, wire


def _row(
    gate: Gate, name: str, array: np.ndarray, why: str, wire: Wire | None, counted: dict[int, str]
) -> SavedValue:
    root = array
    while isinstance(root.base, np.ndarray):  # a view keeps what it looks at
        root = root.base
    shared = counted.get(id(root), "")
    counted.setdefault(id(root), gate.op.name)
    return SavedValue(
        name, gate.op.name, why, array.shape, str(array.dtype), 0 if shared else root.nbytes,
        shared, _outside(wire, root), gate.line, gate.module,
    )  # fmt: skip


def _outside(wire: Wire | None, root: np.ndarray) -> bool:
    """Whether a leaf holds the array: the wire itself, or what it is a view of."""
    while wire is not None and wire.maker is not None:
        source = wire.maker.inputs[0] if wire.maker.inputs else None
        if source is None or not isinstance(source.value, np.ndarray):
            return False
        if not np.may_share_memory(source.value, root):
            return False
        wire = source
    return wire is not None


def _typed(r: SavedValue) -> str:
    return f"{r.dtype}[{', '.join(map(str, r.shape))}]"


def _counted(r: SavedValue) -> str:
    return f"as {r.shared}" if r.shared else f"{r.bytes:,}"


# ----- the Program -----


def _crossing(subject: Any, recorded: Recorded) -> Crossing | None:
    from backlit.compiler.build import passes_of

    executable = getattr(subject, "executable", None)
    program = subject.program if executable is not None else _with_gradients(recorded)
    if any(i.op not in REGISTRY for i in program.instrs):
        return None  # what a user's Function does is not in it
    made = dict(passes_of(program))
    simple, final = made["simplify"], made["fuse"]
    return Crossing(
        tuple(_crossers(final)),
        None if executable is None else executable.arena_bytes,
        _costs(i for i in simple.instrs if not i.backward_of),
        _costs(i for i in simple.instrs if i.backward_of),
    )


def _with_gradients(recorded: Recorded) -> Program:
    """The recorded Program with the gradients of the leaves among its outputs."""
    leaves = [recorded.gradients.get(w.name) for w in recorded.graph.leaves]
    outputs = dict.fromkeys((*recorded.program.outputs, *(v for v in leaves if v is not None)))
    return replace(recorded.program, outputs=tuple(outputs))


def _crossers(program: Program) -> Iterator[Value]:
    """Values in memory that a forward instruction makes and a backward one elsewhere reads."""
    maker: dict[str, int] = {}
    read: set[str] = set()
    for number, instr in enumerate(program.instrs):
        for inner in _inner(instr):
            if inner.backward_of:
                values = [x for x in inner.inputs if isinstance(x, Value)]
                read.update(v.name for v in values if maker.get(v.name, number) != number)
            else:
                maker.update((v.name, number) for v in inner.outputs if v is not None)
    for instr in program.instrs:
        yield from (v for v in instr.outputs if v is not None and v.name in read)


def _inner(instr: Instr) -> list[Instr]:
    """The instructions that one kernel holds, with the names that the Program has for them."""
    if instr.op != "fused":
        return [instr]
    return [i for body in instr.bodies for i in body.instrs]


class _Counting:
    """Formulas read to count their functions."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        function = getattr(fm.NUMPY, name)

        def counted(*args: Any) -> Any:
            self.calls[name] += 1
            return function(*args)

        return counted


def _costs(instrs: Iterator[Instr]) -> dict[str, int]:
    """How often the formulas of some instructions evaluate costly functions."""
    m = _Counting()
    for instr in instrs:
        op: Any = REGISTRY[instr.op]
        if op.elementwise:
            with np.errstate(all="ignore"):
                op.formula(m, *map(_probe, instr.inputs), **instr.params)
    return {name: m.calls[name] for name in COSTLY if m.calls[name]}


def _probe(value: Any) -> np.ndarray[Any, Any]:
    """One number of an input's dtype: masks know no fractions."""
    dtype = value.dtype.numpy if isinstance(value, Value) else np.dtype(np.float64)
    return np.full(1, 0.5).astype(dtype)


def _crossing_lines(c: Crossing) -> list[str]:
    shown = ", ".join(map(str, c.values[:12])) + (", ..." if len(c.values) > 12 else "")
    lines = [
        f"the fused Program carries {len(c.values)} values of {c.bytes:,} bytes from the forward"
        f" to the backward" + (f": {shown}" if shown else "")
    ]
    if c.arena_bytes is not None:
        lines.append(f"arena of the compiled step: {c.arena_bytes:,} bytes for all its values")
    spelled = [
        f"{n} {c.forward.get(n, 0)} and {c.backward.get(n, 0)}"
        for n in dict.fromkeys((*c.forward, *c.backward))
    ]
    if spelled:
        lines.append("evaluations in the forward and in the backward: " + "; ".join(spelled))
    return lines


def _bytes(v: Value) -> int:
    return int(np.prod(v.shape, dtype=np.int64)) * v.dtype.numpy.itemsize
