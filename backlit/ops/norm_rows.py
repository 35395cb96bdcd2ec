"""Normalizations over the trailing axes: layer norm and RMS norm.

An array is seen as a matrix with one row per sample or token. Next: norm.py, which explains how
they are closed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentTypeError, ShapeError
from backlit.ops.norm import (
    average,
    latex_normalized,
    projected,
    standardized,
    wide_dtype,
)
from backlit.ops.norm_sums import channel_products, channel_sums, row_products, row_sums, widened
from backlit.ops.op import Operator, Spec, apply, require_float


def trailing(input: Any, normalized_shape: Any, name: str) -> int:
    """How many trailing axes are normalized; refuses a shape that they do not have."""
    if hasattr(normalized_shape, "__index__"):
        normalized_shape = (normalized_shape,)
    if not hasattr(input, "cell"):
        raise ArgumentTypeError(f"{name}: expected a Tensor, got {type(input).__name__}")
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise ShapeError(
            f"{name}: normalized_shape {shape} is not the end of the input's shape"
            f" {tuple(input.shape)}"
        )
    return len(shape)


def _check_rows(x: Spec, count: int, *values: Spec | None) -> Spec:
    require_float(x)
    for v in values:
        if v is not None and v.shape != x.shape[-count:]:
            raise ShapeError(f"weight and bias must be {x.shape[-count:]}, got {v.shape}")
    return Spec((*x.shape[: x.ndim - count], *(1,) * count), wide_dtype(x.dtype))


def _rows(x: np.ndarray, count: int) -> np.ndarray:
    lead = x.ndim - count
    return widened(x).reshape(math.prod(x.shape[:lead]), math.prod(x.shape[lead:]))


class LayerNorm(Operator):
    """(x - mean) / sqrt(var + eps) over the trailing axes, times w plus b.

    Source: Ba, Kiros and Hinton (2016).

    >>> F.layer_norm(bl.tensor([[1.0, 1.0, 3.0, 3.0]]), (4,)).round()
    tensor([[-1., -1.,  1.,  1.]])
    """

    exports = "bl F"
    inputs = ("x", "w", "b")
    outputs = ("y", "mean", "rstd")
    nondifferentiable = ("mean", "rstd")

    def call(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
        count = trailing(input, normalized_shape, "layer_norm")
        return apply(LayerNorm, input, weight, bias, count=count, eps=float(eps))[0]

    def infer(x, w, b, *, count, eps):
        kept = _check_rows(x, count, w, b)
        return x, kept, kept

    def forward(x, w, b, *, count, eps):
        rows = _rows(x, count)
        n, kept = rows.shape[1] or 1, (*x.shape[: x.ndim - count], *(1,) * count)
        mean = row_sums(rows)[:, None] / rows.dtype.type(n)
        y = rows - mean
        rstd = 1 / np.sqrt(row_products(y, y)[:, None] / n + eps)
        rstd = rstd.astype(rows.dtype, copy=False)
        y *= rstd
        if w is not None:
            y *= w.reshape(-1)
        if b is not None:
            y += b.reshape(-1)
        y = y.reshape(x.shape).astype(x.dtype, copy=False)
        return y, mean.reshape(kept), rstd.reshape(kept)

    def backward(g_y, x, w, mean, rstd, count, eps):
        return apply(LayerNormGrad, g_y, x, w, mean, rstd, count=count, eps=eps)

    def latex(x, w=None, b=None, *, count, eps):
        return latex_normalized(x, w, b, eps)


class LayerNormGrad(Operator):
    """The gradients of `layer_norm` in one go; differentiated through `expand`."""

    exports = ""
    inputs = ("g0", "x", "w", "mean", "rstd")
    outputs = ("gx", "gw", "gb")

    def infer(g, x, w, mean, rstd, *, count, eps):
        value = Spec(x.shape[x.ndim - count :], wide_dtype(x.dtype))
        return x, value, value

    def forward(g, x, w, mean, rstd, *, count, eps):
        g, y, shape = _rows(g, count), _rows(x, count), x.shape[x.ndim - count :]
        n, rstd = y.shape[1] or 1, rstd.reshape(-1, 1).astype(y.dtype, copy=False)
        y = y - mean.reshape(-1, 1)
        y *= rstd
        gb, gw = channel_sums(g), channel_products(g, y)
        g = g.copy() if w is None else g * w.reshape(-1)
        along = row_products(g, y)[:, None] / y.dtype.type(n)
        g -= row_sums(g)[:, None] / y.dtype.type(n)
        y *= along
        g -= y
        g *= rstd
        gx = g.reshape(x.shape).astype(x.dtype, copy=False)
        return gx, gw.reshape(shape), gb.reshape(shape)

    def expand(g, x, w, mean, rstd, *, count, eps):
        axes, lead = tuple(range(x.ndim - count, x.ndim)), tuple(range(x.ndim - count))
        normal, scale = standardized(x, axes, eps)
        gx = projected(g if w is None else g * w, normal, axes) * scale
        if not lead:
            return gx, g * normal, g
        return gx, (g * normal).sum(lead), g.sum(lead)

    def latex(g, x, w=None, mean=None, rstd=None, *, count, eps):
        return rf"\frac{{\partial \operatorname{{LN}}}}{{\partial {x}}}^{{\top}} {g}"


class RmsNorm(Operator):
    """x / sqrt(mean of x^2 + eps) over the trailing axes, times w.

    `eps=None` means the machine epsilon of the dtype it computes in.
    Source: Zhang and Sennrich (2019).

    >>> F.rms_norm(bl.tensor([[3.0, -3.0]]), (2,))
    tensor([[ 1., -1.]])
    """

    exports = "bl F"
    inputs = ("x", "w")
    outputs = ("y", "rstd")
    nondifferentiable = ("rstd",)

    def call(input, normalized_shape, weight=None, eps=None):
        count = trailing(input, normalized_shape, "rms_norm")
        if eps is None:
            eps = np.finfo(np.float64 if input.dtype is dt.float64 else np.float32).eps
        return apply(RmsNorm, input, weight, count=count, eps=float(eps))[0]

    def infer(x, w, *, count, eps):
        return x, _check_rows(x, count, w)

    def forward(x, w, *, count, eps):
        rows = _rows(x, count)
        mean = row_products(rows, rows)[:, None] / (rows.shape[1] or 1)
        rstd = (1 / np.sqrt(mean + eps)).astype(rows.dtype, copy=False)
        y = rows * rstd
        if w is not None:
            y *= w.reshape(-1)
        kept = (*x.shape[: x.ndim - count], *(1,) * count)
        return y.reshape(x.shape).astype(x.dtype, copy=False), rstd.reshape(kept)

    def backward(g_y, x, w, rstd, count, eps):
        return apply(RmsNormGrad, g_y, x, w, rstd, count=count, eps=eps)

    def latex(x, w=None, *, count, eps):
        scaled = rf"\frac{{{x}}}{{\sqrt{{\overline{{{x}^2}} + {eps:g}}}}}"
        return (rf"{w} \odot " if w else "") + scaled


class RmsNormGrad(Operator):
    """The gradients of `rms_norm` in one go; differentiated through `expand`."""

    exports = ""
    inputs = ("g0", "x", "w", "rstd")
    outputs = ("gx", "gw")

    def infer(g, x, w, rstd, *, count, eps):
        return x, Spec(x.shape[x.ndim - count :], wide_dtype(x.dtype))

    def forward(g, x, w, rstd, *, count, eps):
        g, rows, shape = _rows(g, count), _rows(x, count), x.shape[x.ndim - count :]
        rstd = rstd.reshape(-1, 1).astype(rows.dtype, copy=False)
        y = rows * rstd
        gw = channel_products(g, y)
        g = g.copy() if w is None else g * w.reshape(-1)
        y *= row_products(g, y)[:, None] / y.dtype.type(rows.shape[1] or 1)
        g -= y
        g *= rstd
        return g.reshape(x.shape).astype(x.dtype, copy=False), gw.reshape(shape)

    def expand(g, x, w, rstd, *, count, eps):
        axes, lead = tuple(range(x.ndim - count, x.ndim)), tuple(range(x.ndim - count))
        scale = (average(x * x, axes) + eps).rsqrt()
        normal = x * scale
        scaled = g if w is None else g * w
        gx = (scaled - normal * average(scaled * normal, axes)) * scale
        return gx, ((g * normal).sum(lead) if lead else g * normal)

    def latex(g, x, w=None, rstd=None, *, count, eps):
        return rf"\frac{{\partial \operatorname{{RMS}}}}{{\partial {x}}}^{{\top}} {g}"
