"""Rules of layers: convolution, normalization, softmax, attention, slopes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.batch_norms import NAME as BY_RUNNING
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.rules_algebra import mapped
from backlit.onnx.exporting.terms import Builder, Term

Sizes = tuple[int, ...]

# ----- convolution -----


@rule("conv")
def _conv(g: Builder, x: Term, w: Term, b: Term | None, stride: Sizes, padding: Sizes,
          dilation: Sizes, groups: int) -> Term:  # fmt: skip
    return g("Conv", x, w, b, strides=tuple(stride), pads=(*padding, *padding), group=groups,
             dilations=tuple(dilation), kernel_shape=tuple(w.shape[2:]))  # fmt: skip


@rule("conv_grad_input")
def _conv_transpose(g: Builder, x: Term, w: Term, size: Sizes, stride: Sizes, padding: Sizes,
                    dilation: Sizes, groups: int) -> Term:  # fmt: skip
    """The transposed convolution is this gradient; `size` says how much lies over its end."""
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:])]
    full = [(n - 1) * s + r for n, s, r in zip(x.shape[2:], stride, reach)]
    over = tuple(o - (f - 2 * p) for o, f, p in zip(size, full, padding))
    return g("ConvTranspose", x, w, strides=tuple(stride), pads=(*padding, *padding),
             dilations=tuple(dilation), group=groups, kernel_shape=tuple(w.shape[2:]),
             output_padding=over)  # fmt: skip


# ----- normalization -----


def per_channel(g: Builder, v: Term, ndim: int) -> Term:
    return g.reshape(v, (1, -1, *(1,) * (ndim - 2)))


def affine(g: Builder, y: Term, w: Term | None, b: Term | None) -> Term:
    y = y if w is None else y * w
    return y if b is None else y + b


@rule(BY_RUNNING)
def _by_running(g: Builder, x: Term, w: Term | None, b: Term | None, mean: Term, variance: Term,
                eps: float) -> Term:  # fmt: skip
    channels = mean.shape
    w = g.constant(np.ones(channels), x.dtype) if w is None else w
    b = g.constant(np.zeros(channels), x.dtype) if b is None else b
    return g("BatchNormalization", x, w, b, mean, variance, epsilon=eps)


def standardized(g: Builder, x: Term, dims: Sizes, eps: float) -> tuple[Term, Term, Term]:
    """x with mean 0 and variance 1 over axes; the mean, and the factor that did it."""
    mean = g.reduce("Mean", x, dims, True)
    away = x - mean
    rstd = 1.0 / g("Sqrt", g.reduce("Mean", away * away, dims, True) + eps)
    return away * rstd, mean, rstd


@rule("batch_norm")
def _batch_norm(g: Builder, x: Term, w: Term | None, b: Term | None, eps: float) -> Any:
    dims = (0, *range(2, x.ndim))
    y, mean, rstd = standardized(g, x, dims, eps)
    scale, shift = (None if v is None else per_channel(g, v, x.ndim) for v in (w, b))
    return affine(g, y, scale, shift), g.reshape(mean, (-1,)), g.reshape(rstd, (-1,))


@rule("layer_norm")
def _layer_norm(g: Builder, x: Term, w: Term | None, b: Term | None, count: int,
                eps: float) -> Any:  # fmt: skip
    if 0 in x.shape and not any(g.wanted[1:]):
        return x  # runtimes refuse rows of nothing
    w = g.constant(np.ones(x.shape[x.ndim - count :]), x.dtype) if w is None else w
    shape = x.shape[x.ndim - count :]
    w, b = (v if v is None or v.shape == shape else g.reshape(v, shape) for v in (w, b))
    count_out = 3 if any(g.wanted[1:]) else 1
    return g("LayerNormalization", x, w, b, axis=x.ndim - count, epsilon=eps, outputs=count_out)


@rule("rms_norm")
def _rms_norm(g: Builder, x: Term, w: Term | None, count: int, eps: float) -> Any:
    dims = tuple(range(x.ndim - count, x.ndim))
    rstd = 1.0 / g("Sqrt", g.reduce("Mean", x * x, dims, True) + eps)
    return affine(g, x * rstd, w, None), rstd


@rule("group_norm")
def _group_norm(g: Builder, x: Term, w: Term | None, b: Term | None, groups: int,
                eps: float) -> Any:  # fmt: skip
    n, size = x.shape[0], math.prod(x.shape[1:]) // groups
    rows = g.reshape(x, (n, groups, size))
    if x.dtype is dt.float32 and not any(g.wanted[1:]):
        one, none = (g.constant(np.full(groups, v), x.dtype) for v in (1.0, 0.0))
        y, mean, rstd = g("InstanceNormalization", rows, one, none, epsilon=eps), None, None
    else:
        y, mean, rstd = standardized(g, rows, (2,), eps)
        mean, rstd = g("Squeeze", mean, (2,)), g("Squeeze", rstd, (2,))
    y = g.reshape(y, x.shape)
    scale, shift = (None if v is None else per_channel(g, v, x.ndim) for v in (w, b))
    return affine(g, y, scale, shift), mean, rstd


@rule("channel_window")
def _channel_window(g: Builder, x: Term, before: int, after: int) -> Term:
    """Sums over neighbouring channels: a band of ones."""
    at = np.arange(x.shape[1])
    away = at[None, :] - at[:, None]
    return mapped(g, x, 1, (away >= -before) & (away <= after))


# ----- softmax and attention -----


@rule("softmax", "log_softmax")
def _softmax(g: Builder, x: Term, dim: int) -> Term:
    log = g.instr.op == "log_softmax"
    if not x.ndim:
        return x - x if log else x - x + 1
    return g("LogSoftmax" if log else "Softmax", x, axis=dim)


@rule("attention")
def _attention(g: Builder, q: Term, k: Term, v: Term, mask: Term | None, scale: float,
               causal: bool) -> Any:  # fmt: skip
    """Weights of what a mask leaves out are 0, also in rows of which it leaves nothing."""
    scores = g("MatMul", q * scale, g.matrix_transposed(k, k.ndim))
    allowed = None
    if causal:
        square = g.filled((q.shape[-2], k.shape[-2]), True, dt.bool_)
        allowed = g("Trilu", square, upper=0)
    if mask is not None and mask.dtype is dt.bool_:
        allowed = mask if allowed is None else mask & allowed
    elif mask is not None:
        scores = scores + mask
        seen = mask != -math.inf
        allowed = seen if allowed is None else seen & allowed
    if allowed is not None:
        scores = g.where(allowed, scores, -math.inf)
    weights = g("Softmax", scores, axis=-1)
    if mask is not None:
        assert allowed is not None
        weights = g.where(allowed, weights, 0.0)
    return g("MatMul", weights, v), weights


@rule("prelu")
def _prelu(g: Builder, x: Term, w: Term) -> Term:
    slope = g.reshape(w, (-1, *(1,) * max(x.ndim - 2, 0))) if x.ndim else g.reshape(w, ())
    return g("PRelu", x, slope)
