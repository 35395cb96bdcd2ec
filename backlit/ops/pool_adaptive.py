"""Pooling to a wanted size, by p-norms, and the inverse of maximum pooling.

Windows of a wanted size o from n elements go from floor(i n / o) to ceil((i + 1) n / o); where o
divides n they are plain windows. Shapes: x (N, C, *S). Next: pool.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.ops import windows as win
from backlit.ops.conv import per_axis
from backlit.ops.norm import average
from backlit.ops.op import Operator, Spec, apply, export, require_float, slot_scoped
from backlit.ops.pool import AvgPool, MaxPool, MaxPoolGrad, batched, not_given, pool_avg


def bounds(n: int, o: int) -> list[tuple[int, int]]:
    """First and last + 1 of each of o windows over n elements."""
    return [(i * n // o, -(-(i + 1) * n // o)) for i in range(o)]


def averaging(n: int, o: int, dtype: np.dtype) -> np.ndarray:
    """The matrix (o, n) that takes the means of the windows."""
    made = np.zeros((o, n), dtype)
    for i, (start, end) in enumerate(bounds(n, o)):
        made[i, start:end] = 1 / (end - start)
    return made


class AdaptiveAvgPool(Operator):
    """The mean of each of the windows that give spatial `size`."""

    exports = ""

    def infer(x, *, size):
        require_float(x)
        return Spec((*x.shape[:2], *size), x.dtype)

    def forward(x, *, size):
        wide = win.widened(x)
        maps = [averaging(n, o, wide.dtype) for n, o in zip(x.shape[2:], size)]
        return win.map_axes(wide, maps).astype(x.dtype, copy=False)

    def grad_x(g, x_spec):
        return apply(AdaptiveAvgPoolGrad, g, size=tuple(x_spec.shape[2:]))

    def latex(x, *, size):
        return rf"\operatorname{{mean}}_{{\to {win.latex(size)}}} {x}"


class AdaptiveAvgPoolGrad(Operator):
    """Each value shared out among its window in a plane of spatial `size`."""

    exports = ""
    inputs = ("g0",)

    def infer(g, *, size):
        return Spec((*g.shape[:2], *size), g.dtype)

    def forward(g, *, size):
        wide = win.widened(g)
        maps = [averaging(n, o, wide.dtype).T for n, o in zip(size, g.shape[2:])]
        return win.map_axes(wide, maps).astype(g.dtype, copy=False)

    def grad_g0(g, g0_spec):
        return apply(AdaptiveAvgPool, g, size=tuple(g0_spec.shape[2:]))

    def latex(g, *, size):
        return rf"\operatorname{{share}}_{{\to {win.latex(size)}}} {g}"


class AdaptiveMaxPool(Operator):
    """The largest of each of the windows that give spatial `size`, and its flat place."""

    exports = ""
    outputs = ("y", "indices")
    nondifferentiable = ("indices",)

    def infer(x, *, size):
        shape = (*x.shape[:2], *size)
        return Spec(shape, x.dtype), Spec(shape, dt.int64)

    def forward(x, *, size):
        y = np.empty((*x.shape[:2], *size), x.dtype)
        indices = np.empty(y.shape, np.int64)
        places = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
        windows = [bounds(n, o) for n, o in zip(x.shape[2:], size)]
        for at in np.ndindex(*size):
            cut = tuple(slice(*windows[axis][i]) for axis, i in enumerate(at))
            count = math.prod(places[cut].shape)
            part = x[(..., *cut)].reshape(*x.shape[:2], count)
            best = part.argmax(axis=2)
            y[(..., *at)] = np.take_along_axis(part, best[..., None], 2)[..., 0]
            indices[(..., *at)] = places[cut].reshape(-1)[best]
        return y, indices

    def grad_x(g_y, indices, x_spec):
        return apply(MaxPoolGrad, g_y, indices, size=tuple(x_spec.shape[2:]))

    def latex(x, *, size):
        return rf"\max_{{\to {win.latex(size)}}} {x}"


def _target(dims: int, x: Any, output_size: Any, name: str) -> tuple[int, ...]:
    """The wanted size; None keeps the input's."""
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    if len(sizes) == 1:
        sizes = tuple(sizes) * dims
    if len(sizes) != dims:
        raise ArgumentError(f"{name}: output_size must have {dims} numbers, got {output_size!r}")
    size = tuple(n if o is None else int(o) for n, o in zip(x.shape[2:], sizes))
    if any(o < 0 for o in size):
        raise ArgumentError(f"{name}: output_size must not be negative, got {output_size!r}")
    if any(n == 0 for n in x.shape[2:]) and all(size):
        raise ShapeError(f"{name}: no windows over an axis of size 0: {tuple(x.shape)}")
    return size


def _plain(x: Any, size: tuple) -> tuple[int, ...] | None:
    """The kernel, where the windows are plain ones."""
    if all(o and n % o == 0 for n, o in zip(x.shape[2:], size)):
        return tuple(n // o for n, o in zip(x.shape[2:], size))
    return None


def _adaptive_avg(dims: int, input: Any, output_size: Any) -> Any:
    name = f"adaptive_avg_pool{dims}d"
    x = batched(dims, input, name)
    size = _target(dims, x, output_size, name)
    kernel = _plain(x, size)
    if not x.dtype.is_floating_point:
        raise DTypeError(f"{name}: expected floating point, got {x.dtype.name}", hint="x.float()")
    if all(o == 1 for o in size):
        y = average(x, tuple(range(2, x.ndim)))
    elif kernel is not None:
        y = apply(AvgPool, x, kernel=kernel, stride=kernel, padding=(0,) * dims, ceil_mode=False,
                  count_include_pad=True, divisor=None)  # fmt: skip
    else:
        y = apply(AdaptiveAvgPool, x, size=size)
    return y if input.ndim == dims + 2 else y.squeeze(0)


def _adaptive_max(dims: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{dims}d"
    x = batched(dims, input, name)
    size = _target(dims, x, output_size, name)
    kernel = _plain(x, size)
    if kernel is not None:
        y, indices = apply(MaxPool, x, kernel=kernel, stride=kernel, padding=(0,) * dims,
                           dilation=(1,) * dims, ceil_mode=False)  # fmt: skip
    else:
        y, indices = apply(AdaptiveMaxPool, x, size=size)
    if input.ndim == dims + 1:
        y, indices = y.squeeze(0), indices.squeeze(0)
    return (y, indices) if return_indices else y


def _lp(dims: int, input: Any, norm_type: float, kernel: Any, stride: Any, ceil: bool) -> Any:
    kernel = per_axis(kernel, dims, "kernel_size", 1)
    mean = pool_avg(dims, input**norm_type, kernel, stride, 0, ceil, True, None)
    return (mean.sign() * mean.abs() * math.prod(kernel)) ** (1.0 / norm_type)


def _unpool(dims: int, input: Any, indices: Any, kernel: Any, stride: Any, padding: Any,
            output_size: Any) -> Any:  # fmt: skip
    name = f"max_unpool{dims}d"
    x, places = batched(dims, input, name), batched(dims, indices, name)
    if x.shape != places.shape or places.dtype.kind not in "iu":
        raise ShapeError(
            f"{name}: input {tuple(input.shape)} needs whole-number indices of the same shape,"
            f" got {tuple(indices.shape)} of {indices.dtype.name}"
        )
    kernel = per_axis(kernel, dims, "kernel_size", 1)
    stride = kernel if not_given(stride) else per_axis(stride, dims, "stride", 1)
    padding = per_axis(padding, dims, "padding")
    usual = tuple((n - 1) * s + k - 2 * p
                  for n, k, s, p in zip(x.shape[2:], kernel, stride, padding))  # fmt: skip
    size = usual if output_size is None else tuple(output_size)[-dims:]
    if len(size) != dims or any(abs(o - u) >= s for o, u, s in zip(size, usual, stride)):
        raise ArgumentError(
            f"{name}: output_size {tuple(size)} must be within the stride {stride} of {usual}"
        )
    lead = tuple(x.shape[:2])
    win.check_places(places.cell.array, math.prod(size))
    flat = (*lead, math.prod(x.shape[2:]))
    empty = x.new_zeros((*lead, math.prod(size)))
    y = empty.scatter(2, places.reshape(flat), x.reshape(flat)).reshape((*lead, *size))
    return y if input.ndim == dims + 2 else y.squeeze(0)


_WHAT = {1: ("sequences", "(N, C, L)"), 2: ("images", "(N, C, H, W)"),
         3: ("volumes", "(N, C, D, H, W)")}  # fmt: skip


def _publish(dims: int) -> None:
    """The functions for one, two or three spatial axes."""
    kind, shape = _WHAT[dims]
    ones = "(1, 1" + ", 4" * dims + ")"

    def avg(input, output_size):
        return _adaptive_avg(dims, input, output_size)

    def best(input, output_size, return_indices=False):
        return _adaptive_max(dims, input, output_size, return_indices)

    def best_with_indices(input, output_size, return_indices=True):
        return _adaptive_max(dims, input, output_size, True)

    def power(input, norm_type, kernel_size, stride=None, ceil_mode=False):
        return _lp(dims, input, norm_type, kernel_size, stride, ceil_mode)

    def back(input, indices, kernel_size, stride=None, padding=0, output_size=None):
        return _unpool(dims, input, indices, kernel_size, stride, padding, output_size)

    named_functions = (
        (avg, f"adaptive_avg_pool{dims}d", "bl F" if dims == 1 else "F",
         f"The mean over windows that give {kind} {shape} a size; None keeps one.",
         f"F.adaptive_avg_pool{dims}d(bl.ones{ones}, 2).sum().item()", f"{2.0**dims}"),
        (best, f"adaptive_max_pool{dims}d", "F",
         f"The largest value of windows that give {kind} {shape} a size; None keeps one.",
         f"F.adaptive_max_pool{dims}d(bl.ones{ones}, 2).sum().item()", f"{2.0**dims}"),
        (best_with_indices, f"adaptive_max_pool{dims}d_with_indices", "F",
         f"`adaptive_max_pool{dims}d` and the places of the largest values.",
         f"F.adaptive_max_pool{dims}d_with_indices(bl.ones{ones}, 1)[1].item()", "0"),
        (power, f"lp_pool{dims}d", "F",
         f"The p-norm of each window of {kind} {shape}: (sum of x^p)^(1/p).",
         f"F.lp_pool{dims}d(bl.ones{ones}, 1, 2).max().item()", f"{2.0**dims}"),
        (back, f"max_unpool{dims}d", "F",
         f"Pooled {kind} {shape} back where max_pool{dims}d found them, zeros elsewhere.",
         f"F.max_unpool{dims}d(*F.max_pool{dims}d_with_indices(bl.ones{ones}, 2), 2).sum().item()",
         f"{2.0**dims}"),
    )  # fmt: skip
    for function, name, spaces, text, call, shown in named_functions:
        function.__name__ = function.__qualname__ = name
        function.__doc__ = f"{text}\n\n    >>> {call}\n    {shown}\n    "
        scoped = slot_scoped(name, function)
        export(spaces)(scoped)


for _dims in (1, 2, 3):
    _publish(_dims)
