"""Generates the columns of a convolution: for every output pixel the inputs that its window sees.

Owns its machine code. The line of a pixel holds channel by channel the taps, zeros where the window
leaves the image: the order of a weight in PyTorch's memory. Lines are cut into the panels that a
product reads (matmul/packing.py), or stay whole. Where taps lie arrives in a table of `columns.py`.
"""

from __future__ import annotations

import numpy as np

from backlit.backends.cpu.channels.staging import fill_zero
from backlit.backends.cpu.lanes.value import load_lane, memory_element
from backlit.backends.cpu.matmul.packing import transpose
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, names, vector

# `offsets` of each pixel and tap from the image's begin; below 0 outside, where `zeros` are read
COLUMNS = names(
    "x x_image pixels channels offsets taps zeros block_pixels blocks scratch line target depth"
)


@jit.recipe
def columns(machine: features.Machine, element: str, dtype: np.dtype, vectors: int) -> int:
    """Return the kernel that fills panels of so many vectors, or plain lines (0 vectors).

    A chunk is a block of pixels of one image.
    """
    f = Kernel("conv_columns", COLUMNS)
    width, memory = machine.width(element), memory_element(dtype)

    def chunk(index: Value) -> None:
        blocks, pixels = f.field("blocks"), f.field("pixels")
        image, first = index // blocks, index % blocks * f.field("block_pixels")
        stop = f.smaller(first + f.field("block_pixels"), pixels)
        x = f.at(f.field("x", "ptr"), image * f.field("x_image"), memory)
        row, size = image * pixels + first, f.field("line")
        length = f.field("channels") * f.field("taps")
        lines = f.at(f.field("target", "ptr"), row * size, element)
        if vectors:
            own = f["worker"] * f.field("block_pixels") * size
            lines = f.at(f.field("scratch", "ptr"), own, element)

        def pixel(p: Value) -> None:
            line = f.at(lines, (p - first) * size, element)
            _see(f, x, p, line, element, width, dtype)
            fill_zero(f, f.at(line, length, element), size - length, element, width)

        f.loop(first, stop, 1, pixel)
        if vectors:
            _cut(f, lines, row, stop - first, vector(element, width), width, vectors)

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)


def _see(
    f: Kernel, x: Value, p: Value, line: Value, element: str, width: int, dtype: np.dtype
) -> None:
    """Write what pixel `p` sees, all taps of a channel side by side."""
    channels, taps = f.field("channels"), f.field("taps")
    offsets, memory = f.at(f.field("offsets", "ptr"), p * taps, "i32"), memory_element(dtype)

    def read(c: Value, t: Value, lanes: int) -> Value:
        offset = f.convert("sext", f.load(f.at(offsets, t, "i32"), "i32"), "i64")
        place = f.at(x, offset + c, memory)
        place = f.select(f.compare("slt", offset, 0), f.field("zeros", "ptr"), place)
        return load_lane(f, place, dtype, lanes).v

    def square(c: Value, t: Value) -> None:
        rows = [read(c, t + n, width) for n in range(width)]
        for n, row in enumerate(transpose(f, rows, element)):
            f.store(row, f.at(line, (c + n) * taps + t, element))

    def one(c: Value, t: Value) -> None:
        values = read(c, t, width)
        for n in range(width):
            value = f.lanes(values, n, 1) if width > 1 else values
            f.store(value, f.at(line, (c + n) * taps + t, element))

    def vectors(c: Value) -> None:
        squares = taps - taps % width
        f.loop(0, squares, width, lambda t: square(c, t))
        f.loop(squares, taps, 1, lambda t: one(c, t))

    def single(c: Value) -> None:
        f.loop(0, taps, 1, lambda t: f.store(read(c, t, 1), f.at(line, c * taps + t, element)))

    whole = channels - channels % width
    f.loop(0, whole, width, vectors)
    f.loop(whole, channels, 1, single)


def _cut(
    f: Kernel, lines: Value, row: Value, rows: Value, kind: str, width: int, vectors: int
) -> None:
    """Copy lines to their rows of every panel."""
    size = f.field("line") // width
    target = f.at(f.field("target", "ptr"), row * vectors, kind)
    step = f.field("depth") * vectors

    def piece(start: Value, target: Value) -> list[Value]:
        source = f.at(lines, start, kind)

        def copy(r: Value) -> None:
            here, there = f.at(source, r * size, kind), f.at(target, r * vectors, kind)
            values = [f.load(f.at(here, v, kind), kind) for v in range(vectors)]
            for v, value in enumerate(values):
                f.store(value, f.at(there, v, kind))

        f.loop(0, rows, 1, copy)
        return [f.at(target, step, kind)]

    f.loop(0, size, vectors, piece, [target])
