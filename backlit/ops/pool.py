"""Pooling over windows of one to three spatial axes: maximum, mean, p-norm.

`max_pool` and `max_pool_grad` with `max_pool_take`, `avg_pool` and `avg_pool_grad` are each
other's derivatives, so any order works. Shapes: x (N, C, *S). The adaptive and the inverse forms
are in pool_adaptive.py; the windows themselves in windows.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops import windows as win
from backlit.ops.conv import per_axis
from backlit.ops.op import Operator, Spec, apply, export, require_float


class MaxPool(Operator):
    """The largest value of each window, and its flat place in the input's spatial plane."""

    exports = ""
    outputs = ("y", "indices")
    nondifferentiable = ("indices",)

    def infer(x, *, kernel, stride, padding, dilation, ceil_mode):
        if x.dtype.kind == "b":
            require_float(x)
        reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
        if any(2 * p > r for p, r in zip(padding, reach)):
            raise ArgumentError(
                f"padding {padding} must be at most half of the kernel {kernel}"
                f" (dilation {dilation})"
            )
        size = win.pooled_size(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
        shape = (*x.shape[:2], *size)
        return Spec(shape, x.dtype), Spec(shape, dt.int64)

    def forward(x, *, kernel, stride, padding, dilation, ceil_mode):
        size = win.pooled_size(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
        source = win.padded(x, kernel, stride, padding, dilation, size, win.lowest(x.dtype))
        best = which = None
        for number, window in enumerate(win.taps(source, kernel, stride, dilation, size)):
            if best is None:
                best = window.copy(order="K")
                which = np.empty_like(best, np.int64)
                which[...] = win.first_taps(size, kernel, stride, padding, dilation)
                continue
            better = window > best
            if x.dtype.kind in "fV":
                better |= np.isnan(window)
            np.copyto(best, window, where=better)
            np.copyto(which, number, where=better)
        return best, win.places(which, x.shape[2:], kernel, stride, padding, dilation)

    def grad_x(g_y, indices, x_spec):
        return apply(MaxPoolGrad, g_y, indices, size=tuple(x_spec.shape[2:]))

    def latex(x, *, kernel, **params):
        return rf"\max_{{{win.latex(kernel)}}} {x}"


class MaxPoolGrad(Operator):
    """Zeros of spatial `size` with each value added at its place in the plane."""

    exports = ""
    inputs = ("g0", "indices")
    moves = True

    def infer(g, indices, *, size):
        if indices.dtype.kind not in "iu" or indices.shape != g.shape:
            raise ShapeError(f"values {g.shape} need whole-number indices of the same shape")
        return Spec((*g.shape[:2], *size), g.dtype)

    def forward(g, indices, *, size):
        planes, n = math.prod(g.shape[:2]), math.prod(size)
        win.check_places(indices, n)
        base = np.arange(planes).reshape((*g.shape[:2],) + (1,) * (g.ndim - 2)) * n
        flat = (indices + base).reshape(-1)
        total = np.bincount(flat, g.reshape(-1).astype(np.float64), planes * n)
        return total.astype(g.dtype).reshape((*g.shape[:2], *size))

    def grad_g0(g, indices):
        return apply(MaxPoolTake, g, indices)

    def latex(g, indices, *, size):
        return rf"\operatorname{{put}}_{{{indices}}}\left({g}\right)"


class MaxPoolTake(Operator):
    """The values at flat places of each spatial plane."""

    exports = ""
    moves = True

    def infer(x, indices):
        if indices.dtype.kind not in "iu" or indices.shape[:2] != x.shape[:2]:
            raise ShapeError(f"indices {indices.shape} do not address planes of {x.shape}")
        return Spec(indices.shape, x.dtype)

    def forward(x, indices):
        win.check_places(indices, math.prod(x.shape[2:]))
        lead = indices.shape[:2]
        flat = indices.reshape(*lead, math.prod(indices.shape[2:]))
        planes = x.reshape(*lead, math.prod(x.shape[2:]))
        return np.take_along_axis(planes, flat, 2).reshape(indices.shape)

    def grad_x(g, indices, x_spec):
        return apply(MaxPoolGrad, g, indices, size=tuple(x_spec.shape[2:]))

    def latex(x, indices):
        return rf"{{{x}}}_{{{indices}}}"


class AvgPool(Operator):
    """The mean of each window; padding counts as zeros, or not at all."""

    exports = ""

    def infer(x, *, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
        require_float(x)
        if any(2 * p > k for p, k in zip(padding, kernel)):
            raise ArgumentError(f"padding {padding} must be at most half of the kernel {kernel}")
        if divisor == 0:
            raise ArgumentError("divisor_override must not be 0")
        ones = (1,) * len(kernel)
        size = win.pooled_size(x.shape[2:], kernel, stride, padding, ones, ceil_mode)
        return Spec((*x.shape[:2], *size), x.dtype)

    def forward(x, *, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
        ones, wide = (1,) * len(kernel), win.widened(x)
        size = win.pooled_size(x.shape[2:], kernel, stride, padding, ones, ceil_mode)
        source = win.padded(wide, kernel, stride, padding, ones, size, 0)
        total = None
        for window in win.taps(source, kernel, stride, ones, size):
            if total is None:
                total = window.copy(order="K")
            else:
                total += window
        counts = win.divisors(x.shape[2:], kernel, stride, padding, size, count_include_pad)
        total /= counts.astype(total.dtype) if divisor is None else divisor
        return total.astype(x.dtype, copy=False)

    def grad_x(g, x_spec, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
        return apply(AvgPoolGrad, g, size=tuple(x_spec.shape[2:]), kernel=kernel, stride=stride,
                     padding=padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad,
                     divisor=divisor)  # fmt: skip

    def latex(x, *, kernel, **params):
        return rf"\operatorname{{mean}}_{{{win.latex(kernel)}}} {x}"


class AvgPoolGrad(Operator):
    """Each value shared out among the window that it was the mean of."""

    exports = ""
    inputs = ("g0",)

    def infer(g, *, size, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
        ones = (1,) * len(kernel)
        expected = win.pooled_size(size, kernel, stride, padding, ones, ceil_mode)
        if g.shape[2:] != expected:
            raise ShapeError(f"gradient {g.shape} does not fit pooled size {expected}")
        return Spec((*g.shape[:2], *size), g.dtype)

    def forward(g, *, size, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
        ones, wide = (1,) * len(kernel), win.widened(g)
        counts = win.divisors(size, kernel, stride, padding, g.shape[2:], count_include_pad)
        share = wide / (counts.astype(wide.dtype) if divisor is None else divisor)
        ghost = np.broadcast_to(wide.dtype.type(0), (*g.shape[:2], *size))
        grown = win.padded_shape(ghost.shape, kernel, stride, padding, ones, g.shape[2:])
        gx = win.empty_like(share, grown)
        gx[...] = 0
        for window in win.taps(gx, kernel, stride, ones, g.shape[2:]):
            window += share
        inner = tuple(slice(p, p + n) for p, n in zip(padding, size))
        found = gx[(..., *inner)]
        found = found if found.shape == gx.shape else found.copy(order="K")
        return found.astype(g.dtype, copy=False)

    def grad_g0(g, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
        return apply(AvgPool, g, kernel=kernel, stride=stride, padding=padding,
                     ceil_mode=ceil_mode, count_include_pad=count_include_pad,
                     divisor=divisor)  # fmt: skip

    def latex(g, *, kernel, **params):
        return rf"\operatorname{{share}}_{{{win.latex(kernel)}}} {g}"


# ----- the public functions -----


def batched(dims: int, input: Any, name: str) -> Any:
    """The input with a batch axis."""
    if not hasattr(input, "cell"):
        raise ArgumentTypeError(f"{name}: expected a Tensor, got {type(input).__name__}")
    if input.ndim not in (dims + 1, dims + 2):
        raise ShapeError(
            f"{name}: expected {dims + 2} axes (or {dims + 1} without a batch),"
            f" got shape {tuple(input.shape)}"
        )
    return input if input.ndim == dims + 2 else input.unsqueeze(0)


def pool_max(dims: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any,
             ceil_mode: bool, return_indices: bool) -> Any:  # fmt: skip
    """The public maximum pooling in any number of axes."""
    x = batched(dims, input, f"max_pool{dims}d")
    kernel = per_axis(kernel, dims, "kernel_size", 1)
    y, indices = apply(
        MaxPool, x, kernel=kernel,
        stride=kernel if not_given(stride) else per_axis(stride, dims, "stride", 1),
        padding=per_axis(padding, dims, "padding"),
        dilation=per_axis(dilation, dims, "dilation", 1), ceil_mode=bool(ceil_mode),
    )  # fmt: skip
    if input.ndim == dims + 1:
        y, indices = y.squeeze(0), indices.squeeze(0)
    return (y, indices) if return_indices else y


def not_given(stride: Any) -> bool:
    return stride is None or (isinstance(stride, (tuple, list)) and not stride)


def pool_avg(dims: int, input: Any, kernel: Any, stride: Any, padding: Any, ceil_mode: bool,
             count_include_pad: bool, divisor: Any) -> Any:  # fmt: skip
    """The public mean pooling in any number of axes."""
    x = batched(dims, input, f"avg_pool{dims}d")
    kernel = per_axis(kernel, dims, "kernel_size", 1)
    y = apply(
        AvgPool, x, kernel=kernel,
        stride=kernel if not_given(stride) else per_axis(stride, dims, "stride", 1),
        padding=per_axis(padding, dims, "padding"), ceil_mode=bool(ceil_mode),
        count_include_pad=bool(count_include_pad), divisor=divisor,
    )  # fmt: skip
    return y if input.ndim == dims + 2 else y.squeeze(0)


@export("bl F")
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    """The largest value of each window of sequences (N, C, L); the stride is the kernel's size.

    >>> F.max_pool1d(bl.tensor([[[1.0, 3.0, 2.0, 5.0]]]), 2)
    tensor([[[3., 5.]]])
    """
    return pool_max(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@export("bl F")
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    """The largest value of each window of images (N, C, H, W) or (C, H, W).

    With `return_indices` also the flat place of each in its image, for `max_unpool2d`.

    >>> F.max_pool2d(bl.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    return pool_max(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@export("bl F")
def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):  # fmt: skip
    """The largest value of each window of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> F.max_pool3d(bl.arange(8.0).reshape(1, 2, 2, 2), 2).item()
    7.0
    """
    return pool_max(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@export("F")
def max_pool1d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1,
                            ceil_mode=False, return_indices=True):  # fmt: skip
    """`max_pool1d` and the places of the largest values.

    >>> F.max_pool1d_with_indices(bl.zeros(1, 1, 4), 2)[1].shape
    backlit.Size([1, 1, 2])
    """
    return pool_max(1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@export("F")
def max_pool2d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1,
                            ceil_mode=False, return_indices=True):  # fmt: skip
    """`max_pool2d` and the places of the largest values.

    >>> F.max_pool2d_with_indices(bl.zeros(1, 1, 4, 4), 2)[1].shape
    backlit.Size([1, 1, 2, 2])
    """
    return pool_max(2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@export("F")
def max_pool3d_with_indices(input, kernel_size, stride=None, padding=0, dilation=1,
                            ceil_mode=False, return_indices=True):  # fmt: skip
    """`max_pool3d` and the places of the largest values.

    >>> F.max_pool3d_with_indices(bl.zeros(1, 1, 4, 4, 4), 2)[1].shape
    backlit.Size([1, 1, 2, 2, 2])
    """
    return pool_max(3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


@export("bl F")
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):  # fmt: skip
    """The mean of each window of sequences (N, C, L) or (C, L).

    >>> F.avg_pool1d(bl.tensor([[[1.0, 3.0, 2.0, 6.0]]]), 2)
    tensor([[[2., 4.]]])
    """
    return pool_avg(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)  # fmt: skip


@export("F")
def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):  # fmt: skip
    """The mean of each window of images (N, C, H, W) or (C, H, W).

    >>> F.avg_pool2d(bl.arange(4.0).reshape(1, 2, 2), 2).item()
    1.5
    """
    return pool_avg(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)  # fmt: skip


@export("F")
def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True, divisor_override=None):  # fmt: skip
    """The mean of each window of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> F.avg_pool3d(bl.arange(8.0).reshape(1, 2, 2, 2), 2).item()
    3.5
    """
    return pool_avg(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)  # fmt: skip
