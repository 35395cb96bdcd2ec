"""Convolutions and their gradients as tasks of a plan: pack the weights, gather; sum, combine.

Geometry comes from `geometry.py`, code from `kernels.py` and `weights.py`; nothing is
left to NumPy when a step runs. Activations lie channels-last, weights as plain OIHW. What no
kernel covers (other dtypes, empty arrays) is declined.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backlit.backends.cpu.channels.places import channels_last_place
from backlit.backends.cpu.channels.staging import Source
from backlit.backends.cpu.native.words import ELEMENTS, is_half, ordered
from backlit.backends.cpu.plans.plan import Place, Plan, Task, channels_last
from backlit.program.ir import Instr, Value

from . import columns, eager, kernels
from . import geometry as conv_plan
from . import weights as weight_kernels
from .columns_lowering import lower_weight_product
from .finish import Finish

Sizes = tuple[int, ...]
SUM_PARTS = eager.SUM_PARTS


@dataclass(frozen=True, eq=False)
class Ending:
    """What a convolution's kernel does beyond storing its result: see `finish.Finish`."""

    finish: Finish
    words: dict[str, Any]
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]


# makes the ending of a convolution whose plan is known
End = Callable[[conv_plan.Gather], Ending]


def lower_conv(plan: Plan, instr: Instr, end: End | None = None) -> Any:
    """y = x convolved with w, plus b."""
    known = _known(instr)
    if known is None:
        return NotImplemented
    x, w, y, geometry, groups = known
    found = eager.forward_plan(
        plan.machine, _computed(x), x.shape[1:], w.shape, y.shape[2:], geometry, groups,
        eager.some(x), _is_half(x),
    )  # fmt: skip
    bias: Any = instr.inputs[2]
    return _gather(plan, found, x, w, bias, y, _flops(w, y), end, "conv")


def lower_conv_grad_input(plan: Plan, instr: Instr, end: End | None = None) -> Any:
    """The gradient of a convolution by its input; the transposed convolution."""
    known = _known(instr)
    if known is None:
        return NotImplemented
    g, w, gx, geometry, groups = known
    size = tuple(instr.params["size"])
    found = eager.gradient_plan(
        plan.machine, _computed(g), g.shape[1:], w.shape, size, geometry, groups,
        eager.some(g), _is_half(g),
    )  # fmt: skip
    return _gather(plan, found, g, w, None, gx, _flops(w, g), end, "conv_grad_input")


def lower_conv_grad_weight(plan: Plan, instr: Instr) -> Any:
    """The gradient of a convolution by its weight."""
    known = _known(instr)
    if known is None:
        return NotImplemented
    g, x, gw, geometry, groups = known
    if columns.is_product(g.shape, gw.shape, _computed(g).itemsize, groups):
        return lower_weight_product(plan, g, x, gw, geometry)
    size = tuple(instr.params["size"])
    found = eager.weight_plan(
        plan.machine, _computed(g), x.shape[1:], g.shape[1:], size, geometry, groups, _is_half(g),
        turns=True,
    )  # fmt: skip
    return _weight_sum(plan, found, g, x, gw, size)


def _gather(
    plan: Plan,
    found: conv_plan.Gather,
    x: Value,
    w: Value,
    b: Value | None,
    y: Value,
    flops: int,
    end: End | None,
    label: str,
) -> None:
    dtype = _computed(x)
    element = ELEMENTS[dtype]
    source = channels_last_place(plan, x)
    weights, bias = _packed(plan, found, w, b, y.shape[1])
    ending = end(found) if end else Ending(Finish(source.dtype), {}, (), ())
    writes = ending.writes
    target = source
    if ending.finish.stored:
        target = plan.result(y, channels_last(len(y.shape)))
        writes = (target, *writes)
    groups, start = found.groups, found.source
    scratch = plan.temporary((plan.workers, max(1, start.elements)), dtype)
    words = ordered(
        [*kernels.GATHER, *ending.finish.fields],
        x=_shifted(source, start.start),
        x_image=math.prod(x.shape[1:]),
        x_group=x.shape[1] // groups,
        x_staged=start.staged,
        x_geometry=plan.constant(start.geometry),
        x_scratch=scratch,
        y=target,
        y_image=math.prod(y.shape[1:]),
        y_group=y.shape[1] // groups,
        y_row=found.target_row,
        scratch_size=start.elements,
        groups=groups,
        blocks=found.blocks,
        block_rows=found.block_rows,
        row_step=found.row_step,
        low=start.low[0],
        span=found.span,
        weights=weights,
        weights_group=found.packed,
        bias=bias,
        bias_group=found.padded_channels,
        phases=plan.constant(found.phases),
        n_phases=len(found.phases),
        panels=plan.constant(found.panels),
        n_panels=len(found.panels),
        **ending.words,
    )
    _keep(plan, found.tables)
    staged = Source(source.dtype) if source.dtype != dtype else None
    plan.add(
        Task(
            label=label,
            kernel=kernels.gather(plan.machine, element, found.depthwise, staged, ending.finish),
            words=words,
            chunks=x.shape[0] * groups * found.blocks,
            reads=(source, weights, bias, scratch, *ending.reads),
            writes=(*writes, scratch),
            flops=flops,
        )
    )


def _packed(
    plan: Plan, found: conv_plan.Gather, w: Value, b: Value | None, outputs: int
) -> tuple[Place, Place]:
    """Weights in panel order, and the bias with zeros up to whole vectors."""
    dtype = _computed(w)
    element = ELEMENTS[dtype]
    weights = plan.dense(w)
    given = weights if b is None else plan.dense(b)
    groups, outputs = found.groups, outputs // found.groups
    packed = plan.temporary((groups, found.packed), dtype)
    bias = plan.temporary((groups, found.padded_channels), dtype)
    entries = found.entries
    places = plan.temporary((plan.workers, len(entries)), np.int64)
    words = ordered(
        weight_kernels.PACK,
        weights=weights,
        **found.weight_steps,
        outputs=outputs,
        inputs=found.index.shape[2],
        bias=given,
        has_bias=b is not None,
        entries=plan.constant(entries),
        n_entries=len(entries),
        step=found.entry_inputs,
        squares=found.entries_are_neighbours,
        places=places,
        panels=plan.constant(found.panels),
        n_panels=len(found.panels),
        packed=packed,
        packed_group=found.packed,
        padded_bias=bias,
        padded=found.padded_channels,
    )
    plan.add(
        Task(
            label="pack weights",
            kernel=weight_kernels.pack(plan.machine, element, weights.dtype),
            words=words,
            chunks=groups * len(found.panels),
            reads=(weights, given, places),
            writes=(packed, bias, places),
        )
    )
    return packed, bias


def _weight_sum(
    plan: Plan, found: conv_plan.WeightSum, g: Value, x: Value, gw: Value, size: Sizes
) -> None:
    dtype = _computed(x)
    element = ELEMENTS[dtype]
    grad, source = channels_last_place(plan, g), channels_last_place(plan, x)
    groups, units = found.groups, x.shape[0] * found.blocks
    rows = found.n_taps * found.shifts
    parts = min(units, SUM_PARTS)
    partial = plan.temporary((groups, parts, rows, found.padded_channels), dtype)
    scratch_size = found.source.elements + found.grad.elements
    scratch = plan.temporary((plan.workers, max(1, scratch_size)), dtype)
    words = ordered(
        kernels.SUM,
        x=_shifted(source, found.source.start),
        x_image=math.prod(x.shape[1:]),
        x_group=x.shape[1] // groups,
        x_staged=found.source.staged,
        x_geometry=plan.constant(found.source.geometry),
        x_scratch=scratch,
        g=grad,
        g_image=math.prod(g.shape[1:]),
        g_group=g.shape[1] // groups,
        g_staged=found.grad.staged,
        g_geometry=plan.constant(found.grad.geometry),
        g_scratch=_shifted(scratch, found.source.elements),
        g_pixel=found.grad.strides[2],
        scratch_size=scratch_size,
        parts=parts,
        units=units,
        blocks=found.blocks,
        block_rows=found.block_rows,
        rows=found.rows,
        per_row=found.per_row,
        row_step=found.row_step,
        low=found.source.low[0],
        span=found.span,
        table=plan.constant(found.table),
        taps=plan.constant(found.taps),
        limits=plan.constant(found.limits),
        n_taps=found.n_taps,
        shifts=found.shifts,
        partial=partial,
        padded=found.padded_channels,
        panels=plan.constant(found.panels),
        n_panels=len(found.panels),
    )
    staged = Source(source.dtype) if source.dtype != dtype else None
    plan.add(
        Task(
            label="conv_grad_weight",
            kernel=kernels.weight_sum(
                plan.machine, element, found.depthwise, staged, staged, found.turned
            ),
            words=words,
            chunks=groups * parts,
            reads=(grad, source, scratch),
            writes=(partial, scratch),
            flops=_flops(gw, g),
        )
    )
    outputs, taps = g.shape[1] // groups, math.prod(size)
    inputs = gw.shape[1]
    lanes, each = (inputs, outputs) if found.turned else (outputs, inputs)
    blocks = -(-lanes // plan.machine.width(element))
    target = plan.result(gw)
    combined = ordered(
        weight_kernels.COMBINE,
        partial=partial,
        parts=parts,
        rows=rows,
        padded=found.padded_channels,
        lanes=lanes,
        each=each,
        lane_step=taps if found.turned else inputs * taps,
        each_step=inputs * taps if found.turned else taps,
        group_step=outputs * inputs * taps,
        taps=taps,
        blocks=blocks,
        target=target,
    )
    plan.add(
        Task(
            label="combine",
            kernel=weight_kernels.combine(plan.machine, element, target.dtype),
            words=combined,
            chunks=groups * blocks,
            reads=(partial,),
            writes=(target,),
        )
    )


def _known(instr: Instr) -> tuple[Value, Value, Value, tuple[Sizes, Sizes, Sizes], int] | None:
    """Two operands, the output, (stride, padding, dilation) and groups; None where no kernel
    covers them."""
    a, b = instr.inputs[:2]
    (out,) = instr.outputs
    if not (isinstance(a, Value) and isinstance(b, Value) and isinstance(out, Value)):
        return None
    sizes = [math.prod(v.shape) for v in (a, b, out)]
    same = a.dtype is b.dtype and (_is_half(a) or a.dtype.numpy in ELEMENTS)
    if not same or not 3 <= len(a.shape) <= 5 or min(sizes) == 0 or max(sizes) >= 2**31:
        return None
    stride, padding, dilation = (tuple(instr.params[name]) for name in eager.GEOMETRY)
    return a, b, out, (stride, padding, dilation), instr.params["groups"]


def _is_half(value: Value) -> bool:
    """16-bit floats are computed in float32, from a staged copy."""
    return is_half(value.dtype.numpy)


def _computed(value: Value) -> np.dtype:
    return np.dtype(np.float32) if _is_half(value) else value.dtype.numpy


def _flops(weight: Value, output: Value) -> int:
    return 2 * math.prod(weight.shape) * output.shape[0] * math.prod(output.shape[2:])


def _shifted(place: Place, elements: int) -> Place:
    return replace(place, offset=place.offset + elements * place.dtype.itemsize)


def _keep(plan: Plan, tables: list[np.ndarray]) -> None:
    """Records hold the addresses of these tables."""
    for table in tables:
        plan.constant(table)
