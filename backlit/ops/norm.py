"""Batch normalization, and what all normalizations share.

Each is closed for speed in eager mode: one operator forwards, one `*_grad` operator back, whose
`expand` in plain operators serves the higher orders. Rows are in norm_rows.py, groups, instances
and channels in norm_groups.py; sums that are fast in either memory order in norm_sums.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ShapeError
from backlit.ops.norm_sums import channel_products, channel_sums, widened
from backlit.ops.op import Elementwise, Operator, Spec, apply, require_float, slot, slot_scoped
from backlit.state import state


def per_channel(v: Any, ndim: int) -> Any:
    """A value per channel, shaped to broadcast over (N, C, *S)."""
    return v.reshape((1, -1) + (1,) * (ndim - 2))


def check_channels(x: Spec, *values: Spec | None) -> None:
    """Refuse what is not a float tensor (N, C, ...) with one value per channel."""
    require_float(x)
    if x.ndim < 2:
        raise ShapeError(f"expected (N, C, ...), got {x.shape}")
    for v in values:
        if v is not None and v.shape != (x.shape[1],):
            raise ShapeError(
                f"expected one value per channel, ({x.shape[1]},), got {v.shape}",
                hint=f"the input {x.shape} is (N, C, ...)",
            )


class BatchNorm(Operator):
    """(x - mean) / sqrt(var + eps) per channel, over the batch and space, times w plus b.

    In training the batch's own statistics, and the running ones move towards them by `momentum`
    (the variance without bias); in evaluation the running ones. Source: Ioffe, Szegedy (2015).

    >>> x = bl.tensor([[1.0, 2.0], [3.0, 6.0]])
    >>> F.batch_norm(x, None, None, training=True).round()
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """

    exports = "F"
    inputs = ("x", "w", "b")
    outputs = ("y", "mean", "rstd")
    nondifferentiable = ("mean", "rstd")

    def call(input, running_mean, running_var, weight=None, bias=None, training=False,
             momentum=0.1, eps=1e-5):  # fmt: skip
        if training:
            y, mean, rstd = apply(BatchNorm, input, weight, bias, eps=float(eps))
            count = input.numel() // max(input.shape[1], 1)
            keep_running(mean, rstd, running_mean, running_var, count, momentum, eps)
            return y
        return by_running(input, running_mean, running_var, weight, bias, eps)

    def infer(x, w, b, *, eps):
        check_channels(x, w, b)
        if math.prod(x.shape) == x.shape[1] != 0:
            raise ArgumentError(
                f"one value per channel has no variance: shape {x.shape}",
                hint="train with more than one sample, or call model.eval()",
            )
        values = Spec((x.shape[1],), wide_dtype(x.dtype))
        return x, values, values

    def forward(x, w, b, *, eps):
        wide, n = widened(x), x.size // max(x.shape[1], 1) or 1
        mean = (channel_sums(wide) / n).astype(wide.dtype)
        centred = wide - per_channel(mean, x.ndim)
        rstd = 1.0 / np.sqrt(channel_products(centred, centred) / n + eps)
        rstd = rstd.astype(wide.dtype)
        centred *= per_channel(rstd if w is None else rstd * w.astype(rstd.dtype), x.ndim)
        if b is not None:
            centred += per_channel(b, x.ndim)
        return centred.astype(x.dtype, copy=False), mean, rstd

    def backward(g_y, x, w, mean, rstd, eps):
        return apply(BatchNormGrad, g_y, x, w, mean, rstd, eps=eps)

    def latex(x, w=None, b=None, *, eps):
        return latex_normalized(x, w, b, eps)


def wide_dtype(dtype: dt.dtype) -> dt.dtype:
    """What statistics and their gradients are kept in: half precision loses too much."""
    return dt.float32 if dtype in (dt.float16, dt.bfloat16) else dtype


def latex_normalized(x: str, w: str | None, b: str | None, eps: float) -> str:
    scaled = rf"\frac{{{x} - \mu}}{{\sqrt{{\sigma^2 + {eps:g}}}}}"
    return (rf"{w} \odot " if w else "") + scaled + (f" + {b}" if b else "")


def keep_running(mean: Any, rstd: Any, running_mean: Any, running_var: Any, count: int,
                 momentum: float, eps: float) -> None:  # fmt: skip
    """Move the running statistics towards those of `count` values per channel.

    The kept variance has no bias. Statistics per sample are averaged over the batch.
    """
    if not count or not mean.numel():
        return
    outer, state.grad = state.grad, False
    try:
        if running_mean is not None:
            _check_values(mean.shape[-1], running_mean, "running_mean")
            _move(running_mean, _over_batch(mean), momentum)
        if running_var is not None:
            _check_values(mean.shape[-1], running_var, "running_var")
            unbiased = apply(UnbiasedVariance, rstd, eps=float(eps),
                             correction=count / max(count - 1, 1))  # fmt: skip
            _move(running_var, _over_batch(unbiased), momentum)
    finally:
        state.grad = outer


def _move(running: Any, value: Any, momentum: float) -> None:
    slot.refill(running, apply(MovingAverage, running, value, momentum=float(momentum)))


class MovingAverage(Elementwise):
    """One step of a running statistic: a share `momentum` of the new value."""

    exports = ""

    def formula(m, a, b, *, momentum):
        return a * (1 - momentum) + b * momentum

    def d_a(m, momentum):
        return 1 - momentum

    def d_b(m, momentum):
        return momentum


class UnbiasedVariance(Elementwise):
    """The variance behind 1 / sqrt(var + eps), times `correction`."""

    exports = ""

    def formula(m, r, *, eps, correction):
        return (1 / (r * r) - eps) * correction

    def d_r(m, r, correction):
        return -2 * correction / (r * r * r)


def _over_batch(statistic: Any) -> Any:
    if statistic.ndim == 1:
        return statistic
    return statistic.sum(0) * (1.0 / statistic.shape[0])


def _check_values(channels: int, value: Any, name: str) -> None:
    if tuple(value.shape) != (channels,):
        raise ShapeError(
            f"{name} must have one value per channel, ({channels},), got {tuple(value.shape)}"
        )


def _by_running(input, running_mean, running_var, weight, bias, eps):
    if running_mean is None or running_var is None:
        raise ArgumentError(
            "batch_norm: evaluation needs running_mean and running_var",
            hint="pass training=True to normalize by the batch itself",
        )
    if input.ndim < 2:
        raise ShapeError(f"batch_norm: expected (N, C, ...), got {tuple(input.shape)}")
    for name, v in (("running_mean", running_mean), ("running_var", running_var),
                    ("weight", weight), ("bias", bias)):  # fmt: skip
        if v is not None:
            _check_values(input.shape[1], v, "batch_norm: " + name)
    scale = (running_var + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -running_mean * scale
    shift = shift if bias is None else shift + bias
    y = input * per_channel(scale, input.ndim) + per_channel(shift, input.ndim)
    return y if y.dtype is input.dtype else y.to(input.dtype)


by_running = slot_scoped("batch_norm", _by_running)


class BatchNormGrad(Operator):
    """The gradients of `batch_norm` in one go; differentiated through `expand`."""

    exports = ""
    inputs = ("g0", "x", "w", "mean", "rstd")
    outputs = ("gx", "gw", "gb")

    def infer(g, x, w, mean, rstd, *, eps):
        return x, mean, mean

    def forward(g, x, w, mean, rstd, *, eps):
        g, wide, n = widened(g), widened(x), x.size // max(x.shape[1], 1) or 1
        gb = channel_sums(g)
        normal = wide - per_channel(mean, x.ndim)
        normal *= per_channel(rstd, x.ndim)
        gw = channel_products(g, normal)
        scale = rstd if w is None else rstd * w
        normal *= per_channel((gw / -n).astype(wide.dtype), x.ndim)
        normal += g
        normal -= per_channel((gb / n).astype(wide.dtype), x.ndim)
        normal *= per_channel(scale, x.ndim)
        return normal.astype(x.dtype, copy=False), gw, gb

    def expand(g, x, w, mean, rstd, *, eps):
        # From x alone: mean and rstd depend on it, and the derivative must see that.
        axes = (0, *range(2, x.ndim))
        normal, scale = standardized(x, axes, eps)
        inner = projected(g, normal, axes)
        gx = inner * (scale if w is None else scale * per_channel(w, x.ndim))
        return gx, (g * normal).sum(axes), g.sum(axes)

    def latex(g, x, w=None, mean=None, rstd=None, *, eps):
        return rf"\frac{{\partial \operatorname{{BN}}}}{{\partial {x}}}^{{\top}} {g}"


def average(x: Any, axes: tuple) -> Any:
    """The mean over axes, which stay."""
    return x.sum(axes, keepdim=True) * (1.0 / (math.prod(x.shape[a] for a in axes) or 1))


def standardized(x: Any, axes: tuple, eps: float) -> tuple:
    """x with mean 0 and variance 1 over axes, and the factor that did it, as Tensors."""
    centred = x - average(x, axes)
    scale = (average(centred * centred, axes) + eps).rsqrt()
    return centred * scale, scale


def projected(g: Any, normal: Any, axes: tuple) -> Any:
    """A gradient without the directions that standardizing removes."""
    return g - average(g, axes) - normal * average(g * normal, axes)
