"""The iteration space of a body: which axes its values run over, and what is summed where.

Axes of different values that broadcast together are one axis of the space. `Space.add` takes an
instruction in or refuses it; `roles` says whether one loop nest can compute the whole. The fuse
pass asks the same questions that the generator does, so it never makes what can't be lowered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from backlit.backends.cpu.lanes.body import SAME, is_lanewise
from backlit.program.ir import Instr, Value

# Reductions that loops compute: the operator and how partial results are joined.
REDUCTIONS = {"sum": "sum", "mean": "sum", "amax": "max", "amin": "min", "prod": "product",
              "any": "or", "all": "and", "count_nonzero": "sum"}  # fmt: skip
# Positions along an axis, as a value: what picks an element by its index.
POSITIONS = "positions"


def is_loop(instr: Instr) -> bool:
    """Whether an instruction may be part of a loop nest at all."""
    if len(instr.outputs) != 1 or instr.outputs[0] is None:
        return False
    if instr.op in REDUCTIONS:
        return isinstance(instr.inputs[0], Value)
    return instr.op == POSITIONS or is_lanewise(instr)


class Misfit(Exception):
    """Values whose axes do not form one space."""


@dataclass
class Space:
    """Axes by union: every axis of a value is a number, numbers that are joined are one axis."""

    axes: dict[str, tuple[int | None, ...]] = field(default_factory=dict)
    parents: list[int] = field(default_factory=list)
    extents: list[int] = field(default_factory=list)

    def copy(self) -> Space:
        return Space(dict(self.axes), list(self.parents), list(self.extents))

    def find(self, axis: int) -> int:
        while self.parents[axis] != axis:
            axis = self.parents[axis]
        return axis

    def of(self, value: Value) -> tuple[int | None, ...]:
        """The axis of the space per axis of the value; None where its size is 1."""
        return tuple(None if a is None else self.find(a) for a in self.axes[value.name])

    def set_of(self, value: Value) -> frozenset[int]:
        return frozenset(a for a in self.of(value) if a is not None)

    def _fresh(self, size: int) -> int | None:
        if size == 1:
            return None
        self.parents.append(len(self.parents))
        self.extents.append(size)
        return len(self.parents) - 1

    def _join(self, a: int, b: int) -> int:
        a, b = self.find(a), self.find(b)
        if self.extents[a] != self.extents[b]:
            raise Misfit
        self.parents[max(a, b)] = min(a, b)
        return min(a, b)

    def take(self, value: Value) -> None:
        """A value from outside: its axes are free until something joins them."""
        if value.name not in self.axes:
            self.axes[value.name] = tuple(self._fresh(n) for n in value.shape)

    def add(self, instr: Instr) -> None:
        """Take an instruction in; raises Misfit where its axes clash."""
        for x in instr.inputs:
            if isinstance(x, Value):
                self.take(x)
        (out,) = instr.outputs
        assert out is not None
        first = instr.inputs[0] if instr.inputs else None
        if instr.op == POSITIONS:
            self.take(out)
        elif instr.op in REDUCTIONS:
            assert isinstance(first, Value)
            self.axes[out.name] = self._reduced(instr, self.axes[first.name])
        elif instr.op in SAME and instr.op != "expand":
            assert isinstance(first, Value)
            self.axes[out.name] = self._moved(instr, first, out)
        else:
            self.axes[out.name] = self._broadcast(instr, out)

    def has_diagonal(self) -> bool:
        """Whether joining made two axes of one value the same."""
        for axes in self.axes.values():
            found = [self.find(a) for a in axes if a is not None]
            if len(set(found)) < len(found):
                return True
        return False

    def _reduced(self, instr: Instr, axes: tuple[int | None, ...]) -> tuple[int | None, ...]:
        dims, keep = instr.params["dims"], instr.params.get("keepdim", False)
        if keep:
            return tuple(None if i in dims else a for i, a in enumerate(axes))
        return tuple(a for i, a in enumerate(axes) if i not in dims)

    def _moved(self, instr: Instr, x: Value, out: Value) -> tuple[int | None, ...]:
        axes = self.axes[x.name]
        if instr.op == "permute":
            return tuple(axes[d] for d in instr.params["dims"])
        if [n for n in x.shape if n != 1] != [n for n in out.shape if n != 1]:
            raise Misfit  # more than axes of size 1 come and go
        rest = iter(a for a in axes if a is not None)
        return tuple(None if n == 1 else next(rest) for n in out.shape)

    def _broadcast(self, instr: Instr, out: Value) -> tuple[int | None, ...]:
        """Axes counted from the last, as broadcasting does."""
        found: list[int | None] = [None] * len(out.shape)
        for x in instr.inputs:
            if not isinstance(x, Value):
                continue
            for i, a in enumerate(reversed(self.axes[x.name])):
                at = len(found) - 1 - i
                if a is not None:
                    here = found[at]
                    found[at] = a if here is None else self._join(here, a)
        return tuple(
            self._fresh(n) if a is None and n != 1 else a for a, n in zip(found, out.shape)
        )


@dataclass(frozen=True)
class Roles:
    """How a body is looped: `rows` outside, `line` inside, and where each value belongs.

    `level` counts the passes over a line that must be finished before a value exists; `late`
    values exist only after all rows.
    """

    space: Space
    all: frozenset[int]
    line: frozenset[int] | None  # None: no reduction asks for a certain one
    level: dict[str, int]
    late: frozenset[str]
    kinds: dict[str, str]  # of each reduction's result: line, column or full


def roles(space: Space, instrs: Sequence[Instr], outputs: Iterable[Value]) -> list[Roles]:
    """The ways in which one nest computes these instructions; none where it can't."""
    sets: dict[str, frozenset[int]] = {}
    for i in instrs:
        for x in (*i.inputs, *i.outputs):
            if isinstance(x, Value) and x.name not in sets:
                sets[x.name] = space.set_of(x)
    everything = frozenset(a for s in sets.values() for a in s)
    drops = {i.outputs[0].name: _dropped(i, sets) for i in instrs if i.op in REDUCTIONS}  # type: ignore[union-attr]
    outputs = list(outputs)
    found = []
    for line in _lines(instrs, sets, everything, drops):
        sorted_ = _sort(instrs, sets, everything, line, drops)
        if sorted_ is not None:
            level, late, kinds = sorted_
            if _outputs_fit(outputs, sets, everything, line, late, level):
                found.append(Roles(space, everything, line, level, frozenset(late), kinds))
    return found


def _dropped(instr: Instr, sets: dict[str, frozenset[int]]) -> frozenset[int]:
    (out,), x = instr.outputs, instr.inputs[0]
    assert isinstance(out, Value) and isinstance(x, Value)
    return sets[x.name] - sets[out.name]


def _inner_reductions(instrs: Sequence[Instr], sets: dict[str, frozenset[int]]) -> set[str]:
    """Results that something wider reads again, directly or by way of others."""
    sources: dict[str, frozenset[str]] = {}  # the reductions a value still is no wider than
    inner: set[str] = set()
    for i in instrs:
        (out,) = i.outputs
        assert out is not None
        carried: frozenset[str] = frozenset()
        for x in i.inputs:
            if isinstance(x, Value):
                carried |= sources.get(x.name, frozenset())
        wide = {name for name in carried if not sets[out.name] <= sets[name]}
        inner |= wide
        if i.op in REDUCTIONS:
            inner |= carried
            carried = frozenset((out.name,))
        sources[out.name] = carried
    return inner


def _lines(instrs: Sequence[Instr], sets: dict[str, frozenset[int]], everything: frozenset[int],
           drops: dict[str, frozenset[int]]) -> list[frozenset[int] | None]:  # fmt: skip
    """Candidates for the axes of the inner loop: what inner reductions drop; where there are
    none, what others keep or drop."""
    inside = {drops[n] for n in _inner_reductions(instrs, sets) if drops[n]}
    if inside:
        return list(inside) if len(inside) == 1 else []
    partial = [(sets[n], d) for n, d in drops.items() if d and sets[n]]
    if not partial:
        return [None]
    return list(dict.fromkeys([k for k, _ in partial] + [d for _, d in partial]))


def _sort(instrs: Sequence[Instr], sets: dict[str, frozenset[int]], everything: frozenset[int],
          line: frozenset[int] | None, drops: dict[str, frozenset[int]]):  # fmt: skip
    """Level of each value, which are late, and the kind of each reduction; None: no nest."""
    line_axes = line or frozenset()
    level: dict[str, int] = {}
    late: set[str] = set()
    kinds: dict[str, str] = {}
    for i in instrs:
        (out,) = i.outputs
        assert out is not None
        given = [x.name for x in i.inputs if isinstance(x, Value)]
        if any(n in late for n in given):
            if i.op in REDUCTIONS and drops[out.name]:
                return None
            narrow = sets[out.name] <= line_axes
            if not narrow or any(n in level and n not in late and level[n] for n in given):
                return None
            late.add(out.name)
            level[out.name] = 0
            continue
        level[out.name] = max((level.get(n, 0) for n in given), default=0)
        drop = drops.get(out.name)
        if not drop:
            continue
        x = sets[given[0]]
        if line is not None and drop == line and x >= line:
            kinds[out.name] = "line"
            level[out.name] += 1
        elif drop == everything - line_axes and sets[out.name] == line_axes and line is not None:
            kinds[out.name] = "column"
            late.add(out.name)
        elif not sets[out.name] and (x == everything or x == everything - line_axes):
            kinds[out.name] = "full"
            late.add(out.name)
        else:
            return None
    return level, late, kinds


def _outputs_fit(outputs: Iterable[Value], sets: dict[str, frozenset[int]],
                 everything: frozenset[int], line: frozenset[int] | None,
                 late: set[str], level: dict[str, int]) -> bool:  # fmt: skip
    """Every output must be full, one per row, one per all, or late."""
    allowed = {everything, frozenset()}
    if line is not None:
        allowed.add(everything - line)
    for v in outputs:
        if v.name in late:
            continue
        if sets[v.name] not in allowed:
            return False
        if not sets[v.name] and level.get(v.name, 0) and everything != line:
            return False  # every row would write it
    return True


def space_of(instrs: Sequence[Instr]) -> Space | None:
    """The space of instructions in order, or None where they have no common one."""
    space = Space()
    try:
        for i in instrs:
            if not is_loop(i):
                return None
            space.add(i)
    except Misfit:
        return None
    return None if space.has_diagonal() else space
