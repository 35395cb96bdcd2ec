"""Generates matrix products: register tiles over rows of A and panels of B.

Owns their machine code. C(i, j) is the sum over k of A(i, k) B(k, j), each output in the order of
k whatever the tile, the blocks and the threads. B lies in panels: columns of one tile, as they
stand in a row-major matrix or packed (packing.py). Sums go through an epilogue
(epilogue.py), which stores them. Sizes and strides arrive in words; lowering.py chooses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from backlit.backends.cpu.lanes.masked import Mask, load_masked
from backlit.backends.cpu.native import codegen, features
from backlit.backends.cpu.native.codegen import Function, Kernel, Value, names, parameters, vector

from . import packing
from .epilogue import Bound, Epilogue, compiled

# the int64 words of a product; those of its epilogue follow
PRODUCT = names(
    "a a_i a_k b b_j b_k b_panel depth depth_block full_rows rows full_panels panels block_rows "
    "block_panels row_blocks column_blocks table table_words scratch scratch_size copy copy_size "
    "pack pack_size columns"
)


@dataclass(frozen=True)
class Tiling:
    """What is baked into the code of a product, beside its epilogue."""

    element: str
    height: int  # rows of a tile
    vectors: int  # of its columns
    rest: int  # rows of the last tile of a matrix, 0: none is shorter
    tail: int  # vectors of its last panel, 0: none is narrower
    masked: int  # lanes of the tail's last vector, 0: it is full
    padded: bool  # whether B is padded with zeros to whole vectors
    packs: str  # "": B is not packed panel by panel; else its axis of stride 1, or "none"
    along: str  # the axis of A with stride 1: "k", "i" or ""
    copied: bool  # whether blocks of A ("i") are copied tile by tile before they are used
    blocked: bool  # whether sums rest in memory between blocks of k
    batched: bool  # whether a table says where the items of a batch begin


def product(machine: features.Machine, t: Tiling, epilogue: Epilogue) -> int:
    """The address of the kernel for a tiling and an epilogue."""
    return compiled("product", product_text, machine, t, epilogue)


def product_text(machine: features.Machine, t: Tiling, epilogue: Epilogue) -> str:
    width = machine.width(t.element)
    tiles: dict[tuple[int, bool], Function] = {}
    finishes: dict[bool, Function] = {}
    for tail in (False, True) if t.tail else (False,):
        if epilogue.heavy:
            finishes[tail] = _finish(t, tail, width, epilogue)
        for height in sorted({t.height, t.rest} - {0}):
            tiles[height, tail] = _tile(t, height, tail, width, epilogue, finishes.get(tail))
    heights = sorted({height for height, _ in tiles})
    copies = {h: _copy(t, h, width) for h in heights} if t.copied else {}
    pack = packing.panel(t.element, t.vectors, width, t.packs) if t.packs else None
    f = Kernel("product", [*PRODUCT, *epilogue.fields])
    f.each_chunk(lambda chunk: _chunk(f, t, tiles, copies, pack, chunk, width))
    private = [*finishes.values(), *tiles.values(), *copies.values(), *([pack] if pack else [])]
    return codegen.module([*private, f])


def _chunk(f: Kernel, t: Tiling, tiles: dict, copies: dict, pack: Function | None, chunk: Value,
           width: int) -> None:  # fmt: skip
    """One block of rows and panels of one item of the batch."""
    element, columns = t.element, t.vectors * width
    column_blocks, row_blocks = f.field("column_blocks"), f.field("row_blocks")
    rest, column_block = chunk // column_blocks, chunk % column_blocks
    row_block = rest % row_blocks if t.batched else rest
    a, b = f.field("a", "ptr"), f.field("b", "ptr")
    entry = f.field("table", "ptr")
    if t.batched:
        entry = f.at(entry, (rest // row_blocks) * f.field("table_words"), "i64")
        a = f.at(a, f.load(entry, "i64"), element)
        b = f.at(b, f.load(f.at(entry, 1, "i64"), "i64"), element)
    block_rows, block_panels = f.field("block_rows"), f.field("block_panels")
    first_row, first_panel = row_block * block_rows, column_block * block_panels
    stop_row = f.smaller(first_row + block_rows, f.field("rows"))
    stop_full = f.smaller(stop_row, f.field("full_rows"))
    stop_panel = f.smaller(first_panel + block_panels, f.field("panels"))
    full_panel = f.smaller(stop_panel, f.field("full_panels"))
    a_i, a_k, b_k, depth = (f.field(n) for n in ("a_i", "a_k", "b_k", "depth"))
    scratch = f.field("scratch", "ptr")
    if t.blocked:
        scratch = f.at(scratch, f["worker"] * f.field("scratch_size"), element)

    own = f.at(f.field("copy", "ptr"), f["worker"] * f.field("copy_size"), element)
    own_panel = f.at(f.field("pack", "ptr"), f["worker"] * f.field("pack_size"), element)

    def each_tile(body: Callable[[Value, int], None]) -> None:
        f.loop(first_row, stop_full, t.height, lambda i: body(i, t.height))
        if t.rest:
            f.when(f.compare("sgt", stop_row, stop_full), lambda: body(stop_full, t.rest))

    def block(k: Value, extent: Value, flags: list[Value]) -> None:
        a_block = f.at(a, k * a_k, element)
        b_block = f.at(b, k * b_k, element)

        def copied(i: Value) -> Value:
            return f.at(own, (i - first_row) * extent, element)

        def copy(i: Value, height: int) -> None:
            f.call(copies[height], f.at(a_block, i, element), a_k, extent, copied(i))

        if t.copied:
            each_tile(copy)

        def panel(p: Value, tail: bool) -> None:
            b_here, b_step = f.at(b_block, p * f.field("b_panel"), element), b_k
            if pack:
                left = f.field("columns") - p * columns
                f.call(pack, b_here, f.field("b_j"), b_k, extent, left, own_panel)
                b_here, b_step = own_panel, f.integer(columns)

            def tile(i: Value, height: int) -> None:
                extra = []
                if t.blocked:
                    place = (p - first_panel) * block_rows + (i - first_row)
                    extra = [f.at(scratch, place * columns, element), *flags]
                a_here = copied(i) if t.copied else f.at(a_block, i * a_i, element)
                step = f.integer(height) if t.copied else a_k
                f.call(tiles[height, tail], a_here, a_i, step, b_here, b_step, extent, f["words"],
                       entry, i, p * columns, *extra)  # fmt: skip

            each_tile(tile)

        f.loop(first_panel, full_panel, 1, lambda p: panel(p, False))
        if t.tail:
            f.when(f.compare("sgt", stop_panel, full_panel), lambda: panel(full_panel, True))

    def step(k: Value) -> None:
        extent = f.smaller(depth - k, f.field("depth_block"))
        last, first = f.compare("eq", k + extent, depth), f.compare("eq", k, 0)
        block(k, extent, [f.convert("zext", x, "i64") for x in (first, last)])

    if t.blocked:
        f.loop(0, depth, f.field("depth_block"), step)
    else:
        block(f.integer(0), depth, [])


def _copy(t: Tiling, height: int, width: int) -> Function:
    """Emit: the part of A that a tile reads, gathered row behind row of k."""
    element, kind = t.element, vector(t.element, width)
    f = Function(f"copy{height}", parameters("ptr a, i64 a_k, i64 depth, ptr target"), private=True)
    rest = height % width or None

    def line(k: Value) -> None:
        source = f.at(f["a"], k * f["a_k"], element)
        target = f.at(f["target"], k * height, element)
        for v in range(0, height, width):
            mask = rest if v + width > height else None
            # lanes past the tile's rows are overwritten by the next line
            f.store(load_masked(f, f.at(source, v, element), kind, mask), f.at(target, v, element))

    f.loop(0, f["depth"], 1, line)
    return f


TILE = "ptr a, i64 a_i, i64 a_k, ptr b, i64 b_k, i64 depth"
PLACE = "ptr words, ptr item, i64 i, i64 j"


def _tile(t: Tiling, height: int, tail: bool, width: int, epilogue: Epilogue,
          finish: Function | None) -> Function:  # fmt: skip
    """Emit: the sums of one tile over a block of k, finished or kept in their slot."""
    element, vectors = t.element, t.tail if tail else t.vectors
    kind = vector(element, width)
    kept = ", ptr slot, i64 first, i64 last" if t.blocked else ""
    name = f"tile{height}x{vectors}{'t' if tail else ''}"
    f = Function(name, parameters(f"{TILE}, {PLACE}{kept}"), private=True)
    mask = t.masked or None if tail else None
    slot = f["slot"] if t.blocked else None
    if finish and not slot:
        slot = f.emit("ptr", f"alloca [{height * t.vectors * width} x {element}], align 64")
    places = [
        f.at(slot, (r * t.vectors + v) * width, element)
        for r in range(height) for v in range(vectors)
    ] if slot else []  # fmt: skip
    zero = f.constant(kind, 0.0)
    sums = [zero] * (height * vectors)
    if t.blocked:
        fresh = f.compare("ne", f["first"], 0)
        sums = [f.select(fresh, zero, f.load(p, kind)) for p in places]
    sums = emit_sums(f, t, height, vectors, width, sums, None if t.padded else mask)

    def keep() -> None:
        for value, place in zip(sums, places):
            f.store(value, place)

    def done() -> None:
        if finish:
            keep()
            assert slot
            f.call(finish, *(f[n] for n in ("words", "item", "i", "j")), slot, f.integer(height))
            return
        bound = _bind(f, t, epilogue)
        for r in range(height):
            for v in range(vectors):
                last = mask if v == vectors - 1 else None
                bound.emit(r, v, sums[r * vectors + v], width, last)

    if t.blocked:
        f.when(f.compare("ne", f["last"], 0), done, keep)
    else:
        done()
    return f


def emit_sums(
    f: Function,
    t: Tiling,
    height: int,
    vectors: int,
    width: int,
    sums: list[Value],
    mask: Mask,
    operands: Mapping[str, Value] | None = None,
    offsets: Sequence[Value | int] | None = None,
) -> list[Value]:
    """The products of all k added to the sums, in order.

    `operands` are named as in TILE (default: the function's arguments); `offsets` say where the
    rows of A begin (default: from `a_i`).
    """
    element, kind = t.element, vector(t.element, width)
    given = f.values if operands is None else operands
    if offsets is None:
        offsets = [given["a_i"] * r if r else 0 for r in range(height)]
    rows = [f.at(given["a"], o, element) for o in offsets] if t.along == "k" else []

    def operand(r: int, k: Value, here: Value | None) -> Value:
        if here is None:
            return f.load(f.at(rows[r], k, element), element)
        return f.load(f.at(here, r if t.along == "i" else offsets[r], element), element)

    def step(k: Value, b: Value, *carried: Value) -> list[Value]:
        here, sums = (None, carried) if t.along == "k" else (carried[0], carried[1:])

        def column(v: int) -> Value:
            place = f.at(b, v * width, element)
            return load_masked(f, place, kind, mask if v == vectors - 1 else None)

        new = list(sums)
        # the fewer operands wait in registers, the others come one by one
        if height < vectors:
            waiting = [f.splat(operand(r, k, here), width) for r in range(height)]
            for v in range(vectors):
                y = column(v)
                for r, x in enumerate(waiting):
                    new[r * vectors + v] = f.fma(x, y, new[r * vectors + v])
        else:
            waiting = [column(v) for v in range(vectors)]
            for r in range(height):
                x = f.splat(operand(r, k, here), width)
                for v, y in enumerate(waiting):
                    new[r * vectors + v] = f.fma(x, y, new[r * vectors + v])
        moved = [] if here is None else [f.at(here, given["a_k"], element)]
        return [f.at(b, given["b_k"], element), *moved, *new]

    start = [given["b"]] if t.along == "k" else [given["b"], given["a"]]
    return f.loop(0, given["depth"], 1, step, [*start, *sums])[len(start) :]


def _finish(t: Tiling, tail: bool, width: int, epilogue: Epilogue) -> Function:
    """Emit: the epilogue over the rows of a tile whose sums lie in a slot."""
    vectors, kind = t.tail if tail else t.vectors, vector(t.element, width)
    f = Function(f"finish{'t' if tail else ''}", parameters(f"{PLACE}, ptr slot, i64 height"),
                 private=True)  # fmt: skip
    mask = t.masked or None if tail else None
    bound = _bind(f, t, epilogue)

    def row(r: Value) -> None:
        line = f.at(f["slot"], r * (t.vectors * width), t.element)

        def column(v: Value, mask: Mask = None) -> None:
            total = f.load(f.at(line, v * width, t.element), kind)
            bound.emit(r, v, total, width, mask)

        whole = vectors - 1 if mask else vectors
        f.loop(0, whole, 1, column)
        if mask:
            column(f.integer(whole), mask)

    f.loop(0, f["height"], 1, row)
    return f


def _bind(f: Function, t: Tiling, epilogue: Epilogue) -> Bound:
    entry = f["item"] if t.batched else None
    return Bound(f, epilogue, f["words"], len(PRODUCT), entry, f["i"], f["j"])
