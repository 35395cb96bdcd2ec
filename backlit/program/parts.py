"""Parts of Programs: what some values need, and what stays the same from step to step.

Used where a Program becomes the body of another's instruction. Knows no operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from backlit.program.ir import Instr, Operand, Program, Value

# Scopes: of what `recompute` runs first, and of what it runs again for the backward.
SEGMENT, AGAIN = "segment", "recompute"


def in_segment(instr: Instr) -> bool:
    """Whether its values are made again rather than kept."""
    return SEGMENT in instr.scope.split("/")


def needed(instrs: Sequence[Instr], wanted: Iterable[Operand]) -> tuple[Instr, ...]:
    """The instructions that lead to the wanted values."""
    names = {x.name for x in wanted if isinstance(x, Value)}
    kept = []
    for instr in reversed(instrs):
        if any(v is not None and v.name in names for v in instr.outputs):
            kept.append(instr)
            names.update(v.name for v in read_by(instr))
    return tuple(reversed(kept))


def read_by(instr: Instr) -> list[Value]:
    """The values among the operands."""
    return [x for x in instr.inputs if isinstance(x, Value)]


def cycle(reads: Mapping[str, Iterable[str]], name: str) -> list[str]:
    """The way from a value back to itself, `[a, b, a]` where a reads b and b reads a; or nothing.

    `reads` has what each value is made from.
    """
    before: dict[str, str] = {}
    todo = [name]
    while todo:
        reader = todo.pop(0)
        for read in reads.get(reader, ()):
            if read == name:
                way = [reader]
                while way[-1] != name:
                    way.append(before[way[-1]])
                return [*reversed(way), name]
            if read not in before:
                before[read] = reader
                todo.append(read)
    return []


def hoisted(program: Program, fixed: int) -> tuple[Program, Program]:
    """Split off what depends on the first `fixed` inputs only: (once, body).

    The outputs of `once`, computed from those inputs, are the first inputs of `body`.
    """
    given = program.inputs[:fixed]
    steady = {v.name for v in given}
    once, rest = [], []
    for instr in program.instrs:
        if all(v.name in steady for v in read_by(instr)):
            once.append(instr)
            steady.update(v.name for v in instr.outputs if v is not None)
        else:
            rest.append(instr)
    read = [v for instr in rest for v in read_by(instr)]
    read += [x for x in program.outputs if isinstance(x, Value)]
    kept = tuple({v.name: v for v in read if v.name in steady}.values())
    before = Program(program.name, given, needed(once, kept), kept)
    body = replace(program, inputs=(*kept, *program.inputs[fixed:]), instrs=tuple(rest))
    return before, body
