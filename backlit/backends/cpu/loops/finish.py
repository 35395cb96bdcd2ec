"""The end of a nest with sums over rows: partial sums joined in order, and what follows them.

Runs inside the nest's kernel where that has one chunk, else as a kernel of its own. Values that
follow are evaluated as in the nest, with vectors along the line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from backlit.backends.cpu.lanes import slices as mem
from backlit.backends.cpu.lanes.value import Lane, memory_element
from backlit.backends.cpu.native.codegen import Kernel, Value
from backlit.program.ir import Instr
from backlit.program.ir import Value as Name

from .kernel import Loops
from .nest import Nest, _out
from .reductions import finished, how, poison
from .values import Scope, Writer


class Finish(Writer):
    """Late values: totals of columns and of everything, and elementwise instructions on them."""

    def __init__(self, nest: Nest, f: Kernel):
        super().__init__(replace(nest, middle=None), f)
        self.late_outputs = self.outputs(lambda n: n in nest.late)

    def kind_of(self, name: str) -> str:
        return "slice" if self.nest.varies[name][2] else "chunk"

    def run(self, scope: Scope, full: Callable[[Instr], Lane], column: Callable[..., Lane],
            span: tuple[Any, Any], once: Callable[[Callable[[], None]], None]) -> None:  # fmt: skip
        """`full` and `column` give totals; `span` is the part of the line to finish."""
        for i in self.nest.fulls:
            scope.values[_out(i).name] = finished(i, full(i), self.count(i))
        for v in self._needed():  # before any loop, so that all loops see them
            if self.kind_of(v.name) == "chunk" and v.name not in self.nest.kinds:
                self.value(v, scope)
        scalars = [o for o in self.late_outputs if self.kind_of(o.name) == "chunk"]
        if scalars:
            once(lambda: self.store_all(scalars, scope))
        lines = [o for o in self.late_outputs if self.kind_of(o.name) == "slice"]
        if not lines:
            return
        for at, (z, part) in self._slices(span):
            self._slice(scope, lines, column, z, part, at)
        if not self._static(span):
            self._loop(span, lambda z, part: self._slice(scope, lines, column, z, part, None))

    def _needed(self) -> list[Name]:
        """Late values and what they are made of, in order."""
        wanted = set(self.nest.late)
        for i in reversed(self.nest.instrs):
            if _out(i).name in wanted and _out(i).name not in self.nest.kinds:
                wanted.update(x.name for x in i.inputs if isinstance(x, Name))
        given = [self._name(o.name) for o in self.nest.inputs if o.name in wanted]
        return given + [_out(i) for i in self.nest.instrs if _out(i).name in wanted]

    def _slice(self, scope: Scope, lines: list, column: Callable[..., Lane], z: Any,
               part: mem.Part, at: int | None) -> None:  # fmt: skip
        inner = Scope(scope, "slice", z, part)
        for i in self.nest.columns:
            inner.values[_out(i).name] = finished(i, column(i, z, part, at), self.count(i))
        self.store_all(lines, inner)

    def _static(self, span: tuple[Any, Any]) -> bool:
        return self.nest.short and isinstance(span[1], int)

    def _slices(self, span: tuple[Any, Any]) -> list[tuple[int, tuple[int, mem.Part]]]:
        if not self._static(span):
            return []
        width, found = self.width, []
        for at, z in enumerate(range(0, span[1], width)):
            left = span[1] - z
            found.append((at, (z, left if left < width else None)))
        return found

    def _loop(self, span: tuple[Any, Any], body: Callable[..., None]) -> None:
        f, width = self.f, self.width
        start, stop = f.integer(span[0]), f.integer(span[1])
        whole = stop - (stop - start) % width if width > 1 else stop
        f.loop(start, whole, width, lambda z: body(z, None))
        if width > 1:
            f.loop(whole, stop, width, lambda z: body(z, stop - z))

    def partial(self, i: Instr) -> Value:
        return self.f.field(f"partial_{_out(i).name}", "ptr")


def inline(loops: Loops, scope: Scope) -> None:
    """Finish in the nest's own kernel, of one chunk or with the line cut into chunks."""
    finish = Finish(loops.nest, loops.f)
    direct = loops.nest.held and loops.nest.middle is None
    inner = Scope(None, "chunk")
    inner.pointers = scope.pointers
    for name, x in scope.values.items():
        inner.values[name] = x

    def column(i: Instr, z: Any, part: mem.Part, at: int | None) -> Lane:
        if direct:
            return loops.acc["column", at, _out(i).name]
        dtype = finish.sum_dtype(i)
        place = loops.f.at(finish.partial(i), z, memory_element(dtype))
        return mem.load(loops.f, place, dtype, finish.width, part)

    finish.run(inner, lambda i: loops.acc["full", _out(i).name], column, loops.line_range,
               lambda body: body())  # fmt: skip


def build(nest: Nest, fields: Sequence[str]) -> Kernel:
    """The kernel that joins the partial sums of all chunks."""
    f = Kernel("finish", fields)
    finish = Finish(nest, f)
    blocks = "finish_step" in fields

    def chunk(number: Value) -> None:
        scope = Scope(None, "chunk")
        for o in (*nest.inputs, *nest.outputs):
            if o.name in f.fields:
                scope.pointers[o.name] = f.field(o.name, "ptr")
        line = f.integer(nest.line) if nest.short else f.field("line")
        span: tuple[Any, Any] = (0, nest.line if nest.short else line)
        if blocks:
            start = number * f.field("finish_step")
            span = (start, f.smaller(start + f.field("finish_step"), line))
        parts = f.field("parts")

        def total(i: Instr, first: Any, step: Any, width: int, part: mem.Part) -> Lane:
            dtype = finish.sum_dtype(i)
            zero = mem.identity(how(i), poison(f, i, width))

            def add(c: Value, so_far: Value) -> list[Value]:
                offset = f.integer(first) + c * step
                place = f.at(finish.partial(i), offset, memory_element(dtype))
                one = mem.load(f, place, dtype, width, part)
                return [mem.join(how(i), Lane(f, so_far, zero.unsigned), one).v]

            return Lane(f, f.loop(0, parts, 1, add, [zero.v])[0], zero.unsigned)

        finish.run(
            scope, lambda i: total(i, 0, 1, 1, None),
            lambda i, z, part, at: total(i, z, line, finish.width, part), span,
            lambda body: f.when(f.compare("eq", number, 0), body) if blocks else body(),
        )  # fmt: skip

    if blocks:
        f.each_chunk(chunk)
    else:
        chunk(f.integer(0))
    return f
