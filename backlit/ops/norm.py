"""Normalizations over batches and over rows (the trailing axes of layers).

Each is closed for speed in eager mode: one operator forwards, one `*_grad` operator back, whose
`expand` in plain operators serves the higher orders. Groups, instances and channels are in
norm_groups.py; sums by products with ones, fast in either memory order, in norm_sums.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.norm_sums import (
    channel_products,
    channel_sums,
    row_products,
    row_sums,
    widened,
)
from backlit.ops.op import Operator, Spec, apply, require_float, slot_scoped
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
        values = Spec((x.shape[1],), x.dtype)
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
        return tuple(v.astype(x.dtype, copy=False) for v in (centred, mean, rstd))

    def backward(g_y, x, w, mean, rstd, eps):
        return apply(BatchNormGrad, g_y, x, w, mean, rstd, eps=eps)

    def latex(x, w=None, b=None, *, eps):
        return latex_normalized(x, w, b, eps)


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
            new = _over_batch(mean) * momentum
            running_mean.copy_(running_mean * (1 - momentum) + new)
        if running_var is not None:
            _check_values(mean.shape[-1], running_var, "running_var")
            new = (1 / (rstd * rstd) - eps) * (momentum * count / max(count - 1, 1))
            running_var.copy_(running_var * (1 - momentum) + _over_batch(new))
    finally:
        state.grad = outer


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
        return tuple(v.astype(x.dtype, copy=False) for v in (normal, gw, gb))

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
    return x.sum(axes, keepdim=True) * (1.0 / math.prod(x.shape[a] for a in axes))


def standardized(x: Any, axes: tuple, eps: float) -> tuple:
    """x with mean 0 and variance 1 over axes, and the factor that did it, as Tensors."""
    centred = x - average(x, axes)
    scale = (average(centred * centred, axes) + eps).rsqrt()
    return centred * scale, scale


def projected(g: Any, normal: Any, axes: tuple) -> Any:
    """A gradient without the directions that standardizing removes."""
    return g - average(g, axes) - normal * average(g * normal, axes)


# ----- over rows: layer norm and RMS norm -----


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
    return Spec((*x.shape[: x.ndim - count], *(1,) * count), x.dtype)


def _rows(x: np.ndarray, count: int) -> np.ndarray:
    n = math.prod(x.shape[x.ndim - count :])
    return widened(x).reshape(x.size // n if n else 0, n)


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
        shaped = (y.reshape(x.shape), mean.reshape(kept), rstd.reshape(kept))
        return tuple(v.astype(x.dtype, copy=False) for v in shaped)

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
        value = Spec(x.shape[x.ndim - count :], x.dtype)
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
        shaped = (g.reshape(x.shape), gw.reshape(shape), gb.reshape(shape))
        return tuple(v.astype(x.dtype, copy=False) for v in shaped)

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

    `eps=None` means the machine epsilon of the dtype. Source: Zhang and Sennrich (2019).

    >>> F.rms_norm(bl.tensor([[3.0, -3.0]]), (2,))
    tensor([[ 1.0000, -1.0000]])
    """

    exports = "bl F"
    inputs = ("x", "w")
    outputs = ("y", "rstd")
    nondifferentiable = ("rstd",)

    def call(input, normalized_shape, weight=None, eps=None):
        from backlit.dtypes import finfo

        count = trailing(input, normalized_shape, "rms_norm")
        eps = finfo(input.dtype).eps if eps is None else eps
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
        return tuple(v.astype(x.dtype, copy=False) for v in (y.reshape(x.shape), rstd.reshape(kept)))

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
        return x, Spec(x.shape[x.ndim - count :], x.dtype)

    def forward(g, x, w, rstd, *, count, eps):
        g, rows, shape = _rows(g, count), _rows(x, count), x.shape[x.ndim - count :]
        rstd = rstd.reshape(-1, 1).astype(rows.dtype, copy=False)
        y = rows * rstd
        gw = channel_products(g, y)
        g = g.copy() if w is None else g * w.reshape(-1)
        y *= row_products(g, y)[:, None] / y.dtype.type(rows.shape[1] or 1)
        g -= y
        g *= rstd
        return tuple(v.astype(x.dtype, copy=False) for v in (g.reshape(x.shape), gw.reshape(shape)))

    def expand(g, x, w, rstd, *, count, eps):
        axes, lead = tuple(range(x.ndim - count, x.ndim)), tuple(range(x.ndim - count))
        scale = (average(x * x, axes) + eps).rsqrt()
        normal = x * scale
        scaled = g if w is None else g * w
        gx = (scaled - normal * average(scaled * normal, axes)) * scale
        return gx, ((g * normal).sum(lead) if lead else g * normal)

    def latex(g, x, w=None, rstd=None, *, count, eps):
        return rf"\frac{{\partial \operatorname{{RMS}}}}{{\partial {x}}}^{{\top}} {g}"
