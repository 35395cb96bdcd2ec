"""From elementwise instructions to a `Lanewise` and the places its kernel reads and writes.

Owns the question how each operand lies beside channels-last rows: as a full array, one value per
channel, a single one. Next: lanewise.py for the code, norm/lowering.py for who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from backlit.backends.cpu.plans.plan import Place, Plan, channels_last
from backlit.program.ir import Instr, Operand, Program, Value

from .lanewise import Lanewise
from .places import channels_last_place


@dataclass(frozen=True, eq=False)
class Beside:
    """A `Lanewise` with its operands."""

    lanewise: Lanewise
    places: tuple[Place, ...]  # what its fields point to
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]

    @property
    def words(self) -> dict[str, Place]:
        """The kernel's words for it."""
        return dict(zip(self.lanewise.fields, self.places, strict=True))

    def in_place(self) -> tuple[tuple[Place, Place], ...]:
        """Pairs of a full array that is read and a result that may take over its memory."""
        full = [p for p in self.reads if p.strides == self.writes[0].strides] if self.writes else []
        return tuple((r, w) for r in full for w in self.writes if r.dtype == w.dtype)


def operands(instrs: Sequence[Instr], main: Value | None) -> list[Value]:
    """What instructions read and do not make, `main` first, in order of first use."""
    made = {v.name for i in instrs for v in i.outputs if v is not None}
    found = {} if main is None else {main.name: main}
    for i in instrs:
        for x in i.inputs:
            if isinstance(x, Value) and x.name not in made:
                found.setdefault(x.name, x)
    return list(found.values())


def kind_of(place: Place, like: Sequence[int]) -> str | None:
    """How an operand lies beside arrays of the shape `like` = (N, C, *S); None: in no known way."""
    missing = len(like) - len(place.shape)
    if missing < 0:
        return None
    strides = [0] * missing + [s if n > 1 else 0 for n, s in zip(place.shape, place.strides)]
    moving = [axis for axis, stride in enumerate(strides) if stride]
    if not moving and len(like) > 1:
        return "number"
    if moving == [1] and strides[1] == 1 and place.shape[1 - missing] == like[1]:
        return "channel"
    return "full" if tuple(place.shape) == tuple(like) else None


def kinds_of(
    plan: Plan, instrs: Sequence[Instr], main: Value | None, like: Sequence[int]
) -> tuple[str, ...] | None:
    """The kinds of all operands; None if one lies in no known way. Adds nothing to the plan."""
    kinds: list[str] = []
    for value in operands(instrs, main):
        is_main = main is not None and value.name == main.name
        place = plan.places.get(value.name)
        whole = "full" if tuple(value.shape) == tuple(like) else None  # made by the group
        kind = "main" if is_main else kind_of(place, like) if place else whole
        if kind is None:
            return None
        kinds.append(kind)
    return tuple(kinds)


def beside(
    plan: Plan,
    instrs: Sequence[Instr],
    main: Value | None,
    first: Value | None,
    stored: Sequence[Value],
    like: Value,
    prefix: str,
) -> Beside:
    """Make what a kernel evaluates: `first` is its first output (if asked for), `stored` go to
    memory, in new places of the plan."""
    inputs = operands(instrs, main)
    kinds = kinds_of(plan, instrs, main, like.shape)
    assert kinds is not None
    if not instrs and main is None and first is not None:
        inputs, kinds = [first], ("full",)
    outputs = ([] if first is None else [first]) + list(stored)
    numbers = tuple(range(len(outputs) - len(stored), len(outputs)))
    body = _anonymous(inputs, instrs, outputs)
    order = channels_last(len(like.shape))
    reads = []
    for value, kind in zip(inputs, kinds):
        if kind != "main":
            reads.append(channels_last_place(plan, value) if kind == "full" else plan.place(value))
    writes = [plan.result(v, order) for v in stored]
    lanewise = Lanewise(body, kinds, numbers, prefix)
    return Beside(lanewise, (*reads, *writes), tuple(reads), tuple(writes))


def _anonymous(inputs: Sequence[Value], instrs: Sequence[Instr], outputs: list[Value]) -> Program:
    """The body with numbered values and nothing of their origin: equal ones are one kernel."""
    known: dict[str, Value] = {}

    def name(x: Operand) -> Any:
        if not isinstance(x, Value):
            return x
        return known.setdefault(x.name, replace(x, name=f"v{len(known)}", shape=()))

    given = tuple(name(v) for v in inputs)
    made = tuple(
        Instr(i.op, tuple(map(name, i.inputs)), tuple(map(name, i.outputs)), i.params)
        for i in instrs
    )
    return Program("body", given, made, tuple(map(name, outputs)))
