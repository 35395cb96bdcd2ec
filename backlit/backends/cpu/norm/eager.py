"""Batch normalization and its gradient on NumPy arrays, by generated kernels.

Owns the border and the combination of the kernels' partial sums, in float64. Two passes over
memory each way; results are NHWC memory seen as (N, C, *S). Code is in `kernels.py`.
"""

from __future__ import annotations

import math

import numpy as np

from backlit.backends.cpu.channels.layout import channels_last, empty_channels_last
from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.threads import parallel_for
from backlit.backends.cpu.native.words import ELEMENTS, pack_words

from . import kernels

# a block stays in the first-level cache between the two readings of it
BLOCK_BYTES = 16 * 1024
SMALL_WORK = 200_000

Optional = np.ndarray | None


def batch_norm(
    x: np.ndarray, weight: Optional, bias: Optional, *, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize x (N, C, *S) by its own statistics per channel; return (y, mean, rstd).

    mean and rstd = 1 / sqrt(biased variance + eps) are (C,).
    """
    if x.dtype not in ELEMENTS:
        y, mean, rstd = batch_norm(x.astype(np.float32), _float32(weight), _float32(bias), eps=eps)
        return y.astype(x.dtype), mean, rstd  # statistics keep the digits
    y = empty_channels_last(x.shape, x.dtype)
    source = channels_last(x)
    mean, variance = _statistics(source)
    rstd = 1 / np.sqrt(variance + eps)
    scale = rstd if weight is None else rstd * weight
    shift = np.zeros(len(mean)) if bias is None else bias
    mean, scale, shift = (np.ascontiguousarray(a, x.dtype) for a in (mean, scale, shift))
    _run("apply", kernels.APPLY, source, y=y, x=source, mean=mean, scale=scale, shift=shift)
    return y, mean, rstd.astype(x.dtype)


def batch_norm_grad(
    g: np.ndarray, x: np.ndarray, weight: Optional, mean: np.ndarray, rstd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of batch_norm for x, weight and bias, from g shaped like x."""
    if x.dtype not in ELEMENTS:
        arrays = (_float32(a) for a in (g, x, weight, mean, rstd))
        gx, gw, gb = batch_norm_grad(*arrays)  # type: ignore[arg-type]
        return gx.astype(x.dtype), gw, gb
    gx = empty_channels_last(x.shape, x.dtype)
    source, grad = channels_last(x), channels_last(g.astype(x.dtype, copy=False))
    mean = np.ascontiguousarray(mean, x.dtype)
    partial = _run("grad_sums", kernels.GRAD_SUMS, source, results=2, g=grad, x=source, mean=mean)
    total, product = partial.sum(axis=0, dtype=np.float64)
    deviation = rstd.astype(np.float64)
    scale = deviation if weight is None else deviation * weight
    count = max(math.prod(source.shape[:-1]), 1)
    slope = -scale * deviation**2 * product / count
    shift = -scale * total / count
    scale, slope, shift = (np.ascontiguousarray(a, x.dtype) for a in (scale, slope, shift))
    _run(
        "grad_apply",
        kernels.GRAD_APPLY,
        source,
        y=gx,
        g=grad,
        x=source,
        mean=mean,
        scale=scale,
        slope=slope,
        shift=shift,
    )
    return gx, (product * deviation).astype(x.dtype), total.astype(x.dtype)


def _statistics(source: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and biased variance per channel, in float64."""
    rows = math.prod(source.shape[:-1])
    if not source.size:
        return np.zeros(source.shape[-1]), np.zeros(source.shape[-1])
    partial = _run("statistics", kernels.STATISTICS, source, results=3, x=source)
    partial = partial.astype(np.float64)
    step = _block_rows(source)
    counts = np.minimum(step, rows - step * np.arange(len(partial)))[:, None]
    means = partial[:, 0] + partial[:, 1] / counts
    squares = partial[:, 2] - partial[:, 1] ** 2 / counts
    mean = (counts * means).sum(axis=0) / rows
    # the parallel axis theorem joins the blocks' spreads about their own means
    return mean, (squares + counts * (means - mean) ** 2).sum(axis=0) / rows


def _run(
    kernel: str, fields: list[str], like: np.ndarray, *, results: int = 0, **arrays: np.ndarray
) -> np.ndarray:
    """Run a kernel over the rows of arrays shaped like `like`.

    Returns (blocks, results, channels) partial results.
    """
    channels, rows = like.shape[-1], math.prod(like.shape[:-1])
    step = _block_rows(like)
    blocks = -(-rows // step)
    partial = np.empty((blocks, results, channels), like.dtype)
    if not like.size:
        return partial
    words = pack_words(
        fields, partial=partial, rows=rows, channels=channels, block_rows=step, **arrays
    )
    address = getattr(kernels, kernel)(features.machine(), ELEMENTS[like.dtype])
    parallel_for(blocks, address, words, small=like.size < SMALL_WORK)
    return partial


def _block_rows(source: np.ndarray) -> int:
    return max(1, BLOCK_BYTES // max(1, source.shape[-1] * source.itemsize))


def _float32(a: Optional) -> Optional:
    return None if a is None else a.astype(np.float32)
