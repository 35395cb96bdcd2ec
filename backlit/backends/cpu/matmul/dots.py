"""Generates products of few rows or columns as dot products: A by rows, B by columns along k.

Each output is the sum over the lanes of vectors along k, joined at the end; nothing is packed.
Owns this machine code; lowering.py says when it is used. Sizes and strides arrive in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backlit.backends.cpu.lanes.masked import lane_mask, load_masked
from backlit.backends.cpu.native import codegen, features
from backlit.backends.cpu.native.codegen import Function, Kernel, Value, names, parameters, vector

from .epilogue import Bound, Epilogue, compiled

# the int64 words; those of the epilogue follow
DOTS = names("a a_i b b_j depth rows full_rows block_rows columns")


@dataclass(frozen=True)
class Dots:
    """What is baked into the code."""

    element: str
    height: int  # rows of a tile
    rest: int  # rows of the last one, 0: none is shorter
    columns: tuple[int, ...]  # of tiles: the first as often as it fits, then each once
    partial: bool  # whether the last vector along k is not full


def groups(columns: int) -> tuple[int, ...]:
    """Columns of the tiles that cover a row: fours, then a two, then a one."""
    left = columns % 4
    return (*([4] if columns >= 4 else []), *([2] if left >= 2 else []), *([1] if left % 2 else []))


def height_for(machine: features.Machine, columns: int) -> int:
    """Rows of a tile whose sums fit into the registers."""
    return (24 if machine.registers >= 32 else 12) // groups(columns)[0]


def dots(machine: features.Machine, d: Dots, epilogue: Epilogue) -> int:
    """The address of the kernel; a chunk is a block of rows."""
    return compiled("dots", text, machine, d, epilogue)


def text(machine: features.Machine, d: Dots, epilogue: Epilogue) -> str:
    width = machine.width(d.element)
    heights = sorted({d.height, d.rest} - {0})
    tiles = {(h, n): _tile(d, h, n, width, epilogue) for h in heights for n in d.columns}
    f = Kernel("dots", [*DOTS, *epilogue.fields])

    def block(chunk: Value) -> None:
        first = chunk * f.field("block_rows")
        stop = f.smaller(first + f.field("block_rows"), f.field("rows"))
        full = f.smaller(stop, f.field("full_rows"))
        a_i, b_j, columns = f.field("a_i"), f.field("b_j"), f.field("columns")

        def group(j: Value, n: int) -> None:
            b = f.at(f.field("b", "ptr"), j * b_j, d.element)

            def tile(i: Value, height: int) -> None:
                a = f.at(f.field("a", "ptr"), i * a_i, d.element)
                f.call(tiles[height, n], a, a_i, b, b_j, f.field("depth"), f["words"], i, j)

            f.loop(first, full, d.height, lambda i: tile(i, d.height))
            if d.rest:
                f.when(f.compare("sgt", stop, full), lambda: tile(full, d.rest))

        most, *single = d.columns
        done = columns - columns % most
        f.loop(0, done, most, lambda j: group(j, most))
        for n in single:
            group(done, n)
            done = done + n

    f.each_chunk(block)
    return codegen.module([*tiles.values(), f])


def _tile(d: Dots, height: int, columns: int, width: int, epilogue: Epilogue) -> Function:
    """Emit: some rows times some columns, and what becomes of the sums."""
    f = Function(f"dots{height}x{columns}", parameters(
        "ptr a, i64 a_i, ptr b, i64 b_j, i64 depth, ptr words, i64 i, i64 j"
    ), private=True)  # fmt: skip
    kind = vector(d.element, width)
    left = [f.at(f["a"], f["a_i"] * r, d.element) if r else f["a"] for r in range(height)]
    right = [f.at(f["b"], f["b_j"] * c, d.element) if c else f["b"] for c in range(columns)]
    # the fewer operands wait in registers, the others come one by one
    swapped = height < columns
    waiting, coming = (left, right) if swapped else (right, left)

    def step(k: Value, *sums: Value, mask: Value | None = None) -> list[Value]:
        held = [load_masked(f, f.at(p, k, d.element), kind, mask) for p in waiting]
        new = list(sums)
        for m, p in enumerate(coming):
            x = load_masked(f, f.at(p, k, d.element), kind, mask)
            for n, y in enumerate(held):
                at = n * columns + m if swapped else m * columns + n
                new[at] = f.fma(x, y, new[at])
        return new

    zero = f.constant(kind, 0.0)
    whole = f["depth"] - f["depth"] % width if d.partial else f["depth"]
    sums = f.loop(0, whole, width, step, [zero] * (height * columns))
    if d.partial:
        sums = step(whole, *sums, mask=lane_mask(f, f["depth"] - whole, width))
    bound = Bound(f, epilogue, f["words"], len(DOTS), None, f["i"], f["j"])
    for r in range(height):
        total = joined(f, sums[r * columns : (r + 1) * columns], width)
        bound.emit(r, 0, total, columns, None)
    return f


def joined(f: Function, vectors: Sequence[Value], width: int) -> Value:
    """One lane for each of 1, 2 or 4 vectors: the sum of its lanes."""
    if width == 1:
        return _side_by_side(f, vectors)
    if width < len(vectors):
        first, second = (joined(f, part, width) for part in (vectors[:width], vectors[width:]))
        return f.shuffle(first, second, range(2 * width))
    found, block = list(vectors), width
    while block > 1:
        half, alone = block // 2, len(found) == 1
        # of every block of lanes the low half, then the high one
        starts = range(0, width if alone else 2 * width, block)
        low = [s + n for s in starts for n in range(half)]
        high = [s + half for s in low]
        pairs = [(found[0], found[0])] if alone else list(zip(found[::2], found[1::2]))
        if len(low) == 1:
            return f.lanes(found[0], 0, 1) + f.lanes(found[0], 1, 1)
        found = [f.shuffle(a, b, low) + f.shuffle(a, b, high) for a, b in pairs]
        width, block = width // 2 if alone else width, half
    return found[0]


def _side_by_side(f: Function, scalars: Sequence[Value]) -> Value:
    if len(scalars) == 1:
        return scalars[0]
    kind = vector(scalars[0].kind, len(scalars))
    found = Value(f, kind, "poison")
    for n, x in enumerate(scalars):
        found = f.emit(kind, f"insertelement {kind} {found.name}, {x.kind} {x.name}, i64 {n}")
    return found
