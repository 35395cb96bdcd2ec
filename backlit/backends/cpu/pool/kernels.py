"""Generates the pooling kernels: maximum and average, forward and gradient, 1-d to 3-d.

Owns their machine code, vectorized over the channels of NHWC memory. Windows arrive as one
table per axis, (first position, taps inside, divisor) for each output, so that no kernel
treats a border. `eager.py` builds the tables.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, halves, names, vector

VECTORS = 2
# the gradient kernels take so many channels of one image at a time
CHANNELS_PER_CHUNK = 32
AXES = "abc"
LOWEST = {"float": -math.inf, "double": -math.inf, "i32": -(2**31), "i64": -(2**63)}
WINDOW = names("first count divisor")

SHAPE = names(
    "channels size_a size_b size_c out_a out_b out_c "
    "step_a step_b step_c windows_a windows_b windows_c"
)
MAX = ["x", "y", "indices", *SHAPE]
AVERAGE = ["x", "y", *SHAPE]
AVERAGE_GRAD = ["g", "gx", "slices", *SHAPE]
MAX_GRAD = names("g gx indices slices channels inputs outputs outside")


@functools.lru_cache(maxsize=64)
def maximum(machine: features.Machine, element: str) -> int:
    """Return the kernel of max pooling: values, and int64 places in the input's plane."""
    f = Kernel("max_pool", MAX)

    def pixel(window: Window, x: Value, place: Value) -> None:
        y = f.at(f.field("y", "ptr"), place, element)
        indices = f.at(f.field("indices", "ptr"), place, "i64")

        def columns(start: Value, vectors: int, lanes: int) -> None:
            low = [f.constant(vector(element, lanes), LOWEST[element])] * vectors
            first = f.splat(f.convert("trunc", window.position(0, 0, 0), "i32"), lanes)

            def tap(position: Value, *state: Value) -> list[Value]:
                here = f.at(x, position * f.field("channels") + start, element)
                index = f.splat(f.convert("trunc", position, "i32"), lanes)
                best, found = list(state[:vectors]), list(state[vectors:])
                for v in range(vectors):
                    value = f.load(f.at(here, v * lanes, element), best[v].kind)
                    better = wins(f, value, best[v], element)
                    best[v] = f.select(better, value, best[v])
                    found[v] = f.select(better, index, found[v])
                return [*best, *found]

            results = window.taps(tap, [*low, *([first] * vectors)])
            for v in range(vectors):
                offset = start + v * lanes
                f.store(results[v], f.at(y, offset, element))
                wide = f.convert("sext", results[vectors + v], "i64")
                f.store(wide, f.at(indices, offset, "i64"))

        f.each_slice(f.field("channels"), halves(VECTORS, machine.width(element)), columns)

    each_output(f, element, pixel)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@functools.lru_cache(maxsize=64)
def average(machine: features.Machine, element: str) -> int:
    """Return the kernel of average pooling."""
    f = Kernel("avg_pool", AVERAGE)

    def pixel(window: Window, x: Value, place: Value) -> None:
        y = f.at(f.field("y", "ptr"), place, element)

        def columns(start: Value, vectors: int, lanes: int) -> None:
            kind = vector(element, lanes)
            divisor = f.splat(window.divisor(element), lanes)

            def tap(position: Value, *sums: Value) -> list[Value]:
                here = f.at(x, position * f.field("channels") + start, element)
                return [
                    s + f.load(f.at(here, v * lanes, element), kind) for v, s in enumerate(sums)
                ]

            for v, total in enumerate(window.taps(tap, [f.constant(kind, 0.0)] * vectors)):
                f.store(total / divisor, f.at(y, start + v * lanes, element))

        f.each_slice(f.field("channels"), halves(VECTORS, machine.width(element)), columns)

    each_output(f, element, pixel)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@functools.lru_cache(maxsize=64)
def average_grad(machine: features.Machine, element: str) -> int:
    """Return the kernel that adds each output's share of gradient to its window's inputs."""
    f = Kernel("avg_pool_grad", AVERAGE_GRAD)

    def chunk(index: Value) -> None:
        image, first, count = _slice_of_channels(f, index)
        inputs = image * product(f, [f"size_{a}" for a in AXES])
        outputs = image * product(f, [f"out_{a}" for a in AXES])
        channels = f.field("channels")
        target = f.at(f.field("gx", "ptr"), inputs * channels + first, element)
        source = f.at(f.field("g", "ptr"), outputs * channels + first, element)

        def output(window: Window, place: Value) -> None:
            def columns(start: Value, vectors: int, lanes: int) -> None:
                kind = vector(element, lanes)
                divisor = f.splat(window.divisor(element), lanes)
                here = f.at(source, place * channels + start, element)
                shares = [
                    f.load(f.at(here, v * lanes, element), kind) / divisor for v in range(vectors)
                ]

                def tap(position: Value) -> None:
                    there = f.at(target, position * channels + start, element)
                    for v, share in enumerate(shares):
                        cell = f.at(there, v * lanes, element)
                        f.store(f.load(cell, kind) + share, cell)

                window.taps(tap, [])

            f.each_slice(count, halves(VECTORS, machine.width(element)), columns)

        f.loop(0, f.field("out_a"), 1, lambda a: each_in_row(f, a, output))

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@functools.lru_cache(maxsize=64)
def maximum_grad(machine: features.Machine, element: str) -> int:
    """Return the kernel that adds each output's gradient to the input its index names.

    An index outside the plane is left out, and sets the word `outside`.
    """
    f = Kernel("max_pool_grad", MAX_GRAD)

    def chunk(index: Value) -> None:
        image, first, count = _slice_of_channels(f, index)
        channels, outputs = f.field("channels"), f.field("outputs")
        target = image * f.field("inputs") * channels + first
        target = f.at(f.field("gx", "ptr"), target, element)
        offset = image * outputs * channels + first
        source = f.at(f.field("g", "ptr"), offset, element)
        indices = f.at(f.field("indices", "ptr"), offset, "i64")

        def pixel(i: Value) -> None:
            def channel(c: Value) -> None:
                place = i * channels + c
                index = f.load(f.at(indices, place, "i64"), "i64")

                def add() -> None:
                    cell = f.at(target, index * channels + c, element)
                    grad = f.load(f.at(source, place, element), element)
                    f.store(f.load(cell, element) + grad, cell)

                f.when(
                    f.compare("ult", index, f.field("inputs")),
                    add,
                    lambda: f.store(f.integer(1), f.field("outside", "ptr")),
                )

            f.loop(0, count, 1, channel)

        f.loop(0, outputs, 1, pixel)

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)


def wins(f: Kernel, value: Value, best: Value, element: str) -> Value:
    """Strictly greater keeps the first of equals; NaN always wins."""
    if element in ("i32", "i64"):
        return f.compare("sgt", value, best)
    return f.compare("ogt", value, best) | f.compare("uno", value, value)


class Window:
    """The window of one output: loops over its taps inside the input."""

    def __init__(self, f: Kernel, outputs: list[Value]) -> None:
        self.f = f
        self.records = [
            f.at(f.field(f"windows_{axis}", "ptr"), o * len(WINDOW), "i64")
            for axis, o in zip(AXES, outputs, strict=True)
        ]

    def _read(self, axis: int, field: str) -> Value:
        return self.f.load(self.f.at(self.records[axis], WINDOW.index(field), "i64"), "i64")

    def position(self, *taps: Value | int) -> Value:
        """Return where a tap lies in the input's plane, in pixels."""
        place = self.f.integer(0)
        for axis, tap in enumerate(taps):
            step = self.f.field(f"step_{AXES[axis]}")
            here = self._read(axis, "first") + step * tap
            place = place * self.f.field(f"size_{AXES[axis]}") + here
        return place

    def divisor(self, element: str) -> Value:
        f = self.f
        count = self._read(0, "divisor") * self._read(1, "divisor") * self._read(2, "divisor")
        return f.emit(element, f"sitofp i64 {count.name} to {element}")

    def taps(self, body: Callable[..., list[Value] | None], carried: list[Value]) -> list[Value]:
        """Run `body(position, *carried)` for every tap, in memory order."""
        f, counts = self.f, [self._read(axis, "count") for axis in range(3)]

        def last(a: Value, b: Value, *state: Value) -> list[Value]:
            row, step = self.position(a, b, 0), f.field("step_c")
            return f.loop(0, counts[2], 1, lambda c, *s: body(row + c * step, *s), state)

        def middle(a: Value, *state: Value) -> list[Value]:
            return f.loop(0, counts[1], 1, lambda b, *s: last(a, b, *s), state)

        return f.loop(0, counts[0], 1, middle, carried)


def each_output(f: Kernel, element: str, body: Callable[[Window, Value, Value], None]) -> None:
    """Run `body(window, image of x, offset of the output pixel)`; a chunk is a row of outputs."""

    def chunk(index: Value) -> None:
        rows, channels = f.field("out_a"), f.field("channels")
        image, a = index // rows, index % rows
        size = product(f, [f"size_{axis}" for axis in AXES]) * channels
        x = f.at(f.field("x", "ptr"), image * size, element)
        start = image * product(f, [f"out_{axis}" for axis in AXES])
        each_in_row(f, a, lambda window, place: body(window, x, (start + place) * channels))

    f.each_chunk(chunk)


def each_in_row(f: Kernel, a: Value, body: Callable[[Window, Value], None]) -> None:
    """Run `body(window, number of the output in its image)` along row a of the outputs."""
    middle, width = f.field("out_b"), f.field("out_c")

    def line(b: Value) -> None:
        start = (a * middle + b) * width
        f.loop(0, width, 1, lambda c: body(Window(f, [a, b, c]), start + c))

    f.loop(0, middle, 1, line)


def _slice_of_channels(f: Kernel, index: Value) -> tuple[Value, Value, Value]:
    slices = f.field("slices")
    first = (index % slices) * CHANNELS_PER_CHUNK
    count = f.smaller(f.field("channels") - first, CHANNELS_PER_CHUNK)
    return index // slices, first, count


def product(f: Kernel, fields: list[str]) -> Value:
    return functools.reduce(lambda a, b: a * b, (f.field(name) for name in fields))
