"""Generates the walks of recurrent layers through time: all steps of a slice of the batch.

A slice walks alone: every step's product with the hidden weights, and the arithmetic of the gates
in registers where its sums are. Owns this machine code; the gates' formulas are in
cells.py. Arrays are (T * N, parts * size), dense; sizes arrive in words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backlit.backends.cpu.lanes.masked import lane_mask, load_masked, store_masked
from backlit.backends.cpu.lanes.value import Lane
from backlit.backends.cpu.matmul import packing as matmul_pack
from backlit.backends.cpu.matmul.kernels import Tiling, emit_sums
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Function, Kernel, Value, names, parameters, vector

from .cells import Cell

WALK = names(
    "steps batch size first step block_rows full_rows full_panels weights tail "
    "before h0 c0 y entered gates cells squashed bias"
)
BACK = names(
    "steps batch size first step block_rows full_rows full_panels weights tail "
    "g_y g_y_step g_y_row g_h g_c dh dc d inner h0 c0 y gates cells squashed"
)
PACK = names("w w_row weights size")


@dataclass(frozen=True)
class Shape:
    """What is baked into a walk, beside its cell."""

    element: str
    height: int  # rows of a tile
    units: int  # vectors of units in a panel
    rest: int  # rows of the last tile of a batch, 0: none is shorter
    tail: int  # vectors of units in the last panel, 0: none is narrower
    masked: bool  # whether its last vector is not full
    given: tuple[bool, ...] = ()  # of a walk back: whether g_y, g_h, g_c are there


class Block:
    """The arrays of a walk at one tile: rows from `row`, units from `unit`; lanes by name."""

    def __init__(self, f: Function, fields: list[str], element: str, width: int, row: Value,
                 unit: Value, mask: Value | None) -> None:  # fmt: skip
        self.f, self.fields, self.element, self.width = f, fields, element, width
        self.row, self.unit, self.mask = row, unit, mask
        self.size = self.word("size")
        self.bases: dict[str, Value] = {}

    def word(self, name: str, kind: str = "i64") -> Value:
        return self.f.load(self.f.at(self.f["words"], self.fields.index(name), "i64"), kind)

    def place(self, name: str, parts: int, part: int, r: Value | int, u: int) -> Value:
        if name not in self.bases:
            offset = self.row * self.size * parts + self.unit
            self.bases[name] = self.f.at(self.word(name, "ptr"), offset, self.element)
        return self.offset(self.bases[name], parts, part, r, u)

    def offset(self, base: Value, parts: int, part: int, r: Value | int, u: int) -> Value:
        moved = self.size * r * parts + self.size * part if parts > 1 else self.size * r
        return self.f.at(base, moved + u * self.width, self.element)

    def load(self, place: Value, last: bool) -> Lane:
        kind = vector(self.element, self.width)
        return Lane(self.f, load_masked(self.f, place, kind, self.mask if last else None))

    def store(self, lane: Lane, place: Value, last: bool) -> None:
        store_masked(self.f, lane.v, place, self.mask if last else None)


# ----- forward -----


@jit.recipe
def walk(machine: features.Machine, cell: Cell, s: Shape) -> int:
    """The address of the kernel of a forward walk; a chunk is a slice of the batch."""
    width = machine.width(s.element)
    tiles = {
        (height, tail): _tile(cell, s, height, tail, width)
        for height in (s.height, s.rest) if height
        for tail in ((False, True) if s.tail else (False,))
    }  # fmt: skip
    f = Kernel("walk", WALK)
    element, columns = s.element, s.units * width

    def part(chunk: Value) -> None:
        size, batch = f.field("size"), f.field("batch")
        first_row, stop, stop_full = _rows(f, chunk)

        def step(n: Value, before: Value, state: Value) -> list[Value]:
            row = (f.field("first") + n * f.field("step")) * batch

            def panel(p: Value, tail: bool) -> None:
                depth = cell.gates * columns
                weights = f.at(f.field("weights", "ptr"), p * size * depth, element)

                def tile(i: Value, height: int) -> None:
                    h, c = (f.at(x, i * size, element) for x in (before, state))
                    f.call(tiles[height, tail], h, size, weights, f.integer(depth), size,
                           f["words"], c, row + i, p * columns)  # fmt: skip

                _each_tile(f, s, first_row, stop, stop_full, tile)

            f.loop(0, f.field("full_panels"), 1, lambda p: panel(p, False))
            if s.tail:
                panel(f.field("full_panels"), True)
            return [f.at(f.field(x, "ptr"), row * size, element) for x in ("y", "cells")]

        f.loop(0, f.field("steps"), 1, step, [f.field(x, "ptr") for x in ("h0", "c0")])

    f.each_chunk(part)
    return jit.compile_function(codegen.module([*tiles.values(), f]), f.name, machine)


def _rows(f: Kernel, chunk: Value) -> tuple[Value, Value, Value]:
    """The rows of a slice: the first, the end, and where whole tiles end."""
    first = chunk * f.field("block_rows")
    stop = f.smaller(first + f.field("block_rows"), f.field("batch"))
    return first, stop, f.smaller(stop, f.field("full_rows"))


def _each_tile(f: Function, s: Shape, first: Value, stop: Value, stop_full: Value,
               body: Callable[[Value, int], None]) -> None:  # fmt: skip
    f.loop(first, stop_full, s.height, lambda i: body(i, s.height))
    if s.rest:
        f.when(f.compare("sgt", stop, stop_full), lambda: body(stop_full, s.rest))


def _tiling(s: Shape) -> Tiling:
    """As the sums of a product see a walk: A along k, B in padded panels."""
    return Tiling(s.element, s.height, s.units, s.rest, s.tail, s.masked, padded=True, packs="",
                  along="k", copied=False, blocked=False, batched=False)  # fmt: skip


SUMS = "ptr a, i64 a_i, ptr b, i64 b_k, i64 depth"


def _tile(cell: Cell, s: Shape, height: int, tail: bool, width: int) -> Function:
    """Emit: for some rows and units the sums of all gates, and what the cell makes of them."""
    units = s.tail if tail else s.units
    arguments = f"{SUMS}, ptr words, ptr state, i64 row, i64 unit"
    f = Function(f"tile{height}{'t' if tail else ''}", parameters(arguments), private=True)
    kind = vector(s.element, width)
    sums = [f.constant(kind, 0.0)] * (height * cell.gates * s.units)
    sums = emit_sums(f, _tiling(s), height, cell.gates * s.units, width, sums, None)
    mask = None
    if tail and s.masked:
        mask = lane_mask(f, f.load(f.at(f["words"], WALK.index("tail"), "i64"), "i64"), width)
    block = Block(f, WALK, s.element, width, f["row"], f["unit"], mask)
    for r in range(height):
        for u in range(units):
            at = (r * cell.gates * s.units) + u
            found = [Lane(f, sums[at + g * s.units]) for g in range(cell.gates)]
            cell.forward(_Access(block, r, u, u == units - 1), found)
    return f


class _Access:
    """What a cell reads and writes at one row and vector of units."""

    def __init__(self, block: Block, r: Value | int, u: int, last: bool,
                 pointers: dict[str, Value] | None = None) -> None:  # fmt: skip
        self.block, self.r, self.u, self.last, self.f = block, r, u, last, block.f
        self.pointers = pointers or {}

    def load(self, name: str, part: int = 0, parts: int = 1) -> Lane:
        return self.block.load(self.block.place(name, parts, part, self.r, self.u), self.last)

    def store(self, name: str, lane: Lane, part: int = 0, parts: int = 1) -> None:
        self.block.store(lane, self.block.place(name, parts, part, self.r, self.u), self.last)

    def bias(self, part: int) -> Lane:
        """A bias of the hidden weights: the same for every row."""
        b = self.block
        base = self.f.at(b.word("bias", "ptr"), b.size * part + b.unit, b.element)
        return b.load(self.f.at(base, self.u * b.width, b.element), self.last)

    def before(self, name: str) -> Lane:
        """The earlier hidden state ("h") or cell state ("c")."""
        b = self.block
        if self.pointers:
            return b.load(b.offset(self.pointers[name], 1, 0, self.r, self.u), self.last)
        if name == "c":
            base = self.f.at(self.f["state"], b.unit, b.element)
        else:
            base = self.f.at(self.f["a"], b.unit, b.element)
        return b.load(b.offset(base, 1, 0, self.r, self.u), self.last)


# ----- backward -----


@jit.recipe
def walk_back(machine: features.Machine, cell: Cell, s: Shape) -> int:
    """The address of the kernel of a walk back: gates' gradients, then the hidden state's."""
    width = machine.width(s.element)
    tiles = {
        (height, tail): _back_tile(cell, s, height, tail, width)
        for height in (s.height, s.rest) if height
        for tail in ((False, True) if s.tail else (False,))
    }  # fmt: skip
    gates = _gates_back(cell, s, width)
    f = Kernel("walk_back", BACK)
    element, columns = s.element, s.units * width

    def part(chunk: Value) -> None:
        size, batch = f.field("size"), f.field("batch")
        first_row, stop, stop_full = _rows(f, chunk)
        for n, (gradient, kept) in enumerate((("g_h", "dh"), ("g_c", "dc"))):
            if kept == "dh" or cell.has_state:
                _start(f, s.given[1 + n], gradient, kept, first_row, stop, element, width)

        def step(n: Value) -> None:
            direction = f.field("step")
            t = f.field("first") + n * direction
            row, last = t * batch, f.compare("eq", n, f.field("steps") - 1)
            earlier = []
            for kept, start in (("y", "h0"), ("cells", "c0")):
                there = f.at(f.field(kept, "ptr"), (t + direction) * batch * size, element)
                earlier.append(f.select(last, f.field(start, "ptr"), there))
            f.loop(first_row, stop, 1, lambda i: f.call(gates, f["words"], t, row, i, *earlier))

            def panel(p: Value, tail: bool) -> None:
                weights = f.at(
                    f.field("weights", "ptr"), p * size * (cell.gates * columns), element
                )

                def tile(i: Value, height: int) -> None:
                    d = f.at(f.field(cell.inner, "ptr"), (row + i) * size * cell.gates, element)
                    f.call(tiles[height, tail], d, size * cell.gates, weights,
                           f.integer(columns), size * cell.gates, f["words"], i,
                           p * columns)  # fmt: skip

                _each_tile(f, s, first_row, stop, stop_full, tile)

            f.loop(0, f.field("full_panels"), 1, lambda p: panel(p, False))
            if s.tail:
                panel(f.field("full_panels"), True)

        f.loop(0, f.field("steps"), 1, step)

    f.each_chunk(part)
    return jit.compile_function(codegen.module([*tiles.values(), gates, f]), f.name, machine)


def _start(f: Kernel, given: bool, gradient: str, kept: str, first: Value, stop: Value,
           element: str, width: int) -> None:  # fmt: skip
    """The gradients by the last states, or zeros."""
    size = f.field("size")
    target = f.at(f.field(kept, "ptr"), first * size, element)
    source = f.at(f.field(gradient, "ptr"), first * size, element) if given else None

    def piece(place: Value, _: int, lanes: int) -> None:
        kind = vector(element, lanes)
        value = f.constant(kind, 0.0)
        if source is not None:
            value = f.load(f.at(source, place, element), kind)
        f.store(value, f.at(target, place, element))

    f.each_slice((stop - first) * size, [(1, width), *([(1, 1)] if width > 1 else [])], piece)


def _gates_back(cell: Cell, s: Shape, width: int) -> Function:
    """Emit: for one row of one step the gradients of all gates."""
    arguments = "ptr words, i64 t, i64 row, i64 i, ptr h, ptr c"
    f = Function("gates_back", parameters(arguments), private=True)
    size = f.load(f.at(f["words"], BACK.index("size"), "i64"), "i64")
    whole = size - size % width if width > 1 else size

    def units(unit: Value, mask: Value | None) -> None:
        at_row = Block(f, BACK, s.element, width, f["row"] + f["i"], unit, mask)
        at_start = Block(f, BACK, s.element, width, f["i"], unit, mask)
        pointers = {x: f.at(f[x], f["i"] * size + unit, s.element) for x in ("h", "c")}
        access = _Access(at_row, 0, 0, True, pointers)
        dh = at_start.load(at_start.place("dh", 1, 0, 0, 0), True)
        if s.given[0]:
            offset = f["t"] * at_row.word("g_y_step") + f["i"] * at_row.word("g_y_row") + unit
            dh = dh + at_row.load(f.at(at_row.word("g_y", "ptr"), offset, s.element), True)
        dc = at_start.load(at_start.place("dc", 1, 0, 0, 0), True) if cell.has_state else dh
        kept = cell.backward(access, dh, dc)
        if cell.has_state:
            at_start.store(kept, at_start.place("dc", 1, 0, 0, 0), True)
        elif cell.accumulates:
            at_start.store(kept, at_start.place("dh", 1, 0, 0, 0), True)

    f.loop(0, whole, width, lambda unit: units(unit, None))
    if width > 1:
        left = size - whole
        f.when(f.compare("sgt", left, 0), lambda: units(whole, lane_mask(f, left, width)))
    return f


def _back_tile(cell: Cell, s: Shape, height: int, tail: bool, width: int) -> Function:
    """Emit: the product of the gates' gradients with the hidden weights, into dh."""
    vectors = s.tail if tail else s.units
    f = Function(f"back{height}{'t' if tail else ''}",
                 parameters(f"{SUMS}, ptr words, i64 row, i64 unit"), private=True)  # fmt: skip
    mask = None
    if tail and s.masked:
        mask = lane_mask(f, f.load(f.at(f["words"], BACK.index("tail"), "i64"), "i64"), width)
    block = Block(f, BACK, s.element, width, f["row"], f["unit"], mask)
    places = [
        (block.place("dh", 1, 0, r, v), v == vectors - 1)
        for r in range(height) for v in range(vectors)
    ]  # fmt: skip
    zero = f.constant(vector(s.element, width), 0.0)
    sums = [block.load(*p).v if cell.accumulates else zero for p in places]
    sums = emit_sums(f, _tiling(s), height, vectors, width, sums, None)
    for value, place in zip(sums, places):
        block.store(Lane(f, value), *place)
    return f


# ----- the hidden weights of a forward walk, in panels of all gates of some units -----


@jit.recipe
def pack(machine: features.Machine, cell: Cell, element: str, units: int) -> int:
    """The address of the kernel that packs W_hh (gates * size, size), a panel a chunk."""
    width = machine.width(element)
    inner = matmul_pack.panel(element, units, width, "k", units * cell.gates)
    f = Kernel("pack_gates", PACK)

    def panel(p: Value) -> None:
        size, columns = f.field("size"), units * width
        target = f.at(f.field("weights", "ptr"), p * size * (cell.gates * columns), element)
        for g in range(cell.gates):
            row = size * g + p * columns
            source = f.at(f.field("w", "ptr"), row * f.field("w_row"), element)
            there = f.at(target, g * columns, element)
            f.call(inner, source, f.field("w_row"), f.integer(1), size, size - p * columns, there)

    f.each_chunk(panel)
    return jit.compile_function(codegen.module([inner, f]), f.name, machine)
