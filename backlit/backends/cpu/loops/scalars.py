"""Straight lines of many scalars: equal costly gates that don't wait for each other share lanes.

A graph of scalar gates becomes one kernel without loops. Its transcendental gates are counted by
how many others come before them; those of one count and one kind are computed as one vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backlit.backends.cpu.lanes.body import apply
from backlit.backends.cpu.lanes.value import Lane, element_of
from backlit.backends.cpu.native.codegen import Function, Value, vector
from backlit.program.ir import Instr
from backlit.program.ir import Value as Name

from .nest import HEAVY, _out

if TYPE_CHECKING:
    from .kernel import Loops
    from .values import Scope

FEWEST = 8  # costly gates from which on sorting them pays


def evaluate_packed(loops: Loops, scope: Scope) -> None:
    """Evaluate the values that are the same for the whole chunk, equal ones together."""
    instrs = [i for i in loops.nest.instrs if _is_scalar(loops, i)]
    if sum(i.op in HEAVY for i in instrs) < FEWEST:
        return
    depth: dict[str, int] = {}
    by_depth: dict[tuple[int, bool], list[Instr]] = {}
    for i in instrs:
        before = max((depth.get(x.name, 0) for x in i.inputs if isinstance(x, Name)), default=0)
        heavy = i.op in HEAVY
        depth[_out(i).name] = before + heavy
        by_depth.setdefault((before + heavy, not heavy), []).append(i)
    for o in loops.nest.inputs:
        if loops.kind_of(o.name) == "chunk":
            loops.value(loops._name(o.name), scope)
    for _, same in sorted(by_depth.items(), key=lambda pair: pair[0]):
        if same[0].op in HEAVY:
            _evaluate_together(loops, scope, same)
        for i in same:
            loops.value(_out(i), scope)


def _is_scalar(loops: Loops, i: Instr) -> bool:
    name = _out(i).name
    plain = loops.kind_of(name) == "chunk" and name not in loops.nest.late
    return plain and name not in loops.nest.kinds


def _evaluate_together(loops: Loops, scope: Scope, instrs: list[Instr]) -> None:
    """Gates of one depth, those of one kind in the lanes of vectors."""
    kinds: dict[Any, list[Instr]] = {}
    for i in instrs:
        numbers = tuple(None if isinstance(x, Name) else repr(x) for x in i.inputs)
        key = (i.op, _out(i).dtype.name, numbers, repr(sorted(i.params.items())))
        kinds.setdefault(key, []).append(i)
    for same in kinds.values():
        for first in range(0, len(same), loops.width):
            part = same[first : first + loops.width]
            if len(part) > 1:
                _pack(loops, scope, part)


def _pack(loops: Loops, scope: Scope, instrs: list[Instr]) -> None:
    width = 1 << (len(instrs) - 1).bit_length()
    given: list[Any] = []
    for at, x in enumerate(instrs[0].inputs):
        if isinstance(x, Name):
            lanes = [loops.value(i.inputs[at], scope) for i in instrs]
            given.append(_gathered(loops.f, lanes, width))
        else:
            given.append(x)
    found = apply(loops.f, instrs[0], given, width)
    element, unsigned = element_of(_out(instrs[0]).dtype.numpy)
    for at, i in enumerate(instrs):
        text = f"extractelement {found.v.kind} {found.v.name}, i64 {at}"
        scope.values[_out(i).name] = Lane(loops.f, loops.f.emit(element, text), unsigned)


def _gathered(f: Function, lanes: list[Lane], width: int) -> Lane:
    """Scalars as one vector; spare lanes repeat the last."""
    element = lanes[0].element
    kind = vector(element, width)
    whole = Value(f, kind, "poison")
    for at in range(width):
        one = lanes[min(at, len(lanes) - 1)]
        whole = f.emit(kind, f"insertelement {kind} {whole.name}, {element} {one.v.name}, i64 {at}")
    return Lane(f, whole, lanes[0].unsigned)
