"""Resizing by interpolation along each spatial axis: nearest, linear, cubic.

Interpolation is linear in the image, so `interpolate` and its adjoint `interpolate_grad` are each
other's derivatives. Each axis is a few weighted copies (`axis_taps`). Shapes: x (N, C, *S).
Sampling at free points is in image_grid.py. Cubic kernel: Keys (1981), with a = -0.75.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError, NotAvailable, ShapeError
from backlit.ops import windows as win
from backlit.ops.op import Operator, Spec, apply, export, require_float

MODES = {"nearest": (3, 4, 5), "nearest-exact": (3, 4, 5), "area": (3, 4, 5), "linear": (3,),
         "bilinear": (4,), "bicubic": (4,), "trilinear": (5,)}  # fmt: skip
_ALONG = {"linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}
CUBIC = -0.75
_FEW = 8  # equal places up to which they are added one by one

Taps = tuple[np.ndarray, np.ndarray]


def cubic_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """Keys's kernel at distances 1 + t, t, 1 - t and 2 - t, of arrays or Tensors."""
    a = CUBIC

    def far(d: Any) -> Any:
        return ((d - 5) * d + 8) * d * a - 4 * a

    def near(d: Any) -> Any:
        return (d * (a + 2) - (a + 3)) * d * d + 1

    return far(t + 1), near(t), near(1 - t), far(2 - t)


@functools.lru_cache(maxsize=256)
def axis_taps(n: int, o: int, along: str, align: bool, scale: float | None,
              double: bool) -> Taps:  # fmt: skip
    """Places (taps, o) in an axis of n and their weights, for o outputs.

    `scale` is the factor that the user gave; without one sizes decide.
    """
    if along in ("nearest", "nearest-exact"):
        # In the width of the image, as PyTorch: where a product is whole, rounding decides.
        kind: Any = np.float64 if double else np.float32
        step = kind(1 / scale) if scale else kind(n) / kind(max(o, 1))
        at: np.ndarray = np.arange(o, dtype=kind)
        at = at + kind(0.5) if along == "nearest-exact" else at
        places = np.minimum(np.floor(at * step).astype(np.int64), n - 1)
        return places[None], np.ones((1, o))
    if align:
        at = np.arange(o) * ((n - 1) / (o - 1) if o > 1 else 0.0)
    else:
        at = (np.arange(o) + 0.5) * ((1 / scale) if scale else n / max(o, 1)) - 0.5
    if along == "linear":
        at = np.maximum(at, 0.0)
        first = np.minimum(np.floor(at).astype(np.int64), n - 1)
        t = np.clip(at - first, 0.0, 1.0)
        return np.stack([first, np.minimum(first + 1, n - 1)]), np.stack([1 - t, t])
    first = np.floor(at).astype(np.int64)
    places = np.clip(first + np.arange(-1, 3)[:, None], 0, n - 1)
    return places, np.stack(cubic_weights(at - first))


def stretch(x: np.ndarray, axis: int, taps: Taps) -> np.ndarray:
    """The weighted sum of copies along an axis."""
    places, weights = taps
    if len(places) == 1:
        return x.take(places[0], axis)
    total: Any = None
    for place, weight in zip(places, weights):
        part = x.take(place, axis)
        part *= _along(weight, x, axis)
        total = part if total is None else np.add(total, part, out=total)
    return total


def gather_back(g: np.ndarray, axis: int, taps: Taps, n: int) -> np.ndarray:
    """The adjoint of `stretch`: places never decrease, so equal ones lie side by side."""
    shape = (*g.shape[:axis], n, *g.shape[axis + 1 :])
    made = np.zeros(shape, g.dtype)
    for place, weight in zip(*taps):
        if not len(place):
            continue
        part = g if len(taps[0]) == 1 else g * _along(weight, g, axis)
        firsts = np.flatnonzero(np.r_[True, np.diff(place) != 0])
        repeats = np.diff(np.r_[firsts, len(place)])
        lead = (slice(None),) * axis
        if repeats.max() > _FEW:
            made[(*lead, place[firsts])] += np.add.reduceat(part, firsts, axis=axis)
            continue
        for r in range(repeats.max()):  # the r-th of equal places: all different
            chosen = firsts[repeats > r]
            made[(*lead, _span(place[chosen]))] += part[(*lead, _span(chosen + r))]
    return made


def _span(places: np.ndarray) -> Any:
    """Rising places as a slice where their steps are even, which needs no copy."""
    step = int(places[1] - places[0]) if len(places) > 1 else 1
    even = (np.diff(places) == step).all()
    return slice(int(places[0]), int(places[-1]) + 1, step) if even else places


def _along(weight: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
    return weight.astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - axis - 1))


def _taps(n: int, o: int, mode: str, align: bool, scale: float, dtype: np.dtype) -> Taps:
    along = _ALONG.get(mode, mode)
    return axis_taps(n, o, along, align, scale or None, dtype == np.float64)


class Interpolate(Operator):
    """Resize (N, C, *S) to spatial `size` or by `scale_factor`.

    mode: nearest, nearest-exact, linear, bilinear, trilinear, bicubic or area. With
    `align_corners` the centres of the corner elements stay where they are.

    >>> F.interpolate(bl.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """

    exports = "F"
    inputs = ("x",)

    def call(input, size=None, scale_factor=None, mode="nearest", align_corners=None,
             recompute_scale_factor=None, antialias=False):  # fmt: skip
        _check_mode(input, mode, align_corners, antialias)
        out, scales = _sizes(input, size, scale_factor, recompute_scale_factor)
        if mode == "area":
            from backlit.ops.pool_adaptive import _adaptive_avg

            return _adaptive_avg(input.ndim - 2, input, out)
        return apply(Interpolate, input, size=out, mode=mode, align=bool(align_corners),
                     scales=scales)  # fmt: skip

    def infer(x, *, size, mode, align, scales):
        require_float(x)
        if any(n < 1 for n in (*x.shape[2:], *size)):
            raise ShapeError(f"sizes must be positive: from {x.shape[2:]} to {size}")
        return Spec((*x.shape[:2], *size), x.dtype)

    def forward(x, *, size, mode, align, scales):
        y = win.widened(x)
        for axis, (o, scale) in enumerate(zip(size, scales), 2):
            n = x.shape[axis]
            if n != o or (scale not in (0.0, 1.0)):
                y = stretch(y, axis, _taps(n, o, mode, align, scale, x.dtype))
        return y.astype(x.dtype, copy=y is x)

    def grad_x(g, x_spec, size, mode, align, scales):
        return apply(InterpolateGrad, g, size=tuple(x_spec.shape[2:]), mode=mode, align=align,
                     scales=scales)  # fmt: skip

    def latex(x, *, size, mode, **params):
        return rf"\operatorname{{{mode}}}_{{{win.latex(size)}}} {x}"


class InterpolateGrad(Operator):
    """The adjoint of `interpolate`, back to spatial `size`."""

    exports = ""
    inputs = ("g0",)

    def infer(g, *, size, mode, align, scales):
        return Spec((*g.shape[:2], *size), g.dtype)

    def forward(g, *, size, mode, align, scales):
        x = win.widened(g)
        for axis, (n, scale) in enumerate(zip(size, scales), 2):
            o = g.shape[axis]
            if n != o or (scale not in (0.0, 1.0)):
                x = gather_back(x, axis, _taps(n, o, mode, align, scale, g.dtype), n)
        return x.astype(g.dtype, copy=x is g)

    def grad_g0(g, g0_spec, mode, align, scales):
        return apply(Interpolate, g, size=tuple(g0_spec.shape[2:]), mode=mode, align=align,
                     scales=scales)  # fmt: skip

    def latex(g, *, size, mode, **params):
        return rf"\operatorname{{{mode}}}^{{\top}}_{{{win.latex(size)}}} {g}"


def _check_mode(input: Any, mode: str, align_corners: Any, antialias: bool) -> None:
    if not hasattr(input, "cell"):
        raise ArgumentTypeError(f"interpolate: expected a Tensor, got {type(input).__name__}")
    if mode not in MODES:
        raise ArgumentError(f"interpolate: mode must be one of {list(MODES)}, got {mode!r}")
    if input.ndim not in MODES[mode]:
        wanted = " or ".join(map(str, MODES[mode]))
        raise ShapeError(
            f"interpolate: mode {mode!r} takes {wanted} axes, got shape {tuple(input.shape)}",
            hint="linear is for (N, C, L), bilinear and bicubic for (N, C, H, W)",
        )
    if align_corners is not None and mode not in _ALONG:
        raise ArgumentError(f"interpolate: align_corners has no meaning with mode {mode!r}")
    if antialias:
        raise NotAvailable("interpolate: antialias=True is not available")


def _sizes(input: Any, size: Any, scale_factor: Any, recompute: Any) -> tuple[tuple, tuple]:
    """The spatial size of the output, and the factors that coordinates use (0: from sizes)."""
    dims = input.ndim - 2
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: give either size or scale_factor")
    given = size if scale_factor is None else scale_factor
    each = tuple(given) if isinstance(given, (tuple, list)) else (given,) * dims
    if len(each) != dims:
        what = "size" if scale_factor is None else "scale_factor"
        raise ArgumentError(f"interpolate: {what} must have {dims} numbers, got {given!r}")
    if scale_factor is None:
        return tuple(int(o) for o in each), (0.0,) * dims
    if any(s <= 0 for s in each):
        raise ArgumentError(f"interpolate: scale_factor must be positive, got {given!r}")
    out = tuple(math.floor(n * float(s)) for n, s in zip(input.shape[2:], each))
    return out, (0.0,) * dims if recompute else tuple(float(s) for s in each)


@export("F")
def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """`interpolate` by its older name.

    >>> F.upsample(bl.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return Interpolate.call(input, size, scale_factor, mode, align_corners)


@export("F")
def upsample_nearest(input, size=None, scale_factor=None):
    """`interpolate` with mode nearest.

    >>> F.upsample_nearest(bl.tensor([[[1.0, 2.0]]]), 4)
    tensor([[[1., 1., 2., 2.]]])
    """
    return Interpolate.call(input, size, scale_factor, "nearest")


@export("F")
def upsample_bilinear(input, size=None, scale_factor=None):
    """`interpolate` with mode bilinear and corners aligned.

    >>> F.upsample_bilinear(bl.tensor([[[[1.0, 3.0]]]]), (1, 3))
    tensor([[[[1., 2., 3.]]]])
    """
    return Interpolate.call(input, size, scale_factor, "bilinear", True)
