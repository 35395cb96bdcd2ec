"""Generates the kernel that transposes matrices, which turns NCHW memory into NHWC and back.

Owns its machine code: square tiles are transposed in registers. `layout.py` calls it for arrays,
`places.py` in plans.
"""

from __future__ import annotations

from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, names, vector

TRANSPOSE = names("source target rows columns block_rows blocks")
BLOCK_ELEMENTS = 16_384


def cut(rows: int, columns: int) -> dict[str, int]:
    """The words that cut one image's matrix into blocks of whole cache lines of the target."""
    step = max(16, BLOCK_ELEMENTS // columns // 16 * 16)
    return {"rows": rows, "columns": columns, "block_rows": step, "blocks": -(-rows // step)}


@jit.recipe
def transpose(machine: features.Machine, element: str) -> int:
    """Return the kernel that turns each image's (rows, columns) into (columns, rows)."""
    f = Kernel("transpose", TRANSPOSE)
    width = machine.width(element)
    shapes = [(1, width), (1, 1)] if width > 1 else [(1, 1)]

    def chunk(index: Value) -> None:
        rows, columns = f.field("rows"), f.field("columns")
        image, first = index // f.field("blocks"), index % f.field("blocks")
        first = first * f.field("block_rows")
        count = f.smaller(rows - first, f.field("block_rows"))
        start = image * rows * columns
        source = f.at(f.field("source", "ptr"), start + first * columns, element)
        target = f.at(f.field("target", "ptr"), start + first, element)

        def tile(r: Value, c: Value, height: int, length: int) -> None:
            here = f.at(source, r * columns + c, element)
            there = f.at(target, c * rows + r, element)
            kind = vector(element, length)
            lines = [f.load(f.at(here, columns * i, element), kind) for i in range(height)]
            if height == length:
                for j, line in enumerate(_transposed(f, lines)):
                    f.store(line, f.at(there, rows * j, element))
                return
            for i, line in enumerate(lines):
                for j in range(length):
                    value = f.lanes(line, j, 1) if length > 1 else line
                    f.store(value, f.at(there, rows * j + i, element))

        def band(r: Value, _: int, height: int) -> None:
            f.each_slice(columns, shapes, lambda c, _, length: tile(r, c, height, length))

        f.each_slice(count, shapes, band)

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)


def _transposed(f: Kernel, lines: list[Value]) -> list[Value]:
    """Transpose a square of vectors by swapping blocks of one, two, four, ... lanes."""
    lines, size, distance = list(lines), len(lines), 1
    while distance < size:
        for i in range(size):
            if i & distance:
                continue
            a, b = lines[i], lines[i + distance]
            low = [j if not j & distance else size + j - distance for j in range(size)]
            high = [j + distance if not j & distance else size + j for j in range(size)]
            lines[i], lines[i + distance] = f.shuffle(a, b, low), f.shuffle(a, b, high)
        distance *= 2
    return lines
