"""Max and average pooling with their gradients on NumPy arrays, by generated kernels.

Owns the border and the tables of windows, as PyTorch defines them (ceil mode, padding,
divisors). Logical shapes are (N, C, *S), memory is NHWC. Code is in `kernels.py`.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from backlit.backends.cpu.channels.layout import channels_last, empty_channels_last
from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.threads import parallel_for
from backlit.backends.cpu.native.words import ELEMENTS, INTEGERS, is_half, pack_words
from backlit.errors import IndexOutOfRange

from . import kernels

Sizes = tuple[int, ...]
POOLED = ELEMENTS | INTEGERS
SMALL_WORK = 50_000


def max_pool(
    x: np.ndarray,
    *,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the maxima of the windows of x (N, C, *S) and their flat places in the plane *S.

    The first of equal values wins; NaN is greater than every number.
    """
    tables = all_windows(x.shape[2:], kernel, stride, padding, dilation, ceil_mode, True)
    source = channels_last(x.astype(_working(x.dtype), copy=False))
    shape = (*x.shape[:2], *(len(t) for t in tables))
    y = empty_channels_last(shape, source.dtype)
    indices = empty_channels_last(shape, np.dtype(np.int64))
    if y.size:
        words = pack_words(
            kernels.MAX,
            x=source,
            y=y,
            indices=indices,
            **shape_words(x.shape, tables, dilation),
        )
        address = kernels.maximum(features.machine(), POOLED[source.dtype])
        parallel_for(len(x) * len(tables[0]), address, words, small=x.size < SMALL_WORK)
    return y.astype(x.dtype, copy=False), indices


def max_pool_grad(g: np.ndarray, indices: np.ndarray, *, size: Sizes) -> np.ndarray:
    """Return the gradient for x of spatial `size`: each g added where its index points.

    Raises IndexOutOfRange for an index outside the plane.
    """
    source = channels_last(g.astype(_working(g.dtype), copy=False))
    places = channels_last(indices.astype(np.int64, copy=False))
    gx = empty_channels_last((*g.shape[:2], *size), source.dtype)
    gx[...] = 0
    if g.size:
        outside = np.zeros(1, np.int64)
        words = pack_words(
            kernels.MAX_GRAD,
            g=source,
            gx=gx,
            indices=places,
            slices=_slices(g),
            channels=g.shape[1],
            inputs=math.prod(size),
            outputs=math.prod(g.shape[2:]),
            outside=outside,
        )
        address = kernels.maximum_grad(features.machine(), POOLED[source.dtype])
        parallel_for(len(g) * _slices(g), address, words, small=g.size < SMALL_WORK)
        if outside[0]:
            bad = places.min() if places.min() < 0 else places.max()
            raise IndexOutOfRange(f"index {bad} lies outside a plane of {math.prod(size)} elements")
    return gx.astype(g.dtype, copy=False)


def avg_pool(
    x: np.ndarray,
    *,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
) -> np.ndarray:
    """Return the means of the windows of x (N, C, *S); padding counts as zeros, or not."""
    ones = (1,) * len(kernel)
    tables = all_windows(x.shape[2:], kernel, stride, padding, ones, ceil_mode, count_include_pad)
    source = channels_last(x.astype(_working(x.dtype), copy=False))
    y = empty_channels_last((*x.shape[:2], *(len(t) for t in tables)), source.dtype)
    if y.size:
        words = pack_words(kernels.AVERAGE, x=source, y=y, **shape_words(x.shape, tables, ones))
        address = kernels.average(features.machine(), ELEMENTS[source.dtype])
        parallel_for(len(x) * len(tables[0]), address, words, small=x.size < SMALL_WORK)
    return y.astype(x.dtype, copy=False)


def avg_pool_grad(
    g: np.ndarray,
    *,
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
) -> np.ndarray:
    """Return the gradient for x of spatial `size`: each g shared out among its window."""
    ones = (1,) * len(kernel)
    tables = all_windows(size, kernel, stride, padding, ones, ceil_mode, count_include_pad)
    source = channels_last(g.astype(_working(g.dtype), copy=False))
    shape = (*g.shape[:2], *size)
    gx = empty_channels_last(shape, source.dtype)
    gx[...] = 0
    if g.size:
        words = pack_words(
            kernels.AVERAGE_GRAD,
            g=source,
            gx=gx,
            slices=_slices(g),
            **shape_words(shape, tables, ones),
        )
        address = kernels.average_grad(features.machine(), ELEMENTS[source.dtype])
        parallel_for(len(g) * _slices(g), address, words, small=g.size < SMALL_WORK)
    return gx.astype(g.dtype, copy=False)


def all_windows(
    size: Sizes,
    kernel: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
    include_pad: bool,
) -> list[np.ndarray]:
    dims = zip(size, kernel, stride, padding, dilation, strict=True)
    return [_windows(*dim, ceil_mode, include_pad) for dim in dims]


@functools.lru_cache(maxsize=512)
def _windows(
    n: int, k: int, s: int, p: int, d: int, ceil_mode: bool, include_pad: bool
) -> np.ndarray:
    """Return (first position, taps inside, divisor) for each output along one axis."""
    spare = n + 2 * p - d * (k - 1) - 1
    count = (-(-spare // s) if ceil_mode else spare // s) + 1
    if ceil_mode and (count - 1) * s >= n + p:
        # a window that would start in the right padding is dropped
        count -= 1
    start = np.arange(count) * s - p
    skipped = np.maximum(0, -(start // d))
    inside = np.clip(-((start - n) // d), 0, k) - np.minimum(skipped, k)
    divisor = np.minimum(start + k, n + p) - start if include_pad else inside
    # a dilated window may jump over a short axis; its place still lies inside
    first = np.minimum(start + skipped * d, n - 1)
    return np.ascontiguousarray(np.stack([first, inside, divisor], axis=1))


def shape_words(
    shape: Sizes, tables: list[np.ndarray], dilation: Sizes
) -> dict[str, int | np.ndarray]:
    """Name sizes and tables for the kernels, one or two axes filled up to three."""
    single = _windows(1, 1, 1, 0, 1, False, True)
    missing = 3 - len(tables)
    size = (shape[2], *(1,) * missing, *shape[3:])
    windows = [tables[0], *[single] * missing, *tables[1:]]
    steps = (dilation[0], *(1,) * missing, *dilation[1:])
    words: dict[str, int | np.ndarray] = {"channels": shape[1]}
    for axis, n, step, table in zip(kernels.AXES, size, steps, windows, strict=True):
        words |= {
            f"size_{axis}": n,
            f"out_{axis}": len(table),
            f"step_{axis}": step,
            f"windows_{axis}": table,
        }
    return words


def _slices(g: np.ndarray) -> int:
    return -(-g.shape[1] // kernels.CHANNELS_PER_CHUNK)


def _working(dtype: np.dtype) -> np.dtype:
    """The type of the kernel that computes exactly what `dtype` asks for."""
    if dtype in POOLED:
        return dtype
    if is_half(dtype):
        return np.dtype(np.float32)
    return np.dtype(np.int32 if dtype.itemsize < 4 else np.int64)
