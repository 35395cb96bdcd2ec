"""Convolution in plain NumPy: the oracle of the convolution family.

Owns the meaning of convolution and of its two gradients for one, two or three spatial
dimensions, written for the reader: one product per kernel tap, NCHW memory throughout.
Knows no Tensor and checks no input. The fast kernels are in `backlit/backends/cpu/conv/eager.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

Sizes = tuple[int, ...]
Taps = Iterator[tuple[tuple[slice | int, ...], tuple[slice | int, ...]]]


def output_size(
    size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> Sizes:
    """Return the spatial size of a convolution's output; negative means that it has none."""
    dims = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in dims)


def conv(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray | None = None,
    *,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """Return the cross-correlation of x (N, C, *S) with w (O, C/groups, *K), plus b (O,)."""
    size = output_size(x.shape[2:], w.shape[2:], stride, padding, dilation)
    source = _by_group(_pad(x, padding), groups, axis=1)
    weight = _by_group(w, groups, axis=0)
    y = np.zeros((len(x), groups, weight.shape[1], math.prod(size)), _dtype(x, w))
    for window, tap in _taps(w.shape[2:], size, stride, dilation):
        y += weight[tap] @ source[window].reshape(*source.shape[:3], math.prod(size))
    y = y.reshape(len(x), len(w), *size)
    return y if b is None else y + b.reshape(-1, *(1 for _ in size))


def conv_grad_input(
    g: np.ndarray,
    w: np.ndarray,
    *,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """Return the gradient with respect to x; also the transposed convolution of g with w.

    g is (N, O, *output), w (O, C/groups, *K), and `size` the spatial size of x.
    """
    grad = _by_group(g, groups, axis=1)
    grad = grad.reshape(*grad.shape[:3], math.prod(g.shape[2:]))
    weight = _by_group(w, groups, axis=0)
    padded = tuple(n + 2 * p for n, p in zip(size, padding, strict=True))
    gx = np.zeros((len(g), groups, w.shape[1], *padded), _dtype(g, w))
    for window, tap in _taps(w.shape[2:], g.shape[2:], stride, dilation):
        target = gx[window]
        target += (weight[tap].swapaxes(1, 2) @ grad).reshape(target.shape)
    inner = (slice(p, p + n) for n, p in zip(size, padding, strict=True))
    return np.ascontiguousarray(gx[(..., *inner)]).reshape(len(g), groups * w.shape[1], *size)


def conv_grad_weight(
    g: np.ndarray,
    x: np.ndarray,
    *,
    size: Sizes,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """Return the gradient with respect to w for g (N, O, *output) and x (N, C, *S).

    `size` is the spatial size of w.
    """
    source = np.moveaxis(_by_group(_pad(x, padding), groups, axis=1), 0, 2)
    grad = np.moveaxis(_by_group(g, groups, axis=1), 0, 2)
    grad = grad.reshape(*grad.shape[:2], len(g) * math.prod(g.shape[2:]))
    gw = np.empty((*grad.shape[:2], source.shape[1], *size), _dtype(g, x))
    for window, tap in _taps(size, g.shape[2:], stride, dilation):
        rows = source[window].reshape(*source.shape[:2], grad.shape[2])
        gw[tap] = grad @ rows.swapaxes(1, 2)
    return gw.reshape(g.shape[1], source.shape[1], *size)


def _taps(kernel: Sizes, output: Sizes, stride: Sizes, dilation: Sizes) -> Taps:
    """Yield, per kernel tap, the strided window of the padded input and the tap's own index."""
    for tap in np.ndindex(*kernel):
        dims = zip(tap, output, stride, dilation, strict=True)
        window = (slice(k * d, k * d + n * s, s) for k, n, s, d in dims)
        yield (..., *window), (..., *tap)


def _pad(x: np.ndarray, padding: Sizes) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding))) if any(padding) else x


def _by_group(a: np.ndarray, groups: int, axis: int) -> np.ndarray:
    shape = a.shape
    return a.reshape(*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :])


def _dtype(a: np.ndarray, b: np.ndarray) -> np.dtype:
    return np.result_type(a.dtype, b.dtype)
