"""Kernels that pick elements by index tensors, and that put or add them there.

One nest of loops serves all: an element's place is a sum of strides, and of index values times
steps. Rank and which operand is addressed by index are in the code, sizes and strides are words.
An index outside its axis is clamped and reported in `fault`, so that memory stays whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from backlit.backends.cpu.lanes.formulas import convert_lane, load_lane, memory_element, store_lane
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, halves

RAW = {1: "int8", 2: "int16", 4: "int32", 8: "int64"}


@dataclass(frozen=True)
class Picking:
    """What the code of a kernel depends on.

    `mode` is "pick" (the source is addressed by index), "put" or "add" (the target is). `unit`:
    along the last axis no index changes and both sides are neighbours. `wrap`: indices count
    from the end when they are negative. `split`: the axis whose range a chunk covers.
    """

    mode: str
    dtype: str
    indices: tuple[str, ...]
    rank: int
    unit: bool
    wrap: bool
    split: int


def fields(p: Picking) -> list[str]:
    """The words in order: y, x, fault, block; sizes and strides; then each index tensor's."""
    axes = range(p.rank)
    named = ["y", "x", "fault", "block"]
    for stem in ("n", "ys", "xs"):
        named += [f"{stem}{a}" for a in axes]
    for t in range(len(p.indices)):
        named += [f"i{t}", f"step{t}", f"size{t}", *(f"i{t}s{a}" for a in axes)]
    return named


@jit.recipe
def address_of(p: Picking, machine: features.Machine) -> int:
    """The compiled kernel."""
    f = Kernel(f"{p.mode}_by_index", fields(p))
    f.each_chunk(lambda chunk: _Nest(f, p, machine).run(chunk))
    return jit.compile_function(codegen.module([f]), f.name, machine)


class _Nest:
    """The loops of one chunk."""

    def __init__(self, f: Kernel, p: Picking, machine: features.Machine) -> None:
        self.f, self.p, self.machine = f, p, machine
        self.word = {n: f.field(n) for n in fields(p) if n not in _pointers(p)}
        self.pointer = {n: f.field(n, "ptr") for n in _pointers(p)}

    def run(self, chunk: Value) -> None:
        f, block = self.f, self.word["block"]
        self.start = chunk * block
        self.stop = f.smaller(self.start + block, self.word[f"n{self.p.split}"])
        zero = f.integer(0)
        self.level(0, zero, zero, [zero] * len(self.p.indices))

    def level(self, axis: int, y: Value, x: Value, at: list[Value]) -> None:
        """The loop over an axis; `y`, `x` and `at` are the offsets so far."""
        f, p = self.f, self.p
        if axis == p.rank:
            self.element(y, x, at)
            return
        whole = axis != p.split
        start = f.integer(0) if whole else self.start
        stop = self.word[f"n{axis}"] if whole else self.stop
        if axis == p.rank - 1 and p.unit:
            self.neighbours(start, stop, y, x, at)
            return

        def body(i: Value) -> None:
            self.level(
                axis + 1, y + i * self.word[f"ys{axis}"], x + i * self.word[f"xs{axis}"],
                [a + i * self.word[f"i{t}s{axis}"] for t, a in enumerate(at)],
            )  # fmt: skip

        f.loop(start, stop, 1, body)

    def neighbours(self, start: Value, stop: Value, y: Value, x: Value, at: list[Value]) -> None:
        y, x = self.chosen(y, x, at)
        width = self.machine.vector_bytes // _itemsize(self.p.dtype)

        def piece(i: Value, _: int, lanes: int) -> None:
            place = start + i
            self.move(y + place, x + place, lanes)

        self.f.each_slice(stop - start, halves(1, max(1, width)), piece)

    def element(self, y: Value, x: Value, at: list[Value]) -> None:
        self.move(*self.chosen(y, x, at), 1)

    def chosen(self, y: Value, x: Value, at: list[Value]) -> tuple[Value, Value]:
        """The offsets with what the index tensors add."""
        for t, offset in enumerate(at):
            found = self.index(t, offset) * self.word[f"step{t}"]
            if self.p.mode == "pick":
                x = x + found
            else:
                y = y + found
        return y, x

    def index(self, t: int, offset: Value) -> Value:
        """An index value within its axis."""
        f, kind, size = self.f, self.p.indices[t], self.word[f"size{t}"]
        lane = load_lane(f, f.at(self.pointer[f"i{t}"], offset, memory_element(kind)), kind, 1)
        i = convert_lane(lane, "int64").v
        given = i
        if self.p.wrap:
            i = f.select(f.compare("slt", i, 0), i + size, i)
        # as unsigned numbers, negative ones are too large as well
        outside = f.compare("uge", i, size)
        fault = self.pointer["fault"]

        def report() -> None:
            f.store(size, f.at(fault, 1, "i64"))
            f.store(given, f.at(fault, 2, "i64"))
            f.store(f.integer(1), fault)

        f.when(outside, report)
        return f.select(outside, f.integer(0), i)

    def move(self, y: Value, x: Value, lanes: int) -> None:
        f, dtype = self.f, self.p.dtype
        source = f.at(self.pointer["x"], x, memory_element(dtype))
        target = f.at(self.pointer["y"], y, memory_element(dtype))
        value = load_lane(f, source, dtype, lanes)
        if self.p.mode == "add":
            value = load_lane(f, target, dtype, lanes) + value
        store_lane(f, value, target, dtype)


def _pointers(p: Picking) -> list[str]:
    return ["y", "x", "fault", *(f"i{t}" for t in range(len(p.indices)))]


def _itemsize(dtype: str) -> int:
    return {v: k for k, v in RAW.items()}.get(dtype) or (8 if "64" in dtype else 4)
