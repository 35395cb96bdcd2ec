"""Normalizations over batches, layers, groups and channels."""

from __future__ import annotations

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ShapeError
from backlit.ops.op import Operator, Spec, apply, require_float


def _channels(v, ndim: int):
    """A value per channel, shaped to broadcast over (N, C, *S)."""
    return v.reshape((1, -1) + (1,) * (ndim - 2))


class BatchNorm(Operator):
    """(x - mean) / sqrt(var + eps) per channel, over the batch and space, times w plus b.

    Also returns the batch mean and 1 / sqrt(var + eps), from which running statistics are kept.
    Source: Ioffe and Szegedy (2015).
    """

    exports = ""
    inputs = ("x", "w", "b")
    outputs = ("y", "mean", "rstd")
    nondifferentiable = ("mean", "rstd")

    def infer(x, w, b, *, eps):
        require_float(x)
        if x.ndim < 2:
            raise ShapeError(f"expected (N, C, ...), got {x.shape}")
        count = int(np.prod(x.shape)) // max(x.shape[1], 1)
        if count <= 1:
            raise ArgumentError(
                f"one value per channel has no variance: shape {x.shape}",
                hint="train with more than one sample, or call model.eval()",
            )
        for v in (w, b):
            if v is not None and v.shape != (x.shape[1],):
                raise ShapeError(f"weight and bias must be ({x.shape[1]},), got {v.shape}")
        per_channel = Spec((x.shape[1],), x.dtype)
        return x, per_channel, per_channel

    def forward(x, w, b, *, eps):
        axes = (0, *range(2, x.ndim))
        mean = x.mean(axis=axes, dtype=np.float64)
        centred = x - _channels(mean, x.ndim)
        rstd = 1.0 / np.sqrt((centred * centred).mean(axis=axes) + eps)
        y = centred * _channels(rstd, x.ndim)
        y = y if w is None else y * _channels(w, x.ndim)
        y = y if b is None else y + _channels(b, x.ndim)
        return y.astype(x.dtype), mean.astype(x.dtype), rstd.astype(x.dtype)

    def backward(g_y, x, w, mean, rstd, eps):
        return apply(BatchNormGrad, g_y, x, w, mean, rstd, eps=eps)

    def latex(x, w=None, b=None, *, eps):
        scaled = rf"\frac{{{x} - \mu}}{{\sqrt{{\sigma^2 + {eps:g}}}}}"
        return (rf"{w} \odot " if w else "") + scaled + (f" + {b}" if b else "")


class BatchNormGrad(Operator):
    """The gradients of `batch_norm` in one go; differentiated through `expand`."""

    exports = ""
    inputs = ("g0", "x", "w", "mean", "rstd")
    outputs = ("gx", "gw", "gb")

    def infer(g, x, w, mean, rstd, *, eps):
        return x, mean, mean

    def forward(g, x, w, mean, rstd, *, eps):
        axes, n = (0, *range(2, x.ndim)), x.size // x.shape[1]
        normal = (x - _channels(mean, x.ndim)) * _channels(rstd, x.ndim)
        gb = g.sum(axis=axes, dtype=np.float64)
        gw = (g * normal).sum(axis=axes, dtype=np.float64)
        scale = rstd if w is None else rstd * w
        inner = g - _channels(gb / n, x.ndim) - normal * _channels(gw / n, x.ndim)
        gx = inner * _channels(scale, x.ndim)
        return gx.astype(x.dtype), gw.astype(x.dtype), gb.astype(x.dtype)

    def expand(g, x, w, mean, rstd, *, eps):
        # From x alone: mean and rstd depend on it, and the derivative must see that.
        axes = (0, *range(2, x.ndim))
        centred = x - x.mean(axes, keepdim=True)
        scale = ((centred * centred).mean(axes, keepdim=True) + eps).rsqrt()
        normal = centred * scale
        inner = g - g.mean(axes, keepdim=True) - normal * (g * normal).mean(axes, keepdim=True)
        gx = inner * (scale if w is None else scale * _channels(w, x.ndim))
        return gx, (g * normal).sum(axes), g.sum(axes)

    def latex(g, x, w=None, mean=None, rstd=None, *, eps):
        return rf"\frac{{\partial \operatorname{{BN}}}}{{\partial {x}}}^{{\top}} {g}"
