"""Generates the packing of a matrix into panels, and the transposition of squares in registers.

Owns their machine code. A panel holds some vectors of columns, row after row, padded with zeros, so
that a product reads it from one end to the other. Sizes and strides arrive in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backlit.backends.cpu.lanes.masked import lane_mask, load_masked
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Function, Kernel, Value, names, parameters, vector

# the int64 words of a packing: columns j and rows k
PACK = names("b b_j b_k target depth columns")


@jit.recipe
def pack(machine: features.Machine, element: str, vectors: int, along: str) -> int:
    """The address of the kernel for panels of so many vectors; `along` is the axis of stride 1."""
    inner = panel(element, vectors, machine.width(element), along)
    f = Kernel("pack", PACK)

    def one(p: Value) -> None:
        """A panel a chunk."""
        columns, depth = vectors * machine.width(element), f.field("depth")
        b = f.at(f.field("b", "ptr"), p * f.field("b_j") * columns, element)
        left = f.field("columns") - p * columns
        target = f.at(f.field("target", "ptr"), p * depth * columns, element)
        f.call(inner, b, f.field("b_j"), f.field("b_k"), depth, left, target)

    f.each_chunk(one)
    return jit.compile_function(codegen.module([inner, f]), "pack", machine)


def panel(element: str, vectors: int, width: int, along: str, step: int | None = None) -> Function:
    """Emit: copy up to `vectors` vectors of columns, `left` of them there, the others zero.

    Lines are `step` vectors apart (default: as many as are copied).
    """
    arguments = parameters("ptr b, i64 b_j, i64 b_k, i64 depth, i64 left, ptr target")
    f = Function("pack_panel", arguments, private=True)
    for v in range(vectors):
        count = f.larger(f.smaller(f["left"] - v * width, width), 0)
        _vector(f, element, v * width, (step or vectors) * width, width, along, count)
    return f


def _vector(f: Function, element: str, first: int, step: int, width: int, along: str,
            count: Value) -> None:  # fmt: skip
    """One vector of columns for all k; columns past `count` become 0."""
    depth, b_k, b_j = f["depth"], f["b_k"], f["b_j"]
    source = f.at(f["b"], b_j * first, element)
    target = f.at(f["target"], first, element)
    kind = vector(element, width)

    def put(value: Value, k: Value) -> None:
        f.store(value, f.at(target, k * step, element))

    def one(k: Value, n: Value) -> None:
        value = f.load(f.at(source, n * b_j + k * b_k, element), element)
        f.store(value, f.at(target, k * step + n, element))

    def square(k: Value) -> None:
        rows = [
            f.load(f.at(f.at(source, b_j * n, element), k, element), kind) for n in range(width)
        ]
        for n, value in enumerate(transpose(f, rows, element)):
            put(value, k + n)

    def whole() -> None:
        if along == "j":
            f.loop(0, depth, 1, lambda k: put(f.load(f.at(source, k * b_k, element), kind), k))
            return
        stop = f.integer(0)
        if along == "k" and width > 1:
            stop = depth - depth % width
            f.loop(0, stop, width, square)
        f.loop(stop, depth, 1, lambda k: f.loop(0, width, 1, lambda n: one(k, n)))

    def part() -> None:
        mask = lane_mask(f, count, width)

        def row(k: Value) -> None:
            if along == "j" and width > 1:
                put(load_masked(f, f.at(source, k * b_k, element), kind, mask), k)
                return
            put(f.constant(kind, 0.0), k)
            f.loop(0, count, 1, lambda n: one(k, n))

        f.loop(0, depth, 1, row)

    f.when(f.compare("eq", count, width), whole, part)


def transpose(f: Function, rows: Sequence[Value], element: str) -> list[Value]:
    """The columns of a square of vectors, in shuffles that CPUs have."""
    width, quarter = len(rows), 16 // codegen.BYTES[element]
    n = min(width, quarter)
    columns: list[list[Value]] = []
    for q in range(0, width, n):
        columns.append(_transpose_quarters(f, list(rows[q : q + n]), width, n))
    parts = width // n
    result: list[Any] = [None] * width
    for c in range(n):
        for h, value in enumerate(_gather_parts(f, [columns[q][c] for q in range(parts)], n)):
            result[h * n + c] = value
    return result


def _transpose_quarters(f: Function, rows: list[Value], width: int, n: int) -> list[Value]:
    """Transpose the n x n squares that stand side by side in `rows`."""

    def pick(a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """`lanes` of every part: those below n are of a, the others of b."""
        picks = [
            p * n + (lane if lane < n else width + lane - n)
            for p in range(width // n) for lane in lanes
        ]  # fmt: skip
        return f.shuffle(a, b, picks)

    if n == 1:
        return rows
    if n == 2:
        a, b = rows
        return [pick(a, b, (0, 2)), pick(a, b, (1, 3))]
    low, high = (0, 4, 1, 5), (2, 6, 3, 7)
    t = [pick(rows[i], rows[i + 1], lanes) for i in (0, 2) for lanes in (low, high)]
    first, second = (0, 1, 4, 5), (2, 3, 6, 7)
    return [pick(t[i], t[i + 2], lanes) for i in (0, 1) for lanes in (first, second)]


def _gather_parts(f: Function, vectors: list[Value], n: int) -> list[Value]:
    """From p vectors of p parts: for each part number the vector of all those parts."""
    parts = len(vectors)
    if parts == 1:
        return vectors
    half, width = parts // 2, parts * n
    lanes = range(half * n)
    low = [*lanes, *(width + x for x in lanes)]
    high = [x + half * n for x in low]
    # halves first: vectors (i, i + half) give their low and their high halves side by side
    lows = [f.shuffle(vectors[i], vectors[i + half], low) for i in range(half)]
    highs = [f.shuffle(vectors[i], vectors[i + half], high) for i in range(half)]
    if parts == 2:
        return [lows[0], highs[0]]
    even = [x + p * 2 * n for p in (0, 1) for x in range(n)]
    even += [x + width for x in even]
    odd = [x + n for x in even]
    # lows = [v0: parts 0 1 | v2: parts 0 1], [v1: ... | v3: ...]; even lanes are of one part
    order = [p * n + x for p in (0, 2, 1, 3) for x in range(n)]
    found = []
    for pair in (lows, highs):
        for lanes_of in (even, odd):
            mixed = f.shuffle(pair[0], pair[1], lanes_of)  # v0, v2, v1, v3
            found.append(f.shuffle(mixed, mixed, order))
    return found
