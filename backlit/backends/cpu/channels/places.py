"""Channels-last memory in plans: bringing operands into it.

Convolutions, pools and normalizations ask here for their operands. What lies channels-last with
gaps (a part of the channels of a larger array) or as plain NCHW has a kernel of its own; the rest
is copied as the plan copies. Axes of other things than images keep their C order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from backlit.backends.cpu.native.words import ordered
from backlit.backends.cpu.plans.plan import Place, Plan, Task, channels_last
from backlit.program.ir import Value

from . import rows as rows_copy
from . import transpose

# by the size of an element: moving needs no arithmetic
MOVED = {4: "float", 8: "double"}
COPY_BYTES = 64 * 1024


def channels_last_place(plan: Plan, value: Value) -> Place:
    """The operand (N, C, *S) without gaps as (N, *S, C); copied if need be, once."""
    place, order = plan.place(value), channels_last(len(value.shape))
    if place.is_dense(order):
        return place
    key = (value.name, order)
    if key not in plan._copies:
        made = _moved(plan, place, order)
        if made is None:
            return plan.dense(value, order)
        plan._copies[key] = made
    return plan._copies[key]


def row_step(place: Place) -> int | None:
    """How far the rows of channels of (N, C, *S) lie apart; None where there are no such rows."""
    shape, strides = place.shape, place.strides
    if len(shape) < 3 or (shape[1] > 1 and strides[1] != 1):
        return None
    axes = [axis for axis in (*range(len(shape) - 1, 1, -1), 0) if shape[axis] > 1]
    if not axes:
        return shape[1]
    step = strides[axes[0]]
    expected = step
    for axis in axes:
        if strides[axis] != expected:
            return None
        expected *= shape[axis]
    return step if step >= shape[1] else None


def _moved(plan: Plan, place: Place, order: Sequence[int]) -> Place | None:
    """A channels-last copy by a kernel for it, if there is one."""
    element = MOVED.get(place.dtype.itemsize)
    if element is None or not place.size or len(place.shape) < 3:
        return None
    step = row_step(place)
    if step is not None:
        made = plan.temporary(place.shape, place.dtype, order)
        _copy(plan, place, made, step, place.shape[1])
        return made
    if place.is_dense() and place.shape[1] > 1:
        made = plan.temporary(place.shape, place.dtype, order)
        _transpose(plan, place, made, element)
        return made
    return None


def _copy(plan: Plan, source: Place, target: Place, step: int, there: int) -> None:
    channels, size = source.shape[1], source.dtype.itemsize
    rows = source.size // channels
    block = max(1, COPY_BYTES // (size * (step + there)))
    words = ordered(
        rows_copy.COPY_ROWS,
        source=source,
        target=target,
        rows=rows,
        channels=channels,
        source_step=step,
        target_step=there,
        block_rows=block,
    )
    kernel = rows_copy.copy_rows(plan.machine, MOVED[size])
    plan.add(Task("copy rows", kernel, words, -(-rows // block), reads=(source,), writes=(target,)))


def _transpose(plan: Plan, source: Place, target: Place, element: str) -> None:
    """From (N, C, *S) in C order: a matrix (C, S) per image."""
    images, channels = source.shape[:2]
    pixels = math.prod(source.shape[2:])
    cut = transpose.cut(channels, pixels)
    words = ordered(transpose.TRANSPOSE, source=source, target=target, **cut)
    kernel, chunks = transpose.transpose(plan.machine, element), images * cut["blocks"]
    plan.add(Task("transpose", kernel, words, chunks, reads=(source,), writes=(target,)))
