"""Generates the staging of a block of rows: a copy with its padding, dense in channels.

Owns the private function that other kernels call before they read windows. Where the block
lies, and how much is copied, arrives as a record that `conv/geometry.py` fills in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from backlit.backends.cpu.lanes.value import load_lane, memory_element
from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.codegen import Function, Value, halves, names, parameters, vector

from .lanewise import Lanewise

# what a record says, in int64 words
GEOMETRY = names(
    "source_rows row_stride middle middle_low middle_source middle_stride "
    "left width right pixel_stride channels padded_channels"
)


@dataclass(frozen=True)
class Source:
    """What is staged: the dtype in memory, and what is done to each value before it is kept.

    The operands beside it are per channel or single; `fields` are all words of the kernel.
    """

    dtype: np.dtype
    before: Lanewise | None = None


def stage(
    machine: features.Machine,
    element: str,
    source: Source | None = None,
    fields: Sequence[str] = (),
    name: str = "stage",
) -> Function:
    """Emit: copy a block of rows, zeros where the padding lies, channels padded with zeros."""
    width = machine.width(element)
    memory = memory_element(source.dtype) if source else element
    scalars = ", ".join(f"i64 {name}" for name in ("first", "rows", *GEOMETRY))
    f = Function(name, parameters(f"ptr source, ptr target, ptr words, {scalars}"), private=True)
    channels, padded = f["channels"], f["padded_channels"]
    line = (f["left"] + f["width"] + f["right"]) * padded
    plane = line * f["middle"]

    def row(i: Value) -> None:
        position = f["first"] + i
        source = f.at(f["source"], position * f["row_stride"], memory)
        target = f.at(f["target"], i * plane, element)
        f.when(
            f.compare("ult", position, f["source_rows"]),
            lambda: f.loop(0, f["middle"], 1, lambda j: middle(j, source, target)),
            lambda: fill_zero(f, target, plane, element, width),
        )

    def middle(j: Value, source: Value, target: Value) -> None:
        position = j - f["middle_low"]
        target = f.at(target, j * line, element)
        f.when(
            f.compare("ult", position, f["middle_source"]),
            lambda: pixels(f.at(source, position * f["middle_stride"], memory), target),
            lambda: fill_zero(f, target, line, element, width),
        )

    def pixels(source: Value, target: Value) -> None:
        left = f["left"] * padded
        fill_zero(f, target, left, element, width)
        target = f.at(target, left, element)
        dense = f.compare("eq", f["pixel_stride"], padded)
        each = lambda: f.loop(0, f["width"], 1, lambda k: pixel(k, source, target))
        if copies_rows:
            whole = lambda: copy(source, target, f["width"] * padded)
            f.when(dense & f.compare("eq", channels, padded), whole, each)
        else:
            each()
        right = f["right"] * padded
        fill_zero(f, f.at(target, f["width"] * padded, element), right, element, width)

    def pixel(k: Value, source: Value, target: Value) -> None:
        source = f.at(source, k * f["pixel_stride"], memory)
        target = f.at(target, k * padded, element)
        copy(source, target, channels)
        fill_zero(f, f.at(target, channels, element), padded - channels, element, width)

    # what differs from channel to channel can't run over pixels
    copies_rows = source is None or source.before is None
    copy = _converting(f, source, fields, element, width) if source else _copying(f, element, width)
    f.loop(0, f["rows"], 1, row)
    return f


def fill_zero(f: Function, target: Value, count: Value, element: str, width: int) -> None:
    """Emit: set `count` neighbours to zero."""

    def zero(start: Value, _: int, lanes: int) -> None:
        f.store(f.constant(vector(element, lanes), 0.0), f.at(target, start, element))

    f.each_slice(count, _vectors_and_rest(width), zero)


def _copying(f: Function, element: str, width: int) -> Callable[[Value, Value, Value], None]:
    def copy(source: Value, target: Value, count: Value) -> None:
        def piece(start: Value, _: int, lanes: int) -> None:
            value = f.load(f.at(source, start, element), vector(element, lanes))
            f.store(value, f.at(target, start, element))

        f.each_slice(count, _vectors_and_rest(width), piece)

    return copy


def _converting(
    f: Function, source: Source, fields: Sequence[str], element: str, width: int
) -> Callable[[Value, Value, Value], None]:
    """Copy from another dtype, through what is done before."""
    dtype, before = source.dtype, source.before
    memory = memory_element(dtype)

    def pointer(name: str) -> Value:
        return f.load(f.at(f["words"], fields.index(name), "i64"), "ptr")

    def copy(here: Value, target: Value, count: Value) -> None:
        def piece(start: Value, _: int, lanes: int) -> None:
            lane = load_lane(f, f.at(here, start, memory), dtype, lanes)
            if before is not None:
                ((lane, *_rest),) = before.prepare(f, pointer, start, 1, lanes)(start, [lane])
            f.store(lane.v, f.at(target, start, element))

        f.each_slice(count, halves(1, width), piece)

    return copy


def _vectors_and_rest(width: int) -> list[tuple[int, int]]:
    return [(1, width), (1, 1)] if width > 1 else [(1, 1)]
