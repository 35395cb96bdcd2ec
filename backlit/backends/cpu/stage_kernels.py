"""Generates the staging of a block of rows: a copy with its padding, dense in channels.

Owns the private function that other kernels call before they read windows. Where the block
lies, and how much is copied, arrives as a record that `conv_plan.py` fills in.
"""

from __future__ import annotations

from . import features
from .codegen import Function, Value, names, parameters, vector

# what a record says, in int64 words
GEOMETRY = names(
    "source_rows row_stride middle middle_low middle_source middle_stride "
    "left width right pixel_stride channels padded_channels"
)


def stage(machine: features.Machine, element: str) -> Function:
    """Emit: copy a block of rows, zeros where the padding lies, channels padded with zeros."""
    width = machine.width(element)
    scalars = ", ".join(f"i64 {name}" for name in ("first", "rows", *GEOMETRY))
    f = Function("stage", parameters(f"ptr source, ptr target, {scalars}"), private=True)
    channels, padded = f["channels"], f["padded_channels"]
    line = (f["left"] + f["width"] + f["right"]) * padded
    plane = line * f["middle"]

    def row(i: Value) -> None:
        position = f["first"] + i
        source = f.at(f["source"], position * f["row_stride"], element)
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
            lambda: pixels(f.at(source, position * f["middle_stride"], element), target),
            lambda: fill_zero(f, target, line, element, width),
        )

    def pixels(source: Value, target: Value) -> None:
        left = f["left"] * padded
        fill_zero(f, target, left, element, width)
        target = f.at(target, left, element)
        dense = f.compare("eq", f["pixel_stride"], padded)
        f.when(
            dense & f.compare("eq", channels, padded),
            lambda: _copy(f, source, target, f["width"] * padded, element, width),
            lambda: f.loop(0, f["width"], 1, lambda k: pixel(k, source, target)),
        )
        right = f["right"] * padded
        fill_zero(f, f.at(target, f["width"] * padded, element), right, element, width)

    def pixel(k: Value, source: Value, target: Value) -> None:
        source = f.at(source, k * f["pixel_stride"], element)
        target = f.at(target, k * padded, element)
        _copy(f, source, target, channels, element, width)
        fill_zero(f, f.at(target, channels, element), padded - channels, element, width)

    f.loop(0, f["rows"], 1, row)
    return f


def fill_zero(f: Function, target: Value, count: Value, element: str, width: int) -> None:
    """Emit: set `count` neighbours to zero."""

    def zero(start: Value, _: int, lanes: int) -> None:
        f.store(f.constant(vector(element, lanes), 0.0), f.at(target, start, element))

    f.each_slice(count, _vectors_and_rest(width), zero)


def _copy(
    f: Function, source: Value, target: Value, count: Value, element: str, width: int
) -> None:
    def copy(start: Value, _: int, lanes: int) -> None:
        value = f.load(f.at(source, start, element), vector(element, lanes))
        f.store(value, f.at(target, start, element))

    f.each_slice(count, _vectors_and_rest(width), copy)


def _vectors_and_rest(width: int) -> list[tuple[int, int]]:
    return [(1, width), (1, 1)] if width > 1 else [(1, 1)]
