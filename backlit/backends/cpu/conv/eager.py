"""Convolution and its two gradients on NumPy arrays, by generated kernels.

Owns the border: logical shapes are (N, C, *S), memory is NHWC (results are transposed views),
weights are plain OIHW and repacked per call. Shapes become tables in `geometry.py`, code in
`kernels.py`; the meaning is `backlit/ops/conv_reference.py`, which also serves what no
kernel covers (integers, empty channels). Half precisions are computed in float32.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from backlit.backends.cpu.channels.layout import channels_last, empty_channels_last
from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.threads import get_num_threads, parallel_for
from backlit.backends.cpu.native.words import ELEMENTS, is_half, pack_words

from . import columns, kernels
from . import geometry as conv_plan
from . import weights as weight_kernels

Sizes = tuple[int, ...]
GEOMETRY = ("stride", "padding", "dilation")
# fewer multiply-adds than this finish before a second thread wakes up
SMALL_WORK = 2_000_000
SUM_PARTS = 8


def conv(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None = None,
    *,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """Return the convolution of x (N, C, *S) with w (O, C/groups, *K), plus b (O,)."""
    geometry = (stride, padding, dilation)
    options: dict[str, Any] = dict(zip(GEOMETRY, geometry, strict=True), groups=groups)
    if is_half(x.dtype):
        return conv(*_single(x, w, b), **options).astype(x.dtype)
    if not _native(x, w, len(stride)):
        return _reference().conv(x, w, b, **options)
    size = _reference().output_size(x.shape[2:], w.shape[2:], *geometry)
    y = empty_channels_last((len(x), len(w), *size), x.dtype)
    if y.size:
        plan = forward_plan(
            features.machine(), x.dtype, x.shape[1:], w.shape, size, geometry, groups, some(x)
        )
        _gather(plan, x, w, b, y)
    return y


def conv_grad_input(
    g: np.ndarray,
    w: np.ndarray,
    *,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """Return the gradient for x of spatial `size`; also the transposed convolution of g.

    g is (N, O, *output) and w (O, C/groups, *K).
    """
    geometry = (stride, padding, dilation)
    options: dict[str, Any] = dict(zip(GEOMETRY, geometry, strict=True), size=size, groups=groups)
    if is_half(g.dtype):
        return conv_grad_input(*_single(g, w), **options).astype(g.dtype)
    if not _native(g, w, len(stride)):
        return _reference().conv_grad_input(g, w, **options)
    gx = empty_channels_last((len(g), w.shape[1] * groups, *size), g.dtype)
    if not g.size:
        gx[...] = 0
    elif gx.size:
        plan = gradient_plan(
            features.machine(), g.dtype, g.shape[1:], w.shape, size, geometry, groups, some(g)
        )
        _gather(plan, g, w, None, gx)
    return gx


def conv_grad_weight(
    g: np.ndarray,
    x: np.ndarray,
    *,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """Return the gradient for w of spatial `size`, from g (N, O, *output) and x (N, C, *S)."""
    geometry = (stride, padding, dilation)
    options: dict[str, Any] = dict(zip(GEOMETRY, geometry, strict=True), size=size, groups=groups)
    inputs = x.shape[1] // groups
    if not g.size or not x.size:
        return np.zeros((g.shape[1], inputs, *size), np.result_type(g, x))
    if is_half(g.dtype):
        return conv_grad_weight(*_single(g, x), **options).astype(g.dtype)
    if not _native(g, x, len(stride)):
        return _reference().conv_grad_weight(g, x, **options)
    if columns.is_product(g.shape, (g.shape[1], inputs, *size), g.itemsize, groups):
        return columns.weight_product(g, x, size, geometry)
    plan = weight_plan(
        features.machine(), g.dtype, x.shape[1:], g.shape[1:], size, geometry, groups
    )
    total = _weight_sum(plan, g, x)
    total = total.reshape(plan.groups, math.prod(size), inputs, plan.padded_channels)
    total = total[..., : g.shape[1] // plan.groups].transpose(0, 3, 2, 1)
    return np.ascontiguousarray(total).reshape(-1, inputs, *size)


def _gather(
    plan: conv_plan.Gather, x: np.ndarray, w: np.ndarray, b: np.ndarray | None, y: np.ndarray
) -> None:
    groups = plan.groups
    source, target = channels_last(x), y.transpose(0, *range(2, y.ndim), 1)
    weights, bias = _packed(plan, w, b, y.shape[1] // groups)
    scratch = np.empty((get_num_threads(), plan.source.elements), x.dtype)
    words = pack_words(
        kernels.GATHER,
        x=source.ctypes.data + plan.source.start * x.itemsize,
        x_image=source[0].size,
        x_group=x.shape[1] // groups,
        x_staged=plan.source.staged,
        x_geometry=plan.source.geometry,
        x_scratch=scratch,
        y=target,
        y_image=target[0].size,
        y_group=y.shape[1] // groups,
        y_row=plan.target_row,
        scratch_size=plan.source.elements,
        groups=groups,
        blocks=plan.blocks,
        block_rows=plan.block_rows,
        row_step=plan.row_step,
        low=plan.source.low[0],
        span=plan.span,
        weights=weights,
        weights_group=plan.packed,
        bias=bias,
        bias_group=plan.padded_channels,
        phases=plan.phases,
        n_phases=len(plan.phases),
        panels=plan.panels,
        n_panels=len(plan.panels),
    )
    address = kernels.gather(features.machine(), ELEMENTS[x.dtype], plan.depthwise)
    work = y.size * (w.size // max(len(w), 1))
    chunks = len(x) * groups * plan.blocks
    parallel_for(chunks, address, words, workers=len(scratch), small=work < SMALL_WORK)


def _packed(
    plan: conv_plan.Gather, w: np.ndarray, b: np.ndarray | None, outputs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights in panel order, and the bias with zeros up to whole vectors."""
    w, b = np.ascontiguousarray(w), None if b is None else np.ascontiguousarray(b)
    packed = np.empty((plan.groups, plan.packed), w.dtype)
    bias = np.empty((plan.groups, plan.padded_channels), w.dtype)
    workers, entries = get_num_threads(), plan.entries
    places = np.empty((workers, len(entries)), np.int64)
    words = pack_words(
        weight_kernels.PACK,
        weights=w,
        **plan.weight_steps,
        outputs=outputs,
        inputs=plan.index.shape[2],
        bias=w if b is None else b,
        has_bias=b is not None,
        entries=entries,
        n_entries=len(entries),
        step=plan.entry_inputs,
        squares=plan.entries_are_neighbours,
        places=places,
        panels=plan.panels,
        n_panels=len(plan.panels),
        packed=packed,
        packed_group=plan.packed,
        padded_bias=bias,
        padded=plan.padded_channels,
    )
    address = weight_kernels.pack(features.machine(), ELEMENTS[w.dtype], w.dtype)
    chunks = plan.groups * len(plan.panels)
    parallel_for(chunks, address, words, workers=workers, small=w.size < SMALL_WORK)
    return packed, bias


def _weight_sum(plan: conv_plan.WeightSum, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the sums per group, (groups, taps and inputs, padded outputs)."""
    groups = plan.groups
    grad, source = channels_last(g), channels_last(x)
    units = len(x) * plan.blocks
    parts = min(units, SUM_PARTS)
    taps = len(plan.taps)
    partial = np.empty((groups, parts, taps, plan.padded_channels), x.dtype)
    scratch_size = plan.source.elements + plan.grad.elements
    scratch = np.empty((get_num_threads(), scratch_size), x.dtype)
    words = pack_words(
        kernels.SUM,
        x=source.ctypes.data + plan.source.start * x.itemsize,
        x_image=source[0].size,
        x_group=x.shape[1] // groups,
        x_staged=plan.source.staged,
        x_geometry=plan.source.geometry,
        x_scratch=scratch,
        g=grad.ctypes.data,
        g_image=grad[0].size,
        g_group=g.shape[1] // groups,
        g_staged=plan.grad.staged,
        g_geometry=plan.grad.geometry,
        g_scratch=scratch.ctypes.data + plan.source.elements * x.itemsize,
        g_pixel=plan.grad.strides[2],
        scratch_size=scratch_size,
        parts=parts,
        units=units,
        blocks=plan.blocks,
        block_rows=plan.block_rows,
        rows=plan.rows,
        per_row=plan.per_row,
        row_step=plan.row_step,
        low=plan.source.low[0],
        span=plan.span,
        table=plan.table,
        taps=plan.taps,
        limits=plan.limits,
        n_taps=taps,
        shifts=1,
        partial=partial,
        padded=plan.padded_channels,
        panels=plan.panels,
        n_panels=len(plan.panels),
    )
    address = kernels.weight_sum(features.machine(), ELEMENTS[x.dtype], plan.depthwise)
    small = g.size * taps // groups < SMALL_WORK
    parallel_for(groups * parts, address, words, workers=len(scratch), small=small)
    return partial.sum(axis=1)


@functools.lru_cache(maxsize=512)
def forward_plan(
    machine: features.Machine,
    dtype: np.dtype,
    source: Sizes,
    weight: Sizes,
    size: Sizes,
    geometry: tuple[Sizes, Sizes, Sizes],
    groups: int,
    images: int,
    force: bool = False,
) -> conv_plan.Gather:
    dims = zip(source[1:], size, weight[2:], *geometry, strict=True)
    axes = conv_plan.three_axes([conv_plan.forward_axis(*d) for d in dims])
    return _plan(machine, dtype, axes, _numbers(weight, groups), weight, groups, images, force)


@functools.lru_cache(maxsize=512)
def gradient_plan(
    machine: features.Machine,
    dtype: np.dtype,
    grad: Sizes,
    weight: Sizes,
    size: Sizes,
    geometry: tuple[Sizes, Sizes, Sizes],
    groups: int,
    images: int,
    force: bool = False,
) -> conv_plan.Gather:
    dims = zip(size, grad[1:], weight[2:], *geometry, strict=True)
    axes = conv_plan.three_axes([conv_plan.gradient_axis(*d) for d in dims])
    index = _numbers(weight, groups).swapaxes(1, 2)
    return _plan(machine, dtype, axes, index, weight, groups, images, force)


@functools.lru_cache(maxsize=512)
def weight_plan(
    machine: features.Machine,
    dtype: np.dtype,
    source: Sizes,
    grad: Sizes,
    size: Sizes,
    geometry: tuple[Sizes, Sizes, Sizes],
    groups: int,
    force: bool = False,
    turns: bool = False,
) -> conv_plan.WeightSum:
    dims = zip(source[1:], grad[1:], size, *geometry, strict=True)
    axes = conv_plan.three_axes([conv_plan.forward_axis(*d) for d in dims])
    width = machine.width(ELEMENTS[dtype])
    depthwise = is_depthwise(grad[0], source[0], groups)
    if depthwise:
        return conv_plan.weight_sum(axes, 1, grad[0], 1, width, dtype.itemsize, depthwise, force)
    inputs, outputs = source[0] // groups, grad[0] // groups
    return conv_plan.weight_sum(
        axes, inputs, outputs, groups, width, dtype.itemsize, depthwise, force,
        machine.registers if turns else 0,
    )  # fmt: skip


def _plan(
    machine: features.Machine,
    dtype: np.dtype,
    axes: conv_plan.Axes,
    index: np.ndarray,
    weight: Sizes,
    groups: int,
    images: int,
    force: bool = False,
) -> conv_plan.Gather:
    rows, *rest = weight[2:]
    taps = (rows, *(1,) * (2 - len(rest)), *rest)
    width = machine.width(ELEMENTS[dtype])
    depthwise = is_depthwise(weight[0], weight[1] * groups, groups)
    if depthwise:
        index = index.swapaxes(0, 1)
    return conv_plan.gather(axes, index, taps, width, dtype.itemsize, images, depthwise, force)


def is_depthwise(outputs: int, inputs: int, groups: int) -> bool:
    """Whether channel after channel is convolved alone, worth vectors across channels."""
    return 1 < groups == inputs == outputs


def _numbers(weight: Sizes, groups: int) -> np.ndarray:
    """Number the weights as they lie in memory, seen as (groups, out, in, taps)."""
    outputs, inputs = weight[0] // groups, weight[1]
    return np.arange(math.prod(weight)).reshape(groups, outputs, inputs, -1)


def some(x: Any) -> int:
    """The batch size as far as it shapes a plan: enough images keep all threads busy."""
    return min(x.shape[0], conv_plan.MIN_BLOCKS)


def _native(a: np.ndarray, b: np.ndarray, dimensions: int) -> bool:
    known = a.dtype == b.dtype and a.dtype in ELEMENTS and 1 <= dimensions <= 3
    return known and a.shape[1] > 0 and b.size > 0 and max(a.size, b.size) < 2**31


def _single(*arrays: np.ndarray | None) -> Any:
    return (None if a is None else a.astype(np.float32) for a in arrays)


def _reference() -> Any:
    from backlit.ops import conv_reference

    return conv_reference
