"""The gradient of a large weight in a plan: columns in panels, then one product.

`columns.py` says when and why; `lowering.py` asks here first. The columns exist only as the
panels that the product reads (matmul/lowering.py), filled by `columns_kernels.py`.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np

from backlit.backends.cpu.channels.places import channels_last_place
from backlit.backends.cpu.matmul.lowering import multiply, total_alone
from backlit.backends.cpu.native.words import ELEMENTS, ordered
from backlit.backends.cpu.plans.plan import Place, Plan, Task
from backlit.program.ir import Value

from . import columns_kernels
from .columns import Geometry, block_pixels, is_seen_once, tap_offsets


def lower_weight_product(plan: Plan, g: Value, x: Value, gw: Value, geometry: Geometry) -> None:
    """gw (O, C * K) = g (O, pixels) times the columns (pixels, C * K) of x."""
    grad, source = channels_last_place(plan, g), channels_last_place(plan, x)
    target, size = plan.result(gw), gw.shape[2:]
    outputs, pixels = g.shape[1], g.shape[0] * math.prod(g.shape[2:])
    line = math.prod(gw.shape[1:])
    across = replace(grad, shape=(outputs, pixels), strides=(1, outputs))
    flat = replace(target, shape=(outputs, line), strides=(line, 1))
    seen = replace(source, shape=(pixels, line), strides=(line, 1))
    panels = None
    if not is_seen_once(x.shape, g.shape, size):
        dtype = source.dtype if source.dtype in ELEMENTS else np.dtype(np.float32)
        seen = replace(seen, dtype=dtype)
        offsets = tap_offsets(x.shape[1:], g.shape[2:], size, geometry)
        panels = functools.partial(_columns, plan, source, offsets, dtype)
    multiply(plan, across, seen, [], [flat], "sum", total_alone, panels)


def _columns(
    plan: Plan, source: Place, offsets: np.ndarray, dtype: np.dtype, vectors: int
) -> Place:
    """The columns (pixels, C * K) in panels of so many vectors."""
    images, channels, element = *source.shape[:2], ELEMENTS[dtype]
    pixels, taps = offsets.shape
    panel = vectors * plan.machine.width(element)
    panels = -(-channels * taps // panel)
    line = panels * panel
    block = block_pixels(line, dtype.itemsize)
    blocks = -(-pixels // block)
    made = plan.temporary((panels, images * pixels, panel), dtype)
    scratch = plan.temporary((plan.workers, block, line), dtype)
    words = ordered(
        columns_kernels.COLUMNS,
        x=source,
        x_image=math.prod(source.shape[1:]),
        pixels=pixels,
        channels=channels,
        offsets=plan.constant(offsets),
        taps=taps,
        zeros=plan.constant(np.zeros(plan.machine.width(element), source.dtype)),
        block_pixels=block,
        blocks=blocks,
        scratch=scratch,
        line=line,
        target=made,
        depth=images * pixels,
    )
    plan.add(
        Task(
            label="columns",
            kernel=columns_kernels.columns(plan.machine, element, source.dtype, vectors),
            words=words,
            chunks=images * blocks,
            reads=(source, scratch),
            writes=(made, scratch),
        )
    )
    return made
