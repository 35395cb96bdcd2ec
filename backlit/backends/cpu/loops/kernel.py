"""The code of a loop nest: chunks of rows, passes over a line, sums on the way.

Values are evaluated on demand (values.py) in the scope where they vary: once a chunk, once a row,
or once a slice of the line. A reduction over the line ends a pass (passes.py); sums over rows are
joined by the finish: at once where there is one chunk, else in a second task (sums.py).
Reads nest.key() only: equal keys must give equal text. Previous: nest.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backlit.backends.cpu.lanes import slices as mem
from backlit.backends.cpu.lanes.slices import Part
from backlit.backends.cpu.lanes.value import Lane, memory_element
from backlit.backends.cpu.native.codegen import Kernel, Value
from backlit.program.ir import Instr
from backlit.program.ir import Value as Name

from . import scalars
from .nest import HEAVY, Nest, _out
from .reductions import finished, how, poison, prepared, tree
from .sums import Sums
from .values import Scope

CHEAP = 12


class Loops(Sums):
    """The kernel of the nest itself."""

    def __init__(self, nest: Nest, fields: Sequence[str], inline: Callable[..., None] | None):
        super().__init__(nest, Kernel("loops", fields), inline)

    def build(self) -> Kernel:
        f = self.f
        if self.nest.chunked:
            f.each_chunk(self.chunk)
        else:
            self.chunk(f.integer(0))
        return f

    def chunk(self, chunk: Value) -> None:
        f, nest = self.f, self.nest
        self.number = chunk
        scope = Scope(None, "chunk")
        for o in (*nest.inputs, *nest.outputs):
            scope.pointers[o.name] = f.field(o.name, "ptr")
        if self.spilled:
            offset = f["worker"] * f.field("scratch_row")
            scope.pointers["scratch"] = f.at(f.field("scratch", "ptr"), offset, "i8")
        self._bounds(chunk)
        self._evaluate(scope, "chunk", 0)
        stored = self.outputs(lambda n: n not in self.nest.late and self.kind_of(n) == "chunk")
        if any(any(v) for v in nest.varies.values()):
            self.start_sums()
            self._rows(scope)
        if stored:
            self._first_only(lambda: self.store_all(stored, scope))
        if nest.columns or nest.fulls:
            self.end_sums(scope)

    def _first_only(self, body: Callable[[], None]) -> None:
        if self.nest.chunked:
            self.f.when(self.f.compare("eq", self.number, 0), body)
        else:
            body()

    def _bounds(self, chunk: Value) -> None:
        """Ranges of rows, of lanes across rows, and of the line."""
        f, nest = self.f, self.nest
        start = stop = f.integer(0)
        if nest.chunked:
            start = chunk * f.field("step")
            stop = f.smaller(start + f.field("step"), f.field(nest.chunked))
        self.row_range: tuple[Any, Any] = (0, 1 if nest.rows == 1 else f.field("rows"))
        self.line_range: tuple[Any, Any] = (0, nest.line if nest.short else f.field("line"))
        self.middle_range: tuple[Any, Any] = (0, nest.middle)
        if nest.chunked:
            if nest.middle is not None:
                self.middle_range = (0, f.field("middle"))
            setattr(self, {"rows": "row_range", "line": "line_range",
                           "middle": "middle_range"}[nest.chunked], (start, stop))  # fmt: skip

    def _evaluate(self, scope: Scope, kind: str, level: int) -> None:
        """All values of a scope that exist at a level."""
        if kind == "chunk":
            scalars.evaluate_packed(self, scope)
        names = [o.name for o in self.nest.inputs] if level == 0 else []
        names += [_out(i).name for i in self.nest.instrs]
        for name in names:
            here = self.kind_of(name) == kind and self.nest.level.get(name, 0) == level
            if here and name not in self.nest.late and name not in self.nest.kinds:
                self.value(self._name(name), scope)

    # ----- rows -----

    def _rows(self, scope: Scope) -> None:
        f, nest = self.f, self.nest
        start, stop = self.row_range
        if nest.rows == 1 and nest.chunked != "rows":
            self._lanes(scope, [self._decomposed(f.integer(0), len(nest.outer))])
        elif nest.nested:
            last = len(nest.outer) - 1
            span = (0, f.field(f"extent_{last}"))

            def inner(step: Value) -> None:
                index = self._decomposed(step, last)
                self._some_rows(scope, span, lambda r: [*index, r])

            self.looped(start, stop, 1, inner)
        else:
            count = len(nest.outer)
            self._some_rows(scope, (start, stop), lambda r: self._decomposed(r, count))

    def _some_rows(self, scope: Scope, span: tuple[Any, Any],
                   index: Callable[[Value], list[Value]]) -> None:  # fmt: skip
        start, stop = self.f.integer(span[0]), span[1]
        together = self._together()
        if together > 1:
            whole = stop - (stop - start) % together
            self.looped(start, whole, together, lambda r: self._lanes(
                scope, [index(r + i if i else r) for i in range(together)]))  # fmt: skip
            start = whole
        self.looped(start, stop, 1, lambda r: self._lanes(scope, [index(r)]))

    def _together(self) -> int:
        """Rows whose sums are joined before they meet the others."""
        nest = self.nest
        if nest.middle is not None or len(self.passes) > 1 or not nest.columns or nest.rows < 8:
            return 1
        pieces = -(-nest.line // nest.width) if nest.held else 1
        return 4 if pieces * max(1, nest.cost) <= CHEAP * 2 else 1

    def _lanes(self, scope: Scope, rows: list[list[Value]]) -> None:
        """The lanes across rows, where vectors lie so."""
        f, nest, width = self.f, self.nest, self.width
        if nest.middle is None:
            self._row([self._row_scope(scope, r, None, None) for r in rows])
            return

        def at(part: Part) -> Callable[[Value], None]:
            return lambda m: self._row([self._row_scope(scope, rows[0], m, part)])

        start, stop = self.middle_range
        if isinstance(stop, int):
            whole = stop // width * width
            if whole == width:
                at(None)(f.integer(0))
            elif whole:
                self.looped(0, whole, width, at(None))
            if stop > whole:
                at(stop - whole)(f.integer(whole))
            return
        start = f.integer(start)
        whole = stop - (stop - start) % width
        self.looped(start, whole, width, at(None))
        self.looped(whole, stop, width, lambda m: at(stop - m)(m))

    def _row_scope(self, scope: Scope, row: list[Value], middle: Value | None,
                   part: Part) -> Scope:  # fmt: skip
        f, nest = self.f, self.nest
        made = Scope(scope, "row", middle, part)
        made.index = row
        for o in (*nest.inputs, *nest.outputs):
            pointer, element = scope.pointers[o.name], memory_element(o.dtype)
            for axis, step in enumerate(o.outer):
                if step:
                    offset = made.index[axis] * f.field(f"{o.name}_{axis}")
                    pointer = f.at(pointer, offset, element)
            if middle is not None and o.middle:
                far = self.stride(o, "middle")
                offset = middle if isinstance(far, int) else middle * far
                pointer = f.at(pointer, offset, element)
            made.pointers[o.name] = pointer
        return made

    def _decomposed(self, row: Value, count: int) -> list[Value]:
        """An index over the first `count` axes of the rows as one index per axis."""
        found = []
        for axis in reversed(range(1, count)):
            extent = self.f.field(f"extent_{axis}")
            found.append(row % extent)
            row = row // extent
        return [row, *reversed(found)] if count else []

    def _row(self, rows: list[Scope]) -> None:
        """All passes over the lines of a few rows."""
        for number, (reduced, _, _, _) in enumerate(self.passes):
            for row in rows:
                self._evaluate(row, "row", number)
            for i in reduced:
                for r, _ in enumerate(rows):
                    width = self.lanes(i.inputs[0].name)  # type: ignore[union-attr]
                    like = poison(self.f, i, width)
                    self.acc["line", r, _out(i).name] = mem.identity(how(i), like)
            self._pass(number, rows)
            for i in reduced:
                for r, row in enumerate(rows):
                    total = self.acc.pop(("line", r, _out(i).name))
                    if self.nest.middle is None:
                        total = mem.across(how(i), total)
                    row.values[_out(i).name] = finished(i, total, self.count(i))
        for row in rows:
            deepest = max([0, *self.nest.level.values()])
            for level in range(len(self.passes), deepest + 1):
                self._evaluate(row, "row", level)
            for i in self.nest.fulls:
                x = i.inputs[0]
                if isinstance(x, Name) and self.kind_of(x.name) == "row":
                    self.sum_up(i, [prepared(i, self.value(x, row))], row.part)
            stored = self.outputs(lambda n: n not in self.nest.late and self.kind_of(n) == "row")
            self.store_all(stored, row)

    # ----- along the line -----

    def _pass(self, number: int, rows: list[Scope]) -> None:
        f, nest = self.f, self.nest
        start, stop = self.line_range
        reduced, columns, fulls, stored = self.passes[number]
        if not (reduced or columns or fulls or stored):
            return
        if nest.short and isinstance(stop, int):
            step = self.width if nest.middle is None else 1
            slices = [(z, min(step, stop - z)) for z in range(0, stop, step)]
            self._slices(number, rows, [(z, None if n == step else n) for z, n in slices])
            return
        if nest.middle is not None:
            self.looped(start, stop, 1, lambda z: self._slices(number, rows, [(z, None)]))
            return
        start, width, several = f.integer(start), self.width, self._unrolled(number, rows)
        if several > 1:
            whole = stop - (stop - start) % (several * width)
            self.looped(start, whole, several * width, lambda z: self._slices(
                number, rows, [(z + i * width if i else z, None) for i in range(several)]
            ))  # fmt: skip
            start = whole
        whole = stop - (stop - start) % width if width > 1 else stop
        self.looped(start, whole, width, lambda z: self._slices(number, rows, [(z, None)]))
        if width > 1:
            self.looped(whole, stop, width,
                        lambda z: self._slices(number, rows, [(z, stop - z)]))  # fmt: skip

    def _unrolled(self, number: int, rows: list[Scope]) -> int:
        reduced, _, fulls, _ = self.passes[number]
        cost = sum(20 if self.made[n].op in HEAVY else 1 for n in self.needs(number))
        if len(rows) > 1 or cost > CHEAP:
            return 1
        return 4 if reduced or fulls else 2 if cost <= 4 else 1

    def _slices(self, number: int, rows: list[Scope], slices: list[tuple[Any, Part]]) -> None:
        """One pass over some slices of the line, of each of some rows."""
        reduced, columns, fulls, stored = self.passes[number]
        scopes: list[list[Scope]] = []
        for row in rows:
            listed = []
            for at, (z, part) in enumerate(slices):
                if self.nest.held:
                    if at not in row.slices:
                        row.slices[at] = Scope(row, "slice", z, part)
                    scope = row.slices[at]
                else:
                    scope = Scope(row, "slice", z, part)
                    self._kept(scope, number)
                for i in (*reduced, *columns, *fulls):
                    self.value(i.inputs[0], scope)
                self.store_all(stored, scope)
                listed.append(scope)
            scopes.append(listed)
        for i in reduced:
            for r, listed in enumerate(scopes):
                key = ("line", r, _out(i).name)
                joined = tree(how(i), [self._element(i, s) for s in listed])
                self.acc[key] = mem.join(how(i), self.acc[key], joined)
        for i in columns:
            for at, same in enumerate(zip(*scopes)):
                self.sum_column(i, at, list(same))
        for i in fulls:
            lanes = [self._element(i, s) for listed in scopes for s in listed]
            self.sum_up(i, lanes, None)

    def _element(self, i: Instr, scope: Scope) -> Lane:
        """What one slice brings to a reduction; lanes that are not real bring nothing."""
        x = prepared(i, self.value(i.inputs[0], scope))
        over_lanes = self.nest.middle is None or self.nest.kinds[_out(i).name] != "line"
        return mem.masked(how(i), x, self.part(scope)) if over_lanes else x

    def _kept(self, scope: Scope, number: int) -> None:
        """Scratch memory of this slice: written by the first pass, read by later ones."""
        f = self.f
        needs = self.needs(number)
        for at, (name, first) in enumerate(sorted(self.spilled.items())):
            if name not in needs:
                continue
            dtype = mem.accumulator(_out(self.made[name]).dtype.numpy)
            element, width = memory_element(dtype), self.lanes(name)
            line = f.at(scope.pointer("scratch"), f.field("scratch_line") * at, "i8")
            z = f.integer(scope.at)
            place = f.at(line, z if self.nest.middle is None else z * self.width, element)
            if first == number:
                x = self.value(_out(self.made[name]), scope)
                mem.store(f, x, place, dtype)
            else:
                scope.values[name] = mem.load(f, place, dtype, width)
