"""Generates what stands around a convolution in a plan: weights into panels, sums into weights.

Owns the machine code of both: `pack` writes OIHW weights in the order in which the tiles of
`kernels.py` read them, `combine` adds the partial sums of a weight gradient in their order
and writes OIHW. Tables come from `geometry.py`; `lowering.py` makes the tasks.
"""

from __future__ import annotations

import functools

import numpy as np

from backlit.backends.cpu.lanes.value import Lane, load_lane, memory_element, store_lane
from backlit.backends.cpu.matmul.packing import transpose
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, names, vector

from .kernels import PANEL, Record

# a weight of the step: where it lies in memory; its phase's begin in the panels, the rows of the
# phase, and its own row there
ENTRY = names("offset position depth row")
PACK = names(
    "weights group_step output_step input_step outputs inputs bias has_bias entries n_entries "
    "step squares places panels n_panels packed packed_group padded_bias padded"
)
COMBINE = names(
    "partial parts rows padded lanes each lane_step each_step group_step taps blocks target"
)


@jit.recipe
def pack(machine: features.Machine, element: str, dtype: np.dtype) -> int:
    """Return the kernel that packs weights and bias; a chunk is one panel of one group."""
    f = Kernel("conv_pack", PACK)
    p = _Pack(f, element, machine.width(element), dtype)

    def chunk(index: Value) -> None:
        count = f.field("n_panels")
        group, panel = index // count, Record(f, "panels", index % count, PANEL)
        first, vectors = panel["first"], panel["vectors"]
        p.bias(group, first, vectors)
        places = p.places(first, vectors)
        left = f.field("outputs") - first
        source = group * f.field("group_step") + first * f.field("output_step")
        source = f.at(f.field("weights", "ptr"), source, p.memory)
        target = f.at(f.field("packed", "ptr"), group * f.field("packed_group"), element)
        inputs, step = f.field("inputs"), f.field("step")
        each = f.field("n_entries") // step

        def some(c: Value) -> None:
            here = f.at(source, c * f.field("input_step"), p.memory)
            there = f.at(target, c * vectors * p.width, element)
            count = f.smaller((inputs - c) * each, f.field("n_entries"))
            squares = (count - count % p.width) * f.field("squares")
            f.loop(0, squares, p.width, lambda e: f.loop(0, vectors, 1, lambda v: p.square(
                here, there, places, e, v, left
            )))  # fmt: skip
            f.loop(squares, count, 1, lambda e: f.loop(0, vectors, 1, lambda v: p.line(
                here, there, places, e, v, left
            )))  # fmt: skip

        f.loop(0, inputs, step, some)

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)


class _Pack:
    """Emits the parts of the packing: outputs side by side, zeros after the last."""

    def __init__(self, f: Kernel, element: str, width: int, dtype: np.dtype) -> None:
        self.f, self.element, self.width, self.dtype = f, element, width, dtype
        self.memory = memory_element(dtype)

    def bias(self, group: Value, first: Value, vectors: Value) -> None:
        f, element = self.f, self.element
        given = group * f.field("outputs") + first
        target = f.at(f.field("padded_bias", "ptr"), group * f.field("padded") + first, element)
        filled = f.smaller(f.field("outputs") - first, vectors * self.width)
        filled = filled * f.field("has_bias")
        given = f.at(f.field("bias", "ptr"), given, self.memory)
        f.loop(0, filled, 1, lambda o: self._move(given, o, f.at(target, o, element)))
        self._clear(target, filled, vectors * self.width)

    def places(self, first: Value, vectors: Value) -> Value:
        """Where the entries lie in this panel, in memory of the worker."""
        f = self.f
        count = f.field("n_entries")
        own = f.at(f.field("places", "ptr"), f["worker"] * count, "i64")

        def one(e: Value) -> None:
            entry = Record(f, "entries", e, ENTRY)
            row = entry["row"] * vectors * self.width
            f.store(entry["position"] + first * entry["depth"] + row, f.at(own, e, "i64"))

        f.loop(0, count, 1, one)
        return own

    def square(self, here: Value, there: Value, places: Value, e: Value, v: Value,
               left: Value) -> None:  # fmt: skip
        """As many entries, neighbours in memory, as a vector has lanes; a vector of outputs."""
        f, step, width = self.f, self.f.field("output_step"), self.width
        start = v * width

        def turn() -> None:
            rows = [
                load_lane(f, f.at(here, (start + n) * step + e, self.memory), self.dtype, width).v
                for n in range(width)
            ]
            for n, value in enumerate(transpose(f, rows, self.element)):
                place = f.load(f.at(places, e + n, "i64"), "i64")
                f.store(value, f.at(there, place + start, self.element))

        def lines() -> None:
            f.loop(e, e + width, 1, lambda i: self.line(here, there, places, i, v, left))

        f.when(f.compare("sge", left - start, width), turn, lines)

    def line(self, here: Value, there: Value, places: Value, e: Value, v: Value,
             left: Value) -> None:  # fmt: skip
        """One entry of a vector of outputs."""
        f, step, width = self.f, self.f.field("output_step"), self.width
        start = v * width
        target = f.at(there, f.load(f.at(places, e, "i64"), "i64") + start, self.element)
        source = f.at(here, Record(f, "entries", e, ENTRY)["offset"] + start * step, self.memory)
        filled = f.smaller(left - start, width)

        def apart() -> None:
            f.loop(0, filled, 1, lambda o: self._move(
                source, o * step, f.at(target, o, self.element)
            ))  # fmt: skip
            self._clear(target, filled, f.integer(width))

        def dense() -> None:
            f.store(load_lane(f, source, self.dtype, width).v, target)

        near = f.compare("eq", step, 1) & f.compare("eq", filled, width)
        f.when(near, dense, apart)

    def _move(self, source: Value, offset: Value, target: Value) -> None:
        place = self.f.at(source, offset, self.memory)
        self.f.store(load_lane(self.f, place, self.dtype, 1).v, target)

    def _clear(self, target: Value, first: Value, stop: Value) -> None:
        f, zero = self.f, self.f.constant(self.element, 0.0)
        f.loop(first, stop, 1, lambda o: f.store(zero, f.at(target, o, self.element)))


@jit.recipe
def combine(machine: features.Machine, element: str, dtype: np.dtype) -> int:
    """Return the kernel that adds partial weight gradients; a chunk is a vector of lanes.

    Rows of sums are, for every tap, those of `each` channel beside the lanes.
    """
    memory = memory_element(dtype)
    f = Kernel("conv_combine", COMBINE)
    width = machine.width(element)

    def chunk(index: Value) -> None:
        group, first = index // f.field("blocks"), index % f.field("blocks") * width
        rows, padded, taps = f.field("rows"), f.field("padded"), f.field("taps")
        each, step, parts = f.field("each"), f.field("lane_step"), f.field("parts")
        source = group * parts * rows * padded + first
        source = f.at(f.field("partial", "ptr"), source, element)
        target = group * f.field("group_step") + first * step
        target = f.at(f.field("target", "ptr"), target, memory)
        last = f.field("lanes") - first

        def row(t: Value, c: Value) -> None:
            here = f.at(source, (t * each + c) * padded, element)
            there = f.at(target, c * f.field("each_step") + t, memory)
            kind = vector(element, width)
            (total,) = f.loop(1, parts, 1, lambda p, s: [
                s + f.load(f.at(here, p * rows * padded, element), kind)
            ], [f.load(here, kind)])  # fmt: skip

            def put(lane: int) -> None:
                value = f.lanes(total, lane, 1) if width > 1 else total
                store_lane(f, Lane(f, value), f.at(there, step * lane, memory), dtype)

            def whole() -> None:
                for lane in range(width):
                    put(lane)

            def rest() -> None:
                for lane in range(width - 1):
                    f.when(f.compare("sgt", last, lane), functools.partial(put, lane))

            f.when(f.compare("sge", last, width), whole, rest)

        f.loop(0, taps, 1, lambda t: f.loop(0, each, 1, lambda c: row(t, c)))

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)
