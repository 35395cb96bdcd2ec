"""Evaluation on demand: a value is computed in the scope where it varies, once.

What the kernel of a nest (kernel.py) and the kernel of its finish (finish.py) share: scopes, where
operands and results lie in them, loading and storing. Knows no loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backlit.backends.cpu.lanes import slices as mem
from backlit.backends.cpu.lanes.body import apply
from backlit.backends.cpu.lanes.slices import Part
from backlit.backends.cpu.lanes.value import Lane, convert_lane, memory_element
from backlit.backends.cpu.native.codegen import Kernel, Value
from backlit.program.ir import Instr
from backlit.program.ir import Value as Name

from .nest import Nest, Operand, _out
from .reductions import finished, prepared
from .space import POSITIONS, REDUCTIONS


class Scope:
    """Values known at one place of the nest: the chunk, a row, or a slice of its line."""

    def __init__(self, outer: Scope | None, kind: str, at: Any = None, part: Part = None):
        self.outer, self.kind, self.at, self.part = outer, kind, at, part
        self.values: dict[str, Any] = {}
        self.pointers: dict[str, Value] = {}
        self.slices: dict[int, Scope] = {}
        self.index: list[Value] = []

    def up(self, kind: str) -> Scope:
        scope: Scope = self
        while scope.kind != kind:
            assert scope.outer is not None, kind
            scope = scope.outer
        return scope

    def pointer(self, name: str) -> Value:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.pointers:
                return scope.pointers[name]
            scope = scope.outer
        raise KeyError(name)


class Writer:
    """What the nest's kernel and the kernel of its finish share: evaluation on demand."""

    def __init__(self, nest: Nest, f: Kernel):
        self.nest, self.f = nest, f
        self.made = {_out(i).name: i for i in nest.instrs}
        self.read = {o.name: o for o in nest.inputs}
        self.width = nest.width

    # ----- where a value belongs -----

    def kind_of(self, name: str) -> str:
        outer, middle, line = self.nest.varies[name]
        by_row = outer or middle or (self.nest.level.get(name, 0) and name not in self.nest.late)
        return "slice" if line else "row" if by_row else "chunk"

    def lanes(self, name: str) -> int:
        """Lanes of a value: one where it is the same in all."""
        _, middle, line = self.nest.varies[name]
        along = line if self.nest.middle is None else middle
        return self.width if along else 1

    # ----- evaluation -----

    def value(self, x: Any, scope: Scope) -> Any:
        if not isinstance(x, Name):
            return x
        home = scope.up(self.home(x.name))
        if x.name not in home.values:
            home.values[x.name] = self.compute(x.name, home)
        return home.values[x.name]

    def home(self, name: str) -> str:
        return self.kind_of(name)

    def compute(self, name: str, scope: Scope) -> Lane:
        if name in self.read:
            return self.fetch(self.read[name], scope)
        instr = self.made[name]
        if instr.op == POSITIONS:
            return self.position(instr, scope)
        given = [self.value(x, scope) for x in instr.inputs]
        if instr.op in REDUCTIONS:  # over axes of size 1
            return finished(instr, prepared(instr, given[0]), None)
        return apply(self.f, instr, given, self.lanes(name))

    def address(self, operand: Operand, scope: Scope) -> Value:
        pointer = scope.pointer(operand.name)
        if scope.kind != "slice" or not operand.line:
            return pointer
        step = self.stride(operand, "line")
        offset = scope.at if isinstance(step, int) else self.f.integer(scope.at) * step
        return self.f.at(pointer, offset, memory_element(operand.dtype))

    def lane_stride(self, operand: Operand) -> int | Value:
        return self.stride(operand, "line" if self.nest.middle is None else "middle")

    def stride(self, operand: Operand, axis: str) -> int | Value:
        step = getattr(operand, axis)
        return step if step in (0, 1) else self.f.field(f"{operand.name}_{axis}")

    def fetch(self, operand: Operand, scope: Scope) -> Lane:
        width = self.lanes(operand.name)
        part = self.part(scope) if width > 1 else None
        stride = self.lane_stride(operand) if width > 1 else 0
        return mem.load(self.f, self.address(operand, scope), operand.dtype, width, part, stride)

    def put(self, operand: Operand, x: Lane, scope: Scope) -> None:
        wide = x.width > 1
        stride, part = (self.lane_stride(operand), self.part(scope)) if wide else (0, None)
        mem.store(self.f, x, self.address(operand, scope), operand.dtype, part, stride)

    def part(self, scope: Scope) -> Part:
        return scope.part if self.nest.middle is None else scope.up("row").part

    def position(self, instr: Instr, scope: Scope) -> Lane:
        name = _out(instr).name
        where, axis = self.nest.positions[name]
        element = memory_element(_out(instr).dtype.numpy)
        if where == "none":
            return Lane(self.f, self.f.constant(element, 0))
        row = scope.up("row")
        start: Any = scope.at if where == "line" else row.at
        if where == "outer":
            start = row.index[axis]
        start = self.f.integer(start)
        if element != "i64":
            start = self.f.emit(element, f"trunc i64 {start.name} to {element}")
        width = self.lanes(name)
        one = Lane(self.f, self.f.splat(start, width))
        return one if width == 1 else one + Lane(self.f, mem.counting(self.f, element, width))

    def count(self, i: Instr) -> Lane | None:
        """What a mean divides by."""
        if i.op != "mean":
            return None
        one = Lane(self.f, self.f.field(f"count_{_out(i).name}", "double"))
        return convert_lane(one, mem.accumulator(_out(i).dtype.numpy))

    def outputs(self, wanted: Callable[[str], bool]) -> list[Operand]:
        return [o for o in self.nest.outputs if wanted(o.name)]

    def store_all(self, operands: Sequence[Operand], scope: Scope) -> None:
        """Everything is computed before anything is stored: results may overwrite operands."""
        values = [self.value(self._name(o.name), scope) for o in operands]
        for o, x in zip(operands, values):
            self.put(o, x, scope)

    def sum_dtype(self, i: Instr) -> Any:
        """The dtype in which partial results of a reduction lie in memory."""
        return "bool" if i.op in ("any", "all") else mem.accumulator(_out(i).dtype.numpy)

    def _name(self, name: str) -> Name:
        if name in self.made:
            return _out(self.made[name])
        return next(x for i in self.nest.instrs for x in i.inputs
                    if isinstance(x, Name) and x.name == name)  # fmt: skip
