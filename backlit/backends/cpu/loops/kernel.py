"""The code of a loop nest: chunks of rows, passes over a line, sums on the way.

Values are evaluated on demand in the scope where they vary: once a chunk, once a row, or once a
slice of the line. A reduction over the line ends a pass; sums over rows are kept in registers or
in memory and joined by the finish: at once where there is one chunk, else in a second task.
Reads nest.key() only: equal keys must give equal text. Previous: nest.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backlit.backends.cpu.lanes import slices as mem
from backlit.backends.cpu.lanes.body import apply, spread
from backlit.backends.cpu.lanes.slices import Part
from backlit.backends.cpu.lanes.value import Lane, convert_lane, memory_element
from backlit.backends.cpu.native import codegen
from backlit.backends.cpu.native.codegen import Kernel, Value
from backlit.program.ir import Instr
from backlit.program.ir import Value as Name

from . import scalars
from .nest import HEAVY, Nest, Operand, _out
from .space import POSITIONS, REDUCTIONS

CHEAP = 12


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


# ----- reductions, element by element -----


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


def poison(writer: Writer, instr: Instr, width: int) -> Lane:
    """A lane of the type in which a reduction's elements are joined."""
    from backlit.backends.cpu.lanes.value import element_of

    boolean = instr.op in ("any", "all")
    element, unsigned = element_of("bool" if boolean else _out(instr).dtype.numpy)
    return Lane(writer.f, Value(writer.f, codegen.vector(element, width), "poison"), unsigned)


class Loops(Writer):
    """The kernel of the nest itself."""

    def __init__(self, nest: Nest, fields: Sequence[str], inline: Callable[..., None] | None):
        super().__init__(nest, Kernel("loops", fields))
        self.inline = inline  # the finish, where there is one chunk
        self.acc: dict[Any, Lane] = {}
        self.late = nest.late
        self.passes = self._passes()
        self.spilled: dict[str, int] = {}
        if not nest.held and len(self.passes) > 1:
            self._spill()

    # ----- what happens in which pass -----

    def _passes(self) -> list[tuple[list[Instr], list[Instr], list[Instr], list[Operand]]]:
        """Per pass over the line: what it reduces, sums by column, sums up, and stores."""
        nest, level = self.nest, self.nest.level

        def depth(i: Instr) -> int:
            x = i.inputs[0]
            return level.get(x.name, 0) if isinstance(x, Name) else 0

        def is_line(i: Instr, kind: str) -> bool:
            if nest.kinds.get(_out(i).name) != kind:
                return False
            x = i.inputs[0]
            return isinstance(x, Name) and self.kind_of(x.name) == "slice"

        stored = self.outputs(lambda n: n not in nest.late and self.kind_of(n) == "slice")
        found = []
        deepest = max([0, *(level.get(o.name, 0) for o in stored)])
        for i in nest.instrs:
            if any(is_line(i, k) for k in ("line", "column", "full")):
                deepest = max(deepest, depth(i))
        for k in range(deepest + 1):
            at = [i for i in nest.instrs if i.op in REDUCTIONS and depth(i) == k]
            found.append((
                [i for i in at if is_line(i, "line")], [i for i in at if is_line(i, "column")],
                [i for i in at if is_line(i, "full")],
                [o for o in stored if level.get(o.name, 0) == k],
            ))  # fmt: skip
        return found

    def _needs(self, number: int) -> set[str]:
        """Values of the line that a pass computes, stopping at those that an earlier one kept."""
        reduced, columns, fulls, stored = self.passes[number]
        waiting = [x.name for i in (*reduced, *columns, *fulls) for x in i.inputs
                   if isinstance(x, Name)] + [o.name for o in stored]  # fmt: skip
        found: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in found or self.kind_of(name) != "slice" or name not in self.made:
                continue
            found.add(name)
            if self.spilled.get(name, number) == number:
                waiting += [x.name for x in self.made[name].inputs if isinstance(x, Name)]
        return found

    def _spill(self) -> None:
        """Dear values that a later pass needs again are kept in a line of scratch memory."""
        for number in range(len(self.passes) - 1):
            later: set[str] = set().union(
                *(self._needs(k) for k in range(number + 1, len(self.passes)))
            )
            for name in sorted(self._needs(number) & later):
                if self.made[name].op in HEAVY and name not in self.spilled:
                    self.spilled[name] = number

    # ----- the kernel -----

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
        stored = self.outputs(lambda n: n not in self.late and self.kind_of(n) == "chunk")
        if any(any(v) for v in nest.varies.values()):
            self._start()
            self._rows(scope)
        if stored:
            self._first_only(lambda: self.store_all(stored, scope))
        if nest.columns or nest.fulls:
            self._end(scope)

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
            if here and name not in self.late and name not in self.nest.kinds:
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
                    like = poison(self, i, width)
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
                    self._sum_up(i, [prepared(i, self.value(x, row))], row.part)
            stored = self.outputs(lambda n: n not in self.late and self.kind_of(n) == "row")
            self.store_all(stored, row)

    def _sum_up(self, i: Instr, lanes: list[Lane], part: Part) -> None:
        if lanes[0].width > 1:
            lanes = [mem.masked(how(i), x, part) for x in lanes]
        key = ("full", _out(i).name)
        self.acc[key] = mem.join(how(i), self.acc[key], tree(how(i), lanes))

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
        cost = sum(20 if self.made[n].op in HEAVY else 1 for n in self._needs(number))
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
                self._column(i, at, list(same))
        for i in fulls:
            lanes = [self._element(i, s) for listed in scopes for s in listed]
            self._sum_up(i, lanes, None)

    def _element(self, i: Instr, scope: Scope) -> Lane:
        """What one slice brings to a reduction; lanes that are not real bring nothing."""
        x = prepared(i, self.value(i.inputs[0], scope))
        over_lanes = self.nest.middle is None or self.nest.kinds[_out(i).name] != "line"
        return mem.masked(how(i), x, self.part(scope)) if over_lanes else x

    def _kept(self, scope: Scope, number: int) -> None:
        """Scratch memory of this slice: written by the first pass, read by later ones."""
        f = self.f
        needs = self._needs(number)
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

    # ----- sums over rows -----

    def _start(self) -> None:
        f, nest = self.f, self.nest
        for i in nest.fulls:
            width = self.lanes(i.inputs[0].name)  # type: ignore[union-attr]
            self.acc["full", _out(i).name] = mem.identity(how(i), poison(self, i, width))
        for i in nest.columns:
            zero = mem.identity(how(i), poison(self, i, self.width))
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

    def _column(self, i: Instr, at: int, scopes: list[Scope]) -> None:
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

    def _end(self, scope: Scope) -> None:
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
