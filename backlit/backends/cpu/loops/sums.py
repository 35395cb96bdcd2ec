"""Sums on the way through a nest: where they wait, how loops carry them, how they end.

Totals over a line and over everything wait in registers; sums over rows do where the line is short
enough to be held, else in memory, one line of partial sums a chunk. With one chunk the finish
follows at once (`inline`), else in a second task (finish.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backlit.backends.cpu.lanes import slices as mem
from backlit.backends.cpu.lanes.slices import Part
from backlit.backends.cpu.lanes.value import Lane, memory_element
from backlit.backends.cpu.native.codegen import Kernel, Value
from backlit.program.ir import Instr

from .nest import Nest, _out
from .passes import Passes
from .reductions import how, poison, prepared, tree
from .values import Scope


class Sums(Passes):
    """A nest under construction with the sums that its loops carry."""

    line_range: tuple[Any, Any]
    number: Value  # of the chunk

    def __init__(self, nest: Nest, f: Kernel, inline: Callable[..., None] | None):
        super().__init__(nest, f)
        self.inline = inline  # the finish, where there is one chunk
        self.acc: dict[Any, Lane] = {}

    def start_sums(self) -> None:
        f, nest = self.f, self.nest
        for i in nest.fulls:
            width = self.lanes(i.inputs[0].name)  # type: ignore[union-attr]
            self.acc["full", _out(i).name] = mem.identity(how(i), poison(f, i, width))
        for i in nest.columns:
            zero = mem.identity(how(i), poison(f, i, self.width))
            if nest.held:
                step = self.width if nest.middle is None else 1
                for at in range(-(-nest.line // step)):
                    self.acc["column", at, _out(i).name] = zero
                continue
            start, stop = self.line_range
            self._over_line(start, stop, lambda z, part, i=i, zero=zero: mem.store(
                f, zero, self._partial(i, z), self.sum_dtype(i), part))  # fmt: skip

    def _over_line(self, start: Any, stop: Any, body: Callable[..., None]) -> None:
        start, width = self.f.integer(start), self.width
        whole = stop - (stop - start) % width if width > 1 else stop
        self.looped(start, whole, width, lambda z: body(z, None))
        if width > 1:
            self.looped(whole, stop, width, lambda z: body(z, stop - z))

    def _partial(self, i: Instr, z: Any) -> Value:
        """Where the chunk's sum of column z lies."""
        f, element = self.f, memory_element(self.sum_dtype(i))
        base = f.field(f"partial_{_out(i).name}", "ptr")
        if self.nest.chunked in ("rows", "middle"):
            line = f.integer(self.nest.line) if self.nest.short else f.field("line")
            base = f.at(base, self.number * line, element)
        return f.at(base, z, element)

    def sum_column(self, i: Instr, at: int, scopes: list[Scope]) -> None:
        """Add the same slice of some rows to the sums of its columns."""
        dtype = self.sum_dtype(i)
        over_lanes = self.nest.middle is not None
        lanes = [prepared(i, self.value(i.inputs[0], s)) for s in scopes]
        if over_lanes:
            lanes = [mem.masked(how(i), x, self.part(s)) for x, s in zip(lanes, scopes)]
        found = tree(how(i), lanes)
        if self.nest.held:
            key = ("column", at, _out(i).name)
            self.acc[key] = mem.join(how(i), self.acc[key], found)
            return
        place, part = self._partial(i, scopes[0].at), scopes[0].part
        before = mem.load(self.f, place, dtype, self.width, part)
        mem.store(self.f, mem.join(how(i), before, found), place, dtype, part)

    def sum_up(self, i: Instr, lanes: list[Lane], part: Part) -> None:
        if lanes[0].width > 1:
            lanes = [mem.masked(how(i), x, part) for x in lanes]
        key = ("full", _out(i).name)
        self.acc[key] = mem.join(how(i), self.acc[key], tree(how(i), lanes))

    def end_sums(self, scope: Scope) -> None:
        """Finish at once, or leave this chunk's sums for the second task."""
        f, nest = self.f, self.nest
        for i in nest.fulls:
            key = ("full", _out(i).name)
            self.acc[key] = mem.across(how(i), self.acc[key])
        if nest.middle is not None:
            for key in [k for k in self.acc if k[0] == "column"]:
                self.acc[key] = mem.across(how(self.made[key[2]]), self.acc[key])
        if nest.middle is None and nest.held and self.inline is not None:
            self.inline(self, scope)
            return
        for i in nest.fulls if self.inline is None else ():
            element = memory_element(self.sum_dtype(i))
            place = f.at(f.field(f"partial_{_out(i).name}", "ptr"), self.number, element)
            mem.store(f, self.acc["full", _out(i).name], place, self.sum_dtype(i))
        if nest.held:
            step = self.width if nest.middle is None else 1
            for i in nest.columns:
                for at, z in enumerate(range(0, nest.line, step)):
                    part = min(step, nest.line - z)
                    mem.store(f, self.acc["column", at, _out(i).name], self._partial(i, z),
                              self.sum_dtype(i), None if part == step else part)  # fmt: skip
        if self.inline is not None:
            self.inline(self, scope)

    # ----- loops that carry the sums -----

    def looped(self, start: Any, stop: Any, step: int, body: Callable[[Value], None]) -> None:
        keys = list(self.acc)
        unsigned = [self.acc[k].unsigned for k in keys]

        def rebind(values: Sequence[Value]) -> None:
            for k, v, u in zip(keys, values, unsigned):
                self.acc[k] = Lane(self.f, v, u)

        def inside(i: Value, *carried: Value) -> list[Value]:
            rebind(carried)
            body(i)
            assert list(self.acc) == keys
            return [self.acc[k].v for k in keys]

        rebind(self.f.loop(start, stop, step, inside, [self.acc[k].v for k in keys]))
