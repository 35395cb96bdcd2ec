"""Reductions, element by element: what is joined, how, and what becomes of the total.

Owns the meaning of sums, means, extremes and truth over elements; which of them a loop meets, and
where totals wait, is kernel.py's and sums.py's.
"""

from __future__ import annotations

from backlit.backends.cpu.lanes import slices as mem
from backlit.backends.cpu.lanes.body import spread
from backlit.backends.cpu.lanes.value import Lane, convert_lane, element_of
from backlit.backends.cpu.native.codegen import Function, Value, vector
from backlit.program.ir import Instr

from .nest import _out
from .space import REDUCTIONS


def prepared(instr: Instr, x: Lane) -> Lane:
    """An element in the form in which it is joined with others."""
    if instr.op in ("any", "all"):
        return x if x.is_mask else x != 0
    if instr.op == "count_nonzero":
        return convert_lane(x if x.is_mask else x != 0, "int64")
    return x


def finished(instr: Instr, total: Lane, count: Lane | None) -> Lane:
    """The result from what all elements joined to."""
    if instr.op == "mean" and count is not None:
        return total / spread(total.f, count, total.width)
    if instr.op in ("any", "all"):
        return convert_lane(total, _out(instr).dtype.numpy)
    return total


def how(instr: Instr) -> str:
    return REDUCTIONS[instr.op]


def tree(kind: str, lanes: list[Lane]) -> Lane:
    """Joined in pairs: short chains, and small errors."""
    while len(lanes) > 1:
        pairs = [mem.join(kind, a, b) for a, b in zip(lanes[::2], lanes[1::2])]
        lanes = pairs + lanes[len(lanes) & ~1 :]
    return lanes[0]


def poison(f: Function, instr: Instr, width: int) -> Lane:
    """A lane of the type in which a reduction's elements are joined."""
    boolean = instr.op in ("any", "all")
    element, unsigned = element_of("bool" if boolean else _out(instr).dtype.numpy)
    return Lane(f, Value(f, vector(element, width), "poison"), unsigned)
