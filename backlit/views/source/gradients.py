"""Whose gradient every value of the backward is: totals, contributions, and sums at forks.

Read off the pulls: what the rule of a forward instruction gave for its input i is a contribution
to the gradient of that input; where several arrive, the engine's additions follow. Knows no text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backlit.program.ir import Instr, Program, Value
from backlit.views.source.listing import Pull

_FITS = ("sum_to", "cast")  # what the engine does to a gradient of another shape or dtype


@dataclass
class Gradients:
    """For one Program. Everything is said in names of Values."""

    totals: dict[str, str] = field(default_factory=dict)  # forward value: its gradient
    parts: dict[str, list[str]] = field(default_factory=dict)  # forward value: contributions
    sums: dict[str, str] = field(default_factory=dict)  # sum at a fork: forward value
    pulls: dict[str, Pull] = field(default_factory=dict)  # first output: how it was differentiated
    givers: dict[tuple[str, str], str] = field(default_factory=dict)  # (part, value): by whom

    @property
    def of(self) -> dict[str, list[str]]:
        """Gradient: the forward values whose total it is, in the order of the walk."""
        found: dict[str, list[str]] = {}
        for value, total in self.totals.items():
            found.setdefault(total, []).append(value)
        return found


def gradients(program: Program, pulls: list[Pull]) -> Gradients:
    """Attribute the values of the backward."""
    made = Gradients()
    makers = {v.name: i for i in program.instrs for v in i.outputs if v is not None}
    values = {v.name: v for v in program.inputs}
    values.update({v.name: v for i in program.instrs for v in i.outputs if v is not None})
    if pulls:
        first = pulls[0]
        maker = makers[first.output]
        for value, up in zip(maker.outputs, first.upstream):
            if value is not None and up is not None:
                made.totals[value.name] = up
    taken: set[str] = set()
    for pull in pulls:
        made.pulls.setdefault(pull.output, pull)
        maker = makers[pull.output]
        operands = [values.get(n or "") for n in pull.inputs] if pull.inputs else maker.inputs
        for x, g in zip(operands, pull.downstream):
            if isinstance(x, Value) and g is not None:
                part = _fitted(program, pull, g, x, taken)
                parts = made.parts.setdefault(x.name, [])
                parts.append(part)
                made.givers.setdefault((part, x.name), pull.output)
    adds: dict[tuple[str, ...], Instr] = {}
    for instr in program.instrs:
        if instr.op == "add" and all(isinstance(x, Value) for x in instr.inputs):
            key = tuple(x.name for x in instr.inputs)  # type: ignore[union-attr]
            adds.setdefault(key, instr)
    for name, parts in made.parts.items():
        made.totals[name] = _added(name, parts, adds, made)
    for pull in pulls:  # hooks may have changed a total on its way
        for value, up in zip(makers[pull.output].outputs, pull.upstream):
            if value is not None and up is not None:
                made.totals[value.name] = up
    return made


def _fitted(program: Program, pull: Pull, g: str, x: Value, taken: set[str]) -> str:
    """The gradient in the shape and dtype of its value, as the engine brings it there."""
    for instr in program.instrs[pull.position :]:
        read, made = instr.inputs[0], instr.outputs[0]
        if instr.backward_of != pull.output or made is None or not isinstance(read, Value):
            break
        if read.name != g or made.name in taken or instr.op not in _FITS:
            continue
        summed = instr.op == "sum_to" and read.shape != x.shape
        if made.shape == x.shape and (summed or read.dtype is not x.dtype is made.dtype):
            taken.add(made.name)
            g = made.name
    return g


def _added(name: str, parts: list[str], adds: dict[tuple[str, ...], Instr], made: Gradients) -> str:
    """The total of the contributions, following the additions one by one; of several walks back
    that of the last."""
    total = parts[0]
    for part in parts[1:]:
        instr = adds.get((total, part))
        if instr is None or instr.outputs[0] is None:
            total = part
            continue
        total = instr.outputs[0].name
        made.sums[total] = name
    return total
