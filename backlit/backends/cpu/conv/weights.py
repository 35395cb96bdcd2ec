"""Generates what stands around a convolution in a plan: weights into panels, sums into weights.

Owns the machine code of both: `pack` writes OIHW weights in the order in which the tiles of
`kernels.py` read them, `combine` adds the partial sums of a weight gradient in their order
and writes OIHW. Tables come from `geometry.py`; `lowering.py` makes the tasks.
"""

from __future__ import annotations

import functools

import numpy as np

from backlit.backends.cpu.lanes.value import Lane, load_lane, memory_element, store_lane
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, Value, names, vector

from .kernels import PANEL, Record

# how the taps of one phase are ordered, and where its weights begin in a group's panels
ORDER = names("taps n_taps position")
PACK = names(
    "weights group_step output_step input_step outputs inputs bias has_bias "
    "phases n_phases panels n_panels packed packed_group padded_bias padded"
)
COMBINE = names(
    "partial parts rows padded lanes each lane_step each_step group_step taps blocks target"
)


@jit.recipe
def pack(machine: features.Machine, element: str, dtype: np.dtype) -> int:
    """Return the kernel that packs weights and bias; a chunk is one panel of one group."""
    memory = memory_element(dtype)
    f = Kernel("conv_pack", PACK)
    width = machine.width(element)
    zero = f.constant(element, 0.0)

    def chunk(index: Value) -> None:
        count = f.field("n_panels")
        group = index // count
        panel = Record(f, "panels", index % count, PANEL)
        first, size = panel["first"], panel["vectors"] * width
        filled = f.smaller(f.field("outputs") - first, size)

        def line(source: Value, step: Value, target: Value) -> None:
            """Neighbouring outputs side by side, zeros after the last."""
            f.loop(0, filled, 1, lambda o: f.store(
                load_lane(f, f.at(source, o * step, memory), dtype, 1).v, f.at(target, o, element)
            ))  # fmt: skip
            f.loop(filled, size, 1, lambda o: f.store(zero, f.at(target, o, element)))

        bias = f.at(f.field("padded_bias", "ptr"), group * f.field("padded") + first, element)
        f.when(
            f.compare("ne", f.field("has_bias"), 0),
            lambda: line(
                f.at(f.field("bias", "ptr"), group * f.field("outputs") + first, memory),
                f.integer(1),
                bias,
            ),
            lambda: f.loop(0, size, 1, lambda o: f.store(zero, f.at(bias, o, element))),
        )
        step = f.field("output_step")
        source = group * f.field("group_step") + first * step
        source = f.at(f.field("weights", "ptr"), source, memory)
        packed = f.at(f.field("packed", "ptr"), group * f.field("packed_group"), element)
        inputs = f.field("inputs")

        def phase(i: Value) -> None:
            item = Record(f, "phases", i, ORDER)
            taps = item.pointer("taps")
            place = item["position"] + first * item["n_taps"] * inputs
            target = f.at(packed, place, element)

            def tap(t: Value) -> None:
                here = f.at(source, f.load(f.at(taps, t, "i64"), "i64"), memory)
                there = f.at(target, t * inputs * size, element)
                f.loop(0, inputs, 1, lambda c: line(
                    f.at(here, c * f.field("input_step"), memory),
                    step,
                    f.at(there, c * size, element),
                ))  # fmt: skip

            f.loop(0, item["n_taps"], 1, tap)

        f.loop(0, f.field("n_phases"), 1, phase)

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)


@jit.recipe
def combine(machine: features.Machine, element: str, dtype: np.dtype) -> int:
    """Return the kernel that adds partial weight gradients; a chunk is a vector of lanes.

    Rows of sums are, for every tap, those of `each` channel beside the lanes.
    """
    memory = memory_element(dtype)
    f = Kernel("conv_combine", COMBINE)
    width = machine.width(element)

    def chunk(index: Value) -> None:
        group, first = index // f.field("blocks"), index % f.field("blocks") * width
        rows, padded, taps = f.field("rows"), f.field("padded"), f.field("taps")
        each, step, parts = f.field("each"), f.field("lane_step"), f.field("parts")
        source = group * parts * rows * padded + first
        source = f.at(f.field("partial", "ptr"), source, element)
        target = group * f.field("group_step") + first * step
        target = f.at(f.field("target", "ptr"), target, memory)
        last = f.field("lanes") - first

        def row(t: Value, c: Value) -> None:
            here = f.at(source, (t * each + c) * padded, element)
            there = f.at(target, c * f.field("each_step") + t, memory)
            kind = vector(element, width)
            (total,) = f.loop(1, parts, 1, lambda p, s: [
                s + f.load(f.at(here, p * rows * padded, element), kind)
            ], [f.load(here, kind)])  # fmt: skip

            def put(lane: int) -> None:
                value = f.lanes(total, lane, 1) if width > 1 else total
                store_lane(f, Lane(f, value), f.at(there, step * lane, memory), dtype)

            def whole() -> None:
                for lane in range(width):
                    put(lane)

            def rest() -> None:
                for lane in range(width - 1):
                    f.when(f.compare("sgt", last, lane), functools.partial(put, lane))

            f.when(f.compare("sge", last, width), whole, rest)

        f.loop(0, taps, 1, lambda t: f.loop(0, each, 1, lambda c: row(t, c)))

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)
