"""Rules of operators on planes: pooling and resizing.

What ONNX's own operators do otherwise than ours goes through a matrix along each axis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.rules_algebra import mapped
from backlit.onnx.exporting.terms import Builder, Term
from backlit.ops import windows as win
from backlit.ops.image import axis_taps
from backlit.ops.pool_adaptive import averaging, bounds

Sizes = tuple[int, ...]


@rule("max_pool")
def _max_pool(g: Builder, x: Term, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes,
              ceil_mode: bool) -> Any:  # fmt: skip
    """Where windows hang over the end, the padding there is written out."""
    size, out = x.shape[2:], g.out().shape[2:]
    last = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(out, stride, dilation, kernel)]
    ends = [max(n - size[i] - padding[i], 0) for i, n in enumerate(last)]
    ends = [max(e, 0) for e in ends] if ceil_mode else list(padding)
    settings: dict[str, Any] = {"kernel_shape": tuple(kernel), "strides": tuple(stride),
                "dilations": tuple(dilation), "pads": (*padding, *ends)}  # fmt: skip
    wide = x if x.dtype.is_floating_point else x.to(dt.float64)
    if not g.wanted[1]:
        return g("MaxPool", wide, **settings).to(x.dtype), None
    y, places = g("MaxPool", wide, outputs=2, **settings)
    places.dtype = dt.int64
    return y.to(x.dtype), places % math.prod(size)  # within the plane


@rule("max_pool_take")
def _max_pool_take(g: Builder, x: Term, indices: Term) -> Term:
    n, c = x.shape[:2]
    found = g("GatherElements", g.reshape(x, (n, c, -1)), g.reshape(indices, (n, c, -1)), axis=2)
    return g.reshape(found, indices.shape)


@rule("max_pool_grad")
def _max_unpool(g: Builder, v: Term, indices: Term, size: Sizes) -> Term:
    n, c = v.shape[:2]
    zeros = g.filled((n, c, math.prod(size)), 0.0, v.dtype)
    made = g("ScatterElements", zeros, g.reshape(indices, (n, c, -1)), g.reshape(v, (n, c, -1)),
             axis=2, reduction="add")  # fmt: skip
    return g.reshape(made, (n, c, *size))


@rule("avg_pool")
def _avg_pool(g: Builder, x: Term, kernel: Sizes, stride: Sizes, padding: Sizes, ceil_mode: bool,
              count_include_pad: bool, divisor: int | None) -> Term:  # fmt: skip
    if not ceil_mode:
        include = int(count_include_pad or divisor is not None)
        y = g("AveragePool", x, kernel_shape=tuple(kernel), strides=tuple(stride),
              pads=(*padding, *padding), count_include_pad=include)  # fmt: skip
        return y if divisor is None else y * (math.prod(kernel) / divisor)
    out = g.out().shape[2:]
    for axis, (k, s, p, o) in enumerate(zip(kernel, stride, padding, out), 2):
        away = np.arange(x.shape[axis])[None, :] - (np.arange(o)[:, None] * s - p)
        x = mapped(g, x, axis, (away >= 0) & (away < k))
    if divisor is not None:
        return x / divisor
    size = g.instr.inputs[0].shape[2:]  # type: ignore[union-attr]
    counts = win.divisors(size, kernel, stride, padding, out, count_include_pad)
    return x / g.constant(counts, x.dtype)


@rule("adaptive_avg_pool")
def _adaptive_avg_pool(g: Builder, x: Term, size: Sizes) -> Term:
    if all(o == 1 for o in size):
        return g("GlobalAveragePool", x)
    if all(o and n % o == 0 for n, o in zip(x.shape[2:], size)):
        step = tuple(n // o for n, o in zip(x.shape[2:], size))
        return g("AveragePool", x, kernel_shape=step, strides=step)
    for axis, o in enumerate(size, 2):
        x = mapped(g, x, axis, averaging(x.shape[axis], o, np.dtype(np.float64)))
    return x


@rule("adaptive_max_pool")
def _adaptive_max_pool(g: Builder, x: Term, size: Sizes) -> Any:
    """The windows of each axis as rows of places; short ones repeat their last."""
    rows = [_window_places(n, o) for n, o in zip(x.shape[2:], size)]
    seen, k = x, len(size)
    for axis, at in enumerate(rows):
        seen = g("Gather", seen, g.constant(at, dt.int64), axis=2 + 2 * axis)
    order = (0, 1, *range(2, 2 + 2 * k, 2), *range(3, 3 + 2 * k, 2))
    count = math.prod(at.shape[1] for at in rows)
    seen = g.reshape(g("Transpose", seen, perm=order), (*x.shape[:2], *size, count))
    y = g.reduce("Max", seen, (2 + k,), False)
    if not g.wanted[1]:
        return y, None
    best = g("ArgMax", seen, axis=2 + k, keepdims=1, dtype=dt.int64)
    table = _flat_places(rows, x.shape[2:]).reshape(1, 1, *size, count)
    wide = g("Expand", g.constant(table, dt.int64), (*x.shape[:2], *size, count))
    return y, g("Squeeze", g("GatherElements", wide, best, axis=2 + k), (2 + k,))


def _window_places(n: int, o: int) -> np.ndarray:
    spans = bounds(n, o)
    longest = max(end - start for start, end in spans)
    return np.array([[min(start + i, end - 1) for i in range(longest)] for start, end in spans])


def _flat_places(rows: list[np.ndarray], size: Sizes) -> np.ndarray:
    """The flat place of every element of every window, (*windows, *within)."""
    k, total = len(rows), np.zeros((1,) * 2 * len(rows), np.int64)
    for axis, at in enumerate(rows):
        shape = [1] * 2 * k
        shape[axis], shape[k + axis] = at.shape
        total = total * size[axis] + at.reshape(shape)
    return total


# ----- resizing -----


@rule("interpolate")
def _interpolate(g: Builder, x: Term, size: Sizes, mode: str, align: bool, scales: Any) -> Term:
    """Resize repeats whole pixels; all else is a matrix for each axis that changes."""
    nearest = mode == "nearest" and all(
        o % n == 0 and s in (0.0, n / o) for n, o, s in zip(x.shape[2:], size, scales)
    )
    if nearest:
        factors = np.array([1, 1, *(o // n for n, o in zip(x.shape[2:], size))], np.float32)
        return g("Resize", x, None, g.constant(factors, dt.float32), mode="nearest",
                 coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    for axis, (o, scale) in enumerate(zip(size, scales), 2):
        n = x.shape[axis]
        if n != o or scale not in (0.0, 1.0):
            x = mapped(g, x, axis, _resizing(n, o, mode, align, scale, x.dtype))
    return x


_ALONG = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


def _resizing(n: int, o: int, mode: str, align: bool, scale: float, kind: dt.dtype) -> np.ndarray:
    """The matrix (o, n) that resizes one axis."""
    along = _ALONG.get(mode, mode)
    places, weights = axis_taps(n, o, along, align, scale or None, kind is dt.float64)
    matrix = np.zeros((o, n))
    for at, weight in zip(places, weights):
        np.add.at(matrix, (np.arange(o), at), weight)
    return matrix
