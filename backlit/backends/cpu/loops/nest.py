"""The loop nest of a body over given memory: axes in order and merged, what varies along which.

`plan_nest` turns roles (space.py) and strides into a `Nest`: rows outside (an index that
is decomposed where their axes don't merge), a line inside, vectors along the line or across
rows. Everything that shapes code is in `key`; sizes and strides are words. Next: kernel.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.backends.cpu.native import features
from backlit.backends.cpu.plans.plan import dense_strides
from backlit.program.ir import Instr, Value

from .space import POSITIONS, REDUCTIONS, Roles

SHORT = 16  # longest line whose elements are all held at once, with vectors across rows
PIECES = 4  # most vectors of a line that are held at once
BLOCK = 8192  # elements of a chunk
SINGLE = 16384  # a smaller nest is one chunk
FINISH_BLOCK = 1024  # columns of one chunk of a finish
PARTIALS = 32  # most chunks whose sums are joined afterwards

Strides = dict[int, int]  # by axis of the space


@dataclass
class Operand:
    """An array that the nest reads or writes: strides by position of the nest's axes."""

    name: str
    dtype: np.dtype
    outer: tuple[int, ...]  # of each axis of the rows that is decomposed
    middle: int  # along the lanes, where vectors lie across rows
    line: int

    def key(self) -> tuple:
        plain = {0: 0, 1: 1}
        return (self.dtype.name, tuple(s != 0 for s in self.outer),
                plain.get(self.middle, 2), plain.get(self.line, 2))  # fmt: skip


@dataclass
class Nest:
    """All that code is made from. Values are numbered: inputs first, then results."""

    instrs: list[Instr]
    inputs: list[Operand]
    outputs: list[Operand]
    varies: dict[str, tuple[bool, bool, bool]]  # by value: along outer axes, middle, line
    level: dict[str, int]
    late: frozenset[str]
    kinds: dict[str, str]
    counts: dict[str, int]  # how many elements a mean is over
    outer: tuple[int, ...]  # extents of the rows' axes that are decomposed
    middle: int | None  # extent along the lanes; None: vectors along the line
    line: int
    width: int
    held: bool  # the line is unrolled into values that are all held at once
    chunked: str = ""  # "": one chunk; "rows", "middle" or "line" are cut into chunks
    step: int = 0
    chunks: int = 1
    axes: tuple[tuple[int, ...], ...] = ()
    positions: dict[str, tuple[str, int]] = field(default_factory=dict)
    cost: int = 0

    @property
    def rows(self) -> int:
        return math.prod(self.outer)

    @property
    def nested(self) -> bool:
        """Whether the last axis of the rows has a loop of its own, so that few rows divide."""
        return len(self.outer) > 1 and self.rows // self.outer[-1] >= 8

    @property
    def row_steps(self) -> int:
        """Steps of the outermost loop."""
        return self.rows // self.outer[-1] if self.nested else self.rows

    @property
    def elements(self) -> int:
        return self.rows * (self.middle or 1) * self.line

    @property
    def columns(self) -> list[Instr]:
        return [i for i in self.instrs if self.kinds.get(_out(i).name) == "column"]

    @property
    def fulls(self) -> list[Instr]:
        return [i for i in self.instrs if self.kinds.get(_out(i).name) == "full"]

    @property
    def short(self) -> bool:
        return self.held or self.line == 1

    def key(self) -> tuple:
        """Equal keys, equal code."""
        instrs = tuple(
            (i.op, tuple(x.name if isinstance(x, Value) else (type(x).__name__, repr(x))
                         for x in i.inputs),
             _out(i).name, _out(i).dtype.name, repr(sorted(i.params.items(), key=_first)))
            for i in self.instrs
        )  # fmt: skip
        read = tuple((o.name, *o.key()) for o in self.inputs)
        written = tuple((o.name, *o.key()) for o in self.outputs)
        return (
            instrs, read, written, tuple(sorted(self.varies.items())),
            tuple(sorted(self.level.items())), tuple(sorted(self.late)),
            tuple(sorted(self.kinds.items())), len(self.outer), self.rows == 1, self.nested,
            self.middle is None, self.line if self.held else -(self.line == 1), self.width,
            self.held, self.chunked, tuple(sorted(self.positions.items())),
            self.middle if self.middle is not None and not self.chunked else 0,
            self.line > FINISH_BLOCK,
        )  # fmt: skip


def _first(pair: tuple) -> Any:
    return pair[0]


def _out(instr: Instr) -> Value:
    (out,) = instr.outputs
    assert out is not None
    return out


@dataclass
class Layout:
    """Where the body's inputs and outputs lie: strides by axis of the space."""

    strides: dict[str, Strides]
    order: list[int]  # axes of the space, the outermost in memory first
    extents: dict[int, int]


def order_of(roles: Roles, inputs: Sequence[Value], outputs: Sequence[Value],
             strides: dict[str, Strides]) -> list[int]:  # fmt: skip
    """The axes as the first full input lies in memory; without one, as an output is written."""
    space = roles.space
    for v in inputs:
        given = strides[v.name]
        if space.set_of(v) == roles.all and all(given[a] for a in roles.all):
            axes = [a for a in space.of(v) if a is not None]
            return sorted(axes, key=lambda a: -abs(given[a]))
    wide = sorted((*outputs, *inputs), key=lambda v: -len(space.set_of(v)))
    found = [a for v in wide for a in space.of(v) if a is not None]
    missing = [a for a in sorted(roles.all) if a not in found]
    return list(dict.fromkeys([*missing, *found]))


def output_order(roles: Roles, value: Value, order: Sequence[int]) -> tuple[int, ...]:
    """Axes of an output from the outermost, lying as the space does."""
    axes = roles.space.of(value)
    placed = [i for i, a in enumerate(axes) if a is not None]
    in_order = sorted(placed, key=lambda i: order.index(axes[i]))  # type: ignore[arg-type]
    if in_order == placed:
        return tuple(range(len(axes)))
    placed = in_order
    return (*(i for i, a in enumerate(axes) if a is None), *placed)


def strides_of(roles: Roles, value: Value, strides: Sequence[int]) -> Strides:
    """An array's strides by axis of the space."""
    return {a: s for a, s in zip(roles.space.of(value), strides) if a is not None}


def dense_output(roles: Roles, value: Value, order: Sequence[int]) -> Strides:
    made = dense_strides(value.shape, output_order(roles, value, order))
    return strides_of(roles, value, made)


def _merged(axes: Sequence[int], layout: Layout, sets: list[frozenset[int]]) -> list[list[int]]:
    """Neighbours that every array walks with one stride, and every value has or has not."""
    groups: list[list[int]] = []
    for axis in axes:
        inside = groups and all(
            s.get(groups[-1][-1], 0) == s.get(axis, 0) * layout.extents[axis]
            for s in layout.strides.values()
        ) and all((groups[-1][-1] in s) == (axis in s) for s in sets)  # fmt: skip
        if inside:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def plan_nest(roles: Roles, instrs: Sequence[Instr], inputs: Sequence[Value],
              outputs: Sequence[Value], layout: Layout,
              machine: features.Machine) -> Nest | None:  # fmt: skip
    """The nest, or None where the line's axes do not merge."""
    space = roles.space
    names = {v.name: v for i in instrs for v in (*i.inputs, *i.outputs) if isinstance(v, Value)}
    names |= {v.name: v for v in (*inputs, *outputs)}
    sets = list({space.set_of(v) for v in names.values()})
    line_axes = roles.line or frozenset()
    rows = _merged([a for a in layout.order if a not in line_axes], layout, sets)
    lines = _merged([a for a in layout.order if a in line_axes], layout, sets)
    if roles.line is None:
        lines = [rows.pop()] if rows else []
    if len(lines) > 1:
        return None
    line = lines[0] if lines else []

    def extent(group: Sequence[int]) -> int:
        return math.prod(layout.extents[a] for a in group)

    width = _width(instrs, [*inputs, *outputs], machine)
    crossing = _crosses(roles, layout, rows, line, extent, width)
    middle = rows.pop() if crossing else None
    nest = Nest(
        list(instrs), [], [], {}, dict(roles.level), roles.late, dict(roles.kinds), {},
        tuple(map(extent, rows)), None if middle is None else extent(middle),
        extent(line), width, False,
    )  # fmt: skip
    places = [*rows, middle or [], line]
    for v in names.values():
        s = space.set_of(v)
        nest.varies[v.name] = (
            any(g[0] in s for g in rows), middle is not None and middle[0] in s,
            bool(line) and line[0] in s,
        )  # fmt: skip
    for listed, made in ((inputs, nest.inputs), (outputs, nest.outputs)):
        for v in listed:
            given = layout.strides[v.name]
            steps = [given.get(g[-1], 0) if g else 0 for g in places]
            made.append(Operand(v.name, np.dtype(v.dtype.numpy), tuple(steps[:-2]), steps[-2],
                                steps[-1]))  # fmt: skip
    for i in instrs:
        if i.op in REDUCTIONS:
            x = i.inputs[0]
            assert isinstance(x, Value)
            gone = space.set_of(x) - space.set_of(_out(i))
            nest.counts[_out(i).name] = math.prod(layout.extents[a] for a in gone)
        if i.op == POSITIONS:
            (axis,) = space.set_of(_out(i)) or (None,)
            at = next((k for k, g in enumerate(places) if axis in g), None)
            if at is not None and len(places[at]) > 1:
                return None
            where = "none" if at is None else "outer" if at < len(rows) else (
                "middle" if at == len(rows) else "line")  # fmt: skip
            nest.positions[_out(i).name] = (where, at or 0)
    nest.cost = sum(cost_of(i) for i in instrs)
    nest.held = _is_held(nest)
    if middle is not None and not nest.held and nest.columns:
        return None
    _cut(nest)
    return nest


def _width(instrs: Sequence[Instr], ends: Sequence[Value], machine: features.Machine) -> int:
    """Lanes: as many as the narrower float of the body has."""
    dtypes = {_out(i).dtype.numpy.name for i in instrs} | {v.dtype.numpy.name for v in ends}
    if dtypes & {"float32", "float16", "bfloat16"}:
        return machine.width("float")
    if dtypes & {"float64", "int64"}:
        return machine.width("double")
    return machine.width("float")


def _crosses(roles: Roles, layout: Layout, rows: list[list[int]], line: list[int], extent: Any,
             width: int) -> bool:  # fmt: skip
    """Whether lanes hold neighbouring rows: where lines are short, or rows lie closer."""
    if not rows or not line or width == 1:
        return False
    reduced = "line" in roles.kinds.values()
    near = [s.get(rows[-1][-1], 0) for s in layout.strides.values()]
    along = [s.get(line[-1], 0) for s in layout.strides.values()]
    if near.count(1) > along.count(1) and roles.line is not None:
        return extent(rows[-1]) >= width // 2
    return reduced and extent(line) <= SHORT and extent(rows[-1]) >= width


def _is_held(nest: Nest) -> bool:
    if nest.middle is not None:
        return nest.line <= SHORT
    partial = bool(nest.kinds) and any(k != "full" for k in nest.kinds.values())
    few = nest.line <= PIECES * nest.width
    tiny = nest.elements <= 4 * nest.width or nest.line < nest.width
    return few and (partial or tiny or (nest.cost <= 4 and nest.rows > 4))


HEAVY = ("exp", "log", "tanh", "erf", "sigmoid", "gelu", "pow", "sin", "cos", "tan", "softplus",
         "silu", "mish", "elu", "selu", "expm1", "log1p", "logsigmoid", "celu",
         "atan2")  # fmt: skip


def cost_of(instr: Instr) -> int:
    """Instructions per vector, roughly."""
    if instr.op in HEAVY:
        return 20
    return 6 if instr.op in ("div", "sqrt", "rsqrt", "reciprocal") else 1


def _cut(nest: Nest) -> None:
    """Chunks: a fixed number that does not depend on who runs them."""
    work = nest.elements * max(1, nest.cost // 16)
    if work <= SINGLE or nest.elements < 2:
        return
    sums = bool(nest.columns or nest.fulls)
    wanted = -(-work // BLOCK)
    most = PARTIALS if sums else 512
    wanted = min(wanted, most)
    middle = nest.middle if nest.middle is not None else 0
    line_sums = "line" in nest.kinds.values()
    both = bool(nest.columns and nest.fulls)  # a finish joins the sums of chunks of rows
    whole = line_sums or nest.held or both
    steps = nest.row_steps
    if steps >= min(wanted, 8) or (steps > 1 and whole and not middle):
        nest.chunked, extent, grain = "rows", steps, 1
    elif middle:
        nest.chunked, extent, grain = "middle", middle, nest.width
    elif not whole and nest.line > 4 * nest.width:
        nest.chunked, extent, grain = "line", nest.line, 4 * nest.width
    else:
        return
    step = -(-extent // min(wanted, extent))
    nest.step = -(-step // grain) * grain
    nest.chunks = -(-extent // nest.step)
    if nest.chunks == 1:
        nest.chunked = ""
