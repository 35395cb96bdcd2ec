"""Normalizations within each sample: over groups of channels, single channels, or neighbours.

`group_norm` is closed as layer norm is: forwards, `group_norm_grad`, and its `expand` for higher
orders. An instance norm is a group norm with one channel per group. Shapes: x (N, C, *S).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ShapeError
from backlit.ops.norm import (
    by_running,
    check_channels,
    keep_running,
    latex_normalized,
    per_channel,
    projected,
    standardized,
    wide_dtype,
)
from backlit.ops.norm_sums import channel_products, channel_sums, row_products, row_sums, widened
from backlit.ops.op import Composite, Operator, Spec, apply, require_float


def _grouped(x: Any, groups: int) -> Any:
    """(N, C, *S) as one row per sample and group."""
    n = x.shape[0] * groups
    return x.reshape((n, math.prod(x.shape[1:]) // groups))


class GroupNorm(Operator):
    """(x - mean) / sqrt(var + eps) per sample and group of channels, times w plus b per channel.

    Source: Wu and He (2018).

    >>> F.group_norm(bl.tensor([[1.0, 3.0, 2.0, 6.0]]), 2).round()
    tensor([[-1.,  1., -1.,  1.]])
    """

    exports = "bl F"
    inputs = ("x", "w", "b")
    outputs = ("y", "mean", "rstd")
    nondifferentiable = ("mean", "rstd")

    def call(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
        return apply(GroupNorm, input, weight, bias, groups=num_groups, eps=float(eps))[0]

    def infer(x, w, b, *, groups, eps):
        check_channels(x, w, b)
        if groups < 1 or x.shape[1] % groups:
            raise ArgumentError(
                f"{x.shape[1]} channels do not divide into {groups} groups: shape {x.shape}"
            )
        kept = Spec((x.shape[0], groups), wide_dtype(x.dtype))
        return x, kept, kept

    def forward(x, w, b, *, groups, eps):
        rows = _grouped(widened(x), groups)
        n, kind = rows.shape[1] or 1, rows.dtype
        mean = row_sums(rows)[:, None] / kind.type(n)
        y = rows - mean
        rstd = (1 / np.sqrt(row_products(y, y)[:, None] / n + eps)).astype(kind, copy=False)
        y *= rstd
        y = y.reshape(x.shape)
        if w is not None:
            y *= per_channel(w, x.ndim)
        if b is not None:
            y += per_channel(b, x.ndim)
        kept = (x.shape[0], groups)
        return y.astype(x.dtype, copy=False), mean.reshape(kept), rstd.reshape(kept)

    def backward(g_y, x, w, mean, rstd, groups, eps):
        return apply(GroupNormGrad, g_y, x, w, mean, rstd, groups=groups, eps=eps)

    def latex(x, w=None, b=None, *, groups, eps):
        return latex_normalized(x, w, b, eps)


class GroupNormGrad(Operator):
    """The gradients of `group_norm` in one go; differentiated through `expand`."""

    exports = ""
    inputs = ("g0", "x", "w", "mean", "rstd")
    outputs = ("gx", "gw", "gb")

    def infer(g, x, w, mean, rstd, *, groups, eps):
        value = Spec((x.shape[1],), wide_dtype(x.dtype))
        return x, value, value

    def forward(g, x, w, mean, rstd, *, groups, eps):
        g, rows = np.ascontiguousarray(widened(g)), _grouped(widened(x), groups)
        rstd = rstd.reshape(-1, 1).astype(rows.dtype, copy=False)
        y = rows - mean.reshape(-1, 1)
        y *= rstd
        gb, gw = channel_sums(g), channel_products(g, y.reshape(x.shape))
        inner = _grouped(g.copy() if w is None else g * per_channel(w, x.ndim), groups)
        n = rows.dtype.type(rows.shape[1] or 1)
        y *= row_products(inner, y)[:, None] / n
        inner -= row_sums(inner)[:, None] / n
        inner -= y
        inner *= rstd
        return inner.reshape(x.shape).astype(x.dtype, copy=False), gw, gb

    def expand(g, x, w, mean, rstd, *, groups, eps):
        axes = (0, *range(2, x.ndim))
        normal, scale = standardized(_grouped(x, groups), (1,), eps)
        scaled = g if w is None else g * per_channel(w, x.ndim)
        gx = projected(_grouped(scaled, groups), normal, (1,)) * scale
        return gx.reshape(x.shape), (g * normal.reshape(x.shape)).sum(axes), g.sum(axes)

    def latex(g, x, w=None, mean=None, rstd=None, *, groups, eps):
        return rf"\frac{{\partial \operatorname{{GN}}}}{{\partial {x}}}^{{\top}} {g}"


class InstanceNorm(Composite):
    """(x - mean) / sqrt(var + eps) per sample and channel, times weight plus bias.

    With running statistics and `use_input_stats=False` it normalizes by those instead.
    Source: Ulyanov, Vedaldi and Lempitsky (2016).

    >>> F.instance_norm(bl.tensor([[[1.0, 3.0]]])).round()
    tensor([[[-1.,  1.]]])
    """

    exports = "F"

    def expand(input, running_mean=None, running_var=None, weight=None, bias=None,
               use_input_stats=True, momentum=0.1, eps=1e-5):  # fmt: skip
        if not use_input_stats:
            return by_running(input, running_mean, running_var, weight, bias, eps)
        if input.ndim < 3 or math.prod(input.shape[2:]) == 1:
            raise ArgumentError(
                f"instance_norm: one value per sample and channel has no variance, got shape"
                f" {tuple(input.shape)}", hint="the input is (N, C, *S) with more than one in *S"
            )  # fmt: skip
        groups = input.shape[1]
        y, mean, rstd = apply(GroupNorm, input, weight, bias, groups=groups, eps=float(eps))
        count = math.prod(input.shape[2:])
        keep_running(mean, rstd, running_mean, running_var, count, momentum, eps)
        return y


class LocalResponseNorm(Composite):
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta.

    Shapes (N, C, *S). Source: Krizhevsky, Sutskever and Hinton (2012).

    >>> F.local_response_norm(bl.ones(1, 2, 1), 2, alpha=1.0, beta=1.0).flatten()
    tensor([0.6667, 0.5000])
    """

    exports = "F"

    def expand(input, size, alpha=1e-4, beta=0.75, k=1.0):
        if input.ndim < 3:
            raise ShapeError(f"local_response_norm: expected (N, C, *S), got {tuple(input.shape)}")
        neighbours = apply(ChannelWindow, input * input, before=size // 2, after=(size - 1) // 2)
        return input / (neighbours * (alpha / size) + k) ** beta


class ChannelWindow(Operator):
    """The sum over neighbouring channels, from `before` before to `after` after each."""

    exports = ""

    def infer(x, *, before, after):
        require_float(x)
        return x

    def forward(x, *, before, after):
        wide = widened(x)
        total = np.zeros(wide.shape, np.float64)
        count = x.shape[1]
        for offset in range(-before, after + 1):
            low, high = max(0, -offset), min(count, count - offset)
            if low < high:
                total[:, low:high] += wide[:, low + offset : high + offset]
        return total.astype(x.dtype)

    def grad_x(g, before, after):
        return apply(ChannelWindow, g, before=after, after=before)

    def latex(x, *, before, after):
        return rf"\sum_{{c - {before}}}^{{c + {after}}} {x}"
