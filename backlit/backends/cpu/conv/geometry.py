"""Turns the shape of a convolution into the tables that the native kernels read.

Owns geometry: which taps reach which output pixel, where they lie in memory, how work is cut
into blocks. Input gradients (transposed convolutions) are gathers too, one per residue of the
stride. Emits no code and touches no data; `eager.py` runs the plans.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backlit.backends.cpu.channels.staging import GEOMETRY

from .kernels import MAX_VECTORS, PANEL, PHASE, rows_per_tile

Sizes = tuple[int, ...]
BLOCK_BYTES = 128 * 1024
SUM_BLOCK_BYTES = 32 * 1024
MIN_BLOCKS = 8
# turning the roles of inputs and outputs must save as much
TURNED = 1.1
HERE = ((0, 0),)


@dataclass(frozen=True)
class Residue:
    """Along one axis: outputs start, start + step, ... and the taps (offset, index) they see."""

    start: int
    count: int
    taps: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a gather: output q of a residue reads at q * source_step + offset."""

    source: int
    target: int
    target_step: int
    source_step: int
    residues: tuple[Residue, ...]

    @property
    def low(self) -> int:
        """How far the first read lies before the array; negative where it lies inside."""
        return -min((t[0] for r in self.residues for t in r.taps), default=0)

    def span(self, count: int | None = None) -> int:
        """Return how many positions from -low on are read for `count` outputs a residue."""
        last = 0
        for r in self.residues:
            n = r.count if count is None else min(count, r.count)
            for offset, _ in r.taps if n else ():
                last = max(last, (n - 1) * self.source_step + offset + self.low)
        return last + 1

    @property
    def inside(self) -> bool:
        """Whether every read lies inside the array."""
        return self.low <= 0 and self.span() - self.low <= self.source


def forward_axis(size: int, output: int, k: int, s: int, p: int, d: int) -> Axis:
    taps = tuple((t * d - p, t) for t in range(k))
    return Axis(size, output, 1, s, (Residue(0, output, taps),))


def gradient_axis(size: int, output: int, k: int, s: int, p: int, d: int) -> Axis:
    """The axis of the input gradient, from `output` gradients back to `size` inputs."""
    residues = []
    for start in range(min(s, size)):
        taps = (((start + p - t * d) // s, t) for t in range(k) if (start + p - t * d) % s == 0)
        residues.append(Residue(start, -(-(size - start) // s), tuple(sorted(taps))))
    return Axis(output, size, s, 1, tuple(residues))


Axes = tuple[Axis, Axis, Axis]


def three_axes(axes: Sequence[Axis]) -> Axes:
    """Bring one to three axes to (rows, middle, width); work is cut along the rows."""
    trivial = Axis(1, 1, 1, 1, (Residue(0, 1, HERE),))
    rows, *rest = axes
    padded = [trivial] * (2 - len(rest)) + rest
    return rows, padded[0], padded[1]


@dataclass(frozen=True)
class Layout:
    """Where a block of source rows lies for the kernel: in the array, or staged in scratch."""

    staged: bool
    low: Sizes
    strides: Sizes
    geometry: np.ndarray
    start: int
    elements: int


def layout(
    axes: Axes,
    channels: int,
    groups: int,
    rows: int,
    padded_channels: int | None = None,
    force: bool = False,
) -> Layout:
    """Plan the reads of a block of `rows` outputs of each residue; `force` a staged copy."""
    pixel = channels * groups
    _, middle, width = axes
    source = (middle.source * width.source * pixel, width.source * pixel, pixel)
    padded = padded_channels or channels
    staged = force or padded != channels or not all(axis.inside for axis in axes)
    span = (axes[0].span(rows), middle.span(), width.span())
    left, skip = min(max(width.low, 0), span[2]), max(-width.low, 0)
    copied = max(0, min(span[2] - left, width.source - skip))
    geometry = {
        "source_rows": axes[0].source,
        "row_stride": source[0],
        "middle": span[1],
        "middle_low": middle.low,
        "middle_source": middle.source,
        "middle_stride": source[1],
        "left": left,
        "width": copied,
        "right": span[2] - left - copied,
        "pixel_stride": pixel,
        "channels": channels,
        "padded_channels": padded,
    }
    words = np.array([geometry[name] for name in GEOMETRY], np.int64)
    if not staged:
        return Layout(False, (0, 0, 0), source, words, 0, 0)
    low = tuple(axis.low for axis in axes)
    strides = (span[1] * span[2] * padded, span[2] * padded, padded)
    return Layout(True, low, strides, words, skip * pixel, math.prod(span) * padded)


def block_rows(axes: Axes, channels: int, item_bytes: int, images: int, limit: int) -> int:
    """Return how many rows of outputs one block takes: a cache full, yet work for all threads."""
    most = max(r.count for r in axes[0].residues)
    row = axes[1].span() * axes[2].span() * channels * item_bytes * axes[0].source_step
    fitting = max(1, limit // max(row, 1))
    shared = -(-most * min(images, MIN_BLOCKS) // MIN_BLOCKS)
    count = -(-most // max(1, min(fitting, shared)))
    return -(-most // count)


@dataclass(frozen=True)
class Panel:
    """A run of output channels: whole vectors, of the last one `tail` lanes (0: all)."""

    vectors: int
    first: int
    tail: int


def panels(channels: int, width: int) -> list[Panel]:
    """Cut output channels into panels of one to three vectors, as even as possible."""
    vectors = -(-channels // width)
    count = -(-vectors // MAX_VECTORS)
    cut, first = [], 0
    for i in range(count):
        size = vectors // count + (i < vectors % count)
        here = min(channels - first, size * width)
        cut.append(Panel(size, first, here % width))
        first += size * width
    return cut


@dataclass(frozen=True)
class Gather:
    """Everything about one gather that does not depend on the data."""

    groups: int
    depthwise: bool
    source: Layout
    blocks: int
    block_rows: int
    row_step: int
    span: int
    target_row: int
    index: np.ndarray
    orders: list[np.ndarray]
    packed: int
    padded_channels: int
    phases: np.ndarray
    panels: np.ndarray
    tables: list[np.ndarray]

    def blocks_of(self, images: int) -> np.ndarray:
        """How many output pixels each block has, image by image; one group."""
        rows, per_row = (self.phases[:, PHASE.index(name)] for name in ("rows", "per_row"))
        first = np.arange(self.blocks)[:, None] * self.block_rows
        count = np.clip(rows - first, 0, self.block_rows) * per_row
        return np.tile(count.sum(axis=1), images)

    @functools.cached_property
    def weight_steps(self) -> dict[str, int]:
        """How far groups, outputs and inputs lie apart in the weight."""
        group, output, input, _ = (s // self.index.itemsize for s in self.index.strides)
        return {"group_step": group, "output_step": output, "input_step": input}

    @functools.cached_property
    def entry_inputs(self) -> int:
        """How many inputs `entries` tells of: as many as a vector has, where all they have are
        neighbours in memory."""
        *_, inputs, taps = self.index.shape
        dense = self.weight_steps["input_step"] == taps == sum(map(len, self.orders))
        width = self.padded_channels // int(self.panels[:, 0].sum())
        return min(width, inputs) if dense else 1

    @functools.cached_property
    def entries(self) -> np.ndarray:
        """For the weights of some inputs, in the order of memory: where they lie there; where their
        phase begins in the panels, its rows, their own row. See `weights.ENTRY`."""
        *_, inputs, taps = self.index.shape
        found = []
        for order, phase in zip(self.orders, self.phases, strict=True):
            position = phase[PHASE.index("weights")]
            rows = len(order) * inputs
            found += [(tap, position, rows, n * inputs) for n, tap in enumerate(order)]
        one = np.array(sorted(found), np.int64).reshape(-1, 4)
        further = np.arange(self.entry_inputs)[:, None, None] * np.array([taps, 0, 0, 1])
        return (one + further).reshape(-1, 4)

    @functools.cached_property
    def entries_are_neighbours(self) -> bool:
        """Whether all weights are used: then `entries` are neighbours in memory."""
        return bool((self.entries[:, 0] == np.arange(len(self.entries))).all())


def gather(
    axes: Axes,
    index: np.ndarray,
    taps: Sizes,
    width: int,
    item_bytes: int,
    images: int,
    depthwise: bool,
    force: bool = False,
) -> Gather:
    """Plan a gather; `index` (groups, out, in, taps) numbers the weights as they lie in memory.

    Depthwise is one group whose every output channel has one input, its own.
    """
    groups, outputs, inputs, _ = index.shape
    channels = outputs if depthwise else inputs
    rows = block_rows(axes, channels, item_bytes, images * groups, BLOCK_BYTES)
    cut = panels(outputs, width)
    padded = width * sum(p.vectors for p in cut)
    # whole vectors of inputs are read, also past the last channel
    source = layout(axes, channels, groups, rows, padded if depthwise else None, force)
    pixel = outputs * groups
    line = axes[2].target * pixel
    targets = (axes[1].target * line, line, pixel)
    records, orders, tables, position = [], [], [], 0
    for residues in itertools.product(*(axis.residues for axis in axes)):
        order, runs, length = _runs(residues, taps, source, inputs, merge=not depthwise)
        source_table = _pixels(residues, rows, source.strides, [a.source_step for a in axes])
        target_table = _pixels(residues, rows, targets, [a.target_step for a in axes])
        start = sum(r.start * t for r, t in zip(residues, targets, strict=True))
        target_table += np.int32(start)
        limits = _limits(residues[0], axes[0], len(runs))
        row_table = _row_table(residues, rows)
        tables += [source_table, target_table, runs, row_table, limits]
        addresses = [t.ctypes.data for t in tables[-5:]]
        per_row = residues[1].count * residues[2].count
        depth = len(runs) * length
        records.append([residues[0].count, per_row, *addresses, length, depth, position])
        orders.append(np.array(order, np.int64))
        position += len(order) * inputs * padded
    return Gather(
        groups=groups,
        depthwise=depthwise,
        source=source,
        blocks=-(-max(r.count for r in axes[0].residues) // rows),
        block_rows=rows,
        row_step=axes[0].source_step,
        span=axes[0].span(rows),
        target_row=axes[0].target_step * targets[0],
        index=index,
        orders=orders,
        packed=position,
        padded_channels=padded,
        phases=np.array(records, np.int64).reshape(-1, len(PHASE)),
        panels=_panel_words(cut),
        tables=tables,
    )


@dataclass(frozen=True)
class WeightSum:
    """Everything about one weight gradient that does not depend on the data."""

    groups: int
    depthwise: bool
    source: Layout
    grad: Layout
    blocks: int
    block_rows: int
    rows: int
    per_row: int
    row_step: int
    span: int
    table: np.ndarray
    taps: np.ndarray
    limits: np.ndarray
    padded_channels: int
    panels: np.ndarray
    turned: bool
    n_taps: int
    shifts: int


def weight_sum(
    axes: Axes,
    inputs: int,
    outputs: int,
    groups: int,
    width: int,
    item_bytes: int,
    depthwise: bool,
    force: bool = False,
    registers: int = 0,
) -> WeightSum:
    """Plan the sum over all pixels of input times gradient, for `inputs` and `outputs` a group.

    With the number of `registers` it may be turned, where that leaves fewer lanes unused.
    """
    residues = tuple(axis.residues[0] for axis in axes)
    places = math.prod(len(r.taps) for r in residues)
    turned = (
        bool(registers)
        and not depthwise
        and (
            TURNED * places * _work(inputs, outputs, width, registers)
            < _work(outputs, places * inputs, width, registers)
        )
    )
    channels = outputs if depthwise else inputs
    rows = block_rows(axes, channels + outputs, item_bytes, MIN_BLOCKS, SUM_BLOCK_BYTES)
    cut = panels(inputs if turned else outputs, width)
    padded = width * sum(p.vectors for p in cut)
    vectors = padded if depthwise or turned else None
    source = layout(axes, channels, groups, rows, vectors, force)
    grad = layout(_copies(residues), outputs, groups, rows, None if turned else padded, force)
    offsets = _tap_offsets(residues, source)
    limits = _tap_limits(residues[0], axes[0], len(offsets))
    taps = offsets[:, None] + np.arange(1 if turned else inputs)
    return WeightSum(
        groups=groups,
        depthwise=depthwise,
        source=source,
        grad=grad,
        blocks=-(-residues[0].count // rows),
        block_rows=rows,
        rows=residues[0].count,
        per_row=residues[1].count * residues[2].count,
        row_step=axes[0].source_step,
        span=axes[0].span(rows),
        table=_pixels(residues, rows, source.strides, [a.source_step for a in axes]),
        taps=taps.astype(np.int32).ravel(),
        limits=limits if turned else np.repeat(limits, inputs, axis=0),
        padded_channels=padded,
        panels=_panel_words(cut),
        turned=turned,
        n_taps=outputs if turned else taps.size,
        shifts=len(offsets) if turned else 1,
    )


def _work(lanes: int, rows: int, width: int, registers: int) -> int:
    """How many products of vectors it takes to pair `lanes` with `rows`, a tile at a time."""
    total = 0
    for panel in panels(lanes, width):
        step = rows_per_tile(registers, panel.vectors)
        total += panel.vectors * -(-rows // step) * step
    return total


def _copies(residues: Sequence[Residue]) -> Axes:
    """Axes that read every output gradient once, where it lies."""
    a, b, c = (Axis(r.count, r.count, 1, 1, (Residue(0, r.count, HERE),)) for r in residues)
    return a, b, c


def _pixels(
    residues: Sequence[Residue], rows: int, strides: Sizes, steps: Sequence[int]
) -> np.ndarray:
    """Return the offset of every pixel of a block, row by row."""
    counts = (min(rows, residues[0].count), residues[1].count, residues[2].count)
    a, b, c = (
        np.arange(n) * (stride * step)
        for n, stride, step in zip(counts, strides, steps, strict=True)
    )
    return (a[:, None, None] + b[:, None] + c).astype(np.int32).ravel()


def _row_table(residues: Sequence[Residue], rows: int) -> np.ndarray:
    """Return the row of every pixel of a block."""
    per_row = residues[1].count * residues[2].count
    return np.repeat(np.arange(min(rows, residues[0].count)), per_row).astype(np.int32)


def _limits(residue: Residue, axis: Axis, runs: int) -> np.ndarray:
    """Return, for every row of outputs, the first run that reads rows of the source, and the one
    behind the last: others would read padding."""
    offsets = np.array([offset for offset, _ in residue.taps], np.int64)
    first = np.arange(residue.count)[:, None] * axis.source_step + offsets
    each = runs // max(1, len(offsets))
    before, inside = (first < 0).sum(axis=1), (first < axis.source).sum(axis=1)
    return np.ascontiguousarray(np.stack([before, inside], axis=1) * each)


def _tap_limits(residue: Residue, axis: Axis, taps: int) -> np.ndarray:
    """Return, for every tap, the first row of outputs for which it lies in the source, and the one
    behind the last."""
    offsets = np.array([offset for offset, _ in residue.taps], np.int64)
    first = -(offsets // axis.source_step)
    behind = -((offsets - axis.source) // axis.source_step)
    limits = np.clip(np.stack([first, behind], axis=1), 0, residue.count)
    return np.repeat(limits, taps // len(offsets), axis=0)


def _tap_offsets(residues: Sequence[Residue], source: Layout) -> np.ndarray:
    a, b, c = (
        np.array([(offset + low) * stride for offset, _ in r.taps], np.int64)
        for r, low, stride in zip(residues, source.low, source.strides, strict=True)
    )
    return (a[:, None, None] + b[:, None] + c).ravel()


def _runs(
    residues: Sequence[Residue], taps: Sizes, source: Layout, channels: int, merge: bool
) -> tuple[list[int], np.ndarray, int]:
    """Return the order of the taps, where each run of neighbours begins, and its length."""
    indices = itertools.product(*([t for _, t in r.taps] for r in residues))
    order = [int(np.ravel_multi_index(i, taps)) for i in indices]
    offsets = _tap_offsets(residues, source)
    merged = len(residues[2].taps)
    # taps side by side in memory make one long run
    if merge and merged > 1 and np.all(np.diff(offsets.reshape(-1, merged)) == channels):
        return order, offsets[::merged].copy(), merged * channels
    return order, offsets, channels


def _panel_words(cut: list[Panel]) -> np.ndarray:
    return np.array([[p.vectors, p.first, p.tail] for p in cut], np.int64).reshape(-1, len(PANEL))
