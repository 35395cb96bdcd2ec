"""How a product is cut: rows, columns and items of a batch; tiles, panels and blocks, by rule.

No choice here changes the order of a sum. Knows places, neither tasks nor code; lowering.py plans
with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.words import ELEMENTS
from backlit.backends.cpu.plans.plan import Place

# Longer sums rest in memory between blocks of k, so that a panel stays in the first cache.
LONGEST_DEPTH, DEPTH_BLOCK = 1024, 256
BLOCK_BYTES = 256 * 1024
# blocks of rows from which on B is packed once for all of them
MANY_BLOCKS = 4
SMALL_FLOPS = 200_000
# rows from which on copying B into panels costs little beside the product
PACKED_ROWS = 48
# lines of a transposed A, and panels that read it, from which on a tile's part is copied first;
# elsewhere, lines that stay in the first cache
COPIED_DEPTH, COPIED_PANELS = 128, 8
# products of so few columns or rows, and so many k, are dot products
DOT_COLUMNS, DOT_ROWS, DOT_DEPTH = 4, 32, (16, 128)


@dataclass
class Geometry:
    """A product as rows, columns and items of a batch; strides of (A, B, operands...) along each.

    `batch` holds sizes and strides from the outermost axis in.
    """

    rows: int
    columns: int
    depth: int
    by_row: list[int]
    batch: list[tuple[int, list[int]]]

    @property
    def items(self) -> int:
        return math.prod(n for n, _ in self.batch)

    @property
    def flops(self) -> int:
        return 2 * self.items * self.rows * self.columns * self.depth

    def moving(self) -> list[bool]:
        """Which operands change from row to row, or from item to item."""
        strides = [self.by_row, *(s for _, s in self.batch)]
        return [any(s[n] for s in strides) for n in range(len(self.by_row))]

    def starts(self) -> np.ndarray:
        """Where each item begins, in elements: (items, operands)."""
        found = np.zeros((1, len(self.by_row)), np.int64)
        for n, strides in self.batch:
            steps = np.arange(n, dtype=np.int64)[:, None] * np.asarray(strides, np.int64)
            found = (found[:, None] + steps).reshape(-1, len(strides))
        return found


def geometry(shape: Sequence[int], a: Place, b: Place, others: Sequence[Place]) -> Geometry:
    """The product of shape (..., M, N); leading axes become rows where B does not change."""
    a_strides = _broadcast(a, (*shape[:-1], a.shape[-1]))
    b_strides = _broadcast(b, (*shape[:-2], *b.shape[-2:]))
    other = [_broadcast(p, shape) for p in others]
    rows, by_row = shape[-2], [a_strides[-2], 0, *(s[-2] for s in other)]
    batch = []
    for axis in reversed(range(len(shape) - 2)):
        n, strides = shape[axis], [a_strides[axis], b_strides[axis], *(s[axis] for s in other)]
        if n == 1:
            continue
        follows = all(s == r * rows for s, r in zip(strides, by_row))
        if strides[1] == 0 and (rows == 1 or follows):
            by_row = strides if rows == 1 else by_row
            rows *= n
        else:
            batch.append((n, strides))
    return Geometry(rows, shape[-1], a.shape[-1], by_row, batch[::-1])


def _broadcast(place: Place, shape: Sequence[int]) -> list[int]:
    """Strides of a place seen in a larger shape."""
    missing = len(shape) - len(place.shape)
    strides = [0] * missing + list(place.strides)
    sizes = [1] * missing + list(place.shape)
    return [s if n > 1 else 0 for n, s in zip(sizes, strides)]


# ----- tiles and blocks -----


@dataclass
class Choice:
    """How a product is cut: tiles, panels of B, blocks of rows, panels and k."""

    height: int
    vectors: int
    panel: int  # columns
    panels: int
    packed: bool  # B is copied into panels, all of them before the product
    packs: str  # or each before it is used; see `Tiling`
    along: str
    copied: bool  # A is copied tile by tile
    depth_block: int
    block_rows: int
    block_panels: int


def tile_shape(machine: features.Machine, element: str, rows: int, columns: int) -> tuple[int, int]:
    """Rows and vectors of a tile whose sums fit into the registers."""
    needed = -(-columns // machine.width(element))
    if machine.registers >= 32:
        vectors = needed if needed <= 4 else 3
        height = {1: 14, 2: 12, 3: 8, 4: 6}[vectors]
    else:
        vectors = needed if needed <= 4 else 2
        height = {1: 12, 2: 6, 3: 4, 4: 3}[vectors]
    # rows shared evenly by as many tiles as are needed anyway
    return -(-rows // -(-rows // height)), vectors


def choose(machine: features.Machine, workers: int, g: Geometry, a: Place, b: Place) -> Choice:
    """Tiles and blocks by rule; no choice changes the order of a sum."""
    element = ELEMENTS[a.dtype]
    height, vectors = tile_shape(machine, element, g.rows, g.columns)
    panel = vectors * machine.width(element)
    panels = -(-g.columns // panel)
    packs = along_of(b) if b.strides[-1] != 1 or (g.rows >= PACKED_ROWS and panels > 1) else ""
    along = "k" if a.strides[-1] == 1 else "i" if g.by_row[0] == 1 else ""
    copied = along == "i" and panels >= COPIED_PANELS and g.depth > COPIED_DEPTH
    longest, block = LONGEST_DEPTH, DEPTH_BLOCK
    if along == "i" and not copied:
        longest, block = 2 * COPIED_DEPTH, COPIED_DEPTH
    depth_block = g.depth if g.depth <= longest else block
    rows, columns = _shares(workers, g, height, panels)
    if copied or depth_block < g.depth:
        # what a worker copies, and the resting sums, stay in the second cache
        size = a.dtype.itemsize
        rows = min(rows, max(1, BLOCK_BYTES // (depth_block * size * height)) * height)
        columns = min(columns, max(1, BLOCK_BYTES // (rows * panel * size)))
    packed = bool(packs) and not g.batch and g.rows >= MANY_BLOCKS * rows
    packs = "" if packed else packs
    return Choice(height, vectors, panel, panels, packed, packs, along, copied, depth_block, rows,
                  columns)  # fmt: skip


def _shares(workers: int, g: Geometry, height: int, panels: int) -> tuple[int, int]:
    """Rows and panels of a block, such that workers have equal shares."""
    tiles = -(-g.rows // height)
    if workers > 1 and g.flops > SMALL_FLOPS and g.items % workers:
        by_rows = -(-tiles // workers) * workers / tiles
        by_panels = -(-panels // workers) * workers / panels
        if by_rows < by_panels or (by_rows == by_panels and g.rows >= g.columns):
            return -(-tiles // workers) * height, panels
        return tiles * height, -(-panels // workers)
    return tiles * height, panels


def as_dots(g: Geometry, a: Place, b: Place) -> bool:
    """Whether packing B would not pay, and sums along k are long enough to be split in lanes."""
    along = a.strides[-1] == 1 and b.strides[-2] == 1 and not g.batch
    return along and (
        (g.columns < DOT_COLUMNS and g.depth >= DOT_DEPTH[0])
        or (g.rows <= DOT_ROWS and g.depth >= DOT_DEPTH[1])
    )


def along_of(b: Place) -> str:
    """The axis of B with stride 1: its columns "j", its rows "k" or "none"."""
    return "j" if b.strides[-1] == 1 else "k" if b.strides[-2] == 1 else "none"
