"""Padding at the borders, and windows that slide over axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.op import Composite, Operator, Spec, apply, export, normalize_axis, slot
from backlit.ops.shape import accumulator


class PadConstant(Operator):
    """`x` with a constant around it; negative sides cut off.

    `sides` are (before, after) of the last axis, then of the one before it, and so on.
    """

    exports = ""
    moves = True

    def infer(x, *, sides, value):
        shape = tuple(n + a + b for n, (a, b) in zip(x.shape, per_axis(sides, x.ndim)))
        if any(n < 0 for n in shape):
            raise ShapeError(f"sides {tuple(sides)} cut off more than there is of {x.shape}")
        return Spec(shape, x.dtype)

    def forward(x, *, sides, value):
        around = per_axis(sides, x.ndim)
        kept = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, around))]
        shape = [n + max(a, 0) + max(b, 0) for n, (a, b) in zip(kept.shape, around)]
        made = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
        made[tuple(slice(max(a, 0), max(a, 0) + n) for n, (a, _) in zip(kept.shape, around))] = kept
        return made

    def grad_x(g, sides):
        return apply(PadConstant, g, sides=tuple(-n for n in sides), value=0.0)

    def latex(x, *, sides, value):
        return rf"\operatorname{{pad}}\left({x}\right)"


def per_axis(sides: tuple, ndim: int) -> list[tuple[int, int]]:
    """(before, after) of every axis, first axis first."""
    if len(sides) % 2 or len(sides) > 2 * ndim:
        raise ShapeError(f"{len(sides)} sides for a tensor of {ndim} axes",
                         hint="two for each axis, the last axis first")  # fmt: skip
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def pad_constant(x: Any, sides: tuple, value: float = 0.0) -> Any:
    """`x` with `value` around it; see PadConstant for the order of the sides."""
    return apply(PadConstant, x, sides=tuple(sides), value=value)


MODES = ("constant", "reflect", "replicate", "circular")


class Pad(Composite):
    """The input with a border: `pad` lists (before, after) of the last axis, then of others.

    `mode` is "constant" (of `value`), "reflect", "replicate" or "circular"; negative sides cut.

    >>> F.pad(bl.tensor([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """

    exports = "F"

    def expand(input, pad, mode="constant", value=None):
        sides = tuple(int(n) for n in pad)
        if mode not in MODES:
            raise ArgumentError(f"pad: mode is one of {', '.join(MODES)}, got {mode!r}")
        if len(sides) % 2 or len(sides) > 2 * input.ndim:
            raise ShapeError(f"pad: {len(sides)} sides for a tensor of {input.ndim} axes",
                             hint="two for each axis, the last axis first")  # fmt: skip
        if mode == "constant":
            return pad_constant(input, sides, 0.0 if value is None else value)
        if value:
            raise ArgumentError(f"pad: mode {mode!r} takes no value, got {value}")
        if len(sides) // 2 not in (input.ndim - 1, input.ndim - 2):
            raise ShapeError(
                f"pad: mode {mode!r} pads all axes but batch and channels: {len(sides)} sides do"
                f" not fit a tensor of {input.ndim} axes"
            )
        for dim, (before, after) in enumerate(per_axis(sides, input.ndim)):
            if before or after:
                index = source_of(input.shape[dim], before, after, mode)
                input = input.index_select(dim, slot.wrap(index))
        return input


def source_of(n: int, before: int, after: int, mode: str) -> np.ndarray:
    """For each position of a padded axis, the position whose value it takes."""
    least = {"reflect": n - 1, "circular": n, "replicate": max(before, after)}[mode]
    if max(before, after) > least or n == 0 or n + before + after < 0:
        raise ShapeError(f"pad: sides {before} and {after} do not fit an axis of size {n} in mode"
                         f" {mode!r}", hint=f"at most {least}")  # fmt: skip
    at = np.arange(-before, n + after)
    if mode == "replicate":
        return at.clip(0, n - 1)
    if mode == "circular":  # of what the cuts leave
        start, kept = max(-before, 0), n + min(before, 0) + min(after, 0)
        return start + (at - start) % kept
    return (n - 1) - np.abs((n - 1) - np.abs(at))


# ----- windows along one axis -----


class Unfold(Operator):
    """The view of all windows of `size` along an axis, every `step`, as a new last axis.

    >>> bl.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """

    exports = "Tensor"
    view = True
    moves = True

    def call(input, dimension, size, step):
        dim = normalize_axis(dimension, input.ndim)
        return apply(Unfold, input, dim=dim, size=int(size), step=int(step))

    def infer(x, *, dim, size, step):
        n = x.shape[dim] if x.ndim else 1
        if not 0 <= size <= n or step < 1:
            raise ArgumentError(f"windows of {size} every {step} do not fit an axis of size {n}")
        if not x.ndim:
            return Spec((size,), x.dtype)
        count = (n - size) // step + 1
        return Spec((*x.shape[:dim], count, *x.shape[dim + 1 :], size), x.dtype)

    def forward(x, *, dim, size, step):
        if not x.ndim:
            return x.reshape(1)[:size]
        count = (x.shape[dim] - size) // step + 1
        strides = list(x.strides)
        strides[dim] *= step
        shape = (*x.shape[:dim], count, *x.shape[dim + 1 :], size)
        return as_strided(x, shape, (*strides, x.strides[dim]))

    def grad_x(g, x_spec, dim, size, step):
        return apply(UnfoldSum, g, shape=x_spec.shape, dim=dim, size=size, step=step)

    def latex(x, *, dim, size, step):
        return rf"\operatorname{{unfold}}\left({x}\right)"


class UnfoldSum(Operator):
    """Windows added back to where `unfold` took them from."""

    exports = ""
    moves = True

    def infer(x, *, shape, dim, size, step):
        return Spec(tuple(shape), x.dtype)

    def forward(x, *, shape, dim, size, step):
        made = np.zeros(shape, x.dtype)
        if not shape:
            return made + x.sum()
        count, lead = x.shape[dim], (slice(None),) * dim
        for k in range(size):
            made[(*lead, slice(k, k + step * count, step))] += x[..., k]
        return made

    def grad_x(g, dim, size, step):
        return apply(Unfold, g, dim=dim, size=size, step=step)

    def latex(x, **params):
        return rf"\operatorname{{fold}}\left({x}\right)"


# ----- patches of images as columns -----


def _pair(value: Any, name: str, least: int = 1) -> tuple[int, int]:
    found = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    found = found * 2 if len(found) == 1 else found
    if len(found) != 2 or not all(hasattr(n, "__index__") for n in found):
        raise ArgumentTypeError(f"{name} must be one or two whole numbers, got {value!r}")
    if min(found) < least:
        raise ArgumentError(f"{name} must be at least {least}, got {value!r}")
    return int(found[0]), int(found[1])


def _counts(size: tuple, kernel: tuple, dilation: tuple, padding: tuple, stride: tuple) -> tuple:
    """How many patches fit along height and width."""
    found = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride)
    )
    if min(found) < 1:
        raise ShapeError(f"patches of {kernel} (dilation {dilation}) do not fit an image of {size}"
                         f" with padding {padding}")  # fmt: skip
    return found


def _windows(x: np.ndarray, kernel: tuple, dilation: tuple, stride: tuple, count: tuple) -> Any:
    """For each place in the kernel, what it sees of a padded image."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            yield i, j, x[..., top : top + stride[0] * count[0] : stride[0],
                          left : left + stride[1] * count[1] : stride[1]]  # fmt: skip


class Im2col(Operator):
    """Patches of images (N, C, H, W) as columns (N, C * kernel, places)."""

    exports = ""

    def infer(x, *, kernel, dilation, padding, stride):
        if x.ndim != 4:
            raise ShapeError(f"expected images (N, C, H, W) or (C, H, W), got {x.shape}")
        count = _counts(x.shape[2:], kernel, dilation, padding, stride)
        n, c = x.shape[:2]
        return Spec((n, c * kernel[0] * kernel[1], count[0] * count[1]), x.dtype)

    def forward(x, *, kernel, dilation, padding, stride):
        count = _counts(x.shape[2:], kernel, dilation, padding, stride)
        n, c, (p, q) = *x.shape[:2], padding
        x = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
        made = np.empty((n, c, *kernel, *count), x.dtype)
        for i, j, seen in _windows(x, kernel, dilation, stride, count):
            made[:, :, i, j] = seen
        return made.reshape(n, c * kernel[0] * kernel[1], count[0] * count[1])

    def grad_x(g, x_spec, kernel, dilation, padding, stride):
        return apply(Col2im, g, size=x_spec.shape[2:], kernel=kernel, dilation=dilation,
                     padding=padding, stride=stride)  # fmt: skip

    def latex(x, **params):
        return rf"\operatorname{{unfold}}\left({x}\right)"


class Col2im(Operator):
    """Columns (N, C * kernel, places) summed into images (N, C, H, W)."""

    exports = ""

    def infer(x, *, size, kernel, dilation, padding, stride):
        count = _counts(size, kernel, dilation, padding, stride)
        area = kernel[0] * kernel[1]
        if x.ndim != 3 or x.shape[1] % area or x.shape[2] != count[0] * count[1]:
            raise ShapeError(
                f"columns of shape {x.shape} do not fit: a multiple of {area} rows and"
                f" {count[0]} x {count[1]} places are expected"
            )
        return Spec((x.shape[0], x.shape[1] // area, *size), x.dtype)

    def forward(x, *, size, kernel, dilation, padding, stride):
        count = _counts(size, kernel, dilation, padding, stride)
        n, c = x.shape[0], x.shape[1] // (kernel[0] * kernel[1])
        patches = x.reshape(n, c, *kernel, *count)
        (h, w), (p, q) = size, padding
        made = np.zeros((n, c, h + 2 * p, w + 2 * q), accumulator(x.dtype))
        for i, j, seen in _windows(made, kernel, dilation, stride, count):
            seen += patches[:, :, i, j]
        return made[:, :, p : p + h, q : q + w].astype(x.dtype)

    def grad_x(g, kernel, dilation, padding, stride):
        return apply(Im2col, g, kernel=kernel, dilation=dilation, padding=padding, stride=stride)

    def latex(x, **params):
        return rf"\operatorname{{fold}}\left({x}\right)"


def _patching(kernel: Any, dilation: Any, padding: Any, stride: Any) -> dict:
    return {"kernel": _pair(kernel, "kernel_size"), "dilation": _pair(dilation, "dilation"),
            "padding": _pair(padding, "padding", 0), "stride": _pair(stride, "stride")}  # fmt: skip


@export("F")
def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """Patches of images (N, C, H, W) as columns (N, C * kernel area, number of patches).

    >>> F.unfold(bl.zeros(1, 3, 4, 4), 2).shape
    backlit.Size([1, 12, 9])
    """
    images = input.unsqueeze(0) if input.ndim == 3 else input
    found = apply(Im2col, images, **_patching(kernel_size, dilation, padding, stride))
    return found.squeeze(0) if input.ndim == 3 else found


@export("F")
def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Columns of patches summed into images (N, C, *output_size): the adjoint of `unfold`.

    >>> F.fold(bl.ones(1, 12, 9), (4, 4), 2)[0, 0, 0]
    tensor([1., 2., 2., 1.])
    """
    columns = input.unsqueeze(0) if input.ndim == 2 else input
    found = apply(Col2im, columns, size=_pair(output_size, "output_size"),
                  **_patching(kernel_size, dilation, padding, stride))  # fmt: skip
    return found.squeeze(0) if input.ndim == 2 else found
