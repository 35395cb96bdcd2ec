"""Generates pooling for plans: maxima and means of windows, and their gradients.

Owns their machine code, vectorized over channels. Where every window is whole its taps are
unrolled with offsets that are computed once per row of outputs; other windows follow the tables
of `eager.py`. A maximum is remembered by its number in the window, which its gradient counts again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from backlit.backends.cpu.channels.lanewise import lane_element, load_row, store_row
from backlit.backends.cpu.channels.staging import fill_zero
from backlit.backends.cpu.lanes.value import Lane, memory_element
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, halves, vector

from .kernels import AXES, LOWEST, SHAPE, Window, each_in_row, product, wins

VECTORS = 2
MAX = ["x", "y", "indices", *SHAPE]
MAX_GRAD = ["g", "gx", "indices", *SHAPE]
AVERAGE = ["x", "y", "divisor", *SHAPE]
AVERAGE_GRAD = ["g", "gx", "divisor", *SHAPE]
# how an index is kept: its number in the window in so many bits, or its place in the plane
COUNTED, PLACED = ("int8", "int32"), "int64"
INDICES = {"int8": "i8", "int32": "i32", "int64": "i64"}
Whole = tuple[int, int, int] | None  # the kernel's sizes where no window is cut


class Taps:
    """The taps of one window, unrolled or as loops: `each(body, carried)`.

    `body(position, number, *carried)` gets the place in the plane in pixels and the number.
    """

    def __init__(self, f: Kernel, whole: Whole, window: Window, places: list[Value]) -> None:
        self.f, self.whole, self.window, self.places = f, whole, window, places

    def each(self, body: Callable[..., list[Value]], carried: list[Value]) -> list[Value]:
        if not self.whole:

            def count(position: Value, number: Value, *state: Value) -> list[Value]:
                return [number + 1, *body(position, number, *state)]

            return self.window.taps(count, [self.f.integer(0), *carried])[1:]
        start = self.window.position(0, 0, 0)
        for number, place in enumerate(self.places):
            carried = body(start + place, self.f.integer(number), *carried)
        return carried


class Cells:
    """Channels that are computed together: where they lie in memory, for each tap and the output.

    `plane` is the image's plane that windows move over.
    """

    def __init__(self, f: Kernel, dtype: np.dtype, plane: Value, place: Value, channels: Value,
                 start: Value, vectors: int, lanes: int) -> None:  # fmt: skip
        self.f, self.memory, self.plane, self.place = f, memory_element(dtype), plane, place
        self.channels, self.start = channels, start
        self.vectors, self.lanes = vectors, lanes

    def tap(self, position: Value) -> Value:
        """The cell of the plane at a position."""
        return self.f.at(self.plane, position * self.channels + self.start, self.memory)

    def offset(self) -> Value:
        """How far the output's channels lie from the first."""
        return self.place * self.channels + self.start

    def output(self, name: str, offset: Value | None = None) -> Value:
        """The output's channels in an array."""
        first = self.f.field(name, "ptr")
        return self.f.at(first, self.offset() if offset is None else offset, self.memory)


def _compiled(
    f: Kernel,
    machine: features.Machine,
    dtype: np.dtype,
    whole: Whole,
    plane: str,
    columns: Callable[[Taps, Cells], None],
    clear: bool = False,
) -> int:
    """The kernel that runs `columns` for the channels of every output, some vectors at a time;
    `clear`: windows add to `plane`, which begins as zeros."""
    memory, widths = memory_element(dtype), halves(VECTORS, machine.width(lane_element(dtype)))

    def output(taps: Taps, image: Value, place: Value) -> None:
        channels = f.field("channels")
        start_of = f.at(f.field(plane, "ptr"), image, memory)
        f.each_slice(channels, widths, lambda start, vectors, lanes: columns(
            taps, Cells(f, dtype, start_of, place, channels, start, vectors, lanes)))  # fmt: skip

    if clear:
        _each_image(f, whole, plane, output, machine, dtype)
    else:
        _each_output(f, whole, output)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@jit.recipe
def maximum(machine: features.Machine, dtype: np.dtype, index: str | None, whole: Whole) -> int:
    """Maxima, and where they were (`index`: the dtype, or None)."""
    f = Kernel("max_pool", MAX)
    element = lane_element(dtype)

    def columns(taps: Taps, cells: Cells) -> None:
        vectors, lanes = cells.vectors, cells.lanes
        low = [f.constant(vector(element, lanes), LOWEST[element])] * vectors
        none = [f.constant(vector("i32", lanes), 0)] * (vectors if index else 0)

        def tap(position: Value, number: Value, *state: Value) -> list[Value]:
            row = load_row(f, cells.tap(position), dtype, vectors, lanes)
            best, found = list(state[:vectors]), list(state[vectors:])
            here = position if index == PLACED else number
            mark = f.splat(f.convert("trunc", here, "i32"), lanes)
            for v, lane in enumerate(row):
                better = wins(f, lane.v, best[v], element)
                best[v] = f.select(better, lane.v, best[v])
                if index:
                    found[v] = f.select(better, mark, found[v])
            return [*best, *found]

        if index == PLACED:
            first = taps.window.position(0, 0, 0)
            none = [f.splat(f.convert("trunc", first, "i32"), lanes)] * vectors
        results = taps.each(tap, [*low, *none])
        there = cells.offset()
        store_row(f, [Lane(f, v) for v in results[:vectors]], cells.output("y", there), dtype)
        if index:
            _store_indices(f, results[vectors:], there, index)

    return _compiled(f, machine, dtype, whole, "x", columns)


@jit.recipe
def maximum_grad(
    machine: features.Machine, dtype: np.dtype, index: str, whole: Whole, once: bool
) -> int:
    """Each gradient at the place of its maximum, zeros elsewhere; `once`: no windows meet, and
    together they cover the plane."""
    f = Kernel("max_pool_grad", MAX_GRAD)
    element, kind = lane_element(dtype), INDICES[index]

    def columns(taps: Taps, cells: Cells) -> None:
        vectors, lanes, there = cells.vectors, cells.lanes, cells.offset()
        grads = load_row(f, cells.output("g", there), dtype, vectors, lanes)
        here = f.at(f.field("indices", "ptr"), there, kind)
        marks = [f.load(f.at(here, v * lanes, kind), vector(kind, lanes)) for v in range(vectors)]
        zero = f.constant(vector(element, lanes), 0.0)

        def tap(position: Value, number: Value) -> list[Value]:
            mark = position if index == PLACED else f.convert("trunc", number, kind)
            mark = f.splat(mark, lanes)
            row = [
                Lane(f, f.select(f.compare("eq", marks[v], mark), grads[v].v, zero))
                for v in range(vectors)
            ]
            _deliver(f, row, cells.tap(position), dtype, once)
            return []

        taps.each(tap, [])

    return _compiled(f, machine, dtype, whole, "gx", columns, clear=not once)


@jit.recipe
def average(machine: features.Machine, dtype: np.dtype, whole: Whole, fixed: bool) -> int:
    """Means of windows; `fixed`: all divide by the word `divisor`."""
    f = Kernel("avg_pool", AVERAGE)
    element = lane_element(dtype)

    def columns(taps: Taps, cells: Cells) -> None:
        vectors, lanes = cells.vectors, cells.lanes

        def tap(position: Value, number: Value, *sums: Value) -> list[Value]:
            row = load_row(f, cells.tap(position), dtype, vectors, lanes)
            return [s + lane.v for lane, s in zip(row, sums, strict=True)]

        divisor = _divisor(f, taps, fixed, element, lanes)
        zeros = [f.constant(vector(element, lanes), 0.0)] * vectors
        row = [Lane(f, total / divisor) for total in taps.each(tap, zeros)]
        store_row(f, row, cells.output("y"), dtype)

    return _compiled(f, machine, dtype, whole, "x", columns)


@jit.recipe
def average_grad(
    machine: features.Machine, dtype: np.dtype, whole: Whole, fixed: bool, once: bool
) -> int:
    """Each gradient shared out among its window; `once` as in `maximum_grad`."""
    f = Kernel("avg_pool_grad", AVERAGE_GRAD)
    element = lane_element(dtype)

    def columns(taps: Taps, cells: Cells) -> None:
        vectors, lanes, here = cells.vectors, cells.lanes, cells.output("g")
        divisor = _divisor(f, taps, fixed, element, lanes)
        row = [Lane(f, g.v / divisor) for g in load_row(f, here, dtype, vectors, lanes)]

        def tap(position: Value, number: Value) -> list[Value]:
            _deliver(f, row, cells.tap(position), dtype, once)
            return []

        taps.each(tap, [])

    return _compiled(f, machine, dtype, whole, "gx", columns, clear=not once)


def _store_indices(f: Kernel, found: list[Value], there: Value, index: str) -> None:
    element = INDICES[index]
    here = f.at(f.field("indices", "ptr"), there, element)
    lanes = 1 if found[0].kind[0] != "<" else int(found[0].kind[1:].split()[0])
    for v, value in enumerate(found):
        if element != "i32":
            value = f.convert("trunc" if element == "i8" else "sext", value, element)
        f.store(value, f.at(here, v * lanes, element))


def _deliver(f: Kernel, row: list[Lane], cell: Value, dtype: np.dtype, once: bool) -> None:
    """Store a row, or add it to what lies there."""
    if not once:
        before = load_row(f, cell, dtype, len(row), row[0].width)
        row = [a + b for a, b in zip(before, row, strict=True)]
    store_row(f, row, cell, dtype)


def _divisor(f: Kernel, taps: Taps, fixed: bool, element: str, lanes: int) -> Value:
    if not fixed:
        return f.splat(taps.window.divisor(element), lanes)
    given = f.field("divisor", "double")
    return f.splat(given if element == "double" else f.convert("fptrunc", given, element), lanes)


def _places(f: Kernel, whole: Whole) -> list[Value]:
    """How far each tap lies behind the first, in pixels."""
    steps = [f.field(f"step_{axis}") for axis in AXES]
    middle, width = f.field("size_b"), f.field("size_c")
    found = []
    for a, b, c in itertools.product(*(range(n) for n in whole or (0, 0, 0))):
        found.append(((steps[0] * a) * middle + steps[1] * b) * width + steps[2] * c)
    return found


def _each_output(f: Kernel, whole: Whole, body: Callable[[Taps, Value, Value], None]) -> None:
    """Run `body(taps, offset of the image's plane, number of the output)`; a chunk is a row."""

    def chunk(index: Value) -> None:
        rows = f.field("out_a")
        image, a = index // rows, index % rows
        _row(f, whole, image, a, body)

    f.each_chunk(chunk)


def _each_image(
    f: Kernel,
    whole: Whole,
    source: str,
    body: Callable[[Taps, Value, Value], None],
    machine: features.Machine,
    dtype: np.dtype,
) -> None:
    """The same with an image as a chunk, its plane of `source` cleared first."""
    memory = memory_element(dtype)

    def chunk(image: Value) -> None:
        size = product(f, [f"size_{axis}" for axis in AXES]) * f.field("channels")
        target = f.at(f.field(source, "ptr"), image * size, memory)
        if memory in ("float", "double"):
            fill_zero(f, target, size, memory, machine.width(memory))
        f.loop(0, f.field("out_a"), 1, lambda a: _row(f, whole, image, a, body))

    f.each_chunk(chunk)


def _row(
    f: Kernel, whole: Whole, image: Value, a: Value, body: Callable[[Taps, Value, Value], None]
) -> None:
    plane = image * product(f, [f"size_{axis}" for axis in AXES]) * f.field("channels")
    start = image * product(f, [f"out_{axis}" for axis in AXES])
    places = _places(f, whole)
    each_in_row(f, a, lambda window, place: body(Taps(f, whole, window, places), plane,
                                                 start + place))  # fmt: skip
